"""The Pareto front of a run: the trials that no other trial beats."""

from __future__ import annotations

import math
from collections.abc import Sequence

import moocore

from studies.ledger import TrialRecord
from studies.objectives import check, direction, values


def front(trials: Sequence[TrialRecord], objectives: Sequence[str]) -> list[TrialRecord]:
    """The ``ok`` trials that no other ``ok`` trial dominates, best first by the second (else the only) objective.

    One trial dominates another if it is at least as good in every objective and better in one. Trials with equal values
    therefore stay together, all of them or none: which one is "the" answer would depend on the order of trials. Trials
    without a finite value for every objective take no part. A flagged latency does; what shows a front marks it.
    """
    return [trial for _, trial in _points(trials, check(objectives))]


def select(trials: Sequence[TrialRecord], objectives: Sequence[str], most: int) -> list[TrialRecord]:
    """At most so many of the front (with one objective: of the best): without those that it misses least. One after
    another, the trial that adds least hypervolume is left out (as in SMS-EMOA, Beume et al. 2007), seen from a point
    beyond the front's worst values by a tenth of its range, with every objective scaled to that range; so the ends stay
    to the last but one. The best by the first objective always stays: of a search within limits it is the answer."""
    import numpy as np

    points = _points(trials, check(objectives))
    if not points:
        return []
    if len(objectives) == 1:
        ranked = [(found[0], trial) for trial in trials if (found := values(trial, objectives)) is not None]
        ranked.sort(key=lambda pair: pair[0], reverse=direction(objectives[0]) == "maximize")
        return [trial for _, trial in ranked[:most]]
    losses = np.array([point for point, _ in points])
    low, span = losses.min(axis=0), np.ptp(losses, axis=0)
    scaled = (losses - low) / np.where(span > 0, span, 1.0)
    left = list(range(len(points)))
    best = min(left, key=lambda index: points[index][0])
    while len(left) > most:
        added = moocore.hv_contributions(scaled[left], ref=[1.1] * scaled.shape[1])
        added[left.index(best)] = math.inf
        left.pop(int(np.argmin(added)))
    return [points[index][1] for index in left]


def _points(trials: Sequence[TrialRecord], objectives: Sequence[str]) -> list[tuple[list[float], TrialRecord]]:
    """The front with what is minimised: the objectives, negated where more is better."""
    signs = [-1.0 if direction(name) == "maximize" else 1.0 for name in objectives]
    points = []
    for trial in trials:
        found = values(trial, objectives)
        if found is not None and all(map(math.isfinite, found)):
            points.append(([sign * value for sign, value in zip(signs, found, strict=True)], trial))
    if not points:
        return []
    kept = moocore.is_nondominated([point for point, _ in points], keep_weakly=True)
    best = [pair for pair, keep in zip(points, kept, strict=True) if keep]
    return sorted(best, key=lambda pair: (pair[0][1:2], pair[0], pair[1].number))
