"""Browses search spaces, published networks and random ones, with their costs; builds and trains nothing."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search_spaces import command, constraint, cost
from search_spaces.arch import Arch
from search_spaces.errors import UserError
from search_spaces.published import catalogue, load, read_yaml
from search_spaces.space import SearchSpace
from search_spaces.space_file import builtin_spaces, load_space

METRICS = ("params", "macs", "activations", "top1", "resolution")
EXAMPLES = """examples:
  python -m search_spaces list --constraint "params<=6e6"
  python -m search_spaces show efficientnet_b0 efficientnet_v2_s
  python -m search_spaces show v2
  python -m search_spaces sample --space v2 -n 5 --seed 1 --json"""


def main(argv: Sequence[str]) -> None:
    """The command line."""
    args = parser().parse_args(argv)
    {"list": _list, "show": _show, "sample": _sample}[args.command](args)


def parser() -> command.Parser:
    """Of the flags."""
    p = command.Parser("python -m search_spaces", description=__doc__, epilog=EXAMPLES)
    commands = p.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="published networks with top-1 and costs, and the built-in spaces")
    listing.add_argument(
        "--constraint",
        action="append",
        default=[],
        metavar="LIMIT",
        help=f'keep networks within it, for example "params<=6e6"; of {", ".join(METRICS)}; repeatable',
    )
    show = commands.add_parser("show", help="stage tables of networks, or the choices of spaces")
    show.add_argument("names", nargs="+", metavar="NAME|FILE", help="a published network, a .json file, or a space")
    show.add_argument("--resolution", type=command.positive_int, metavar="PIXELS", help="instead of the network's own")
    sample = commands.add_parser("sample", help="random networks of a space")
    sample.add_argument("--space", required=True, metavar="NAME|FILE.yaml", help=f"{', '.join(builtin_spaces())}, ...")
    sample.add_argument("-n", type=command.positive_int, default=1, help="how many (default 1)")
    sample.add_argument("--seed", type=int, default=0, help="equal seeds give equal networks (default 0)")
    sample.add_argument("--width", type=command.positive_float, help="multiplies the space's channels")
    for each in (listing, show, sample):
        each.add_argument("--json", action="store_true", help="print a JSON list")
        each.add_argument("--classes", type=command.positive_int, default=1000, help="of the classifier (default 1000)")
    return p


def _list(args: argparse.Namespace) -> None:
    limits = [constraint.parse(text, METRICS) for text in args.constraint]
    entries = []
    for network in catalogue().values():
        entry = _entry(network.name, network.arch, args.classes) | {"top1": network.top1, "source": network.source}
        unknown = any(entry[limit.metric] is None for limit in limits)
        if not unknown and not constraint.violations(limits, entry):
            entries.append(entry)
    if args.json:
        print(json.dumps(entries, indent=1))
        return
    if not entries:
        raise UserError(f"constraint: no published network is within {' and '.join(args.constraint)}")
    rows = [[e["name"], "-" if e["top1"] is None else f"{e['top1']:.1f}", *_figures(e)] for e in entries]
    print(command.table(["network", "top-1 %", "px", "params (M)", "MACs (G)", "activations (M)"], rows))
    print("\ntop-1: ImageNet, as published; --json gives each figure's source.")
    if not limits:
        spaces = [load_space(name) for name in builtin_spaces()]
        rows = [[space.name, f"{space.size:,}", space.description] for space in spaces]
        print("\n" + command.table(["space", "networks", "what"], rows))


def _show(args: argparse.Namespace) -> None:
    kinds = {_is_space(name) for name in args.names}
    if len(kinds) == 2:
        raise UserError(f"{' '.join(args.names)}: spaces and networks cannot be shown together, give one kind")
    if kinds == {True}:
        spaces = [load_space(name, resolution=args.resolution) for name in args.names]
        text = "\n\n".join(map(_space_text, spaces))
        print(json.dumps(list(map(_space_entry, spaces)), indent=1) if args.json else text)
        return
    networks = [(Path(name).stem if Path(name).suffix else name, load(name)) for name in args.names]
    if args.resolution:
        networks = [(name, arch.at(args.resolution)) for name, arch in networks]
    if args.json:
        print(json.dumps([_entry(name, arch, args.classes) for name, arch in networks], indent=1))
        return
    print("\n\n".join(_network_text(name, arch, args.classes) for name, arch in networks))


def _sample(args: argparse.Namespace) -> None:
    space, rng = load_space(args.space, args.width), random.Random(args.seed)
    archs = [space.sample(rng) for _ in range(args.n)]
    entries = [_entry(f"{space.name}-{arch.id}", arch, args.classes) for arch in archs]
    if args.json:
        print(json.dumps(entries, indent=1))
        return
    rows = [[e["id"], *_figures(e), e["text"]] for e in entries]
    print(command.table(["id", "px", "params (M)", "MACs (G)", "activations (M)", "stages"], rows))


def _entry(name: str, arch: Arch, classes: int) -> dict[str, Any]:
    """The JSON form of a network with its costs, as the design's contract fixes it."""
    shape = {"name": name, "id": arch.id, "arch": arch.to_dict(), "text": arch.text, "resolution": arch.resolution}
    return shape | cost.count(arch, classes)._asdict()


def _figures(entry: dict[str, Any]) -> list[str]:
    scaled = [f"{entry['params'] / 1e6:.2f}", f"{entry['macs'] / 1e9:.3f}", f"{entry['activations'] / 1e6:.2f}"]
    return [str(entry["resolution"]), *scaled]


def _network_text(name: str, arch: Arch, classes: int) -> str:
    lines = []
    for index, row in enumerate(cost.table(arch, classes)):
        shape = (f"{row.resolution}x{row.resolution}", str(row.stride), str(row.channels), str(row.layers))
        lines.append([str(index), row.operator, *shape, f"{row.cost.params:,}", f"{row.cost.macs:,}"])
    total = cost.count(arch, classes)
    header = ["stage", "operator", "resolution", "stride", "channels", "layers", "params", "MACs"]
    lines.append(["", "total", "", "", "", "", f"{total.params:,}", f"{total.macs:,}"])
    settings = f"{arch.activation}, {arch.padding} padding, batch norm eps {arch.norm_eps:g}"
    return f"{name}  (id {arch.id}; {settings}; {classes} classes)\n{command.table(header, lines)}"


def _is_space(name: str) -> bool:
    if Path(name).suffix not in (".yaml", ".yml"):
        return name in builtin_spaces()
    data = read_yaml(Path(name))
    return isinstance(data, dict) and bool({"base", "choices"} & set(data))


def _space_entry(space: SearchSpace) -> dict[str, Any]:
    shape = {"name": space.name, "description": space.description, "size": space.size, "base": space.base.to_dict()}
    return shape | {"stages": [dict(stage) for stage in space.choices], "resolutions": space.resolutions}


def _space_text(space: SearchSpace) -> str:
    genes = list(space.choices[0])
    rows = []
    for index, stage in enumerate(space.choices):
        rows.append([str(index), *("|".join(map(_short, stage[gene])) for gene in genes)])
    sides = "|".join(map(str, space.resolutions))
    return f"{space.name}: {space.size:,} networks at {sides} px\n{command.table(['stage', *genes], rows)}"


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    command.run(main)
