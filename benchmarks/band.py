"""Does the band of a search's page hold the true front?

    python benchmarks/band.py            # two minutes, nothing is trained

Made-up searches whose true accuracies are known: a concave trend over the logarithm of cost, and networks about it
that scatter as a normal distribution, wide or narrow, to the worse side only, with one in twelve that hardly learned,
with heavy tails, or not at all; seen with noise of one point. For each, how often the 95% band holds the true best at a
cost, how far its middle is off, and how much too good the figures themselves are, in standard errors of a figure.

Exit code 1 where the band of a normal, skewed or failing scatter holds less than 88% of the places.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from reports.drawing.attained import attained
from search_spaces import command

SCATTERS = {
    "normal, one point": lambda rng, n: rng.standard_normal(n),
    "normal, 0.3 points": lambda rng, n: 0.3 * rng.standard_normal(n),
    "to the worse side": lambda rng, n: -2 * rng.exponential(1, n),
    "8% hardly learned": lambda rng, n: np.where(rng.random(n) < 0.08, -50.0, rng.standard_normal(n)),
    "heavy tails (t, 2)": lambda rng, n: rng.standard_t(2, n),
    "none": lambda rng, n: np.zeros(n),
}
ASKED = list(SCATTERS)[:4]
LEAST = 0.88


def main(argv: Sequence[str]) -> None:
    parser = command.Parser("python benchmarks/band.py", description=__doc__)
    parser.add_argument("--searches", type=command.positive_int, default=100, help="of each kind (default 100)")
    searches, failed = parser.parse_args(argv).searches, []
    for kind, scatter in SCATTERS.items():
        for networks in (10, 20, 60, 300):
            rng, held, off, optimism = np.random.default_rng(networks), [], [], []
            for _ in range(searches):
                logs = np.sort(rng.uniform(0, 3, networks))
                truth = 60 + 8 * logs - 1.2 * logs**2 + scatter(rng, networks)
                seen = truth + rng.standard_normal(networks)
                band = attained(np.exp(logs).tolist(), seen.tolist(), [1.0] * networks)
                for x, low, high in band[len(band) // 4 :: max(1, len(band) // 8)]:
                    place = np.searchsorted(np.exp(logs), x * (1 + 1e-9))
                    best = truth[:place].max()
                    held.append(low <= best <= high)
                    off.append((low + high) / 2 - best)
                    optimism.append(seen[:place].max() - best)
            print(
                f"{kind:20} {networks:4} networks: holds {np.mean(held):.0%}, middle off by {np.mean(off):+.2f}, "
                f"figures too good by {np.mean(optimism):+.2f}",
                flush=True,
            )
            failed += [f"{kind}, {networks}"] * (kind in ASKED and bool(np.mean(held) < LEAST))
    if failed:
        sys.exit(f"holds too little: {'; '.join(failed)}")


if __name__ == "__main__":
    command.run(main)
