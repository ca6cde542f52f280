"""Measures the latency of a network on this device, with its interval and what may be wrong with it.

Calls of the network take turns with those of a reference network until the 95% intervals of the median and of the
ratio are narrow enough or time is up. While it measures, trainings and searches of this project on this host pause.
What disturbs a measurement is seen (waiting for a core, other processes, drift, a GPU that slows down): it is made
again, and flagged if nothing helps.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from search_spaces import Arch, UserError, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from studies.ledger import Latency
    from studies.spec import LatencySpec

EXAMPLES = """examples:
  python -m nas.latency efficientnet_b0
  python -m nas.latency runs/20261122-101500-v2/archs/ID.json --threads 4 --against mobilenet_v2
  python -m nas.latency efficientnet_b0 --device ssh:pi@10.0.0.7 --mode onnxruntime
  python -m nas.latency efficientnet_v2_s --device cuda --mode cuda_graph --dtype float16 --batch 16 --json
  python -m nas.latency --catalogue --constraint "latency_ms<=200" --constraint "peak_memory_mb<=500"

status: ok; not_converged (the interval is wider than --precision); flagged (a check failed, the value may be wrong);
deferred (another process held the device, nothing was measured). --json prints one object; its key says what the
figures may be compared with.
Exit code: 0 done, 2 wrong input, 130 interrupted, 1 internal error."""
STATUS_STYLES = {"ok": "green", "not_converged": "yellow", "flagged": "red", "deferred": "red"}
LIMITS = '"latency_ms<=20"; peak_memory_mb, params, macs, activations, top1, resolution; repeatable'
NOT_OF_THE_CATALOGUE = {
    "network": "does not go with --catalogue, which measures them all",
    "resolution": "does not go with --catalogue: an accuracy is published for the network's own resolution only",
    "against": "does not go with --catalogue, in which no ratios are shown",
}
FIXED = ("device", "mode", "dtype", "batch", "threads", "precision", "max_seconds", "out")  # of what is resumed
KEYS = ("key", "p50_ms", "ci95_ms", "p90_ms", "iqr_ms", "n", "rounds", "ratio", "ratio_ci95", "status", "reasons")


def parser() -> command.Parser:
    p = command.Parser(
        "python -m nas.latency",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("network", nargs="?", metavar="NAME|FILE.json", help="a published network, or one from a file")
    every = "measure every published network at its own resolution: which is the most accurate within the limits"
    p.add_argument("--catalogue", action="store_true", help=every)
    p.add_argument("--constraint", action="append", default=[], metavar="LIMIT", help=f"of --catalogue: {LIMITS}")
    p.add_argument("--out", metavar="DIR", help="of --catalogue: its folder (default runs/TIME-catalogue)")
    p.add_argument("--resume", metavar="DIR", help="of --catalogue: go on in its folder, however it ended")
    where = "cpu, cuda (default where there is a GPU), or another device: ssh:[USER@]HOST[:PORT][/PATH/TO/PYTHON]"
    p.add_argument("--device", metavar="DEVICE", help=where)
    modes = "eager (default on cpu), compile, cuda_graph (default on cuda), onnxruntime (needs the extra onnx)"
    p.add_argument("--mode", metavar="MODE", help=modes)
    p.add_argument("--dtype", metavar="TYPE", help="float32 (cpu), float16 (default on cuda) or bfloat16")
    p.add_argument("--batch", type=command.positive_int, metavar="N", default=1, help="images a call (default 1)")
    p.add_argument("--threads", type=command.positive_int, metavar="N", default=1, help="on cpu (default 1)")
    own = "instead of each network's own"
    p.add_argument("--resolution", type=command.positive_int, metavar="PIXELS", help=own)
    p.add_argument("--against", metavar="NAME|FILE.json", help="ratio to this network instead of the fixed reference")
    width = "half-width of the intervals, as a share, at which sampling ends (default 0.01)"
    p.add_argument("--precision", type=float, metavar="SHARE", default=0.01, help=width)
    limit = "of sampling in one attempt, of which there are four at most; half as many of warm-up (default 10)"
    p.add_argument("--max-seconds", type=command.positive_float, metavar="S", default=10.0, help=limit)
    p.add_argument("--json", action="store_true", help="print one JSON object")
    return p


def main(argv: Sequence[str]) -> None:
    args = parser().parse_args(argv)
    _check(args)
    if args.catalogue:
        from nas.latency import catalogue

        catalogue.command(
            args, None if args.resume else _spec(args), shlex.join(["python", "-m", "nas.latency", *argv])
        )
        return
    network, against = _network(args.network, args), args.against and _network(args.against, args)
    spec = _spec(args)
    latency, environment = _measure(network, against, spec, args)
    if args.json:
        found = asdict(latency)
        first = {name: found.pop(name) for name in KEYS}
        print(json.dumps(first | found | {"against": _against(args)} | {"environment": environment}, indent=1))
        return
    from rich.console import Console

    Console().print(_table(args, latency))


def _check(args: argparse.Namespace) -> None:
    """Raises UserError where flags do not go together."""
    given = [name for name, value in vars(args).items() if value != parser().get_default(name)]
    if args.catalogue:
        reasons = dict(NOT_OF_THE_CATALOGUE) | (
            dict.fromkeys(FIXED, "stays as it was with --resume") if args.resume else {}
        )
    elif args.network:
        reasons = dict.fromkeys(("constraint", "out", "resume"), "is for --catalogue")
    else:
        raise UserError("NAME: missing, a published network or a .json file is needed, or --catalogue for all of them")
    for name in given:
        if name in reasons:
            flag = "NAME" if name == "network" else "--" + name.replace("_", "-")
            raise UserError(f"{flag}: {getattr(args, name)!r} {reasons[name]}")


def _network(name: str, args: argparse.Namespace) -> Arch:
    from search_spaces import load

    arch = load(name)
    return arch.at(args.resolution) if args.resolution else arch


def _spec(args: argparse.Namespace) -> LatencySpec:
    """The command's own defaults: one number, with all the care that it takes."""
    from studies.spec import parse

    flags = {"mode": args.mode, "dtype": args.dtype, "batch_size": args.batch, "threads": args.threads}
    limits = {"precision": args.precision, "max_s": args.max_seconds}
    limits["warmup_s"] = min(1.0, args.max_seconds / 10)  # at least; four times as long at most
    return parse({"latency": flags | limits | {"block_ms": 20.0, "retries": 3, "energy_s": 2.0}}).latency


