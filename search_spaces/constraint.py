"""Limits on a network's figures, written as a user writes them: ``params<=6e6``, ``latency_ms<=8``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from search_spaces.errors import UserError

_FORM = re.compile(r"\s*([a-z0-9_]+)\s*(<=|>=)\s*([0-9.eE+-]+)\s*")


@dataclass(frozen=True)
class Constraint:
    """A limit on a figure: ``macs<=3e8``. operator: ``<=`` or ``>=``. limit: above 0, in the metric's unit."""

    metric: str
    operator: str
    limit: float

    def __str__(self) -> str:
        short, whole = f"{self.limit:g}", f"{self.limit:.0f}"
        exact = next((text for text in (short, whole) if float(text) == self.limit), str(self.limit))
        return f"{self.metric}{self.operator}{exact}"

    def violation(self, value: float) -> float:
        """How far ``value`` is over the limit as a share of it; 0.0 where the limit holds."""
        excess = value - self.limit if self.operator == "<=" else self.limit - value
        return max(0.0, excess / self.limit)


def parse(text: str, metrics: Iterable[str]) -> Constraint:
    """``METRIC<=NUMBER`` or ``METRIC>=NUMBER`` with one of ``metrics``. Raises UserError otherwise."""
    allowed = ", ".join(metrics)
    match = _FORM.fullmatch(text)
    if match is None:
        raise UserError(f"constraint: {text!r} is not of the form METRIC<=NUMBER or METRIC>=NUMBER, metrics: {allowed}")
    metric, operator, number = match.groups()
    if metric not in metrics:
        raise UserError(f"constraint: unknown metric {metric!r} in {text!r}, allowed are {allowed}")
    try:
        limit = float(number)
    except ValueError:
        limit = 0.0
    if not 0 < limit < math.inf:
        raise UserError(f"constraint: {number!r} in {text!r} is not a finite number > 0")
    return Constraint(metric, operator, limit)


def violations(constraints: Iterable[Constraint], figures: Mapping[str, float | None]) -> dict[str, float]:
    """``violation`` for each constraint that the known ``figures`` break; unknown figures break nothing."""
    broken = {}
    for constraint in constraints:
        value = figures.get(constraint.metric)
        if value is not None and (amount := constraint.violation(value)) > 0:
            broken[str(constraint)] = amount
    return broken
