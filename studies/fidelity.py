"""Does a cheap training rank networks as a long one does? Rank correlation, top-k recall and the noise of seeds, each
with a bootstrap interval.

Tables of top-1 are float arrays of shape (networks, seeds) with NaN where a training gave no figure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

DRAWS = 2000  # of the bootstrap
PAIRS = 1_000_000  # of networks that are compared at a time
FEWEST = 3  # networks of which a rank correlation says anything
Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(x, y) of shape (..., networks) -> (...): how alike they rank, NaN where one of them ranks nothing."""


@dataclass(frozen=True)
class Estimate:
    """low, high: ends of the 95% interval; None: too little to tell."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Agreement:
    """How well one ranking agrees with that of the long training, over so many networks. None: undefined, since there
    are fewer than ``FEWEST`` of them or all are alike.

    tau: Kendall's tau-b. rho: Spearman's. recall: share of the k best by the long training among the k best here.
    """

    networks: int
    tau: Estimate | None = None
    rho: Estimate | None = None
    recall: Estimate | None = None


@dataclass(frozen=True)
class Spread:
    """Standard deviations of top-1 in points: between networks, without what the seeds add to it, and between seeds of
    one network. ratio: None where the seeds differ in nothing."""

    networks: float
    seeds: float
    ratio: Estimate | None


def kendall(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Kendall's tau-b. As scipy's ``kendalltau``, which takes one pair a call, where the bootstrap asks thousands."""
    first, second = np.triu_indices(x.shape[-1], 1)
    dx, dy = (np.sign(values[..., first] - values[..., second]) for values in (x, y))
    with np.errstate(invalid="ignore"):
        return (dx * dy).sum(-1) / np.sqrt((dx**2).sum(-1) * (dy**2).sum(-1))


def spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's rho, equal values with their mean rank."""
    from scipy.stats import rankdata

    rx, ry = (ranks - ranks.mean(-1, keepdims=True) for ranks in (rankdata(x, axis=-1), rankdata(y, axis=-1)))
    with np.errstate(invalid="ignore"):
        return (rx * ry).sum(-1) / np.sqrt((rx**2).sum(-1) * (ry**2).sum(-1))


