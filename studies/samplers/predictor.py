"""Search by prediction: what can be counted is counted, the rest is predicted from the networks tried so far.

In the spirit of arXiv 1912.00848 (predict the accuracy, try what is predicted to be best) and 1910.11858 (Bayesian
optimisation with a predictor that knows its doubt).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import moocore
import numpy as np
from scipy.special import ndtr  # type: ignore[import-untyped]

from search_spaces import Arch, constraint
from search_spaces.space import SearchSpace
from studies.ledger import Outcome
from studies.objectives import COUNTED, MEASURED, METRICS, direction
from studies.samplers.base import Allowed, Losses
from studies.samplers.features import COST_COLUMNS, Features
from studies.samplers.improvement import expected_improvement
from studies.samplers.ranking import crowding
from studies.samplers.regression import MOST, Regression

START = 4  # networks unlike each other, before the first prediction
FEW = 1000  # a space of no more networks is looked at whole; of a larger one
DRAWN = 60  # so many random networks
MUTANTS = 60  # and so many that differ from one of the front in one or two genes
EDGE = 0.005  # log odds of a top-1 nearer to 0 or 1 are those of this share
MARGIN = 0.1  # by which share of the range of what was seen the reference point is worse than the worst of it
BOXES = 1000  # what the front may be cut into (see studies.samplers.improvement), which bounds its size


class Tried(NamedTuple):
    arch: Arch
    row: np.ndarray
    losses: Losses


class Predictor:
    """Proposes the network that is expected to enlarge the hypervolume of the front most.

    Objectives in closed form are exact for any network; each other one is a regression on genes and MACs. Metrics of
    which less is better enter as logarithms, top1 as log odds, so that noise is alike along the front. The front is
    that of the networks tried, with what the regression makes of all trials in place of each one's own noisy value. A
    limit on a metric that is measured is heeded once it has rejected a network, by the probability that others keep it.
    """

    def __init__(self, space: SearchSpace, objectives: Sequence[str], num_classes: int) -> None:
        self.space, self.objectives = space, tuple(objectives)
        self._features = Features(space, num_classes)
        predicted = dict.fromkeys(name for name in (*METRICS, *objectives) if name not in COUNTED)
        self._regressions = {name: Regression() for name in predicted}
        self._limits: dict[str, constraint.Constraint] = {}
        self._tried: list[Tried] = []

    def learn(self, arch: Arch, outcome: Outcome) -> None:
        row = self._features.row(arch)
        final = outcome.status in ("ok", "rejected")
        for name, regression in self._regressions.items():
            if final or name in MEASURED:
                value = _loss(name, outcome.metric(name))
                if value is not None:
                    regression.learn(row[self._features.used], value)
        for text in outcome.violations:
            limit = constraint.parse(text, METRICS)
            if limit.metric not in COUNTED:
                self._limits[text] = limit
        if outcome.status == "ok":
            self._enter(arch, row, outcome)

    def propose(self, rng: random.Random, allowed: Allowed) -> Arch | None:
        front, reference = self._front()
        candidates = self._candidates(rng, allowed, [tried.arch for tried, _ in front])
        if not candidates:
            return self._mutant(rng, front[0][0].arch) if front else None
        rows = np.array([self._features.row(arch) for arch in candidates])
        if len(self._tried) < START:
            gain = self._unlike(rows, rng)
        else:
            gain = expected_improvement(*self._predict(rows), [point for _, point in front], reference)
        return candidates[int(np.argmax(gain * self._keeps_limits(rows)))]

    def _enter(self, arch: Arch, row: np.ndarray, outcome: Outcome) -> None:
        """Keeps what has every objective. Of many, every second of the older half is forgotten but for the front."""
        losses = []
        for name in self.objectives:
            value = float(row[COST_COLUMNS[name]]) if name in COUNTED else _loss(name, outcome.metric(name))
            if value is None:
                return
            losses.append(value)
        self._tried.append(Tried(arch, row, tuple(losses)))
        if len(self._tried) >= MOST:
            best = moocore.is_nondominated([tried.losses for tried in self._tried], keep_weakly=True)
            self._tried = [
                tried
                for place, (tried, keep) in enumerate(zip(self._tried, best, strict=True))
                if keep or place % 2 or place >= MOST // 2
            ]

    def _front(self) -> tuple[list[tuple[Tried, Losses]], Losses]:
        """The front of the networks tried, each with its predicted point, and the reference point of the volume."""
        if not self._tried:
            return [], ()
        if len(self._tried) < START:
            points = np.array([tried.losses for tried in self._tried])
        else:
            points, _ = self._predict(np.array([tried.row for tried in self._tried]))
        low, high = points.min(0), points.max(0)
        places = np.flatnonzero(moocore.is_nondominated(points))
        while len(places) > self._most:
            distances = crowding([tuple(points[place]) for place in places], [0] * len(places))
            places = np.delete(places, distances.index(min(distances)))
        front = [(self._tried[place], tuple(map(float, points[place]))) for place in places]
        return front, tuple(map(float, high + MARGIN * (high - low)))

    @property
    def _most(self) -> int:
        """Points of the front: n of them make about n^(objectives - 1) boxes."""
        axes = len(self.objectives)
        return max(2, int(BOXES ** (1 / (axes - 1)))) if axes > 1 else 1

    def _candidates(self, rng: random.Random, allowed: Allowed, front: Sequence[Arch]) -> list[Arch]:
        if self.space.size <= FEW:
            return [arch for arch in self._all if allowed(arch)]
        found = [self.space.sample(rng) for _ in range(DRAWN)]
        if front:
            found += [self._mutant(rng, rng.choice(front)) for _ in range(MUTANTS)]
        return [arch for arch in found if allowed(arch)]

    @cached_property
    def _all(self) -> list[Arch]:
        return list(self.space)

    def _mutant(self, rng: random.Random, parent: Arch) -> Arch:
        child = self.space.mutate(parent, rng)
        return self.space.mutate(child, rng) if rng.random() < 0.5 else child

    def _unlike(self, rows: np.ndarray, rng: random.Random) -> np.ndarray:
        """How far each candidate is from the most similar network that was tried; a random one is first."""
        if not self._tried:
            return np.eye(len(rows))[rng.randrange(len(rows))]
        gaps = ((rows[:, None, :] - np.array([tried.row for tried in self._tried])) ** 2).sum(2)
        nearest: np.ndarray = gaps.min(1)
        return nearest

    def _predict(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of every objective (column) of each network (row), as losses."""
        mean, std = np.zeros((2, len(rows), len(self.objectives)))
        for axis, name in enumerate(self.objectives):
            if name in COUNTED:
                mean[:, axis] = rows[:, COST_COLUMNS[name]]
            else:
                mean[:, axis], std[:, axis] = self._regressions[name].predict(rows[:, self._features.used])
        return mean, std

    def _keeps_limits(self, rows: np.ndarray) -> np.ndarray:
        """The probability that each candidate does, as far as they are known and the metric can be predicted."""
        share = np.ones(len(rows))
        for limit in self._limits.values():
            regression, end = self._regressions[limit.metric], _loss(limit.metric, limit.limit)
            if len(regression) >= START and end is not None:
                mean, std = regression.predict(rows[:, self._features.used])
                below = ndtr((end - mean) / np.maximum(std, 1e-9))
                share *= below if (limit.operator == "<=") == (direction(limit.metric) == "minimize") else 1 - below
        return share


def _loss(name: str, value: float | None) -> float | None:
    """What is to be small: the logarithm of a metric of which less is better, the negative log odds of top1, else the
    negative value."""
    if value is None or not math.isfinite(value):
        return None
    if name == "top1":
        share = min(max(value / 100, EDGE), 1 - EDGE)
        return math.log((1 - share) / share)
    if direction(name) == "maximize":
        return -value
    return math.log(value) if value > 0 else None
