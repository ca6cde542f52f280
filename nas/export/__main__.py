"""Writes networks in the formats that people build with, and proves each to be the same network.

Parameters and multiply-adds are compared and, with randomised weights and batch norm statistics, outputs.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas.export.targets import TARGETS
from nas.flags import line_of
from search_spaces import UserError, command

if TYPE_CHECKING:
    from rich.console import Console

    from nas.export.network import Network
    from nas.export.target import Target
    from nas.export.writing import Exported

NEWLINE = "\n"
EXPORTS, UNSAFE = Path("exports"), re.compile(r"[^A-Za-z0-9_+-]")
EPILOG = f"""\
examples:
  python -m nas.export efficientnet_b0 --to timm
  python -m nas.export efficientnet_b0 --weights efficientnet_b0_rwightman-7f5810bc.pth --to torchvision,onnx
  python -m nas.export runs/20261122-101500-v2 --to onnx            # its best network, with weights if confirmed
  python -m nas.export runs/20261122-101500-v2 --to timm --all --out exports/front
  python -m nas.export --from timm:tf_efficientnetv2_b1 --to json   # an Arch of timm's network, to search or scale

targets (--to, several with commas between):
{NEWLINE.join(f"  {name:<11}  {entry.description}" for name, entry in TARGETS.items())}

