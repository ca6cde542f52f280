"""Are exports the same networks?

    python benchmarks/exports.py random       # 25 minutes: random networks of every space, to each target
    python benchmarks/exports.py catalogue    # 20 minutes: every published network, at its own resolution
    python benchmarks/exports.py timm         # 10 minutes: ours against timm's own, as tf_efficientnet_b0
    python benchmarks/exports.py roundtrip    # 5 minutes: Arch to timm's text and modules, and torchvision's, and back

random: --count networks of each space at 96, 64 and 32 px in turn, for Keras and ONNX 30 at most. An export counts if
parameters and MACs are equal and outputs differ by at most 1e-5 where they are of order 1 (or by twice what float32
itself does to the network), with biases, scales and batch norm statistics randomised. Printed are the worst difference,
and every refusal with its reason.

Exit code 1 where an export is not the same network.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from nas import environment
from nas.export.network import Network
from nas.export.reading import arch_of
from nas.export.target import counted, run_code, torch_loaded
from nas.export.targets import target
from nas.export.verify import difference, randomised
from nas.export.writing import NotTheSame, export
from nas.latency.runtimes import NotExported
from search_spaces import Arch, UserError, command, load
from search_spaces.build import build_model
from search_spaces.published import catalogue
from search_spaces.space_file import load_space
from search_spaces.text import stage_of

SPACES = ("v1", "v2", "v2_s")
SIDES = (96, 64, 32)
MOST = {"keras": 30, "onnx": 30}
OWN = {f"efficientnet_b{number}": f"tf_efficientnet_b{number}" for number in range(8)}
OWN |= {f"efficientnet_v2_{size}": f"tf_efficientnetv2_{size}" for size in ("s", "m", "l", "xl")}


def drawn(count: int, spaces: Sequence[str] = SPACES) -> Iterator[tuple[str, Arch]]:
    for name in spaces:
        rng, space = random.Random(0), load_space(name)
        for number in range(count):
            yield name, space.sample(rng).at(SIDES[number % len(SIDES)])


def exported(console: Console, of: str, networks: Sequence[tuple[str, Arch]], name: str) -> bool:
    """All networks to one target."""
    made, worst, refused, wrong, start = target(name), 0.0, Counter[str](), 0, time.perf_counter()
    for title, arch in networks:
        with tempfile.TemporaryDirectory() as folder:
            try:
                one = export(name, made, Network(title, arch), Path(folder) / "out")
                worst = max(worst, one.verification.max_abs_diff, one.verification.max_abs_diff_exported)
            except NotExported as error:
                console.print(f"  {error}", markup=False)
                wrong += 1
            except UserError as error:
                refused[str(error).rpartition(": ")[2]] += 1
            except NotTheSame as error:
                console.print(f"  {arch.text}: {error}", markup=False)
                wrong += 1
    took_s = time.perf_counter() - start
    console.print(
        f"{of} to {name}: {len(networks) - wrong - refused.total()} of {len(networks)} exported and the same, "
        f"worst difference {worst:.1e}, {wrong} not the same, {refused.total()} refused, "
        f"{took_s / len(networks):.1f} s each"
    )
    for reason, times in refused.most_common():
        console.print(f"  {times} refused: {reason}", markup=False)
    return not wrong


def against_timm(console: Console, names: Sequence[str]) -> bool:
    """Our export's module with TensorFlow's settings against timm's own of the same weights."""
    import timm

    held = True
    for name in names:
        arch = replace(load(name), padding="same", norm_eps=1e-3, norm_momentum=0.01)
        x = torch.randn(2, 3, arch.resolution, arch.resolution, generator=torch.Generator().manual_seed(0))
        ours = randomised(build_model(arch), x)
        theirs = timm.create_model(OWN[name], pretrained=False).eval()
        with tempfile.TemporaryDirectory() as folder:
            target("timm").write(Network(name, arch), ours, Path(folder))
            own = run_code(Path(folder)).build(Path(folder) / "weights.pt").eval()
        theirs.load_state_dict(own.state_dict())
        same = counted(own, arch.resolution) == counted(theirs, arch.resolution)
        off, _, _ = difference(own, torch_loaded(theirs, arch.resolution), x, (1, 2), 1e-5)
        console.print(f"{name}, {OWN[name]}: counts {'equal' if same else 'DIFFER'}, outputs within {off:.1e}")
        held &= same and off <= 1e-5
    return held


def effective(arch: Arch) -> Arch:
    """Without a ``skip`` that says nothing: a stage's only layer, if it changes stride or channels, has none anyway."""
    before = [arch.stem_channels, *(stage.channels for stage in arch.stages)]
    asked = [replace(stage, skip=True) for stage in arch.stages]
    stages = [
        full if one.layers == 1 and not full.is_residual(width, one.stride) else one
        for one, full, width in zip(arch.stages, asked, before, strict=False)
    ]
    return replace(arch, stages=tuple(stages))


def round_trips(console: Console, networks: Sequence[tuple[str, Arch]]) -> bool:
    wrong = Counter[str]()
    timm_target, torchvision_target = target("timm"), target("torchvision")
    for title, arch in networks:
        texts = arch.text.split()
        wrong["block strings"] += replace(arch, stages=tuple(stage_of(text) for text in texts)) != arch
        for name, made in (("timm", timm_target), ("torchvision", torchvision_target)):
            with tempfile.TemporaryDirectory() as folder:
                made.write(Network(title, arch), build_model(arch), Path(folder))
                module = run_code(Path(folder)).build()
            wrong[name] += effective(arch_of(module, arch.resolution)) != effective(arch)
    console.print(f"round trips of {len(networks)} networks: not the identity for {dict(wrong)}")
    return not wrong.total()


def main(argv: Sequence[str]) -> None:
    parser = command.Parser("python benchmarks/exports.py", description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=("random", "catalogue", "timm", "roundtrip"))
    parser.add_argument("--count", type=command.positive_int, default=100, help="random networks a space (default 100)")
    parser.add_argument("--targets", default="torchvision,timm,keras,onnx")
    parser.add_argument("--networks", help="of the catalogue or of timm's, with commas between (default all)")
    args = parser.parse_args(argv)
    console, wanted = Console(soft_wrap=True), args.targets.split(",")
    made = environment.describe(0)
    console.print(f"machine: {made['cpu']}, {made['cpus']} cores; torch {made['torch']}, Python {made['python']}")
    names = args.networks.split(",") if args.networks else None
    if args.part == "random":
        held = []
        for name in wanted:
            count = min(args.count, MOST.get(name, args.count))
            held += [exported(console, space, list(drawn(count, [space])), name) for space in SPACES]
    elif args.part == "catalogue":
        networks = [(name, load(name)) for name in names or catalogue()]
        held = [exported(console, "catalogue", networks, name) for name in wanted]
    elif args.part == "timm":
        held = [against_timm(console, names or list(OWN))]
    else:
        # Other layouts (MobileNetV2, MnasNet) differ by names, which a page of code does not keep.
        published = [(name, one.arch) for name, one in catalogue().items() if one.arch.layout == "efficientnet"]
        held = [round_trips(console, [*drawn(args.count), *published])]
    if not all(held):
        sys.exit(1)


if __name__ == "__main__":
    command.run(main)
