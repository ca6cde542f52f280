"""Between this project's values and Optuna's: networks as Optuna's trials, in quiet studies in memory."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

from search_spaces.space import SearchSpace
from studies.samplers.base import Tried

if TYPE_CHECKING:
    import optuna

REDRAWS = 6  # how often Optuna is asked before a network that is not allowed is handed on


def distributions(space: SearchSpace) -> dict[str, Any]:
    """Every gene is a categorical parameter."""
    from optuna.distributions import CategoricalDistribution

    return {name: CategoricalDistribution(values) for name, values in space.parameters.items()}


def as_trial(network: Tried, space: SearchSpace, searched: dict[str, Any], objectives: int) -> optuna.trial.FrozenTrial:
    """A complete trial; a rejected network's is infeasible, so that any other is preferred to it, and less violation
    to more."""
    from optuna.trial import create_trial

    return create_trial(
        params=space.genes(network.arch),
        distributions=searched,
        values=network.losses or [math.inf] * objectives,
        constraints={"limits": network.violation} if network.losses is None else None,
    )


def new_study(objectives: int) -> optuna.Study:
    """A study that minimises so many losses."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(directions=["minimize"] * objectives)


def seed_from(rng: random.Random) -> int:
    """A seed for numpy."""
    return rng.getrandbits(32)
