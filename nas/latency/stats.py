"""Estimates from timed calls that come in rounds: the median, its ratio to a reference, their intervals, percentiles.

Calls are autocorrelated (clocks, caches, neighbours), rounds much less, so intervals come from a bootstrap that draws
whole rounds. Of few rounds the percentile bootstrap is too narrow; its quantiles are moved outwards as Hesterberg
proposes (arXiv 1411.5279, section 5.3): for n rounds to Phi(sqrt(n / (n - 1)) t) with t the quantile of Student's t
with n - 1 degrees of freedom, 0.9% instead of 2.5% at ten rounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

DRAWS = 400  # of the bootstrap: an interval's ends vary by a few percent of its width
# Calls for a percentile: the least n of which the second largest time is above it at 0.99 confidence, as MLPerf LoadGen
# asks where it ends a run early; with fewer, a percentile is a guess about the largest one or two times.
NEEDED = {90: 64, 95: 130, 99: 662}
AGREE = 0.02  # share of a median by which two always may differ

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its 95% interval, which are infinite where there is one round only."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """As a share of the value."""
        return (self.high - self.low) / 2 / self.value


def intervals(candidate: Times, reference: Times, rng: np.random.Generator) -> tuple[Interval, Interval]:
    """The candidate's median, and its ratio to the reference's median, from times of shape (rounds, calls a round).

    The ratio is paired: every draw takes candidate and reference from the same rounds, so that what slows both cancels.
    It is a ratio of medians over all calls, not a mean of ratios by round, since the latter is biased where a device
    has two modes and rounds hold different numbers of calls.
    """
    rounds = len(candidate)
    weights = rng.multinomial(rounds, np.full(rounds, 1 / rounds), size=DRAWS).astype(np.int32)
    medians, references = _medians(candidate, weights), _medians(reference, weights)
    p50 = float(np.median(candidate))
    return _interval(p50, medians, rounds), _interval(p50 / float(np.median(reference)), medians / references, rounds)


def percentile(times: Times, percent: int) -> float | None:
    """None where ``times`` are fewer than ``NEEDED``."""
    return float(np.percentile(times, percent)) if times.size >= NEEDED[percent] else None


def agree(one: Times, other: Times) -> bool:
    """Whether the medians are within ``AGREE`` of each other, or differ by what chance explains: the notches overlap
    that McGill, Tukey and Larsen (1978, Variations of box plots) give a median, 1.57 IQR / sqrt(n) to either side."""
    notches = sum(1.57 * iqr(times) / math.sqrt(times.size) for times in (one, other))
    first, second = float(np.median(one)), float(np.median(other))
    return abs(first - second) <= max(AGREE * second, notches)


def iqr(times: Times) -> float:
    """The interquartile range."""
    low, high = np.percentile(times, [25, 75])
    return float(high - low)


def _interval(value: float, draws: Times, rounds: int) -> Interval:
    if rounds < 2:
        return Interval(value, -math.inf, math.inf)
    tail = float(ndtr(math.sqrt(rounds / (rounds - 1)) * stdtrit(rounds - 1, 0.025)))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Interval(value, min(value, float(low)), max(value, float(high)))  # of few calls, ends are calls


def _medians(times: Times, weights: NDArray[np.int32]) -> Times:
    """The median of all calls for every row of ``weights``, which says how often each round is drawn."""
    order = np.argsort(times, axis=None)
    counts = np.cumsum(weights[:, order // times.shape[1]], axis=1, dtype=np.int32)
    middle = (2 * counts >= counts[:, -1:]).argmax(axis=1)
    result: Times = times.ravel()[order][middle]
    return result
