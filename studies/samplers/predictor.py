"""Search by prediction: what can be counted is counted, the rest is predicted from the networks tried so far.

In the spirit of arXiv 1912.00848 (predict the accuracy, try what is predicted to be best) and 1910.11858 (Bayesian
optimisation with a predictor that knows its doubt).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property

import moocore
import numpy as np

from search_spaces import Arch
from studies.ledger import Curve, Outcome
from studies.samplers.base import Allowed, Problem
from studies.samplers.belief import START, Belief
from studies.samplers.features import COST_COLUMNS, Features
from studies.samplers.improvement import expected_improvement
from studies.samplers.ranking import crowding

FEW = 1000  # a space of no more networks is looked at whole; of a larger one
DRAWN = 60  # so many random networks
MUTANTS = 60  # and so many that differ from one of the front in one or two genes
BOXES = 1000  # what the front may be cut into (see ``improvement.boxes``), which bounds its size


@dataclass(frozen=True)
class Front:
    """What is believed to be the front of the networks tried: ``losses`` has a row for each and a column for each
    objective; ``reference`` is the worst of them all."""

    losses: np.ndarray
    archs: list[Arch]
    reference: np.ndarray


class Predictor:
    """Proposes the network that is expected to enlarge the hypervolume of the front most.

    The networks tried count with their predicted values too, so that a lucky trial does not hide what is better. Before
    anything can be predicted, networks are spread over the MACs. A limit on a metric that is measured is heeded once it
    has rejected a network, by the probability that others keep it.
    """

    def __init__(self, problem: Problem) -> None:
        self.space, self.objectives = problem.space, problem.objectives
        self._features = Features(problem.space, problem.num_classes)
        self._belief = Belief(problem.objectives)

    def learn(self, arch: Arch, outcome: Outcome, curve: Curve = ()) -> None:
        self._belief.learn(arch, self._features.row(arch), outcome, curve)

    def propose(self, rng: random.Random, allowed: Allowed) -> Arch | None:
        front = self._front()
        candidates = self._candidates(rng, allowed, front)
        if not candidates:
            return rng.choice(front.archs) if front else None
        rows = np.array([self._features.row(arch) for arch in candidates])
        if front:
            gain = expected_improvement(*self._belief.losses(rows), front.losses, front.reference)
        else:
            gain = self._spread(rows, rng)
        return candidates[int(np.argmax(gain * self._belief.keeps_limits(rows)))]

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
        if not self._belief.known:
            return -np.abs(macs - rng.uniform(macs.min(), macs.max()))
        others = np.array([known.row[COST_COLUMNS["macs"]] for known in self._belief.known])
        distance: np.ndarray = np.abs(macs[:, None] - others).min(1)
        return distance

    def _front(self) -> Front | None:
        """None until enough trials are finished."""
        finished = self._belief.finished
        if len(finished) < START:
            return None
        losses, _ = self._belief.losses(np.array([known.row for known in finished]))
        best = np.flatnonzero(moocore.is_nondominated(losses))
        axes = len(self.objectives)  # n points make about n^(axes - 1) boxes
        if axes > 1 and len(best) > (most := int(BOXES ** (1 / (axes - 1)))):
            distances = crowding(list(map(tuple, losses[best])), [0] * len(best))
            best = best[np.argsort(distances)[-most:]]
        return Front(losses[best], [finished[int(index)].network.arch for index in best], losses.max(0))
