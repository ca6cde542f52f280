"""The tree-structured Parzen estimator as Optuna has it (multivariate), on a history of bounded length."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import optuna

from search_spaces import Arch
from studies.ledger import Curve, Outcome
from studies.samplers.base import Allowed, Problem, Tried, tried
from studies.samplers.optuna_trials import REDRAWS, as_trial, distributions, new_study, seed_from
from studies.samplers.ranking import remembered

# An ask costs 8 ms with 50 networks of 30 genes, 12 with 200, 27 with 800 (two shared cores). When there are MOST,
# half of them are forgotten (``ranking.remembered``).
MOST = 200


class TPE:
    """Optuna's sampler on what was learned, which it sorts into good and bad networks, and proposes what is more
    likely among the good."""

    def __init__(self, problem: Problem) -> None:
        self.space, self.objectives = problem.space, problem.objectives
        self._searched = distributions(problem.space)
        self._known: list[Tried] = []
        self._study = new_study(len(self.objectives))

    def learn(self, arch: Arch, outcome: Outcome, curve: Curve = ()) -> None:
        network = tried(arch, outcome, self.objectives)
        if network is None:
            return
        self._known.append(network)
        self._add([network])
        if len(self._known) == MOST:
            self._known = [self._known[index] for index in remembered(self._known)]
            self._study = new_study(len(self.objectives))
            self._add(self._known)

    def propose(self, rng: random.Random, allowed: Allowed) -> Arch | None:
        self._study.sampler = _Sampler(self._searched, seed_from(rng))
        for _ in range(REDRAWS):
            trial = self._study.ask(self._searched)
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)  # which Optuna's sampler does not look at
            if allowed(arch := self.space.from_genes(trial.params)):
                break
        return arch

    def _add(self, networks: Sequence[Tried]) -> None:
        self._study.add_trials(as_trial(n, self.space, self._searched, len(self.objectives)) for n in networks)


class _Sampler(optuna.samplers.TPESampler):
    """Optuna's sampler with what is searched given: to find it, it compares the distributions of all trials, which
    takes 90 % of an ask's time."""

    def __init__(self, searched: dict[str, Any], seed: int) -> None:
        super().__init__(multivariate=True, constant_liar=False, seed=seed)
        self._searched = searched

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return self._searched
