"""Searches a space for the networks that trade accuracy against cost best on your data and your device.

A sampler proposes, Ray Tune schedules; each candidate is costed, measured for latency, short-trained and recorded.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from nas import flags
from search_spaces import command

EXAMPLES = """examples:
  python -m nas.search --space v2 --width 0.25 --trials 16
  python -m nas.search --space v2 --data imagefolder:DIR --resolution 96 --constraint "latency_ms<=8" --gpus 8
  python -m nas.search --space my_space.yaml --data cifar10:DIR --set train.optimizer=rmsprop --dry-run
  python -m nas.search --resume runs/20261122-101500-v2 --trials 200 --baselines resnet18,mobilenet_v2

Ctrl-C ends a search in order: running trials end or save their state, the report is written; a second one ends it now.
A run folder holds spec.yaml, space.yaml, trials.jsonl (the ledger), report.html, archs/ID.json and log.txt.
Exit code: 0 done, 2 wrong input, 130 interrupted, 1 internal error."""
SHARED = tuple(flag for flag, *_ in flags.FIELDS)
# What may be another when a search is resumed: how much, and on what.
RESUMABLE = ("search.trials", "search.budget", "search.baselines", "confirm.", "resources.", "data.cache_gb")


def parser() -> command.Parser:
    p = command.Parser("python -m nas.search", description=__doc__, epilog=EXAMPLES, argument_default=argparse.SUPPRESS)
    flags.add_fields(p, SHARED)
    flags.add_run(p, "SPACE", "run", "; --trials may be raised")
    return p


def main(argv: Sequence[str]) -> None:
    args = vars(parser().parse_args(argv))
    command_line, verbose = flags.line_of("nas.search", argv), "verbose" in args
    if "resume" in args:
        changes = flags.changes_to_resume(args, "run", RESUMABLE, SHARED)
        from nas import run

        run.resume(Path(args["resume"]), changes, command_line, verbose)
        return
    spec = flags.read_spec(args)
    from nas.plan import plan

    planned = plan(spec, verbose=verbose)
    if "dry_run" in args:
        from nas import dryrun

        dryrun.show(planned)
        return
    from nas import run

    run.search(planned, flags.out_of(args, planned.space.name), command_line)


if __name__ == "__main__":
    command.run(main)