def _measure(
    network: Arch, against: Arch | None, spec: LatencySpec, args: argparse.Namespace
) -> tuple[Latency, dict[str, Any]]:
    from nas.latency.modes import here

    if args.device and ":" in args.device:
        return _measure_there(network, spec, args)
    kind = here(args.device, spec)
    import torch

    from nas.environment import describe
    from nas.latency.measure import measure
    from nas.lease import Lease
    from search_spaces.build import build_model

    other = (build_model(against), against.resolution) if against else None
    device, lease = torch.device(kind), Lease.of_host()
    try:
        latency = measure(build_model(network), network.resolution, spec, device, lease, other)
    except torch.OutOfMemoryError:
        too_much = f"{spec.batch_size} images of {network.resolution} px do not fit in the memory of {kind}"
        raise UserError(f"--batch: {too_much}") from None
    return latency, describe(int(kind == "cuda"))


def _measure_there(network: Arch, spec: LatencySpec, args: argparse.Namespace) -> tuple[Latency, dict[str, Any]]:
    from nas.latency.transport import device_of

    device_of(args.device)
    if args.against:
        raise UserError("--against: on another device the ratio is to the fixed reference only")
    from nas.environment import describe
    from nas.latency.remote import measure_remote

    return measure_remote(network, network.resolution, spec, args.device), {"client": describe(0)}


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
