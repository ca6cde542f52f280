"""Does short training tell networks apart? The spread of accuracy between networks against that between seeds.

    python benchmarks/noise.py --space v2 --width 0.25            # the setting of `make search`

Takes nas.search's flags. Trains random networks of the space, each with several seeds, exactly as a search does, and
splits the variance of top-1 into two parts (one-way random effects, unbalanced by nothing: equal seeds a network):
seeds = root mean variance within a network; networks = root of (variance of the networks' means - seeds^2 / S).
With a ratio of 2, four fifths of the variance of single runs is due to the networks. The interval is wide: a dozen
networks say little about the spread of billions.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from nas import data, environment, run, search
from nas.evaluate import evaluate
from nas.flags import read_spec
from nas.plan import Plan, plan
from search_spaces import Arch, command
from studies.fidelity import split_variance
from studies.ledger import Outcome
from studies.session import NoRun
from studies.spec import Spec

_images: data.ImageSet


def _load(plan: Plan) -> None:
    global _images
    _images = run.load_images(plan)


def _trial(arch: Arch, seed: int, spec: Spec) -> Outcome:
    return evaluate(arch, seed, _images, NoRun(), spec=spec)


def main(argv: Sequence[str]) -> None:
    parser = command.Parser(
        "python benchmarks/noise.py", description=__doc__.split("\n")[0], epilog="and the flags of nas.search"
    )
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    args, flags = parser.parse_known_args(argv)
    planned = plan(read_spec(vars(search.parser().parse_args(flags))))
    spec, rng = planned.spec, random.Random(planned.spec.seed)
    archs = [planned.space.sample(rng) for _ in range(args.networks)]
    start = time.perf_counter()
    workers = ProcessPoolExecutor(planned.resources.concurrency, get_context("spawn"), _load, (planned,))
    with workers as pool:
        jobs = [[pool.submit(_trial, arch, seed, spec) for seed in range(args.seeds)] for arch in archs]
        flat = [job for row in jobs for job in row]
        for job in track(flat, "training", disable=not sys.stderr.isatty()):
            job.result()
    outcomes = [[job.result() for job in row] for row in jobs]
    if failed := [o.error for row in outcomes for o in row if o.status != "ok"]:
        sys.exit(f"{len(failed)} trials did not finish: {failed[0]}")
    top1 = np.array([[o.top1 for o in row] for row in outcomes])

    table = Table("network", "M MACs", *(f"seed {seed}" for seed in range(args.seeds)), "mean", title="top-1, %")
    for arch, row, outcome in zip(archs, top1, outcomes, strict=True):
        macs = (outcome[0].macs or 0) / 1e6
        table.add_row(arch.id, f"{macs:.2f}", *(f"{value:.1f}" for value in row), f"{row.mean():.1f}")
    console = Console()
    console.print(table)
    between, within = split_variance(top1)
    bootstrap = np.random.default_rng(0)
    pairs = [split_variance(top1[bootstrap.integers(0, len(top1), len(top1))]) for _ in range(2000)]
    low, high = np.percentile([a / b for a, b in pairs if b > 0], [2.5, 97.5])
    train_s = np.array([[o.timings["train_s"] for o in row] for row in outcomes])
    made = environment.describe(planned.resources.gpus)
    console.print(f"machine: {made['cpu']}, {made['cpus']} cores; torch {made['torch']}, Python {made['python']}")
    console.print(f"setting: {' '.join(flags)} -> {spec.space}, {spec.data}, {spec.train}")
    console.print(f"one trial trains {np.median(train_s):.1f} s (median); all took {time.perf_counter() - start:.0f} s")
    console.print(f"std between networks {between:.2f}, between seeds {within:.2f} points of top-1")
    console.print(f"ratio {between / within:.2f} (95% bootstrap over networks: {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    command.run(main)
