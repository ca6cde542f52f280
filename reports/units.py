"""How a figure of a trial is written, name, unit and digits: the same in the terminal, the page and the axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studies.ledger import Latency, TrialRecord


@dataclass(frozen=True)
class Unit:
    name: str
    symbol: str
    scale: float

    @property
    def label(self) -> str:
        return f"{self.name} ({self.symbol})"


UNITS = {
    "top1": Unit("top-1 accuracy", "%", 1),
    "latency_ms": Unit("latency", "ms", 1),
    "macs": Unit("MACs", "M", 1e6),
    "params": Unit("parameters", "M", 1e6),
    "activations": Unit("activations", "M", 1e6),
}
FLAG = "*"


def costs(objectives: Sequence[str]) -> list[str]:
    """The costs worth a column and a panel: activations only where they are an objective."""
    return [name for name in UNITS if name != "top1" and (name != "activations" or name in objectives)]


def digits(metric: str, value: float | None) -> str:
    """``value`` in the metric's unit, without the unit; a dash where unknown."""
    if value is None:
        return "-"
    scaled = value / UNITS[metric].scale
    return f"{scaled:,.{2 if metric == 'top1' else _decimals(scaled)}f}"


def quantity(metric: str, value: float | None) -> str:
    return f"{digits(metric, value)} {UNITS[metric].symbol}" if value is not None else "-"


def figure(trial: TrialRecord, metric: str) -> str:
    """A trial's figure for a table cell, without unit; latency comes with its spread and flag: ``4.210 ± 0.030*``."""
    latency = trial.outcome.latency if trial.outcome else None
    if metric != "latency_ms" or latency is None:
        return digits(metric, trial.metric(metric))
    spread = f"{latency.iqr_ms:.{_decimals(latency.p50_ms)}f}"
    return f"{digits(metric, latency.p50_ms)} ± {spread}{FLAG if is_flagged(latency) else ''}"


def is_flagged(latency: Latency | None) -> bool:
    return latency is not None and latency.status != "ok"


def _decimals(scaled: float) -> int:
    """About four significant digits, so that neighbours on a front do not look equal."""
    return 1 if abs(scaled) >= 100 else 2 if abs(scaled) >= 10 else 3
