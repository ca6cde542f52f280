"""What ``python -m nas.report`` takes out of a run beside its page: tables, images, an Optuna study, TensorBoard files.

``figures_of`` and ``search_of`` check before anything is written, the others write and say where.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from search_spaces import UserError

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from rich.console import Console

    from reports.folder import Record
    from reports.images import Format
    from reports.run import Run

TABLES = {"csv": ".csv", "parquet": ".parquet"}
IMAGES: tuple[Format, ...] = ("png", "svg")
OF_A_SEARCH = ("csv", "parquet", "tensorboard", "optuna")  # and of no other run


def figures_of(args: argparse.Namespace, record: Record) -> dict[str, go.Figure]:
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


def search_of(args: argparse.Namespace, record: Record) -> Run | None:
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
    if args.optuna is not None:
        from studies import optuna_export

        if record.space is None:
            raise UserError(f"--optuna: {args.run_dirs[0]} holds no space.yaml, whose genes are the parameters")
        optuna_export.check(args.optuna, record.name)
    return record


def write_tables(args: argparse.Namespace, searches: Sequence[Run], console: Console) -> None:
    """``--csv`` and ``--parquet``."""
    from reports import exports, table

    wanted = [name for name in TABLES if getattr(args, name)]
    if not wanted:
        return
    frame = table.of_runs(searches)
    for name in wanted:
        path = getattr(args, name)
        with exports.new_file(path) as part:
            table.WRITERS[name](frame, part)
        tell(console, name, path)


def write_others(args: argparse.Namespace, search: Run, console: Console) -> None:
    """``--tensorboard`` and ``--optuna``."""
    from rich.progress import Progress

    trials = search.trials
    with Progress(console=console, transient=True, disable=not console.is_terminal) as live:
        if args.tensorboard:
            from reports import curves, exports

            task = live.add_task("TensorBoard", total=len(trials))
            with exports.new_folder(args.tensorboard) as part:
                curves.write(trials, search.objectives, search.space, part, lambda: live.advance(task))
            tell(console, "tensorboard", args.tensorboard)
        if args.optuna is not None and search.space:
            from studies import optuna_export

            study = live.add_task("Optuna", total=len(trials))
            about = {name: search.spec[name] for name in ("command", "created", "seed") if name in search.spec}
            whole = optuna_export.Search(
                search.name, trials, search.space, search.objectives, search.constraints, about
            )
            optuna_export.write(whole, args.optuna, lambda: live.advance(study))
            tell(console, "optuna", args.optuna)


def write_images(figures: dict[str, go.Figure], target: Path, form: Format, console: Console) -> None:
    """``--png`` or ``--svg``, by ``form``."""
    from reports import images

    target.mkdir(parents=True, exist_ok=True)
    written = images.write(figures, target, form)
    tell(console, form, f"{len(written)} figures in {target}")


def tell(console: Console, what: str, where: object) -> None:
    """Where an export lies."""
    from reports.terminal import say

    say(console, f"{what}: {where}")
