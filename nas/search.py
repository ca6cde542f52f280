"""Searches a space for the networks that trade accuracy against cost best on your data and your device.

Optuna proposes, Ray Tune schedules; each candidate is costed, measured for latency, short-trained and recorded.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_spaces import UserError, command

if TYPE_CHECKING:
    from studies.spec import Spec

EXAMPLES = """examples:
  python -m nas.search --space v2 --width 0.25 --trials 16
  python -m nas.search --space v2 --data imagefolder:DIR --resolution 96 --constraint "latency_ms<=8" --gpus 8
  python -m nas.search --space my_space.yaml --data cifar10:DIR --set train.optimizer=rmsprop --dry-run

A run folder holds spec.yaml, space.yaml, trials.jsonl (the ledger), report.html, archs/ID.json and log.txt.
Exit code: 0 done, 2 wrong input, 130 interrupted, 1 internal error."""


def parser() -> command.Parser:
    """Arguments whose destination has a dot set that field of the spec."""
    p = command.Parser(
        "python -m nas.search",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    add = p.add_argument
    add("--space", dest="space.name", metavar="NAME|FILE", help="v1, v2 (default), v2_s, or your own .yaml file")
    add("--width", dest="space.width", type=float, metavar="X", help="multiplies all channels of the space (default 1)")
    add(
        "--data",
        dest="data.source",
        metavar="SOURCE",
        help="glyphs[:OPTIONS] (default), digits, imagefolder:DIR, cifar10:DIR, cifar100:DIR",
    )
    add(
        "--resolution",
        dest="data.resolution",
        type=int,
        metavar="PIXELS",
        help="side of the images (default 64 for imagefolder, else 32)",
    )
    add("--trials", dest="search.trials", type=int, metavar="N", help="how many networks (default 64)")
    add("--epochs", dest="train.epochs", type=int, metavar="N", help="of short training (default 4)")
    add("--sampler", dest="search.sampler", metavar="NAME", help="random, or nsga2 (default)")
    add(
        "--objective",
        dest="search.objectives",
        action="append",
        metavar="NAME",
        help="top1, latency_ms, macs, params or activations; once for each (default top1 and latency_ms)",
    )
    add(
        "--constraint",
        dest="search.constraints",
        action="append",
        metavar="LIMIT",
        help='reject networks beyond it before training, such as "latency_ms<=8" or "params<=5e6"; repeatable',
    )
    add("--gpus", dest="resources.gpus", type=int, metavar="N", help="how many to use (default all; 0: train on CPU)")
    add(
        "--gpus-per-trial",
        dest="resources.gpus_per_trial",
        type=float,
        metavar="X",
        help="1, or a fraction to share one",
    )
    add("--cpus", dest="resources.cpus", type=int, metavar="N", help="cores to use, one a trial (default all)")
    add("--seed", dest="seed", type=int, metavar="N", help="of proposals, data split and training (default 0)")
    add("--spec", metavar="FILE.yaml", help="a whole spec, or a run's spec.yaml; other flags override it")
    add(
        "--set",
        action="append",
        metavar="FIELD=VALUE",
        help="any field of the spec, as train.epochs=8; repeatable",
    )
    add("--out", metavar="DIR", help="the run folder (default runs/TIME-SPACE)")
    add("--dry-run", action="store_true", help="print what would be done and what it would cost")
    return p


def main(argv: Sequence[str]) -> None:
    args = vars(parser().parse_args(argv))
    spec = read_spec(args)
    from nas import run

    plan = run.plan(spec)
    if "dry_run" in args:
        run.show(plan)
        return
    out = args.get("out") or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{plan.space.name}"
    run.search(plan, Path(out), shlex.join(["python", "-m", "nas.search", *argv]))


def read_spec(args: dict[str, Any]) -> Spec:
    """Defaults, then the spec file, then flags, then ``--set``."""
    from search_spaces.published import read_yaml
    from studies.spec import Spec, override, parse, read_setting

    mapping = read_yaml(Path(args["spec"])) if "spec" in args else {}
    if not isinstance(mapping, dict):
        raise UserError(f"--spec: {args['spec']} does not hold a mapping")
    flags = {path: value for path, value in args.items() if "." in path or path in Spec.__dataclass_fields__}
    return parse(override(mapping, flags | dict(map(read_setting, args.get("set", [])))))


if __name__ == "__main__":
    command.run(main)
