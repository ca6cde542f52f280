"""What a search optimises: the figures of a trial and which way each of them is better."""

from __future__ import annotations

from collections.abc import Sequence

from search_spaces import UserError
from studies.ledger import TrialRecord

DIRECTIONS = {
    "top1": "maximize",
    "latency_ms": "minimize",
    "macs": "minimize",
    "params": "minimize",
    "activations": "minimize",
}


def direction(name: str) -> str:
    """``maximize`` or ``minimize``."""
    return DIRECTIONS[name]


def check(objectives: Sequence[str]) -> tuple[str, ...]:
    """The objectives as a tuple. Raises UserError on an unknown or repeated one, or none."""
    for name in objectives:
        if name not in DIRECTIONS:
            raise UserError(f"objectives: {name!r} is not one of {', '.join(DIRECTIONS)}")
    if not objectives or len(set(objectives)) != len(objectives):
        raise UserError(f"objectives: {list(objectives)} must name each objective once, and at least one")
    return tuple(objectives)


def values(trial: TrialRecord, objectives: Sequence[str]) -> list[float] | None:
    """The trial's value for each objective; None unless it finished ``ok`` and all of them are known."""
    found = [trial.metric(name) for name in objectives] if trial.status == "ok" else [None]
    return [float(value) for value in found if value is not None] if None not in found else None
