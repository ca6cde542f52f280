"""The Pareto front of a run: the trials that no other trial beats."""

from __future__ import annotations

import math
from collections.abc import Sequence

import moocore

from studies.ledger import TrialRecord
from studies.objectives import DIRECTIONS, check, values


def front(trials: Sequence[TrialRecord], objectives: Sequence[str]) -> list[TrialRecord]:
    """The ``ok`` trials that no other ``ok`` trial dominates, best first by the second (else the only) objective.

    One trial dominates another if it is at least as good in every objective and better in one. Trials with equal values
    therefore stay together, all of them or none: which one is "the" answer would depend on the order of trials. Trials
    without a finite value for every objective take no part. A flagged latency does; what shows a front marks it.
    """
    objectives = check(objectives)
    # Everything is minimised from here on, so that one sign serves both dominance and order.
    signs = [-1.0 if DIRECTIONS[name] == "maximize" else 1.0 for name in objectives]
    points = []
    for trial in trials:
        found = values(trial, objectives)
        if found is not None and all(map(math.isfinite, found)):
            points.append(([sign * value for sign, value in zip(signs, found, strict=True)], trial))
    if not points:
        return []
    kept = moocore.is_nondominated([point for point, _ in points], keep_weakly=True)
    best = [pair for pair, keep in zip(points, kept, strict=True) if keep]
    best.sort(key=lambda pair: (pair[0][1:2], pair[0], pair[1].number))
    return [trial for _, trial in best]
