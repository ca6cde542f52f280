"""``python -m nas.latency``: the latency of one network; what else it does is in catalogue.py and table_command.py."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.flags import line_of
from nas.latency.flags import parser, spec_of, task_of
from search_spaces import Arch, UserError, command

if TYPE_CHECKING:
    from rich.console import RenderableType
    from torch import nn

    from studies.ledger import Latency
    from studies.spec import LatencySpec

    Sized = tuple[Arch | nn.Module, int]

ONNX = ".onnx"
STATUS_STYLES = {"ok": "green", "not_converged": "yellow", "flagged": "red", "deferred": "red"}
KEYS = ("key", "p50_ms", "ci95_ms", "p90_ms", "iqr_ms", "n", "rounds", "ratio", "ratio_ci95", "status", "reasons")


def main(argv: Sequence[str]) -> None:
    args = parser().parse_args(argv)
    task = task_of(args)
    if task == "catalogue":
        from nas.latency import catalogue

        catalogue.command(args, None if args.resume else spec_of(args), line_of("nas.latency", argv))
    elif task == "fit_table":
        from nas.latency import table_command

        table_command.fit(args)
    elif task == "predict":
        from nas.latency import table_command

        table_command.predict(args)
    else:
        _measure_one(args)


def _measure_one(args: argparse.Namespace) -> None:
    networks = [_network(name, args) for name in (args.network, args.against) if name]
    if any(name and name.endswith(ONNX) for name in (args.network, args.against)):
        if args.mode not in (None, "onnxruntime"):
            raise UserError(f"--mode: {args.mode!r} does not run a {ONNX} file, allowed is onnxruntime")
        args.mode = "onnxruntime"
    latency, environment = _measure(networks, spec_of(args), args)
    if args.json:
        found = asdict(latency)
        first = {name: found.pop(name) for name in KEYS}
        print(json.dumps(first | found | {"against": _against(args)} | {"environment": environment}, indent=1))
        return
    from rich.console import Console

    Console().print(_table(args, latency))


def _network(name: str, args: argparse.Namespace) -> Sized:
    """With the side of its images."""
    if name.endswith(ONNX):
        from nas.latency.modes import check_packages
        from nas.latency.onnx_model import read

        check_packages("onnxruntime", ("onnxruntime",))
        return read(Path(name), args.resolution, args.batch or 1)
    from search_spaces import load

    arch = load(name)
    return arch, args.resolution or arch.resolution


def _measure(networks: Sequence[Sized], spec: LatencySpec, args: argparse.Namespace) -> tuple[Latency, dict[str, Any]]:
    from nas.latency.modes import here

    if args.device and ":" in args.device:
        return _measure_there(networks[0], spec, args)
    kind = here(args.device, spec)
    import torch

    from nas.environment import describe
    from nas.latency.measure import measure
    from nas.lease import Lease
    from search_spaces.build import build_model

    built = [(build_model(one) if isinstance(one, Arch) else one, side) for one, side in networks]
    (model, resolution), *others = built
    device, lease = torch.device(kind), Lease.of_host()
    try:
        latency = measure(model, resolution, spec, device, lease, others[0] if others else None)
    except torch.OutOfMemoryError:
        too_much = f"{spec.batch_size} images of {resolution} px do not fit in the memory of {kind}"
        raise UserError(f"--batch: {too_much}") from None
    return latency, describe(int(kind == "cuda"))


def _measure_there(network: Sized, spec: LatencySpec, args: argparse.Namespace) -> tuple[Latency, dict[str, Any]]:
    from nas.latency.transport import device_of

    device_of(args.device)
    if args.against:
        raise UserError("--against: on another device the ratio is to the fixed reference only")
    from nas.environment import describe
    from nas.latency.remote import measure_remote

    return measure_remote(*network, spec, args.device), {"client": describe(0)}


def _against(args: argparse.Namespace) -> str:
    from nas.latency.measure import REFERENCE, REFERENCE_PX

    return str(args.against) if args.against else f"{REFERENCE} at {REFERENCE_PX} px, batch 1"


def _table(args: argparse.Namespace, latency: Latency) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("network", args.network)
    table.add_row("measured", ", ".join(f"{name} {value}" for name, value in latency.key.items() if value is not None))
    if latency.p50_ms is not None:
        table.add_row("p50", _with_interval(latency.p50_ms, latency.ci95_ms, " ms"))
        tails = {name: getattr(latency, f"{name}_ms") for name in ("min", "iqr", "p90", "p95", "p99")}
        shown = [f"{name} {value:.4g} ms" for name, value in tails.items() if value is not None]
        table.add_row("spread", f"{', '.join(shown)}; {latency.n} calls in {latency.rounds} rounds")
    if latency.energy_mj is not None:
        table.add_row("energy", f"{latency.energy_mj:.4g} mJ a call, all that the GPU draws")
    if latency.ratio is not None:
        table.add_row("ratio", f"{_with_interval(latency.ratio, latency.ratio_ci95)} to {_against(args)}")
    if latency.wait_s >= 0.1:
        table.add_row("waited", f"{latency.wait_s:.1f} s for other measurements and trainings")
    table.add_row("status", Text(latency.status, STATUS_STYLES[latency.status]))
    for reason in latency.reasons:
        table.add_row("", Text(reason))
    return table


def _with_interval(value: float, ends: tuple[float, float] | None, unit: str = "") -> str:
    return f"{value:.4g}{unit}" + (f" (95% interval {ends[0]:.4g} to {ends[1]:.4g})" if ends else "")


if __name__ == "__main__":
    command.run(main)
