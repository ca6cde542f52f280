"""How networks are proposed: each sampler a small class that knows nothing of trials under way, resuming or limits."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from search_spaces import UserError
from search_spaces.space import SearchSpace
from studies.objectives import check
from studies.samplers.base import Allowed, Problem, Sampler

# The samplers by name; a class is imported when it is asked for, and is made of a Problem.
PLACES = {
    "random": "studies.samplers.random_search:RandomSearch",
    "evolution": "studies.samplers.evolution:Evolution",
    "tpe": "studies.samplers.tpe:TPE",
    "nsga2": "studies.samplers.nsga2:NSGA2",
    "predictor": "studies.samplers.predictor:Predictor",
}
SAMPLERS = tuple(PLACES)

__all__ = ["SAMPLERS", "Allowed", "Problem", "Sampler", "make", "population_for"]


def population_for(trials: int | None) -> int:
    """The population for a budget: a fifth of the trials, from 8 to 50 (Optuna's default); 32 for an open end.
    Selection begins only once a population is complete, so 50 would leave a search of 60 trials nearly random."""
    return 32 if trials is None else min(50, max(8, trials // 5))


def check_name(name: str) -> str:
    """The name, which is one of SAMPLERS, or a UserError."""
    if name not in PLACES:
        raise UserError(f"search.sampler: {name!r} is not one of {', '.join(SAMPLERS)}")
    return name


def make(name: str, space: SearchSpace, objectives: Sequence[str], population: int, num_classes: int = 1000) -> Sampler:
    """One of SAMPLERS. Raises UserError where an argument is out of range.

    population: of evolution and nsga2; the others have none. num_classes: of the networks that are trained, for what
    the predictor counts.
    """
    module, _, attribute = PLACES[check_name(name)].partition(":")
    problem = Problem(space, check(objectives), population, num_classes)
    made: Sampler = getattr(importlib.import_module(module), attribute)(problem)
    return made
