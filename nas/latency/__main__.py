"""Measures the latency of a network on this device, with its interval and what may be wrong with it.

Calls of the network take turns with those of a reference network until the 95% intervals of the median and of the
ratio are narrow enough or time is up. While it measures, trainings and searches of this project on this host pause.
What disturbs a measurement is seen (waiting for a core, other processes, drift, a GPU that slows down): it is made
again, and flagged if nothing helps.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nas.latency import table_command
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
  python -m nas.latency --fit-table table.json --space v2 --width 0.5 --resolution 96
  python -m nas.latency efficientnet_v2_b0 --resolution 96 --predict table.json

status: ok; not_converged (the interval is wider than --precision); flagged (a check failed, the value may be wrong);
deferred (another process held the device, nothing was measured). --json prints one object; its key says what the
figures may be compared with.
Exit code: 0 done, 2 wrong input, 130 interrupted, 1 internal error."""
STATUS_STYLES = {"ok": "green", "not_converged": "yellow", "flagged": "red", "deferred": "red"}
KEYS = ("key", "p50_ms", "ci95_ms", "p90_ms", "iqr_ms", "n", "rounds", "ratio", "ratio_ci95", "status", "reasons")


def parser() -> command.Parser:
    p = command.Parser(
        "python -m nas.latency",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("network", nargs="?", metavar="NAME|FILE.json", help="a published network, or one from a file")
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
    table_command.add_flags(p)
    return p


def main(argv: Sequence[str]) -> None:
    args = parser().parse_args(argv)
    if table_command.run(args):
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


def _network(name: str, args: argparse.Namespace) -> Arch:
    from search_spaces import load

    arch = load(name)
    return arch.at(args.resolution) if args.resolution else arch


def _spec(args: argparse.Namespace) -> LatencySpec:
    """The command's own defaults: one number, with all the care that it takes."""
    from studies.spec import parse

    flags = {"mode": args.mode, "dtype": args.dtype, "batch_size": args.batch, "threads": args.threads}
    limits = {"precision": args.precision, "max_s": args.max_seconds}
    limits["warmup_s"] = min(0.5, args.max_seconds / 20)  # at least; ten times as long at most
    return parse({"latency": flags | limits | {"block_ms": 20.0, "retries": 3}}).latency


def _measure(
    network: Arch, against: Arch | None, spec: LatencySpec, args: argparse.Namespace
) -> tuple[Latency, dict[str, Any]]:
    from nas.environment import cpu_count
    from nas.latency.modes import MODES, resolve

    if args.device and args.device not in MODES:
        return _measure_there(network, spec, args)
    if args.device:
        resolve(spec, args.device)
    if args.device != "cuda" and spec.threads > cpu_count():
        raise UserError(f"--threads: {spec.threads} is more than the {cpu_count()} cores that this process may use")
    import torch

    kind = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError("--device: 'cuda' asked for, but torch sees no GPU here; allowed is cpu")
    from nas.environment import describe
    from nas.latency.measure import measure
    from nas.lease import Lease
    from search_spaces.build import build_model

    other = (build_model(against), against.resolution) if against else None
    device, lease = torch.device(kind), Lease.of_host()
    latency = measure(build_model(network), network.resolution, spec, device, lease, other)
    return latency, describe(int(kind == "cuda"))


def _measure_there(network: Arch, spec: LatencySpec, args: argparse.Namespace) -> tuple[Latency, dict[str, Any]]:
    from nas.latency.transport import device_of

    if ":" not in args.device:
        raise UserError(f"--device: {args.device!r} is not one of cpu, cuda or an address such as ssh:HOST")
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
