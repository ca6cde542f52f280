"""The flags of ``python -m nas.latency``, which does one of four things, and which of them go with which."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nas.latency import modes
from search_spaces import UserError, command

if TYPE_CHECKING:
    from studies.spec import LatencySpec

DESCRIPTION = """Measures the latency of a network on this device, with its interval and what may be wrong with it.

Calls of the network take turns with those of a reference network until the 95% intervals of the median and of the
ratio are narrow enough or time is up. While it measures, trainings and searches of this project on this host pause.
What disturbs a measurement is seen (waiting for a core, other processes, drift, a GPU that slows down): it is made
again, and flagged if nothing helps.

--catalogue measures all published networks instead, --fit-table what a predictor is fitted on, and --predict nothing.
"""
EXAMPLES = """examples:
  python -m nas.latency efficientnet_b0
  python -m nas.latency runs/20261122-101500-v2/archs/ID.json --threads 4 --against mobilenet_v2
  python -m nas.latency efficientnet_b0 --device ssh:pi@10.0.0.7 --mode onnxruntime
  python -m nas.latency efficientnet_v2_s --device cuda --mode cuda_graph --dtype float16 --batch 16 --json
  python -m nas.latency --catalogue --constraint "latency_ms<=200" --constraint "peak_memory_mb<=500"
  python -m nas.latency --fit-table table.json --space v2 --width 0.5 --resolution 96
  python -m nas.latency efficientnet_v2_b0 --resolution 96 --predict table.json

status: ok; not_converged (the interval is wider than --precision, or of too few rounds); flagged (a check failed, the
value may be wrong); deferred (another process held the device, nothing was measured). --json prints one object; its key
says what the figures may be compared with.
Exit code: 0 done, 2 wrong input, 130 interrupted, 1 internal error."""
LIMITS = '"latency_ms<=20"; peak_memory_mb, params, macs, activations, top1, resolution; repeatable'
SPACE = "space", "width", "networks", "seed", "classes"
REFUSED = {  # by what the command does, beside what is for another
    "catalogue": {
        "network": "does not go with --catalogue, which measures them all",
        "resolution": "does not go with --catalogue: an accuracy is published for the network's own resolution only",
        "against": "does not go with --catalogue, in which no ratios are shown",
    },
    "fit_table": {
        "network": "does not go with --fit-table, which measures networks of --space",
        **dict.fromkeys(("against", "json", "precision", "max_seconds"), "does not go with --fit-table"),
    },
    "predict": dict.fromkeys(("against", "device", "precision", "max_seconds"), "does not go with --predict"),
}
OWN = {"catalogue": ("constraint", "out", "resume"), "fit_table": SPACE, "predict": ()}
FIXED = ("device", "mode", "dtype", "batch", "threads", "precision", "max_seconds", "out")  # of what is resumed


def parser() -> command.Parser:
    """Of ``python -m nas.latency``."""
    p = command.Parser("python -m nas.latency", description=DESCRIPTION, epilog=EXAMPLES)
    p.add_argument("network", nargs="?", metavar="NAME|FILE", help="a published network, or a .json or .onnx file")
    where = "cpu, cuda (default where there is a GPU), or another device: ssh:[USER@]HOST[:PORT][/PATH/TO/PYTHON]"
    p.add_argument("--device", metavar="DEVICE", help=where)
    p.add_argument("--mode", "--runtime", metavar="MODE", help=modes.described())
    p.add_argument("--dtype", metavar="TYPE", help="float32 (cpu), float16 (default on cuda) or bfloat16")
    p.add_argument("--batch", type=command.positive_int, metavar="N", help="images a call (default 1)")
    p.add_argument("--threads", type=command.positive_int, metavar="N", help="on cpu (default 1)")
    own = "instead of each network's own"
    p.add_argument("--resolution", type=command.positive_int, metavar="PIXELS", help=own)
    p.add_argument("--against", metavar="NAME|FILE", help="ratio to this network instead of the fixed reference")
    width = "half-width of the intervals, as a share, at which sampling ends (default 0.01)"
    p.add_argument("--precision", type=float, metavar="SHARE", help=width)
    limit = "of sampling in one attempt, of which there are four at most (default 10)"
    p.add_argument("--max-seconds", type=command.positive_float, metavar="S", help=limit)
    p.add_argument("--json", action="store_true", help="print one JSON object")

    group = p.add_argument_group("all published networks: which is the most accurate within the limits?")
    group.add_argument("--catalogue", action="store_true", help="measure each at its own resolution")
    group.add_argument("--constraint", action="append", default=[], metavar="LIMIT", help=LIMITS)
    group.add_argument("--out", metavar="DIR", help="its folder (default runs/TIME-catalogue)")
    group.add_argument("--resume", metavar="DIR", help="go on in its folder, however it ended")

    group = p.add_argument_group("a predictor, from latencies of blocks that are measured one by one")
    fit = "measure the blocks of a space and some networks, fit the predictor and write it; goes on where it stopped"
    group.add_argument("--fit-table", metavar="FILE.json", help=fit)
    group.add_argument("--predict", metavar="FILE.json", help="predict the network's latency instead of measuring it")
    group.add_argument("--space", metavar="NAME|FILE", help="v1, v2 (default), v2_s, or your own .yaml file")
    group.add_argument("--width", type=command.positive_float, metavar="X", help="multiplies the space's channels")
    group.add_argument("--networks", type=command.positive_int, metavar="N", help="to fit on (default 60)")
    group.add_argument("--seed", type=int, metavar="N", help="of which these are (default 0)")
    group.add_argument("--classes", type=command.positive_int, metavar="N", help="of the classifier (default 1000)")
    return p


def task_of(args: argparse.Namespace) -> str:
    """``measure``, ``catalogue``, ``fit_table`` or ``predict``. Raises UserError where flags do not go together."""
    tasks = [name for name in OWN if getattr(args, name)]
    task = tasks[0] if tasks else "measure"
    if len(tasks) > 1:
        raise UserError(f"{flag(task)}: does not go with {flag(tasks[1])}")
    if not args.network and task in ("measure", "predict"):
        instead = "" if task == "predict" else ", or --catalogue for all of them"
        raise UserError(f"NAME: missing, a published network or a .json or .onnx file is needed{instead}")
    reasons = {name: f"is for {flag(other)}" for other, names in OWN.items() if other != task for name in names}
    reasons |= REFUSED.get(task, {})
    if args.resume:
        reasons |= dict.fromkeys(FIXED, "stays as it was with --resume")
    for name, value in vars(args).items():
        if name in reasons and value not in (None, False, []):
            raise UserError(f"{flag(name)}: {value!r} {reasons[name]}")
    return task


def flag(name: str) -> str:
    """As the user types it."""
    return "NAME" if name == "network" else "--" + name.replace("_", "-")


def spec_of(args: argparse.Namespace) -> LatencySpec:
    """One number, with all the care that it takes; for a table, which takes many, a search's defaults."""
    from studies.spec import parse

    given = {"mode": args.mode, "dtype": args.dtype, "batch_size": args.batch or 1, "threads": args.threads or 1}
    if not args.fit_table:
        max_s = args.max_seconds or 10.0
        given |= {"precision": 0.01 if args.precision is None else args.precision, "max_s": max_s}
        # of warm-up at least; four times as long at most
        given |= {"warmup_s": min(1.0, max_s / 10), "block_ms": 20.0, "retries": 3, "energy_s": 2.0}
    return parse({"latency": given}).latency
