"""Uniform random search: the yardstick for the others."""

from __future__ import annotations

import random

from search_spaces import Arch
from studies.ledger import Curve, Outcome
from studies.samplers.base import Allowed, Problem

DRAWS = 5000


class RandomSearch:
    """Every allowed network with equal probability: drawn from the whole space until one is allowed."""

    def __init__(self, problem: Problem) -> None:
        self.space = problem.space

    def propose(self, rng: random.Random, allowed: Allowed) -> Arch | None:
        for _ in range(DRAWS):
            if allowed(arch := self.space.sample(rng)):
                return arch
        return None

    def learn(self, arch: Arch, outcome: Outcome, curve: Curve = ()) -> None:
        """Nothing."""
