"""Scalar rewards of published searches: accuracy and its price as one number, to be maximised.

``mnasnet`` or ``mnasnet:T``: ACC * (LAT / T)^-0.07 (arXiv 1807.11626, eqs. 2 and 3 with both exponents at their
    "soft constraint" value), ACC top-1 in percent, LAT in ms, T in ms, 10 where it is not given. Since the exponent is
    the same on either side of T, T scales all rewards alike and cannot change a ranking: it is the latency at which the
    reward equals the accuracy, nothing else. For a limit, use a constraint.
``v2``: A * S^-0.07 * P^-0.05 (arXiv 2104.00298, section 3.3), A top-1 in percent, S the measured time of a training
    step in s, P parameters in millions. The paper normalises S, which again scales all rewards alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from search_spaces import UserError

DEFAULT_T_MS = 10.0
LATENCY_EXPONENT, STEP_TIME_EXPONENT, PARAMS_EXPONENT = -0.07, -0.07, -0.05


@dataclass(frozen=True)
class Reward:
    """form: how it is written. ingredients: metrics, the accuracy first and then prices, which are above 0.
    of: (T, *ingredients) -> the reward. target: T where none is given; None: it takes no T."""

    form: str
    ingredients: tuple[str, ...]
    of: Callable[..., float]
    target: float | None = None


def _mnasnet(target_ms: float, top1: float, latency_ms: float) -> float:
    return top1 * math.pow(latency_ms / target_ms, LATENCY_EXPONENT)


def _v2(_: None, top1: float, step_time_s: float, params: float) -> float:
    return top1 * math.pow(step_time_s, STEP_TIME_EXPONENT) * math.pow(params / 1e6, PARAMS_EXPONENT)


REWARDS = {
    "mnasnet": Reward("mnasnet[:T]", ("top1", "latency_ms"), _mnasnet, DEFAULT_T_MS),
    "v2": Reward("v2", ("top1", "step_time_s", "params"), _v2),
}
INGREDIENTS = {name: reward.ingredients for name, reward in REWARDS.items()}
FORMS = tuple(reward.form for reward in REWARDS.values())


def name(text: str) -> str | None:
    """The reward that ``text`` names, without its T; None where it names none. Raises UserError on a wrong T."""
    kind, colon, argument = text.partition(":")
    if kind not in REWARDS:
        return None
    if colon:
        _target(kind, argument)
    return kind


def value(text: str, metric: Callable[[str], float | None]) -> float | None:
    """The reward for what ``metric`` says of each ingredient; None where one is unknown or a price is not above 0."""
    kind, _, argument = text.partition(":")
    reward = REWARDS[kind]
    accuracy, *prices = (metric(ingredient) for ingredient in reward.ingredients)
    known = [price for price in prices if price is not None and price > 0]
    if accuracy is None or len(known) < len(prices):
        return None
    return reward.of(_target(kind, argument) if argument else reward.target, accuracy, *known)


def _target(kind: str, argument: str) -> float:
    takes = REWARDS[kind].target is not None
    try:
        target = float(argument) if takes else 0.0
    except ValueError:
        target = 0.0
    if not 0 < target < math.inf:
        allowed = "T must be a latency in ms, a finite number > 0" if takes else "takes no argument"
        raise UserError(f"objectives: {kind}:{argument}: {allowed}")
    return target
