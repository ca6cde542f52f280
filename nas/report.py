"""``python -m nas.report``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from search_spaces import UserError, command

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.console import Console

    from reports.folder import Record
    from reports.images import Format
    from reports.run import Run

DESCRIPTION = """\
Builds the page of a run again, from its folder alone: of a search, a scaling run, a fidelity study or a measurement of
the catalogue. Several searches become one page that compares them. Nothing is trained or measured, and no data set is
needed; of the folder only report.html changes.
"""
EPILOG = """\
examples:
  python -m nas.report runs/20261122-101500-v2
  python -m nas.report runs/20261122-101500-v2 --watch            # while the search goes on, or until Ctrl-C
  python -m nas.report runs/a runs/b runs/c --out comparison.html
  python -m nas.report runs/a --out a.html --csv a.csv --png figures
  python -m nas.report runs/a --tensorboard tb/a && tensorboard --logdir tb/a
  python -m nas.report runs/a --optuna a.db && optuna-dashboard sqlite:///a.db

--csv and --parquet hold a row a trial: figures, latency with its interval, times, genes, why there is no result; of
several searches all trials, told apart by the column run. In a CSV, text that a spreadsheet would compute has an
apostrophe before it.
--optuna takes FILE.db (SQLite; a second for 15 trials or so), FILE.log (Optuna's journal, for thousands of trials) or
the URL of a database. A storage may hold other studies; one of the run's name is refused.
--png and --svg need kaleido (pip install 'nas-scaling[images]') and a Chrome or Chromium, if need be by BROWSER_PATH.

What exists is left alone: a file is replaced with --force only (report.html of the run always), a folder of
--tensorboard has to be new or empty. Files are there whole or not at all.
Exit code: 0 done, 2 wrong input, 130 interrupted, 1 internal error."""
WATCH_S = 10.0
COMPARISON = Path("comparison.html")
TABLES = {"csv": ".csv", "parquet": ".parquet"}
IMAGES: tuple[Format, ...] = ("png", "svg")
# What is of one search alone, and what goes with --watch.
OF_A_SEARCH = ("csv", "parquet", "tensorboard", "optuna")
OF_ONE = ("png", "svg", "tensorboard", "optuna", "watch")


def parser() -> command.Parser:
    made = command.Parser(
        "python -m nas.report",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("run_dirs", nargs="+", type=Path, metavar="RUN_DIR", help="several: searches to be compared")
    made.add_argument(
        "--out", type=Path, metavar="FILE.html", help=f"the page (default RUN_DIR/report.html; several: {COMPARISON})"
    )
    made.add_argument("--csv", type=Path, metavar="FILE.csv", help="all trials as a table")
    made.add_argument("--parquet", type=Path, metavar="FILE.parquet", help="the same, with its types")
    made.add_argument("--png", type=Path, metavar="DIR", help="each figure as NAME.png")
    made.add_argument("--svg", type=Path, metavar="DIR", help="each figure as NAME.svg")
    made.add_argument("--tensorboard", type=Path, metavar="DIR", help="learning curves and genes of each trial")
    made.add_argument("--optuna", metavar="FILE|URL", help="the search as a study of an Optuna storage")
    made.add_argument(
        "--watch",
        nargs="?",
        type=command.positive_float,
        const=WATCH_S,
        metavar="SECONDS",
        help=f"build the page again as the run goes on; the browser follows (default every {WATCH_S:g} s)",
    )
    made.add_argument("--force", action="store_true", help="replace files that exist")
    return made


def main(argv: Sequence[str]) -> None:
    args = parser().parse_args(argv)
    _check_flags(args)
    with _files_named():
        if args.watch is not None:
            _watch(args)
        elif len(args.run_dirs) > 1:
            _compare(args)
        else:
            _one(args)


def _check_flags(args: argparse.Namespace) -> None:
    """Raises UserError on what is wrong by itself, before anything is loaded."""
    from reports import exports

    given = [name for name in (*OF_A_SEARCH, *IMAGES, "watch") if getattr(args, name) is not None]
    if len({path.resolve() for path in args.run_dirs}) < len(args.run_dirs):
        raise UserError("RUN_DIR: one folder is named twice")
    if len(args.run_dirs) > 1 and (one := [name for name in given if name in OF_ONE]):
        raise UserError(f"--{one[0]}: is of one run, {len(args.run_dirs)} are named")
    if args.watch is not None and (other := [name for name in given if name != "watch"]):
        raise UserError(f"--{other[0]}: does not go with --watch")
    for name, suffix in {"out": ".html", **TABLES}.items():
        if path := getattr(args, name):
            exports.check_file(f"--{name}", path, suffix, args.force)
    if len(args.run_dirs) > 1 and args.out is None:
        exports.check_file("--out", COMPARISON, COMPARISON.suffix, args.force)
    for name in IMAGES:
        if path := getattr(args, name):
            exports.check_place(f"--{name}", path)
    if args.tensorboard:
        exports.check_folder("--tensorboard", args.tensorboard)


def _one(args: argparse.Namespace) -> None:
    """The page, what the terminal shows of it, and what else is asked for; nothing is written before all is checked."""
    from reports import folder

    (run_dir,) = args.run_dirs
    record, console = folder.read(run_dir), _console()
    search = _search(args, record)
    figures = _figures(args, record)
    page = _write_page(args, record)
    for part in folder.printed(record, console.width, not console.encoding.lower().startswith("utf")):
        console.print(part, soft_wrap=isinstance(part, str))
    if search:
        _tables(args, [search], console)
        _others(args, search, console)
    for form in IMAGES:
        if target := getattr(args, form):
            _write_images(figures, target, form, console)
    _tell(console, "report", page)


def _compare(args: argparse.Namespace) -> None:
    from reports import comparison, folder, summary
    from reports.pages import comparison_page
    from studies.runfolder import write_text

    for run_dir in args.run_dirs:
        if (kind := folder.kind(run_dir)) != "search":
            raise UserError(f"{run_dir}: holds {folder.NAMES[kind]}; only searches can be compared")
    searches, console = comparison.read(args.run_dirs), _console()
    found, page = comparison.compare(searches), args.out or COMPARISON
    write_text(page, comparison_page.render(found))
    for search in searches:
        said = summary.headline(search.networks, search.objectives)
        console.print(f"{search.name}: {said}", soft_wrap=True, markup=False)
    console.print(comparison_page.headline(found), soft_wrap=True, markup=False)
    _tables(args, searches, console)
    _tell(console, "report", page)


def _watch(args: argparse.Namespace) -> None:
    """Ends with the run, or when it is interrupted; the page that is left does not load itself anew."""
    from reports import folder, live

    (run_dir,) = args.run_dirs
    if (kind := folder.kind(run_dir)) not in ("search", "catalogue"):
        raise UserError(f"--watch: {run_dir} holds {folder.NAMES[kind]}, whose page is written at its end")
    console = _console()

    def rebuild(goes_on: bool) -> None:
        page = _write_page(args, folder.read(run_dir), args.watch if goes_on else None)
        _tell(console, f"{live.counted(run_dir)}, the run {'goes on' if goes_on else 'is not going on'}", page)

    try:
        live.follow(run_dir, args.watch, rebuild)
    except KeyboardInterrupt:
        _write_page(args, folder.read(run_dir))


def _write_page(args: argparse.Namespace, record: Record, reload_s: float | None = None) -> Path:
    """reload_s: None: it is as it will stay."""
    from reports import folder, live
    from reports.pages.page import REPORT
    from studies.runfolder import write_text

    text, path = folder.page_text(record), args.out or args.run_dirs[0] / REPORT
    write_text(path, live.reloading(text, reload_s) if reload_s else text)
    return path


def _figures(args: argparse.Namespace, record: Record) -> dict[str, go.Figure]:
    """Nothing where no image is asked for. Raises UserError where images cannot be made, or would replace others."""
    from reports import exports

    wanted = [form for form in IMAGES if getattr(args, form)]
    if not wanted:
        return {}
    from reports import figures, images

    images.check(f"--{wanted[0]}")
    found = figures.of_record(record, args.run_dirs[0].resolve().name)
    for form in wanted:
        names = [f"{name}.{form}" for name in found]
        exports.check_place(f"--{form}", getattr(args, form), names, args.force)
    return found


def _search(args: argparse.Namespace, record: Record) -> Run | None:
    """What is exported; None where nothing of it is. Raises UserError where that cannot be."""
    from reports.run import Run

    wanted = [name for name in OF_A_SEARCH if getattr(args, name) is not None]
    if not wanted:
        return None
    if not isinstance(record, Run):
        raise UserError(f"--{wanted[0]}: {args.run_dirs[0]} holds no search")
    if args.tensorboard:
        from reports import curves

        curves.check()
    if args.optuna:
        from studies import optuna_export

        if record.space is None:
            raise UserError(f"--optuna: {args.run_dirs[0]} holds no space.yaml, whose genes are the parameters")
        optuna_export.check(args.optuna, record.name)
    return record


def _tables(args: argparse.Namespace, searches: Sequence[Run], console: Console) -> None:
    from reports import exports, table

    wanted = [name for name in TABLES if getattr(args, name)]
    if not wanted:
        return
    frame = table.of_runs(searches)
    for name in wanted:
        path = getattr(args, name)
        with exports.new_file(path) as part:
            table.WRITERS[name](frame, part)
        _tell(console, name, path)


def _others(args: argparse.Namespace, search: Run, console: Console) -> None:
    from rich.progress import Progress

    trials = search.trials
    with Progress(console=console, transient=True, disable=not console.is_terminal) as live:
        if args.tensorboard:
            from reports import curves, exports

            task = live.add_task("TensorBoard", total=len(trials))
            with exports.new_folder(args.tensorboard) as part:
                curves.write(trials, search.objectives, search.space, part, lambda: live.advance(task))
            _tell(console, "tensorboard", args.tensorboard)
        if args.optuna and search.space:
            from studies import optuna_export

            study = live.add_task("Optuna", total=len(trials))
            about = {name: search.spec[name] for name in ("command", "created", "seed") if name in search.spec}
            whole = optuna_export.Search(
                search.name, trials, search.space, search.objectives, search.constraints, about
            )
            optuna_export.write(whole, args.optuna, lambda: live.advance(study))
            _tell(console, "optuna", args.optuna)


def _write_images(figures: dict[str, go.Figure], target: Path, form: Format, console: Console) -> None:
    from reports import images

    target.mkdir(parents=True, exist_ok=True)
    written = images.write(figures, target, form)
    _tell(console, form, f"{len(written)} figures in {target}")


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def _tell(console: Console, what: str, where: object) -> None:
    console.print(f"{what}: {where}", soft_wrap=True, markup=False)


@contextmanager
def _files_named() -> Iterator[None]:
    """A file that cannot be read or written is the user's to see to."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"{error.filename or 'files'}: {error.strerror or error}") from None


if __name__ == "__main__":
    command.run(main)
