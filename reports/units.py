"""How a figure of a trial is written, name, unit and digits: the same in the terminal, the page and the axes.

Which figures there are is ``studies.objectives.METRICS`` and, where they are objectives, ``studies.rewards``.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from search_spaces.constraint import Constraint
from studies import rewards
from studies.ledger import Latency, TrialRecord


@dataclass(frozen=True)
class Unit:
    """How a metric is shown: divided by ``scale``, with ``symbol`` behind it."""

    name: str
    symbol: str
    scale: float

    @property
    def label(self) -> str:
        """Of an axis or a column."""
        return f"{self.name} ({self.symbol})" if self.symbol else self.name


UNITS = {
    "top1": Unit("top-1 accuracy", "%", 1),
    "val_loss": Unit("validation loss", "nats", 1),
    "latency_ms": Unit("latency", "ms", 1),
    "macs": Unit("MACs", "M", 1e6),
    "params": Unit("parameters", "M", 1e6),
    "activations": Unit("activations", "M", 1e6),
    "step_time_s": Unit("training step", "ms", 1e-3),
    "peak_memory_mb": Unit("training memory", "MB", 1),
}
FLAG = "*"
Z = 1.96  # standard errors on either side that hold 95%
_ACCURACY = ("top1", "val_loss")
_ALWAYS = ("latency_ms", "macs", "params")


def unit(metric: str) -> Unit:
    """Of a metric or a reward; a reward has none, and its own text for a name."""
    return UNITS[metric] if metric in UNITS else Unit(f"reward {metric}", "", 1)


def costs(objectives: Sequence[str], constraints: Sequence[Constraint] = ()) -> list[str]:
    """The costs worth a column and a panel: latency, MACs and parameters; others where they are an objective, in a
    reward, or limited."""
    asked = _asked(objectives, constraints)
    return [name for name in UNITS if name not in _ACCURACY and (name in _ALWAYS or name in asked)]


def columns(objectives: Sequence[str], constraints: Sequence[Constraint] = ()) -> list[str]:
    """The figures of a table of networks: top1, rewards that are objectives, the loss where it is asked for, costs."""
    given = [name for name in objectives if rewards.name(name)]
    loss = ["val_loss"] if "val_loss" in _asked(objectives, constraints) else []
    return ["top1", *given, *loss, *costs(objectives, constraints)]


def _asked(objectives: Sequence[str], constraints: Sequence[Constraint]) -> set[str]:
    parts = (part for name in objectives if (kind := rewards.name(name)) for part in rewards.INGREDIENTS[kind])
    return {*objectives, *parts, *(limit.metric for limit in constraints)}


def digits(metric: str, value: float | None) -> str:
    """``value`` in the metric's unit, without the unit; a dash where unknown."""
    if value is None:
        return "-"
    scaled = value / unit(metric).scale
    return f"{scaled:,.{2 if metric == 'top1' else _decimals(scaled)}f}"


def quantity(metric: str, value: float | None) -> str:
    """A metric's value with its unit; ``-`` where it is unknown."""
    return f"{digits(metric, value)} {unit(metric).symbol}".rstrip() if value is not None else "-"


def spread(top1: Sequence[float]) -> str:
    """Of several seeds, ``91.20 ± 0.35 (3)``: mean, standard deviation between them, how many."""
    if not top1:
        return "-"
    between = f" ± {digits('top1', statistics.stdev(top1))}" if len(top1) > 1 else ""
    return f"{digits('top1', statistics.fmean(top1))}{between} ({len(top1)})"


def figure(trial: TrialRecord, metric: str) -> str:
    """A trial's figure for a table cell, without unit; latency comes with its spread, and like a reward that rests on
    it with its flag: ``4.210 ± 0.030*``."""
    latency = trial.outcome.latency if trial.outcome else None
    text = digits(metric, trial.metric(metric))
    if latency is None or "latency_ms" not in _asked([metric], ()):
        return text
    spread = ""
    if metric == "latency_ms" and latency.p50_ms is not None and latency.iqr_ms is not None:
        spread = f" ± {latency.iqr_ms:.{_decimals(latency.p50_ms)}f}"
    return f"{text}{spread}{FLAG if is_flagged(latency) else ''}"


def is_flagged(latency: Latency | None) -> bool:
    """Whether it is marked: a check failed, its interval is wider than asked for, or there is no value."""
    return latency is not None and latency.status != "ok"


def _decimals(scaled: float) -> int:
    """About four significant digits, so that neighbours on a front do not look equal."""
    return 1 if abs(scaled) >= 100 else 2 if abs(scaled) >= 10 else 3


def plural(count: int, one: str, many: str = "") -> str:
    """``1 network``, ``2 networks``; many: where that is not ``one`` with an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"
