"""NSGA-II (Deb et al. 2002) as Optuna has it, given one generation at a time instead of all trials."""

from __future__ import annotations

import random
from typing import Any

import optuna

from search_spaces import Arch
from studies.ledger import Curve, Outcome
from studies.samplers.base import Allowed, Problem, tried
from studies.samplers.optuna_trials import REDRAWS, as_trial, distributions, new_study, seed_from


class NSGA2:
    """Holds the parents, and their children as they are learned; when those are ``population`` many, Optuna selects the
    next parents from both. So an ask costs the same after ten trials and after ten thousand."""

    def __init__(self, problem: Problem) -> None:
        self.space, self.objectives, self.population = problem.space, problem.objectives, problem.population
        self._searched = distributions(problem.space)
        self._parents: list[optuna.trial.FrozenTrial] = []
        self._children: list[optuna.trial.FrozenTrial] = []

    def learn(self, arch: Arch, outcome: Outcome, curve: Curve = ()) -> None:
        network = tried(arch, outcome, self.objectives)
        if network is None:
            return
        self._children.append(as_trial(network, self.space, self._searched, len(self.objectives)))
        if len(self._children) == self.population:
            pool = new_study(len(self.objectives))
            pool.add_trials([*self._parents, *self._children])  # numbers them, by which crowding tells them apart
            self._parents = _Generation(pool.trials, {}, self.population).select_parent(pool, generation=1)
            self._children = []

    def propose(self, rng: random.Random, allowed: Allowed) -> Arch | None:
        study = new_study(len(self.objectives))
        study.sampler = _Generation(self._parents, self._searched, self.population, seed_from(rng))
        for _ in range(REDRAWS):
            arch = self.space.from_genes(study.ask(self._searched).params)
            if allowed(arch):
                break
        return arch


class _Generation(optuna.samplers.NSGAIISampler):
    """Optuna's sampler with the population and what is searched given, where it would go through a study's trials."""

    def __init__(self, given: list[Any], searched: dict[str, Any], population: int, seed: int | None = None) -> None:
        super().__init__(population_size=population, seed=seed)
        self._given, self._searched = given, searched

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return self._searched

    def get_trial_generation(self, study: Any, trial: Any) -> int:
        return 1

    def get_population(self, study: Any, generation: int) -> list[Any]:
        return self._given

    def get_parent_population(self, study: Any, generation: int) -> list[Any]:
        return self._given if generation else []
