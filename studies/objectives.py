"""What a search optimises and limits: the metrics of a trial, which way each is better, and when it is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from search_spaces import UserError
from studies import rewards
from studies.ledger import TrialRecord

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Metric:
    """known: ``counted`` in closed form, ``measured`` on the built network before it is trained, or ``trained``: known
    during or after training only."""

    direction: Direction
    known: Literal["counted", "measured", "trained"]


# The one list of metrics: what may be an objective, what a constraint may limit, what a report has a unit for.
METRICS = {
    "top1": Metric("maximize", "trained"),
    "val_loss": Metric("minimize", "trained"),
    "latency_ms": Metric("minimize", "measured"),
    "macs": Metric("minimize", "counted"),
    "params": Metric("minimize", "counted"),
    "activations": Metric("minimize", "counted"),
    "step_time_s": Metric("minimize", "trained"),
    "peak_memory_mb": Metric("minimize", "trained"),
}
COUNTED = tuple(name for name, metric in METRICS.items() if metric.known == "counted")
MEASURED = tuple(name for name, metric in METRICS.items() if metric.known == "measured")


def direction(name: str) -> Direction:
    """``maximize`` or ``minimize``; a reward (studies.rewards) is maximised."""
    return METRICS[name].direction if name in METRICS else "maximize"


def check(objectives: Sequence[str]) -> tuple[str, ...]:
    """The objectives as a tuple. Raises UserError on none, an unknown or a repeated one; two T of one reward, which
    rank alike, are a repetition."""
    kinds = [name if name in METRICS else rewards.name(name) for name in objectives]
    if None in kinds:
        unknown = objectives[kinds.index(None)]
        raise UserError(f"objectives: {unknown!r} is not one of {', '.join((*METRICS, *rewards.FORMS))}")
    if not objectives or len(set(kinds)) != len(kinds):
        raise UserError(f"objectives: {list(objectives)} must name each objective once, and at least one")
    return tuple(objectives)


def values(trial: TrialRecord, objectives: Sequence[str]) -> list[float] | None:
    """The trial's value for each objective; None unless it finished ``ok`` and all of them are known."""
    found = [trial.metric(name) for name in objectives] if trial.status == "ok" else [None]
    return [float(value) for value in found if value is not None] if None not in found else None
