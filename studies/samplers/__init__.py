"""How networks are proposed: each sampler a small class that knows nothing of trials under way, resuming or limits."""

from __future__ import annotations

from collections.abc import Sequence

from search_spaces import UserError
from search_spaces.space import SearchSpace
from studies.objectives import check
from studies.samplers.base import Allowed, Sampler
from studies.samplers.evolution import Evolution
from studies.samplers.random_search import RandomSearch

SAMPLERS = ("random", "evolution", "tpe", "nsga2", "predictor")

__all__ = ["SAMPLERS", "Allowed", "Sampler", "make", "population_for"]


def population_for(trials: int | None) -> int:
    """The population for a budget: a fifth of the trials, from 8 to 50 (Optuna's default); 32 for an open end.
    Selection begins only once a population is complete, so 50 would leave a search of 60 trials nearly random."""
    return 32 if trials is None else min(50, max(8, trials // 5))


def make(name: str, space: SearchSpace, objectives: Sequence[str], population: int, num_classes: int = 1000) -> Sampler:
    """One of SAMPLERS. Raises UserError where an argument is out of range.

    population: of evolution and nsga2; the others have none. num_classes: of the networks that are trained, for what
    the predictor counts.
    """
    objectives = check(objectives)
    if population < 2:
        raise UserError(f"population: {population} is not an integer >= 2")
    if name == "random":
        return RandomSearch(space)
    if name == "evolution":
        return Evolution(space, objectives, population)
    if name == "nsga2":
        from studies.samplers.nsga2 import NSGA2

        return NSGA2(space, objectives, population)
    if name == "tpe":
        from studies.samplers.tpe import TPE

        return TPE(space, objectives)
    if name == "predictor":
        from studies.samplers.predictor import Predictor

        return Predictor(space, objectives, num_classes)
    raise UserError(f"sampler: {name!r} is not one of {', '.join(SAMPLERS)}")
