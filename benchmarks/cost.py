"""Closed-form cost against fvcore: how fast each is and, with --check, whether they agree on random networks.

    python benchmarks/cost.py
    python benchmarks/cost.py --check --networks 200

Everything runs in one thread. The closed form is timed on networks that it has never seen. fvcore counts multiply-adds
and activations of a model that is already built, with all weights zero, at 64 px: its time without initialisation and
at a low resolution, so that the ratio is at its smallest. With --check the exit code is 1 where any count differs.
"""

from __future__ import annotations

import argparse
import platform
import random
import statistics
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version

import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas.environment import cpu_name
from search_spaces import Arch, command, cost
from search_spaces.build import build_model
from search_spaces.space import SearchSpace
from search_spaces.space_file import builtin_spaces, load_space

REPEATS = 7
CLOSED_FORM_NETWORKS = 2000  # in each repeat
FVCORE_PIXELS = 64
CHECKED_PIXELS = (32, 33, 47, 64)  # odd sides are where strides round


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare every count of random networks, too")
    parser.add_argument(
        "--networks", type=command.positive_int, default=200, help="checked in each space (default 200)"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    console, rng = Console(width=110, soft_wrap=True), random.Random(args.seed)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "fvcore"))
    console.print(f"{cpu_name()}, one thread; Python {platform.python_version()}, {libraries}", highlight=False)
    spaces = [load_space(name) for name in builtin_spaces()]
    console.print(_speeds(spaces, rng))
    return _check(spaces, rng, args.networks, console) if args.check else 0


def _speeds(spaces: list[SearchSpace], rng: random.Random) -> Table:
    table = Table("space", title=f"networks a second: median (min to max) of {REPEATS} repeats")
    for name in ("closed form", f"fvcore at {FVCORE_PIXELS} px", "ratio of medians"):
        table.add_column(name, justify="right")
    with Progress(transient=True) as progress:
        for space in progress.track(spaces, description="timing"):
            closed = [_closed_form_rate(space, rng) for _ in range(REPEATS)]
            fvcore = [_fvcore_rate(space, rng) for _ in range(REPEATS)]
            ratio = statistics.median(closed) / statistics.median(fvcore)
            table.add_row(space.name, _spread(closed, ",.0f"), _spread(fvcore, ".2f"), f"{ratio:,.0f}")
    return table


def _closed_form_rate(space: SearchSpace, rng: random.Random) -> float:
    archs = [space.sample(rng) for _ in range(CLOSED_FORM_NETWORKS)]
    start = time.perf_counter()
    for arch in archs:
        cost.count(arch)
    return len(archs) / (time.perf_counter() - start)


def _fvcore_rate(space: SearchSpace, rng: random.Random) -> float:
    model = _zero_model(space.sample(rng))
    start = time.perf_counter()
    _fvcore_counts(model, FVCORE_PIXELS)
    return 1 / (time.perf_counter() - start)


def _check(spaces: list[SearchSpace], rng: random.Random, networks: int, console: Console) -> int:
    """Prints how many networks agreed and each that did not; 1 where any did not, else 0."""
    failed = 0
    with Progress(console=console) as progress:
        for space in spaces:
            agreed = 0
            for _ in progress.track(range(networks), description=f"checking {space.name}"):
                arch = space.sample(rng).at(rng.choice(CHECKED_PIXELS))
                differences = list(_differences(arch))
                agreed += not differences
                for difference in differences:
                    console.print(f"{arch.text} at {arch.resolution} px: {difference}")
            failed += networks - agreed
            console.print(f"{space.name}: closed form equals all other counts on {agreed} of {networks} networks")
    return int(failed > 0)


def _differences(arch: Arch) -> Iterator[str]:
    closed, model = cost.count(arch), _zero_model(arch)
    macs, activations = _fvcore_counts(model, arch.resolution)
    others = {
        "parameters of the built model": (closed.params, sum(p.numel() for p in model.parameters())),
        "fvcore multiply-adds": (closed.macs, macs),
        "FlopCounterMode / 2": (closed.macs, _torch_macs(arch)),
        "fvcore activations": (closed.activations, activations),
    }
    for name, (ours, theirs) in others.items():
        if ours != theirs:
            yield f"closed form {ours}, {name} {theirs}"


def _zero_model(arch: Arch) -> nn.Module:
    """The network on the CPU without the time that drawing its weights takes; counts do not depend on them."""
    with torch.device("meta"):
        model = build_model(arch).eval()
    model.to_empty(device="cpu")
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data.zero_()
    return model


def _fvcore_counts(model: nn.Module, pixels: int) -> tuple[int, int]:
    """Multiply-adds of convolutions and linear layers, and their output elements."""
    counts = []
    for analysis in (FlopCountAnalysis, ActivationCountAnalysis):
        one = analysis(model, torch.zeros(1, 3, pixels, pixels))
        one.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        with torch.no_grad():
            counts.append(one.by_operator())
    flops, activations = counts
    return int(flops["conv"] + flops["linear"]), int(activations["conv"] + activations["linear"])


def _torch_macs(arch: Arch) -> int:
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        build_model(arch).eval()(torch.empty(1, 3, arch.resolution, arch.resolution))
    return int(counter.get_total_flops()) // 2


def _spread(rates: list[float], form: str) -> str:
    return f"{statistics.median(rates):{form}} ({min(rates):{form}} to {max(rates):{form}})"


if __name__ == "__main__":
    sys.exit(main())
