"""``python -m nas.export``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from search_spaces import UserError, command

if TYPE_CHECKING:
    from rich.console import Console

    from nas.export.network import Network
    from nas.export.target import Target
    from nas.export.writing import Exported

EXPORTS, UNSAFE = Path("exports"), re.compile(r"[^A-Za-z0-9_+-]")
DESCRIPTION = """\
Writes networks in the formats that people build with, and proves each to be the same network: parameters, multiply-adds
and, with randomised weights and batch norm statistics, outputs.
"""
EPILOG = """\
targets (--to, several with commas between):
  torchvision  a page of Python that needs torch and torchvision only, and weights
  timm         a page of Python with an arch_def for timm's EfficientNet, and weights
  keras        a page of Python for Keras 3, any backend, and weights
  onnx         an ONNX file with a free batch size
  executorch   a program for phones, by XNNPACK, for one image a call
  json, yaml   the network itself, and weights: nas.load("network.json") in Python

weights: those that a confirmation (nas.search --confirm) has trained, of the seed that validated best; or of a file
(--weights) that fits the network, as torchvision's for published ones; or freshly initialised.

examples:
  python -m nas.export efficientnet_b0 --to timm
  python -m nas.export efficientnet_b0 --weights efficientnet_b0_rwightman-7f5810bc.pth --to torchvision,onnx
  python -m nas.export runs/20261122-101500-v2 --to onnx            # its best network, with weights if confirmed
  python -m nas.export runs/20261122-101500-v2 --to timm --all --out exports/front
  python -m nas.export --from timm:tf_efficientnetv2_b1 --to json   # an Arch of timm's network, to search or scale
"""


def parser() -> argparse.ArgumentParser:
    made = command.Parser(
        prog="python -m nas.export",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
    made.add_argument("--network", dest="member", metavar="ID", help="one of a run folder's networks")
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
    if args.int8 and "onnx" not in args.to:
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
    if args.all:
        return list(found.values())
    if args.member and args.member not in found:
        raise UserError(f"--network: {args.member!r} is not one of {', '.join(found)}")
    name = args.member or next(iter(found))
    if not args.member and len(found) > 1:
        print(f"{name}, the first of {len(found)}: {', '.join(found)} (--network or --all for others)")
    network = found[name]
    return [sources.with_weights(network, args.weights) if args.weights else network]


def _export(args: argparse.Namespace, wanted: Sequence[str], networks: Sequence[Network]) -> None:
    from rich.console import Console

    from nas.export import writing

    console, refused = Console(), dict[str, str]()
    exports: list[Exported] = []
    many = len(networks) * len(wanted) > 1
    root = args.out or (EXPORTS / Path(args.network).name if args.all else EXPORTS)
    indexed = args.all or (many and args.out is not None)
    if indexed:
        writing.check_free(root)
    folders = {}
    for network in networks:
        for name in wanted:
            inside = root / f"{UNSAFE.sub('_', network.name)}-{name}"
            folders[network.name, name] = args.out if args.out and not indexed else inside
            writing.check_free(folders[network.name, name])
    made = {name: _target(name, args, networks) for name in wanted}
    with console.status("") as status:
        for network in networks:
            for name in wanted:
                status.update(f"{network.name} to {name}: writing and verifying")
                try:
                    one = writing.export(name, made[name], network, folders[network.name, name])
                except UserError as error:
                    if not many:
                        raise
                    refused[f"{network.name}-{name}"] = str(error)
                    console.print(f"left out: {error}", style="yellow", soft_wrap=True, markup=False)
                    continue
                exports.append(one)
                _tell(console, one)
    if indexed:
        root.mkdir(parents=True, exist_ok=True)
        writing.write_index(root, exports, refused)
        console.print(f"index: {root / writing.INDEX}", soft_wrap=True, markup=False)
    if refused and not exports:
        raise UserError(f"--to: none of {len(refused)} networks could be exported")


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
    images = data.load(args.int8, sides.pop(), args.seed)
    for network in networks:
        int8.check(images, network)
    return Onnx(images)


def _tell(console: Console, one: Exported) -> None:
    console.print(f"{one.network.name} to {one.target}: {one.verification.text}", soft_wrap=True, markup=False)
    for line in (*one.more, f"weights: {one.network.origin}; {one.folder}"):
        console.print(f"  {line}", soft_wrap=True, markup=False)


if __name__ == "__main__":
    command.run(main)
