"""Does the short training of a search rank networks as a long one would?

Networks spread over the costs of a space are trained long with several seeds, and in several cheaper ways (proxies):
fewer epochs, smaller images, fewer images, narrower networks. Each proxy is compared with the long training by rank
correlation with its interval, beside what the noise of seeds allows at most and what counting MACs alone would reach.
The cheapest proxy that reaches the threshold is named, and searches with one of these trainings show its figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import flags
from search_spaces import command

if TYPE_CHECKING:
    from nas.fidelity.arms import Settings
    from studies.spec import Spec

EXAMPLES = """examples:
  python -m nas.fidelity --space v2 --width 0.25
  python -m nas.fidelity --space v2 --data imagefolder:DIR --resolution 96 --epochs 6 --long-epochs 60 --gpus 8
  python -m nas.fidelity --space v2 --proxy epochs=2 --proxy epochs=2,resolution=24,share=0.5,width=0.5 --dry-run
  python -m nas.fidelity --resume runs/20261122-101500-v2-fidelity

Ctrl-C ends a study in order, a second one ends it now; both can be resumed.
A run folder holds spec.yaml, space.yaml, long/ and proxies/NAME/ (a ledger each), archs/ID.json, fidelity.json,
report.html and log.txt. A complete study is copied to where searches look: $NAS_CACHE, or ~/.cache/nas-scaling.
Exit code: 0 done, 2 wrong input, 130 interrupted, 1 internal error."""
SHARED = (
    *("--space", "--width", "--data", "--resolution", "--recipe", "--epochs", "--seed"),
    *("--gpus", "--gpus-per-trial", "--cpus", "--address"),
)
# Flags of the study itself: flag, type, metavar, default, help.
OWN: tuple[tuple[str, type, str, Any, str], ...] = (
    ("--networks", int, "N", 12, "how many, spread evenly over the space's MACs (default 12)"),
    ("--long-epochs", int, "N", None, "of the long training (default four times --epochs)"),
    ("--seeds", int, "N", 3, "of the long training of each network (default 3)"),
    ("--proxy-seeds", int, "N", 1, "of each network in each proxy (default 1; more tell a proxy's own noise)"),
    ("--threshold", float, "TAU", 0.6, "Kendall's tau that a proxy is to reach (default 0.6)"),
    ("--top", int, "K", None, "of the top-K recall (default a third of the networks)"),
)
JUDGED = ("--threshold", "--top")  # may be others when a study is resumed, as what it runs on


def parser() -> command.Parser:
    p = command.Parser(
        "python -m nas.fidelity", description=__doc__, epilog=EXAMPLES, argument_default=argparse.SUPPRESS
    )
    flags.add_fields(p, SHARED)
    for flag, kind, metavar, _, text in OWN:
        p.add_argument(flag, type=kind, metavar=metavar, help=text)
    wanted = "a cheaper training, as epochs=2,resolution=24,share=0.5,width=0.5; what is left out is as in the search"
    p.add_argument("--proxy", action="append", metavar="TEXT", help=f"{wanted}; repeatable (default: eight of them)")
    flags.add_run(p, "SPACE-fidelity", "study")
    return p


def main(argv: Sequence[str]) -> None:
    args = vars(parser().parse_args(argv))
    command_line, verbose = flags.line_of("nas.fidelity", argv), "verbose" in args
    if "resume" in args:
        changes = flags.changes_to_resume(args, "study", ("resources.",), SHARED, JUDGED)
        judged = {name: args[name] for name in map(flags.stored, JUDGED) if name in args}
        from nas.fidelity import study

        study.resume(Path(args["resume"]), changes, judged, command_line, verbose)
        return
    spec = flags.read_spec(args)
    from nas.fidelity import dryrun, study

    chosen = settings_of(args, spec)
    planned, every = study.arms(spec, chosen, verbose)
    if "dry_run" in args:
        dryrun.show(planned, every, chosen)
        return
    study.begin(planned, every, chosen, flags.out_of(args, f"{planned.space.name}-fidelity"), command_line)


def settings_of(args: dict[str, Any], spec: Spec) -> Settings:
    """Of the flags, with defaults for the others. Raises UserError."""
    from nas import data
    from nas.fidelity.arms import LONGER, Settings
    from nas.fidelity.proxies import Proxy, grid, parse
    from search_spaces.space_file import load_space

    given = {name: args.get(name, default) for name, default in ((flags.stored(flag), d) for flag, _, _, d, _ in OWN)}
    epochs, fallback = spec.train.epochs, data.default_resolution(spec.data.source)
    space = load_space(spec.space.name, spec.space.width, spec.data.resolution, fallback)
    proxies = grid(epochs, max(space.resolutions))
    if "proxy" in args:
        asked = [parse(text, epochs, space.resolutions) for text in args["proxy"]]
        proxies = list(dict.fromkeys([Proxy(epochs), *asked]))
    given["long_epochs"] = LONGER * epochs if given["long_epochs"] is None else given["long_epochs"]
    given["top"] = max(1, round(given["networks"] / 3)) if given["top"] is None else given["top"]
    return Settings(**given, proxies=tuple(proxies)).check()


if __name__ == "__main__":
    command.run(main)