weights: those that a confirmation (nas.search --confirm) has trained, of the seed that validated best; or of a file
(--weights) that fits the network, as torchvision's for published ones; or freshly initialised.
"""


def parser() -> command.Parser:
    made = command.Parser("python -m nas.export", description=__doc__, epilog=EPILOG)
    made.add_argument("network", nargs="?", metavar="RUN_DIR|FILE|NAME", help="run folder, .json file, published name")
    made.add_argument("--from", dest="source", metavar="BUILDER:NAME", help="instead: a network of timm or torchvision")
    made.add_argument("--to", required=True, metavar="TARGETS", help="with commas between; see below")
    made.add_argument("--out", type=Path, metavar="DIR", help="new or empty (default exports/NAME-TARGET)")
    made.add_argument("--weights", metavar="FILE", help="a state dict that torch.save wrote; nothing in it is run")
    made.add_argument("--num-classes", type=command.positive_int, metavar="N", help="of a network without weights")
    made.add_argument(
        "--int8", metavar="DATA", help="with onnx: also a file in int8, calibrated on images as --data takes"
    )
    made.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the split of --int8's images, as the search's"
    )
    made.add_argument("--network", dest="member", metavar="ID", help="one of a run folder's networks, by name or id")
    made.add_argument("--all", action="store_true", help="each of a run folder's networks, with an index")
    return made


def main(argv: Sequence[str]) -> None:
    args = parser().parse_args(argv)
    _check_flags(args)
    from nas.export import targets

    wanted = targets.names(args.to)
    targets.check(wanted)
    networks = _networks(args)
    _export(args, wanted, networks)


def _check_flags(args: argparse.Namespace) -> None:
    """Raises UserError where flags do not go together, before anything heavy is loaded."""
    if (args.network is None) == (args.source is None):
        raise UserError("network: name a run folder, a file or a published network, or give --from BUILDER:NAME")
    if args.all and args.member:
        raise UserError("--network: does not go with --all")
    is_run = args.network is not None and Path(args.network).is_dir()
    for flag, given in (("--all", args.all), ("--network", args.member)):
        if given and not is_run:
            raise UserError(f"{flag}: needs a run folder, {args.network or args.source!r} is none")
    for flag, given in (("--weights", args.weights), ("--num-classes", args.num_classes)):
        if given and args.source:
            raise UserError(f"{flag}: does not go with --from")
    if args.weights and args.num_classes:
        raise UserError("--num-classes: the weights have their own")
    if args.int8 and "onnx" not in args.to.split(","):
        raise UserError("--int8: is for --to onnx")
    if args.weights and args.all:
        raise UserError("--weights: does not go with --all")


def _networks(args: argparse.Namespace) -> list[Network]:
    from nas.export import sources

    if args.source:
        from nas.export.reading import read

        return [read(args.source)]
    if not Path(args.network).is_dir():
        return [sources.network_of(args.network, args.weights, args.num_classes)]
    found = sources.of_run(Path(args.network))
    if not args.all:
        names = [name for name, network in found.items() if args.member in (None, name, network.name)]
        if not names and (other := sources.of_trial(Path(args.network), args.member)):
            names, found = [other.name], {other.name: other}
        if not names:
            raise UserError(
                f"--network: {args.member!r} is not one of {', '.join(found)}, nor the id of a finished trial"
            )
        if not args.member and len(found) > 1:
            print(f"{names[0]}, the first of {len(found)}: {', '.join(found)} (--network or --all for others)")
        found = {names[0]: found[names[0]]}
    networks = list(found.values())
    if args.weights:
        networks = [sources.with_weights(network, args.weights) for network in networks]
    if args.num_classes:
        networks = [sources.with_classes(network, args.num_classes) for network in networks]
    return networks


def _places(args: argparse.Namespace, wanted: Sequence[str], networks: Sequence[Network]) -> tuple[Path, list[Path]]:
    """The folder that all lie in, and that of each export, networks first. Raises UserError where one is not free."""
    from nas.export import writing

    if len(networks) * len(wanted) == 1 and not args.all:
        root = args.out or EXPORTS / f"{_plain(networks[0].name)}-{wanted[0]}"
        places = [root]
    else:
        root = args.out or EXPORTS / (Path(args.network).resolve().name if args.all else _plain(networks[0].name))
        names = [_plain(network.name) for network in networks]
        if len(set(names)) < len(names):
            names = [f"{name}-{network.arch.id}" for name, network in zip(names, networks, strict=True)]
        places = [root / f"{name}-{target}" for name in names for target in wanted]
    for folder in (root, *places):
        writing.check_free(folder)
    return root, places


def _plain(name: str) -> str:
    return UNSAFE.sub("_", name)


def _export(args: argparse.Namespace, wanted: Sequence[str], networks: Sequence[Network]) -> None:
    from rich.console import Console
    from rich.text import Text

    from nas.export import writing
    from nas.latency.runtimes import NotExported
    from reports.terminal import say

    console, refused, wrong = Console(), dict[str, str](), list[str]()
    exports: list[Exported] = []
    root, places = _places(args, wanted, networks)
    made = {name: _target(name, args, networks) for name in wanted}
    pairs = [(network, name) for network in networks for name in wanted]
    try:
        with console.status("") as status:
            for (network, name), folder in zip(pairs, places, strict=True):
                status.update(Text(f"{network.name} to {name}: writing and verifying"))
                try:
                    exports.append(writing.export(name, made[name], network, folder))
                except (UserError, writing.NotTheSame) as error:
                    wrong += [str(error)] if isinstance(error, (writing.NotTheSame, NotExported)) else []
                    if len(pairs) == 1 and not wrong:
                        raise
                    refused[f"{network.name}-{name}"] = str(error)
                    say(console, f"left out: {error}", style="yellow")
                else:
                    _tell(console, exports[-1])
    finally:
        if exports and places != [root]:
            writing.write_index(root, exports, refused)
            say(console, f"index: {root / writing.INDEX}")
    if wrong:
        sys.exit(1)
    if not exports:
        raise UserError(f"--to: none of {len(pairs)} exports could be written")


def _target(name: str, args: argparse.Namespace, networks: Sequence[Network]) -> Target:
    from nas.export import targets

    if name != "onnx" or not args.int8:
        return targets.target(name)
    from nas import data
    from nas.export import int8
    from nas.export.onnx_file import Onnx

    sides = {network.arch.resolution for network in networks}
    if len(sides) > 1:
        raise UserError("--int8: the networks take images of different sides; name one with --network")
    for network in networks:
        int8.check_number(args.int8, data.check(args.int8).classes, network)
    images = data.load(args.int8, sides.pop(), args.seed)
    for network in networks:
        int8.check(images, network)
    return Onnx(images)


def _tell(console: Console, one: Exported) -> None:
    from nas.export import onnx_file
    from reports.terminal import say

    say(console, f"{one.network.name} to {one.target}: {one.verification.text}")
    more = [*one.more, f"weights: {one.network.origin}; {one.folder}"]
    if one.target == "onnx":
        more.append(f"to measure: {line_of('nas.latency', [str(one.folder / onnx_file.FILE)])}")
    for line in more:
        say(console, f"  {line}")


if __name__ == "__main__":
    command.run(main)
