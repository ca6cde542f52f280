"""Search by prediction: what can be counted is counted, the rest is predicted from the networks tried so far.

In the spirit of arXiv 1912.00848 (predict the accuracy, try what is predicted to be best) and 1910.11858 (Bayesian
optimisation with a predictor that knows its doubt).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import moocore
import numpy as np
from scipy.special import ndtr

from search_spaces import Arch, constraint
from search_spaces.space import SearchSpace
from studies.ledger import Outcome
from studies.objectives import COUNTED, MEASURED, METRICS, direction
from studies.samplers.base import Allowed, Tried, tried
from studies.samplers.features import COST_COLUMNS, Features
from studies.samplers.improvement import expected_improvement
from studies.samplers.ranking import crowding, remembered
from studies.samplers.regression import Regression, as_loss, modelled

START = 6  # networks spread over the costs before the first prediction
FEW = 1000  # a space of no more networks is looked at whole; of a larger one
DRAWN = 60  # so many random networks
MUTANTS = 60  # and so many that differ from one of the front in one or two genes
MOST = 300  # networks that are remembered; then half of them are forgotten, see ``ranking.remembered``
BOXES = 1000  # what the front may be cut into (see ``improvement.boxes``), which bounds its size


@dataclass(frozen=True)
class Known:
    """values: what is predicted (``regression.modelled``) of the metrics that are known."""

    network: Tried
    row: np.ndarray
    values: dict[str, float]


@dataclass(frozen=True)
class Front:
    """What is believed to be the front of the networks tried: ``losses`` has a row for each and a column for each
    objective; ``reference`` is the worst of them all."""

    losses: np.ndarray
    archs: list[Arch]
    reference: np.ndarray


class Predictor:
    """Proposes the network that is expected to enlarge the hypervolume of the front most.

    Objectives in closed form are exact for any network; each other one is a regression on genes and costs, of which the
    networks tried get the fitted value too, so that a lucky trial does not hide what is better. A limit on a metric
    that is measured is heeded once it has rejected a network, by the probability that others keep it.
    """

    def __init__(self, space: SearchSpace, objectives: Sequence[str], num_classes: int) -> None:
        self.space, self.objectives = space, tuple(objectives)
        self._features = Features(space, num_classes)
        self._predicted = tuple(dict.fromkeys(name for name in (*METRICS, *objectives) if name not in COUNTED))
        self._limits: dict[str, constraint.Constraint] = {}
        self._known: list[Known] = []
        self._regressions: dict[str, Regression] = {}

    def learn(self, arch: Arch, outcome: Outcome) -> None:
        final = outcome.status in ("ok", "rejected")
        values = {name: modelled(name, outcome.metric(name)) for name in self._predicted if final or name in MEASURED}
        network = tried(arch, outcome, self.objectives) or Tried(arch, None, np.inf)
        known = {name: value for name, value in values.items() if value is not None}
        self._known.append(Known(network, self._features.row(arch), known))
        self._regressions = {}
        if len(self._known) == MOST:
            self._known = [self._known[index] for index in remembered([known.network for known in self._known])]
        for text in outcome.violations:
            limit = constraint.parse(text, METRICS)
            if limit.metric not in COUNTED:
                self._limits[text] = limit

    def propose(self, rng: random.Random, allowed: Allowed) -> Arch | None:
        finished = [known for known in self._known if known.network.losses is not None]
        front = self._front(finished) if len(finished) >= START else None
        candidates = self._candidates(rng, allowed, front)
        if not candidates:
            return rng.choice(front.archs) if front else None
        rows = np.array([self._features.row(arch) for arch in candidates])
        if front:
            gain = expected_improvement(*self._losses(rows), front.losses, front.reference)
        else:
            gain = self._spread(rows, rng)
        return candidates[int(np.argmax(gain * self._keeps_limits(rows)))]

    def _candidates(self, rng: random.Random, allowed: Allowed, front: Front | None) -> list[Arch]:
        if self.space.size <= FEW:
            return [arch for arch in self._all if allowed(arch)]
        found = [self.space.sample(rng) for _ in range(DRAWN)]
        for parent in rng.choices(front.archs, k=MUTANTS) if front else []:
            child = self.space.mutate(parent, rng)
            found.append(self.space.mutate(child, rng) if rng.random() < 0.5 else child)
        return [arch for arch in found if allowed(arch)]

    @cached_property
    def _all(self) -> list[Arch]:
        return list(self.space)

    def _spread(self, rows: np.ndarray, rng: random.Random) -> np.ndarray:
        """How far each candidate's MACs are, as a logarithm, from those of any network that was tried; for the first
        one, how near they are to a random place."""
        macs = rows[:, COST_COLUMNS["macs"]]
        if not self._known:
            return -np.abs(macs - rng.uniform(macs.min(), macs.max()))
        others = np.array([known.row[COST_COLUMNS["macs"]] for known in self._known])
        distance: np.ndarray = np.abs(macs[:, None] - others).min(1)
        return distance

    def _front(self, finished: Sequence[Known]) -> Front:
        losses, _ = self._losses(np.array([known.row for known in finished]))
        best = np.flatnonzero(moocore.is_nondominated(losses))
        axes = len(self.objectives)  # n points make about n^(axes - 1) boxes
        if axes > 1 and len(best) > (most := int(BOXES ** (1 / (axes - 1)))):
            distances = crowding(list(map(tuple, losses[best])), [0] * len(best))
            best = best[np.argsort(distances)[-most:]]
        return Front(losses[best], [finished[int(index)].network.arch for index in best], losses.max(0))

    def _losses(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each network's objectives, a column each."""
        means, stds = np.zeros((2, len(rows), len(self.objectives)))
        for axis, name in enumerate(self.objectives):
            if name in COUNTED:
                means[:, axis] = rows[:, COST_COLUMNS[name]]
            else:
                means[:, axis], stds[:, axis] = as_loss(name, *self._regression(name).predict(rows))
        return means, stds

    def _keeps_limits(self, rows: np.ndarray) -> np.ndarray:
        """The probability that each network does, as far as limits are known and their metrics can be predicted."""
        share = np.ones(len(rows))
        for limit in self._limits.values():
            end = modelled(limit.metric, limit.limit)
            if end is not None and sum(limit.metric in known.values for known in self._known) >= START:
                mean, std = self._regression(limit.metric).predict(rows)
                below = ndtr((end - mean) / np.maximum(std, 1e-9))
                share *= below if (limit.operator == "<=") == (direction(limit.metric) == "minimize") else 1 - below
        return share

    def _regression(self, metric: str) -> Regression:
        """On all that is remembered; kept until more is learned."""
        if metric not in self._regressions:
            known = [(known.row, known.values[metric]) for known in self._known if metric in known.values]
            rows, values = zip(*known, strict=True)
            self._regressions[metric] = Regression(np.array(rows), np.array(values))
        return self._regressions[metric]
