"""Answers what a reviewer asks of a run, from its folder alone; repeats one of its trainings and compares the digits.

How was it made (command, data, seeds, versions, hardware, commit)? What do its figures rest on, which numbers does no
certificate cover, and why? Does the folder agree with itself? With --trial one training is made again from what the
folder holds, and compared to the last digit. Nothing in the folder is changed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.flags import line_of
from search_spaces import UserError, command

if TYPE_CHECKING:
    from rich.console import Console

    from nas.repeat import Repeat, Training
    from reports.consistency import Check
    from reports.run import Run
    from reports.uncertified import Uncertified

EPILOG = """\
examples:
  python -m nas.verify runs/20261122-101500-v2
  python -m nas.verify runs/20261122-101500-v2 --trial best
  python -m nas.verify runs/20261122-101500-v2 --trial confirm/0 --data imagefolder:/mnt/photos
  python -m nas.verify runs/20261122-101500-v2 --trial 7 --json > verified.json

Of scaling runs, fidelity studies and measurements of the catalogue it tells how they were made, no more.
A training repeats to the last digit on CPU with one thread a trial, the same processor, torch and images. Where one of
these is another, or the run trained on a GPU, equality is not to be expected, and it says so.
Exit code: 0 done, 1 a training came out otherwise or the folder contradicts itself, 2 wrong input, 130 interrupted."""
MOST = 10  # numbers that the terminal lists


def parser() -> command.Parser:
    """What the command takes, with its help."""
    made = command.Parser(
        "python -m nas.verify",
        description=__doc__,
        epilog=EPILOG,
    )
    made.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    made.add_argument(
        "--trial",
        metavar="N",
        help="train it again: a number, best (the most accurate), or one of confirm or baselines, as confirm/0",
    )
    made.add_argument("--data", metavar="SOURCE", help="where the images are now, as in nas.search (default: as then)")
    made.add_argument("--json", action="store_true", help="print all of it as JSON, every number listed")
    return made


def main(argv: Sequence[str]) -> None:
    """Runs the command line. Raises UserError; exits with 1 where a figure or the folder is not as it should be."""
    args = parser().parse_args(argv)
    if args.data is not None and args.trial is None:
        raise UserError("--data: is for a training that is made again, with --trial")
    from reports import folder

    if (kind := folder.kind(args.run_dir)) == "search":
        _verify(args)
    elif args.trial is not None:
        raise UserError(f"--trial: {args.run_dir} holds {folder.NAMES[kind]}; only trainings of a search are repeated")
    else:
        _tell_other(args, folder.NAMES[kind])


def _verify(args: argparse.Namespace) -> None:
    """All that is asked of a search."""
    from nas import repeat
    from reports import consistency, uncertified
    from reports import run as runs

    run = runs.read(args.run_dir)
    training = repeat.find(args.run_dir, args.trial) if args.trial is not None else None
    checks, doubts = consistency.checks(run, args.run_dir), uncertified.numbers(run)
    done = None
    if args.json:
        with redirect_stdout(sys.stderr):  # of warnings about images
            done = repeat.repeat(args.run_dir, training, args.data) if training else None
        print(json.dumps(_as_json(run, checks, doubts, done), indent=1))
    else:
        console = _console()
        _tell(console, run, checks, doubts)
        if training:
            _tell_training(console, training)
            done = repeat.repeat(args.run_dir, training, args.data)
            _tell_repeat(console, done)
        else:
            _tell_how_to_repeat(console, args.run_dir)
    if not all(check.ok for check in checks) or (done and done.differing):
        sys.exit(1)


def _tell(console: Console, run: Run, checks: Sequence[Check], doubts: Sequence[Uncertified]) -> None:
    from reports import provenance
    from reports.certificates import WORDS, certificates

    _section(console, "How it was made", provenance.rows(run.spec, run.trials))
    _section(console, "What its figures rest on", [(WORDS[c.state], c.name, c.short) for c in certificates(run)])
    listed = [("-", _described(one)) for one in doubts[:MOST]] or [("-", "none")]
    if rest := doubts[MOST:]:
        listed.append(("-", f"and {len(rest)} more; --json lists them all"))
    _section(console, "Numbers without a certificate, and why", listed)
    _section(console, "Does the folder agree with itself?", [("yes" if c.ok else "NO", c.name, c.text) for c in checks])


def _described(one: Uncertified) -> str:
    """With the first reason; a measurement that was disturbed has up to eight."""
    place = f" of {one.where}{', on the front' if one.front else ''}" if one.where else ""
    more = f"; and {len(one.why) - 1} more" if len(one.why) > 1 else ""
    return f"{one.number}{place}: {one.why[0]}{more}"


def _tell_other(args: argparse.Namespace, kind: str) -> None:
    from reports import provenance
    from search_spaces.published import read_yaml
    from studies.runfolder import SPEC

    about = read_yaml(args.run_dir / SPEC)
    if args.json:
        print(json.dumps({"run": str(args.run_dir), "kind": kind} | _made(about), indent=1))
        return
    console = _console()
    _section(console, f"How it was made ({kind})", provenance.rows(about))
    line = line_of("nas.report", [str(args.run_dir)])
    console.print(f"its page says what its figures rest on: {line}", soft_wrap=True, markup=False)


def _tell_how_to_repeat(console: Console, run_dir: Path) -> None:
    from nas.repeat import BEST, find

    with suppress(UserError):  # there is none yet
        took_s = find(run_dir, BEST).time_s
        took = f" ({took_s:.0f} s then)" if took_s else ""
        line = line_of("nas.verify", [str(run_dir), "--trial", BEST])
        console.print(f"\nto train the most accurate again{took}: {line}", soft_wrap=True, markup=False)


def _tell_training(console: Console, training: Training) -> None:
    record = training.record
    took = f", {training.time_s:.0f} s then" if training.time_s else ""
    what = f"network {record.arch.id}, seed {record.seed}, epochs: {len(record.epochs)}{took}"
    console.print(f"\n[bold]Trial {training.name} again[/bold]: {what}", soft_wrap=True)


def _tell_repeat(console: Console, done: Repeat) -> None:
    """Every figure of every epoch with all its digits."""
    again = {(epoch, name): f"again {value}" for epoch, name, _, value in done.differing}
    figures = [figure for _, figure in done.training.figures]
    rows = [(f"epoch {epoch}", name, f"{value!r}", again.get((epoch, name), "equal")) for epoch, name, value in figures]
    _section(console, "", rows)
    if done.error:
        console.print(f"it broke off: {done.error}", soft_wrap=True, markup=False)
    for doubt in done.doubts:
        console.print(f"equality was not to be expected: {doubt}", soft_wrap=True, markup=False)
    said = f"does not repeat: {len(again)} of {len(figures)} figures differ"
    if not again:
        said = f"repeats: {len(figures)} of {len(figures)} figures are equal to the last digit"
    console.print(f"trial {done.training.name} {said}", soft_wrap=True)


def _as_json(run: Run, checks: Sequence[Check], doubts: Sequence[Uncertified], done: Repeat | None) -> dict[str, Any]:
    from reports.certificates import certificates

    content: dict[str, Any] = (
        {"run": run.path, "kind": "a search"}
        | _made(run.spec)
        | {
            "seeds": [trial.seed for trial in run.trials],
            "certificates": [asdict(one) for one in certificates(run)],
            "uncertified": [asdict(one) for one in doubts],
            "checks": [asdict(one) for one in checks],
        }
    )
    if done:
        record = done.training.record
        content["repeated"] = {
            "trial": done.training.name,
            "id": record.arch.id,
            "seed": record.seed,
            "equal": not done.differing,
            "recorded": list(record.epochs),
            "again": list(done.again),
            "fingerprint": done.fingerprint,
            "not_expected": list(done.doubts),
            "error": done.error,
        }
    return content


def _made(about: Mapping[str, Any]) -> dict[str, Any]:
    """As ``spec.yaml`` has it; null where it does not."""
    names = ("command", "created", "resumed", "data", "images", "seed", "environment")
    return {"made": {name: about.get(name) for name in names}}


def _section(console: Console, title: str, rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    if title:
        console.print(f"\n[bold]{title}[/bold]", soft_wrap=True)
    drawn = Table.grid(padding=(0, 2, 0, 0))
    for place in range(len(rows[0]) if rows else 0):
        drawn.add_column(no_wrap=place == 0, overflow="fold")
    for row in rows:
        drawn.add_row(*map(Text, row))
    console.print(drawn)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


if __name__ == "__main__":
    command.run(main)
