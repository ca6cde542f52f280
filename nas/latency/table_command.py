"""``python -m nas.latency --fit-table FILE.json`` and ``--predict FILE.json``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.latency.flags import spec_of
from nas.latency.modes import MODES, here
from search_spaces import UserError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from nas.latency.fitting import Show
    from nas.latency.predictor import Predictor

DEFAULTS: dict[str, Any] = {"space": "v2", "networks": 60, "seed": 0, "classes": 1000}


def predict(args: argparse.Namespace) -> None:
    """``--predict``. Raises UserError where the table does not hold the network's blocks."""
    from nas.latency import predictor
    from search_spaces import load

    found = predictor.load(args.predict)
    key = found.table.key
    flags = {"threads": args.threads, "batch": args.batch, "dtype": args.dtype, "mode": args.mode}
    for name, value in flags.items():
        own = str(key["runtime"]).removeprefix("torch ") if name == "mode" else key[name]
        if value is not None and value != own:
            raise UserError(f"--{name}: {value} but {args.predict} was measured with {own}")
    arch = load(args.network)
    arch = arch.at(args.resolution) if args.resolution else arch
    prediction = found.predict(arch)
    key = {**key, "resolution": arch.resolution}
    if args.json:
        data = {"key": key, "predicted_ms": prediction.ms, "interval_ms": [prediction.low, prediction.high]}
        data |= {"blocks": prediction.blocks, "interpolated": prediction.interpolated, "classes": found.table.classes}
        print(json.dumps(data | {"error": found.error._asdict(), "table": args.predict}, indent=1))
        return
    from rich.console import Console

    table = _grid()
    table.add_row("network", args.network)
    table.add_row("predicted", f"{prediction.ms:.4g} ms (95% interval {prediction.low:.4g} to {prediction.high:.4g})")
    table.add_row("for", ", ".join(f"{name} {value}" for name, value in key.items() if value is not None))
    if prediction.interpolated:
        text = f"{prediction.interpolated} of {prediction.blocks} were not measured: the error may be larger"
        table.add_row("blocks", text)
    Console(highlight=False).print(table)


def fit(args: argparse.Namespace) -> None:
    """Raises UserError where the file exists, or the device or the space do not."""
    if args.device and args.device not in MODES:
        raise UserError(f"--device: {args.device!r}: a table is fitted on the device at hand only, cpu or cuda")
    path = Path(args.fit_table)
    if path.exists():
        raise UserError(f"--fit-table: {path} exists; name another file")
    if not path.parent.is_dir():
        raise UserError(f"--fit-table: {path.parent} is no folder")
    chosen = {
        name: getattr(args, name) if getattr(args, name) is not None else default for name, default in DEFAULTS.items()
    }
    from search_spaces.space_file import load_space

    space = load_space(chosen["space"], args.width, args.resolution)
    import torch
    from rich.console import Console

    from nas.latency.fitting import Asked, Kept, measure_table, table_key
    from nas.latency.predictor import LEAST, to_text
    from nas.lease import Lease
    from reports.terminal import say
    from studies.runfolder import write_text

    spec = spec_of(args)
    device = torch.device(here(args.device, spec))
    asked = Asked(space, chosen["networks"], chosen["seed"], chosen["classes"])
    if chosen["networks"] < LEAST or len(asked.archs()) < LEAST:
        raise UserError(f"--networks: {len(asked.archs())} of space {space.name}, at least {LEAST} are needed to fit")
    console, part = Console(highlight=False), path.with_name(f"{path.name}.part")
    head = {
        "key": table_key(spec, device),
        "space": space.to_dict(),
        **{k: chosen[k] for k in ("networks", "seed", "classes")},
    }
    kept = Kept(part, head)
    try:
        with _progress(console) as show:
            found = measure_table(asked, spec, device, kept, Lease.of_host(), show)
    except KeyboardInterrupt:
        say(console, f"interrupted; the same command goes on from {part}")
        raise
    finally:
        kept.close()
    write_text(path, to_text(found))
    part.unlink()
    console.print(_summary(found))
    say(console, f"written: {path}")


@contextmanager
def _progress(console: Console) -> Iterator[Show]:
    """A live line in a terminal, elsewhere a line for each kind of what is measured."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console) as live:
        tasks = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks and total:
                tasks[what] = live.add_task(f"measuring {what}", total=total)
            if what in tasks:
                live.update(tasks[what], completed=done)

        yield show


def _summary(found: Predictor) -> Table:
    from rich.table import Table

    networks, flagged = len(found.about["networks"]), found.disturbed
    table = _grid()
    table.add_row(
        "measured", ", ".join(f"{name} {value}" for name, value in found.table.key.items() if value is not None)
    )
    table.add_row("table", f"{len(found.table.blocks_ms)} blocks, {found.table.classes} classes")
    more = f", {flagged} of them flagged: something disturbed, which the errors below hold too" if flagged else ""
    if 2 * flagged > networks:
        more += "; most of them, so that a search does not take this table: all may be off by one factor"
    table.add_row("networks", f"{networks}{more}")
    errors = Table(
        "error on networks left out", "median", "95%", "within 10%", "Kendall tau", box=None, padding=(0, 2, 0, 0)
    )
    for name, error in (("predictor", found.error), ("MACs alone", found.macs_alone)):
        shares = f"{error.median:.1%}", f"{error.margin:.1%}", f"{error.within_10:.0%}", f"{error.tau:.3f}"
        errors.add_row(name, *shares)
    outer = Table.grid()
    outer.add_row(table)
    outer.add_row(errors)
    return outer


def _grid() -> Table:
    from rich.table import Table

    return Table(box=None, show_header=False, padding=(0, 2, 0, 0))