def recall(x: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
    """Share of the k largest of ``y`` among the k largest of ``x``; equal values at an edge share the places there."""
    return np.minimum(_among_top(x, k), _among_top(y, k)).sum(-1) / k


def agreement(short: np.ndarray, long: np.ndarray, k: int, seed: int = 0) -> Agreement:
    """How well a single training of ``short`` ranks the networks as the means of ``long`` do.

    A search trains once, so that of several seeds in ``short`` each ranks alone, and their figures are averaged. The
    bootstrap draws networks, and for each network one of its seeds in ``short`` and as many as it has in ``long``; a
    network that is drawn twice ties with itself, which changes no tau. Networks without a figure in one of the tables
    are left out.
    """
    known = np.isfinite(short).any(1) & np.isfinite(long).any(1)
    short, long = short[known], long[known]
    if (count := len(short)) < FEWEST:
        return Agreement(count)
    target, rng = np.nanmean(long, axis=1), np.random.default_rng(seed)
    rows = rng.integers(0, count, (DRAWS, count))
    drawn = [np.take_along_axis(values, rows, 1) for values in (_one_seed(short, rng), _mean_of_drawn(long, rng))]

    def estimate(statistic: Statistic) -> Estimate | None:
        seeds = [(column, np.isfinite(column)) for column in short.T]
        values = [statistic(column[known], target[known]) for column, known in seeds if known.sum() >= FEWEST]
        return _estimate(float(np.mean(values)) if values else np.nan, _each(statistic, *drawn))

    return Agreement(count, *map(estimate, _statistics(k, count)))


def ceiling(long: np.ndarray, k: int, seed: int = 0) -> Agreement:
    """The most that the noise of seeds lets one training reach: each seed of the long training against the mean of its
    others, averaged. Of networks that have all seeds; the bootstrap draws networks only, since a seed that is drawn
    twice would be compared with itself."""
    long = long[np.isfinite(long).all(1)]
    count, seeds = long.shape
    if count < FEWEST or seeds < 2:
        return Agreement(count)
    means = [np.delete(long, s, axis=1).mean(1) for s in range(seeds)]
    rows = np.random.default_rng(seed).integers(0, count, (DRAWS, count))

    def estimate(statistic: Statistic) -> Estimate | None:
        value = np.mean([statistic(long[:, s], means[s]) for s in range(seeds)])
        drawn = np.mean([_each(statistic, long[rows, s], means[s][rows]) for s in range(seeds)], axis=0)
        return _estimate(float(value), drawn)

    return Agreement(count, *map(estimate, _statistics(k, count)))


def split_variance(top1: np.ndarray) -> tuple[float, float]:
    """(between networks, between seeds) as standard deviations, from top1 of shape (networks, seeds): one-way random
    effects, whose part between networks is the variance of their means less what seeds add to it."""
    within = top1.var(axis=1, ddof=1).mean()
    between = top1.mean(axis=1).var(ddof=1) - within / top1.shape[1]
    return float(np.sqrt(max(0.0, between))), float(np.sqrt(within))


def spread(top1: np.ndarray, seed: int = 0) -> Spread | None:
    """Of the networks that have all seeds; None for fewer than two networks or seeds."""
    top1 = top1[np.isfinite(top1).all(1)]
    if min(top1.shape) < 2:
        return None
    between, within = split_variance(top1)
    if not within:
        return Spread(between, within, None)
    rows = np.random.default_rng(seed).integers(0, len(top1), (DRAWS, len(top1)))
    drawn = np.array([split_variance(top1[row]) for row in rows])
    ratios = drawn[drawn[:, 1] > 0]
    return Spread(between, within, _estimate(between / within, ratios[:, 0] / ratios[:, 1]))


def _statistics(k: int, count: int) -> tuple[Statistic, Statistic, Statistic]:
    """tau, rho and recall; a recall of all networks or more says nothing."""
    return kendall, spearman, partial(recall, k=k) if k < count else _nothing


def _nothing(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.full(x.shape[:-1], np.nan)


def _each(statistic: Statistic, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of each row, some rows at a time: tau holds all pairs of networks in memory."""
    parts = max(1, x.size * x.shape[-1] // PAIRS)
    return np.concatenate(
        [statistic(a, b) for a, b in zip(np.array_split(x, parts), np.array_split(y, parts), strict=True)]
    )


def _estimate(value: float, draws: np.ndarray) -> Estimate | None:
    if not np.isfinite(value):
        return None
    draws = draws[np.isfinite(draws)]
    low, high = np.percentile(draws, [2.5, 97.5]) if len(draws) else (None, None)
    return Estimate(value, None if low is None else float(low), None if high is None else float(high))


def _among_top(values: np.ndarray, k: int) -> np.ndarray:
    """How much of each value is among the k largest: 1, 0, or a share for those that are equal to the k-th."""
    edge = np.sort(values, axis=-1)[..., -k, None]
    above, tied = values > edge, values == edge
    return above + tied * (k - above.sum(-1, keepdims=True)) / tied.sum(-1, keepdims=True)


def _drawn(table: np.ndarray, rng: np.random.Generator, each: int) -> np.ndarray:
    """(DRAWS, networks, each): seeds of each network, drawn with replacement from those that have a figure."""
    whole = np.take_along_axis(table, np.argsort(np.isnan(table), axis=1, kind="stable"), 1)
    counts = np.isfinite(whole).sum(1)[None, :, None]
    seeds = (rng.random((DRAWS, len(table), each)) * counts).astype(int)
    return whole[np.arange(len(table))[None, :, None], seeds]


def _one_seed(table: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _drawn(table, rng, 1)[..., 0]


def _mean_of_drawn(table: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of as many seeds as each network has a figure for."""
    drawn = _drawn(table, rng, table.shape[1])
    beyond = np.arange(table.shape[1]) >= np.isfinite(table).sum(1)[:, None]
    return np.nanmean(np.where(beyond[None], np.nan, drawn), axis=2)
