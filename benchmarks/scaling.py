"""Does the region of a coefficient study hold the truth, and does a study that is too small say so?

    python benchmarks/scaling.py               # 5 minutes, nothing is trained
    python benchmarks/scaling.py --studies 2000

Made-up studies whose best direction is known, inside, on an edge or in a corner of the constraint surface: the points
of the grid at two steps and three seeds each, top-1 that falls from the best direction as a quadratic or otherwise
(saturating, as a sum of powers of depth, width and resolution does), seeds of a known standard deviation, and what
rounding does to each network. For each: how often the 95% region holds the truth, how large it is, and how often the
study says that it can tell; then the same with ten times the noise.

Exit code 1 where the region of a quadratic truth holds it in less than 93% or more than 97% of the studies, or where a
study with ten times the noise does not say that it cannot tell in 95% of them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from search_spaces import command
from search_spaces.compound import grid
from studies import response
from studies.response import Observation

Shares = tuple[float, float, float]
SEEDS = 3


@dataclass(frozen=True)
class Truth:
    """top1: percent at shares of depth, width and resolution. exact: a quadratic, which the surface can follow, with
    its best where the region can be exact: corners are in it as soon as they are among the best."""

    name: str
    top1: Callable[[np.ndarray], np.ndarray]
    exact: bool = True

    def best(self) -> Shares:
        mesh = response.mesh(400)
        depth, width, resolution = map(float, mesh[self.top1(mesh).argmax()])
        return depth, width, resolution


def quadratic(best: Shares, drop: float, skew: float = 0.0) -> Callable[[np.ndarray], np.ndarray]:
    """drop: points lost at a distance of 1."""

    def top1(shares: np.ndarray) -> np.ndarray:
        x, y = shares[:, 0] - best[0], shares[:, 1] - best[1]
        return 85.0 - drop * (x**2 + 2 * y**2 + skew * x * y)

    return top1


def powers(shares: np.ndarray) -> np.ndarray:
    """An error with a part that depth lowers, one that width does and one that resolution does."""
    return 100 - 6 * 2 ** (-1.1 * shares[:, 0]) - 9 * 2 ** (-0.9 * shares[:, 1]) - 8 * 2 ** (-1.2 * shares[:, 2])


TRUTHS = (
    Truth("quadratic, inside", quadratic((0.35, 0.25, 0.4), 4.0)),
    Truth("quadratic, skewed", quadratic((0.3, 0.3, 0.4), 4.0, skew=1.5)),
    Truth("quadratic, near an edge", quadratic((0.15, 0.3, 0.55), 4.0)),
    Truth("quadratic, at an edge", quadratic((0.0, 0.4, 0.6), 4.0)),
    Truth("quadratic, beyond an edge", quadratic((-0.15, 0.4, 0.75), 3.0)),
    Truth("sum of powers", powers, exact=False),
    Truth("a corner", quadratic((-0.1, -0.1, 1.2), 2.0), exact=False),
)
NOISE, ROUNDING = 1.2, 0.3  # points: of one seed; of a network that rounding moved from where its direction is


def study(truth: Truth, step: float, noise: float, rng: np.random.Generator) -> list[Observation]:
    shares = np.array([one.shares for one in grid(step)])
    means = truth.top1(shares) + rng.normal(0, ROUNDING, len(shares))
    seeds = means[:, None] + rng.normal(0, noise, (len(shares), SEEDS))
    return [Observation(tuple(one), tuple(top1)) for one, top1 in zip(shares.tolist(), seeds.tolist(), strict=True)]


def main(argv: Sequence[str]) -> None:
    parser = command.Parser("python benchmarks/scaling.py", description=__doc__)
    parser.add_argument("--studies", type=command.positive_int, default=500, help="of each kind (default 500)")
    args = parser.parse_args(argv)
    console, began = Console(width=120), time.monotonic()
    points = len(grid())
    console.print(f"the default grid: {points} points, found in {1e3 * (time.monotonic() - began):.1f} ms")
    table = Table("truth", "step", "points", "holds the truth", "region", "can tell", "10 x noise: cannot tell")
    good = True
    for truth in TRUTHS:
        best = truth.best()
        for step in (0.1, 0.05):
            held, share, told, silent = 0, 0.0, 0, 0
            for seed in range(args.studies):
                rng = np.random.default_rng([seed, round(100 * step)])
                found = response.fit(study(truth, step, NOISE, rng), seed)
                loud = response.fit(study(truth, step, 10 * NOISE, rng), seed)
                assert found is not None
                assert loud is not None
                held += found.like_best(best)
                share += float(found.inside.mean())
                told += response.surface(found).enough
                silent += not response.surface(loud).enough
            n = args.studies
            cells = (f"{held / n:.1%}", f"{share / n:.0%}", f"{told / n:.0%}", f"{silent / n:.1%}")
            table.add_row(truth.name, f"{step:g}", str(len(grid(step))), *cells)
            good &= silent >= 0.95 * n and (not truth.exact or 0.93 * n <= held <= 0.97 * n)
    console.print(table)
    console.print(
        f"{args.studies} studies each, seeds' std {NOISE} points, rounding's {ROUNDING}; "
        f"bars: 93% to 97% where the truth is a quadratic, cannot tell in 95%; {time.monotonic() - began:.0f} s"
    )
    if not good:
        sys.exit(1)


if __name__ == "__main__":
    command.run(main)
