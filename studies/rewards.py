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

from search_spaces import UserError

INGREDIENTS = {"mnasnet": ("top1", "latency_ms"), "v2": ("top1", "step_time_s", "params")}
FORMS = ("mnasnet[:T]", "v2")
DEFAULT_T_MS = 10.0
LATENCY_EXPONENT, STEP_TIME_EXPONENT, PARAMS_EXPONENT = -0.07, -0.07, -0.05


def name(text: str) -> str | None:
    """The reward that ``text`` names, without its T; None where it names none. Raises UserError on a wrong T."""
    kind, colon, argument = text.partition(":")
    if kind not in INGREDIENTS:
        return None
    if colon:
        _target(kind, argument)
    return kind


def value(text: str, metric: Callable[[str], float | None]) -> float | None:
    """The reward for what ``metric`` says of each ingredient; None where one is unknown or a price is not above 0."""
    kind, _, argument = text.partition(":")
    accuracy, *prices = (metric(ingredient) for ingredient in INGREDIENTS[kind])
    known = [price for price in prices if price is not None and price > 0]
    if accuracy is None or len(known) < len(prices):
        return None
    if kind == "mnasnet":
        target = _target(kind, argument) if argument else DEFAULT_T_MS
        return accuracy * math.pow(known[0] / target, LATENCY_EXPONENT)
    step_time_s, params = known
    return accuracy * math.pow(step_time_s, STEP_TIME_EXPONENT) * math.pow(params / 1e6, PARAMS_EXPONENT)


def _target(kind: str, argument: str) -> float:
    try:
        target = float(argument) if kind == "mnasnet" else 0.0
    except ValueError:
        target = 0.0
    if not 0 < target < math.inf:
        allowed = "takes no argument" if kind != "mnasnet" else "T must be a latency in ms, a finite number > 0"
        raise UserError(f"objectives: {kind}:{argument}: {allowed}")
    return target
