"""How networks are proposed: an Optuna study in memory, whose proposals do not hang on which parallel trial ends first.

Optuna is imported when a ``Proposer`` is made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from search_spaces import Arch, UserError
from studies.ledger import Outcome
from studies.objectives import DIRECTIONS, check

if TYPE_CHECKING:
    import optuna

SAMPLERS = ("random", "nsga2")
# How often a network that was proposed before is drawn again before it is accepted. Each draw stays in Optuna's study,
# which gets slower with its size, so a search that has converged must not draw without end.
REDRAWS = 4


class Space(Protocol):
    def suggest(self, trial: Any) -> Arch:
        """The network that ``trial.suggest_categorical(name, choices)`` leads to."""


def lag_for(concurrency: int) -> int:
    """The lag for so many trials at a time: 2 * (concurrency - 1), which is 0 for one at a time.

    concurrency - 1 is the least that keeps all slots busy, and then every slot waits for the oldest trial. Twice that
    lets the others run ahead of a slow one by as many trials again, at the price of older knowledge.
    """
    return 2 * (concurrency - 1)


def population_for(trials: int) -> int:
    """NSGA-II's population for a budget: a fifth of the trials, from 8 to 50 (Optuna's default). Selection begins only
    once a population is complete, so 50 would leave a search of 60 trials nearly random."""
    return min(50, max(8, trials // 5))


class Proposer:
    """Asked for trials 0, 1, 2, ... and told their outcomes in any order.

    lag: trial n is proposed from the outcomes of trials 0 to n-1-lag, no fewer and no more, told to Optuna in the order
        of their numbers. Proposals therefore depend on seed and outcomes, not on which parallel trial ends first, and
        replaying a ledger with the same lag rebuilds the same study. 0: one trial after another. It bounds how many
        trials can be under way (lag + 1); see ``lag_for``.
    population_size: of NSGA-II; see ``population_for``.
    """

    def __init__(
        self,
        space: Space,
        sampler: str,
        objectives: Sequence[str],
        seed: int,
        lag: int,
        population_size: int = 50,
    ) -> None:
        if sampler not in SAMPLERS:
            raise UserError(f"sampler: {sampler!r} is not one of {', '.join(SAMPLERS)}")
        if lag < 0:
            raise UserError(f"lag: {lag} is not an integer >= 0")
        if population_size < 2:
            raise UserError(f"population_size: {population_size} is not an integer >= 2")
        self.space = space
        self.objectives = check(objectives)
        self.lag = lag
        self.asked = 0
        self._told = 0
        self._study = _study(sampler, [DIRECTIONS[name] for name in self.objectives], seed, population_size)
        self._open: dict[int, optuna.Trial] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._seen: set[str] = set()

    def ask(self) -> tuple[int, Arch] | None:
        """The next trial's number and network; None: not before an earlier trial has finished.

        A network that was proposed before is drawn again, up to ``REDRAWS`` times: NSGA-II repeats itself, and a
        repetition costs as much as a new network.
        """
        while self._told < self.asked - self.lag:
            if self._told not in self._outcomes:
                return None
            self._pass_on(self._open.pop(self._told), self._outcomes.pop(self._told))
            self._told += 1
        trial, arch = self._draw()
        for _ in range(REDRAWS):
            if arch.id not in self._seen:
                break
            self._pass_on(trial, Outcome("failed"))
            trial, arch = self._draw()
        self._seen.add(arch.id)
        number = self.asked
        self._open[number] = trial
        self.asked += 1
        return number, arch

    def tell(self, number: int, outcome: Outcome) -> None:
        """Keeps the outcome until the trial whose proposal may use it is asked for."""
        self._outcomes[number] = outcome

    def _draw(self) -> tuple[optuna.Trial, Arch]:
        trial = self._study.ask()
        return trial, self.space.suggest(trial)

    def _pass_on(self, trial: optuna.Trial, outcome: Outcome) -> None:
        """ok: complete. rejected: complete with its violations as constraints, so that NSGA-II prefers any feasible
        network to it and less violation to more. stopped: pruned. failed, or an objective unknown: failed."""
        from optuna.trial import TrialState

        if outcome.status == "rejected":
            for constraint, amount in (outcome.violations or {"rejected": 1.0}).items():
                trial.set_constraint(constraint, amount)
            worst = [-math.inf if DIRECTIONS[name] == "maximize" else math.inf for name in self.objectives]
            self._study.tell(trial, worst)
            return
        values = [getattr(outcome, name) for name in self.objectives]
        if outcome.status == "ok" and not any(value is None or math.isnan(value) for value in values):
            self._study.tell(trial, values)
        else:
            self._study.tell(trial, state=TrialState.PRUNED if outcome.status == "stopped" else TrialState.FAIL)


def _study(sampler: str, directions: list[str], seed: int, population_size: int) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    chosen: optuna.samplers.BaseSampler
    if sampler == "random":
        chosen = optuna.samplers.RandomSampler(seed=seed)
    else:
        chosen = optuna.samplers.NSGAIISampler(seed=seed, population_size=population_size)
    return optuna.create_study(sampler=chosen, directions=directions)
