"""Whether a space holds a network that keeps a limit on a counted cost."""

from __future__ import annotations

from collections.abc import Iterable

from search_spaces import cost
from search_spaces.constraint import Constraint
from search_spaces.errors import UserError
from search_spaces.extremes import extreme
from search_spaces.space import SearchSpace


def bounds(space: SearchSpace, constraints: Iterable[Constraint], num_classes: int) -> str:
    """The least (for >=: the most) of each limited counted cost in the space: ``macs at least 163,776``."""
    found: dict[str, None] = {}
    for limit in constraints:
        if limit.metric in cost.Cost._fields:
            bound, best = _best(space, limit, num_classes)
            found[f"{limit.metric} {bound} {best:,}"] = None
    return ", ".join(found)


def check_feasible(space: SearchSpace, constraints: Iterable[Constraint], num_classes: int) -> None:
    """Raises UserError on the first constraint on a counted cost that every network of the space breaks.

    Exact for each constraint alone; no network may keep all of them together. Other metrics are not looked at.
    """
    for limit in constraints:
        if limit.metric not in cost.Cost._fields:
            continue
        bound, best = _best(space, limit, num_classes)
        if limit.violation(best):
            raise UserError(
                f"constraint: {limit} rejects every network of space {space.name}: "
                f"with {num_classes} classes each has {bound} {best:,} {limit.metric}"
            )


def _best(space: SearchSpace, limit: Constraint, num_classes: int) -> tuple[str, int]:
    """What comes closest to keeping the limit, and on which side of it all networks lie."""
    largest = limit.operator == ">="
    arch = extreme(space, limit.metric, num_classes, largest=largest)
    return "at most" if largest else "at least", cost.count(arch, num_classes)._asdict()[limit.metric]
