"""What the best network of each cost attains in truth, given figures that are blurred by noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

FEWEST = 8  # networks from which a trend of accuracy over cost, and what is left beside it, can be told
SUPPORTS, EXTREME = 60, 12  # of the scatter's distribution: in all, and of these at the largest residuals
RESAMPLES, DRAWS, STEPS, SEED = 20, 20, 100, 0
MOST, PLACES = 400, 80  # networks that trend and scatter are estimated from; places of the band
# Widths of what is about a support, in standard errors, so that the bands of benchmarks/band.py hold the truth.
KERNEL, LOCATION = 0.2, 0.6
TINY = 1e-9  # points; as much as no noise


def attained(
    xs: Sequence[float], ys: Sequence[float], errors: Sequence[float]
) -> tuple[tuple[float, float, float], ...]:
    """(x, low, high): between which accuracies the best network of cost x or less is in truth, with 95%.

    The best of many noisy figures is too good: it was chosen for its luck as well. So each network's accuracy is taken
    for what its figure and those of the others make it: a scatter of unknown form about a trend over the logarithm of
    cost (empirical Bayes with a nonparametric prior: Kiefer and Wolfowitz 1956; Koenker and Mizera 2014), and the best
    is taken in draws from that. Trend and scatter are estimated anew from weighted networks for each few draws
    (Bayesian bootstrap, Rubin 1981). xs: costs; ys: top-1; errors: standard errors. Empty with fewer than FEWEST
    networks.
    """
    if len(xs) < FEWEST or min(xs) <= 0:
        return ()
    order = np.argsort(xs, kind="stable")
    x, y, se = (np.asarray(values, dtype=float)[order] for values in (xs, ys, errors))
    ends = np.flatnonzero(np.append(np.diff(x) > 0, True))  # of networks of one cost, the last
    places = ends[np.unique(np.linspace(0, len(ends) - 1, min(PLACES, len(ends))).round().astype(int))]
    truth = (np.maximum.accumulate(draw)[places] for draw in _draws(np.log(x), y, np.maximum(se, TINY)))
    low, high = np.quantile(list(truth), [0.025, 0.975], axis=0)
    return tuple(zip(x[places].tolist(), low.tolist(), high.tolist(), strict=True))


def _draws(logs: np.ndarray, y: np.ndarray, se: np.ndarray) -> Iterator[np.ndarray]:
    """True accuracies of all networks, as the figures leave them open."""
    rng = np.random.default_rng(SEED)
    design = np.vander((logs - logs.mean()) / np.ptp(logs), 3) if np.ptp(logs) else np.ones((len(y), 1))
    some = np.arange(len(y)) if len(y) <= MOST else rng.choice(len(y), MOST, replace=False)
    for _ in range(RESAMPLES):
        weights = rng.dirichlet(np.ones(len(some)))
        trend = design @ _median_fit(design[some], y[some], weights, float(np.median(se)))
        residuals = y - trend
        lost = np.sqrt(len(some) / (len(some) - design.shape[1]))  # what the fit took of the residuals
        supports, shares = _scatter(residuals[some] * lost, se[some], weights)
        kernel, location = KERNEL * np.median(se), LOCATION * np.median(se)
        variance = se**2 + kernel**2
        odds = np.log(shares + 1e-12) - 0.5 * (residuals[:, None] - supports) ** 2 / variance[:, None]
        chances = np.exp(odds - odds.max(1, keepdims=True))
        upto = np.cumsum(chances, axis=1) / chances.sum(1, keepdims=True)
        own = kernel**2 / variance
        for _ in range(DRAWS):
            moved = supports + location / np.sqrt(np.maximum(1, len(some) * shares)) * rng.standard_normal(
                len(supports)
            )
            near = moved[np.minimum((upto < rng.random((len(y), 1))).sum(1), len(supports) - 1)]
            drawn = trend + near + own * (residuals - near) + np.sqrt(own) * se * rng.standard_normal(len(y))
            yield np.where(se > TINY, drawn, y)


def _median_fit(design: np.ndarray, y: np.ndarray, weights: np.ndarray, error: float) -> np.ndarray:
    """Coefficients of the trend that half of the networks are above, by reweighted least squares: those that hardly
    learned do not draw it down."""
    found, root = np.zeros(design.shape[1]), np.sqrt(weights)
    for _ in range(16):
        found = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
        root = np.sqrt(weights / np.maximum(np.abs(y - design @ found), 0.1 * error))
    return found


def _scatter(residuals: np.ndarray, se: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Supports and shares of the distribution of true residuals that makes the figures most likely, by EM."""
    even = np.quantile(residuals, np.linspace(0, 1, SUPPORTS - EXTREME))
    supports = np.unique([*even, *np.sort(residuals)[-EXTREME:]])
    variance = se**2 + (KERNEL * np.median(se)) ** 2
    near = np.exp(-0.5 * (residuals[:, None] - supports) ** 2 / variance[:, None]) + 1e-300
    shares = np.full(len(supports), 1 / len(supports))
    for _ in range(STEPS):
        owners = near * shares
        shares = weights @ (owners / owners.sum(1, keepdims=True))
    return supports, shares
