"""Builds the page of a run again, from its folder alone; several searches become one page that compares them.

A run is a search, a scaling run, a fidelity study or a measurement of the catalogue. Nothing is trained or measured,
and no data set is needed; of the folder only report.html changes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nas.report_exports import (
    IMAGES,
    OF_A_SEARCH,
    TABLES,
    figures_of,
    search_of,
    tell,
    write_images,
    write_others,
    write_tables,
)
from search_spaces import UserError, command

if TYPE_CHECKING:
    from rich.console import Console

    from reports.folder import Record

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
OF_ONE = ("png", "svg", "tensorboard", "optuna", "watch")  # which several runs together do not have


def parser() -> command.Parser:
    made = command.Parser("python -m nas.report", description=__doc__, epilog=EPILOG)
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
        type=_seconds,
        const=WATCH_S,
        metavar="SECONDS",
        help=f"build the page again as the run goes on; the browser follows (default every {WATCH_S:g} s)",
    )
    made.add_argument("--force", action="store_true", help="replace files that exist")
    return made


def _seconds(text: str) -> float:
    """An argparse type."""
    try:
        return command.positive_float(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, of seconds; the folder goes before --watch") from None


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
    search = search_of(args, record)
    figures = figures_of(args, record)
    page = _write_page(args, record)
    for part in folder.printed(record, console.width, not console.encoding.lower().startswith("utf")):
        console.print(part, soft_wrap=isinstance(part, str))
    if search:
        write_tables(args, [search], console)
        write_others(args, search, console)
    for form in IMAGES:
        if target := getattr(args, form):
            write_images(figures, target, form, console)
    tell(console, "report", page)


def _compare(args: argparse.Namespace) -> None:
    from reports import comparison, folder, summary
    from reports.pages import comparison_page
    from reports.terminal import say
    from studies.runfolder import write_text

    for run_dir in args.run_dirs:
        if (kind := folder.kind(run_dir)) != "search":
            raise UserError(f"{run_dir}: holds {folder.NAMES[kind]}; only searches can be compared")
    searches, console = comparison.read(args.run_dirs), _console()
    found, page = comparison.compare(searches), args.out or COMPARISON
    write_text(page, comparison_page.render(found))
    for search in searches:
        said = summary.headline(search.networks, search.objectives)
        say(console, f"{search.name}: {said}")
    say(console, comparison_page.headline(found))
    write_tables(args, searches, console)
    tell(console, "report", page)


def _watch(args: argparse.Namespace) -> None:
    """Ends with the run, or when it is interrupted; the page that is left does not load itself anew."""
    from reports import folder, live

    (run_dir,) = args.run_dirs
    if (kind := folder.kind(run_dir)) not in ("search", "catalogue"):
        raise UserError(f"--watch: {run_dir} holds {folder.NAMES[kind]}, whose page is written at its end")
    console = _console()

    def rebuild(goes_on: bool) -> None:
        page = _write_page(args, folder.read(run_dir), args.watch if goes_on else None)
        tell(console, f"{live.counted(run_dir)}, the run {'goes on' if goes_on else 'is not going on'}", page)

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


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


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
