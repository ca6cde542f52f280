"""Finds alpha, beta and gamma for your network, says how sure they are, and writes the family that they scale it to.

Without --coefficients the grid of (alpha, beta, gamma) with alpha * beta^2 * gamma^2 near 2 is trained, every point at
equal counted cost; a response surface gives the best triple with its 95% region; and compound scaling is compared with
scaling depth, width or resolution alone. With --coefficients nothing is trained, which takes seconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas import flags
from nas.scale.settings import METRICS, PUBLISHED, Settings, named_as_flags, phis, targets
from search_spaces import UserError, command
from search_spaces.compound import COMPOUND, RULES
from search_spaces.scaling import ROUNDINGS

EXAMPLES = """examples:
  python -m nas.scale --phi 1..7 --coefficients published
  python -m nas.scale --phi 0.5,1,2 --coefficients 1.2,1.1,1.15 --base runs/20261122-101500-v2
  python -m nas.scale --target-macs 0.7e9,1e9 --constraint "latency_ms<=200" --coefficients 1.2,1.1,1.15 --measure
  python -m nas.scale --phi 1..7 --base efficientnet_b0 --width 0.25 --resolution 48 --data glyphs --grid-step 0.1
  python -m nas.scale --resume runs/20261122-101500-scale

Ctrl-C ends a study in order, a second one ends it now; both can be resumed.
A run folder holds spec.yaml, base.json, grid/ and rules/ (a ledger each), family/b1.json, ..., scaling.json,
report.html and log.txt. Exit code: 0 done, 2 wrong input, 130 interrupted, 1 internal error."""
SHARED = (
    *("--width", "--data", "--resolution", "--recipe", "--epochs", "--seconds-per-trial", "--seed"),
    *("--gpus", "--gpus-per-trial", "--cpus", "--address"),
)
HELP = {
    "--width": "multiplies the channels of the base in the study, which is cheaper then (default: as they are)",
    "--resolution": "image side of the base in the study (default: what the data usually has, at most the base's own)",
    "--data": "that the study trains on, as in nas.search (default glyphs, which has detail at any resolution)",
}
DEFAULT_PHI = "1..7"
PLAIN = ("base", "coefficients", "grid_step", "tolerance", "seeds", "study_rounding")
STUDY = ("--grid-step", "--tolerance", "--seeds", "--rule", "--validate", "--study-rounding")
STUDIED = ("data.", "train.", "resources.", "space.width", "seed")
FAMILY = ("--phi", "--target-macs", "--constraint", "--rounding", "--max-resolution", "--measure")


def parser() -> command.Parser:
    p = command.Parser("python -m nas.scale", description=__doc__, epilog=EXAMPLES, argument_default=argparse.SUPPRESS)
    p.add_argument("--base", metavar="NAME|FILE|DIR", help="published, a .json file, or a run, whose most accurate is")
    p.add_argument("--phi", metavar="LIST", help=f"of the family: {DEFAULT_PHI} (default), or 0.5,1,2; 0 is the base")
    p.add_argument(
        "--target-macs", metavar="LIST", help="of the family: phi is solved for these counted costs: 7e8,1e9"
    )
    limits = f'the largest network within "latency_ms<=200"; {", ".join(METRICS)}; repeatable'
    p.add_argument("--constraint", action="append", metavar="LIMIT", help=limits)
    triple = f"ALPHA,BETA,GAMMA instead of a study, or {PUBLISHED}: the official networks"
    p.add_argument("--coefficients", metavar="A,B,C", help=triple)
    p.add_argument("--rounding", choices=ROUNDINGS, help="of the family's depths and widths (default official)")
    p.add_argument("--max-resolution", type=command.positive_int, metavar="PIXELS", help="that the family grows to")
    later = "add layers to later stages first, as EfficientNetV2"
    p.add_argument("--later-stages", action="store_true", help=later)
    p.add_argument("--measure", action="store_true", help="the family's latencies, on this device")
    study = p.add_argument_group("the study")
    study.add_argument("--grid-step", type=float, metavar="X", help="of alpha, beta and gamma from 1 on (default 0.05)")
    within = "by which alpha * beta^2 * gamma^2 may differ from 2 (default 0.1)"
    study.add_argument("--tolerance", type=float, metavar="X", help=within)
    study.add_argument("--seeds", type=int, metavar="N", help="of each network (default 3)")
    rules = f"to compare: {', '.join((COMPOUND, *RULES))} (default: these), or shares as d1_w8_r1; repeatable"
    study.add_argument("--rule", action="extend", type=flags.names, metavar="NAMES", help=rules)
    study.add_argument("--validate", metavar="LIST", help="train every rule at 2^phi times the cost, too: 2,3")
    exact = "of what the study trains (default nearest, whose networks are nearer to their directions)"
    study.add_argument("--study-rounding", choices=ROUNDINGS, help=exact)
    flags.add_fields(study, SHARED, HELP)
    flags.add_run(p, "scale", "run")
    return p


@named_as_flags()
def main(argv: Sequence[str]) -> None:
    args = vars(parser().parse_args(argv))
    command_line, verbose = flags.line_of("nas.scale", argv), "verbose" in args
    if "resume" in args:
        changes, others = flags.changes_to_resume(args, "run", ("resources.",), SHARED, FAMILY), family_of(args)
        from nas.scale import run

        run.resume(Path(args["resume"]), changes, others, command_line, verbose)
        return
    wanted, spec = settings_of(args), flags.read_spec(args)
    from nas.scale import run

    base = run.base_of(wanted)
    if "dry_run" in args:
        from nas.scale import dryrun

        dryrun.show(spec, wanted, base, verbose)
        return
    run.begin(spec, wanted, base, flags.out_of(args, "scale"), command_line, verbose)


def settings_of(args: dict[str, Any]) -> Settings:
    """Of the flags. Raises UserError."""
    family = family_of(args)
    if not {"phis", "targets", "limits"} & family.keys():
        family["phis"] = phis(DEFAULT_PHI)
    given = {name: args[name] for name in PLAIN if name in args}
    found = Settings(
        rules=tuple(dict.fromkeys(args.get("rule", Settings.rules))),
        validate=phis(args["validate"], "--validate") if "validate" in args else (),
        later="later_stages" in args,
        **given,
        **family,
    ).check()
    if not found.studied:
        spare = [flag for flag in (*STUDY, "--set", "--spec") if flags.stored(flag) in args]
        spare += [flag for flag, field, *_ in flags.FIELDS if flag in SHARED and field in args]
        if spare:
            raise UserError(f"{spare[0]}: is for a study, which --coefficients spares; leave one of them out")
    for field in flags.settings(args):
        if not field.startswith(STUDIED):
            raise UserError(f"--set {field}: a scaling study has none; it has those of {', '.join(STUDIED)}")
    return found


def family_of(args: dict[str, Any]) -> dict[str, Any]:
    """The settings that decide the family only."""
    found: dict[str, Any] = {name: args[name] for name in ("rounding", "max_resolution", "measure") if name in args}
    if "phi" in args:
        found["phis"] = phis(args["phi"])
    if "target_macs" in args:
        found["targets"] = targets(args["target_macs"])
    if "constraint" in args:
        found["limits"] = tuple(args["constraint"])
    return found


if __name__ == "__main__":
    command.run(main)
