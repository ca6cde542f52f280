"""Regularised evolution (arXiv 1802.01548) for several objectives."""

from __future__ import annotations

import random
from collections import deque

from search_spaces import Arch
from studies.ledger import Curve, Outcome
from studies.samplers.base import Allowed, Problem, Tried, tried
from studies.samplers.random_search import RandomSearch
from studies.samplers.ranking import fitness

TRIES = 16  # children with one mutation before those with two are tried, and so on
MUTATIONS = 6


class Evolution:
    """The youngest ``population`` networks that ended ``ok`` breed: the best of a random quarter of them is mutated.

    Best is by non-dominated rank, then by crowding distance. While too few are ``ok``, the rejected networks that broke
    the limits least stand in. Until there are ``population`` of both, networks are drawn at random.
    """

    def __init__(self, problem: Problem) -> None:
        self.space, self.objectives, self.population = problem.space, problem.objectives, problem.population
        self._random = RandomSearch(problem)
        self._alive: deque[Tried] = deque(maxlen=problem.population)
        self._rejected: list[Tried] = []
        self._fitness: list[tuple[tuple[float, ...], Arch]] = []  # of those that breed; empty when out of date

    def learn(self, arch: Arch, outcome: Outcome, curve: Curve = ()) -> None:
        network = tried(arch, outcome, self.objectives)
        if network is None:
            return
        self._fitness = []
        if network.losses is not None:
            self._alive.append(network)
        else:
            nearest = sorted([*self._rejected, network], key=lambda other: other.violation)
            self._rejected = nearest[: self.population]

    def propose(self, rng: random.Random, allowed: Allowed) -> Arch | None:
        if len(self._alive) + len(self._rejected) < self.population or not self.space.parameters:
            return self._random.propose(rng, allowed)
        if not self._fitness:
            breeders = [*self._alive, *self._rejected][: self.population]
            self._fitness = list(zip(fitness(breeders), [network.arch for network in breeders], strict=True))
        contest = rng.sample(self._fitness, max(2, self.population // 4))
        _, parent = min(contest, key=lambda pair: pair[0])
        for mutations in range(1, MUTATIONS + 1):
            for _ in range(TRIES):
                child = parent
                for _ in range(mutations):
                    child = self.space.mutate(child, rng)
                if allowed(child):
                    return child
        return child
