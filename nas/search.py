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

FOLDERS = "imagefolder:DIR, cifar10:DIR, cifar100:DIR"
EXAMPLES = """examples:
  python -m nas.search --space v2 --width 0.25 --trials 16
  python -m nas.search --space v2 --data imagefolder:DIR --resolution 96 --constraint "latency_ms<=8" --gpus 8
  python -m nas.search --space my_space.yaml --data cifar10:DIR --set train.optimizer=rmsprop --dry-run

A run folder holds spec.yaml, space.yaml, trials.jsonl (the ledger), report.html, archs/ID.json and log.txt.
Exit code: 0 done, 2 wrong input, 130 interrupted, 1 internal error."""


# Flags that set a field of the spec: flag, field, type, metavar, help.
FIELDS: tuple[tuple[str, str, type, str, str], ...] = (
    ("--space", "space.name", str, "NAME|FILE", "v1, v2 (default), v2_s, or your own .yaml file"),
    ("--width", "space.width", float, "X", "multiplies all channels of the space (default: as they are)"),
    ("--data", "data.source", str, "SOURCE", f"glyphs[:OPTIONS] (default), digits, {FOLDERS}"),
    ("--resolution", "data.resolution", int, "PIXELS", "image side (default: the space file's; else 64 or 32)"),
    ("--trials", "search.trials", int, "N", "how many networks (default 64)"),
    ("--epochs", "train.epochs", int, "N", "of short training (default 4)"),
    ("--sampler", "search.sampler", str, "NAME", "random, or nsga2 (default)"),
    ("--objective", "search.objectives", str, "NAME", "top1, latency_ms, macs, params or activations; repeatable"),
    ("--constraint", "search.constraints", str, "LIMIT", 'reject networks beyond "latency_ms<=8"; repeatable'),
    ("--gpus", "resources.gpus", int, "N", "how many to use (default all; 0: train on CPU)"),
    ("--gpus-per-trial", "resources.gpus_per_trial", float, "X", "a whole number, or a fraction (default 1)"),
    ("--cpus", "resources.cpus", int, "N", "cores to use, one a trial (default all)"),
    ("--seed", "seed", int, "N", "of proposals, data split and training (default 0)"),
)
LISTS = ("search.objectives", "search.constraints")


def parser() -> command.Parser:
    p = command.Parser(
        "python -m nas.search",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    for flag, field, kind, metavar, text in FIELDS:
        action = "append" if field in LISTS else "store"
        p.add_argument(flag, dest=field, type=kind, metavar=metavar, help=text, action=action)
    p.add_argument("--spec", metavar="FILE.yaml", help="a whole spec, or a run's spec.yaml; other flags override it")
    p.add_argument("--set", action="append", metavar="FIELD=VALUE", help="any field, as train.epochs=8; repeatable")
    p.add_argument("--out", metavar="DIR", help="the run folder (default runs/TIME-SPACE)")
    p.add_argument("--dry-run", action="store_true", help="print what would be done and what it would cost")
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
    from studies.spec import override, parse, read_setting

    mapping = read_yaml(Path(args["spec"])) if "spec" in args else {}
    if not isinstance(mapping, dict):
        raise UserError(f"--spec: {args['spec']} does not hold a mapping")
    flags = {field: args[field] for _, field, *_ in FIELDS if field in args}
    return parse(override(mapping, flags | dict(map(read_setting, args.get("set", [])))))


if __name__ == "__main__":
    command.run(main)
