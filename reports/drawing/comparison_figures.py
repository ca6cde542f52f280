"""The fronts of several searches in one figure a cost. ``fronts`` computes plain data, ``draw`` turns them into a
Plotly figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from reports.drawing.canvas import AXIS, empty
from reports.drawing.legend import below, label, style
from reports.drawing.pareto import LOG_FROM
from reports.run import Run
from reports.units import UNITS, costs, is_flagged
from studies.ledger import TrialRecord
from studies.pareto import front

HEIGHT = 400  # pixels, without the legend


@dataclass(frozen=True)
class Mark:
    """A network on a front: x its cost in the axis's unit, y its top1 in percent."""

    number: int
    x: float
    y: float
    flagged: bool


@dataclass(frozen=True)
class Line:
    """One run's front of top1 and the cost, from cheap to dear. end: the cost of its dearest finished network.
    beaten: its finished networks that are not on it; missing: those without the cost or an accuracy."""

    name: str
    marks: tuple[Mark, ...]
    end: float
    beaten: int
    missing: int


@dataclass(frozen=True)
class Fronts:
    """The fronts of several searches, top-1 over one cost. cost: the metric's name."""

    cost: str
    lines: tuple[Line, ...]

    @property
    def log_x(self) -> bool:
        """Whether the costs span so much that their axis is logarithmic."""
        xs = [x for line in self.lines if line.marks for x in (line.marks[0].x, line.end)]
        return min(xs, default=0) > 0 and max(xs) > LOG_FROM * min(xs)


def common_costs(runs: Sequence[Run]) -> list[str]:
    """Those worth a figure (``units.costs``) that at least two runs know of a network with an accuracy."""
    objectives = [name for run in runs for name in run.objectives]
    limits = [limit for run in runs for limit in run.constraints]
    asked = costs(objectives, limits)
    return [cost for cost in asked if sum(bool(line.marks) for line in fronts(runs, cost).lines) > 1]


def fronts(runs: Sequence[Run], cost: str) -> Fronts:
    """``cost`` is any of ``UNITS`` but top1 and val_loss."""
    return Fronts(cost, tuple(_line(run, cost) for run in runs))


def _line(run: Run, cost: str) -> Line:
    finished = [trial for trial in run.networks if trial.status == "ok"]
    known = [mark for trial in finished if (mark := _mark(trial, cost))]
    marks = [mark for trial in front(run.networks, ("top1", cost)) if (mark := _mark(trial, cost))]
    end = max((mark.x for mark in known), default=0.0)
    return Line(run.name, tuple(marks), end, len(known) - len(marks), len(finished) - len(known))


def _mark(trial: TrialRecord, cost: str) -> Mark | None:
    x, y = trial.metric(cost), trial.metric("top1")
    if x is None or y is None or not (math.isfinite(x) and math.isfinite(y)):
        return None
    flagged = cost == "latency_ms" and trial.outcome is not None and is_flagged(trial.outcome.latency)
    return Mark(trial.number, x / UNITS[cost].scale, y, flagged)


def draw(data: Fronts) -> go.Figure:
    """A staircase a search, the better corner to the upper left."""
    drawing = empty(**below(HEIGHT, sum(bool(line.marks) for line in data.lines)))
    for place, line in enumerate(data.lines):
        if line.marks:
            _add(drawing, place, line, UNITS[data.cost].symbol)
    drawing.update_xaxes(title=UNITS[data.cost].label, type="log" if data.log_x else "linear", **AXIS)
    drawing.update_yaxes(title=UNITS["top1"].label, **AXIS)
    return drawing


def _add(drawing: go.Figure, place: int, line: Line, symbol: str) -> None:
    """The stairs, the marks, and what the legend shows of both, whatever the first mark looks like."""
    colour, shape, dash = style(place)
    xs, ys = np.array([mark.x for mark in line.marks]), np.array([mark.y for mark in line.marks])
    stairs = {"shape": "hv", "color": colour, "dash": dash, "width": 2}
    usual = {"legendgroup": str(place), "name": label(line.name), "showlegend": False}
    corners = {"x": np.append(xs, line.end), "y": np.append(ys, ys[-1])}
    drawing.add_scatter(**corners, mode="lines", line=stairs, hoverinfo="skip", **usual)
    flagged = [mark.flagged for mark in line.marks]
    symbols = [f"{shape}-open" if flag else shape for flag in flagged] if any(flagged) else shape
    drawing.add_scatter(
        x=xs,
        y=ys,
        customdata=np.array([mark.number for mark in line.marks]),
        mode="markers",
        marker={"color": colour, "size": 9, "symbol": symbols, "line": {"width": 2 * any(flagged), "color": colour}},
        hovertemplate=f"<b>%{{fullData.name}}</b>, trial %{{customdata}}<br>%{{y:.2f}} % at %{{x:.4~g}} {symbol}"
        "<extra></extra>",
        **usual,
    )
    marker = {"color": colour, "size": 9, "symbol": shape}
    shown = usual | {"showlegend": True}
    drawing.add_scatter(x=[None], y=[None], mode="lines+markers", line=stairs, marker=marker, **shown)


def caption(data: Fronts) -> str:
    """How to read the figure, and what is not in it."""
    drawn = [line for line in data.lines if line.marks]
    said = "Up and left is better: each line is the best top-1 that a run has found at this cost or below."
    said += " Logarithmic axis." if data.log_x else ""
    said += " Open marks: latency flagged." if any(mark.flagged for line in drawn for mark in line.marks) else ""
    beaten, missing = sum(line.beaten for line in data.lines), sum(line.missing for line in data.lines)
    out = [f"{beaten} finished networks that others of their run beat"] * bool(beaten)
    out += [f"{missing} without this figure"] * bool(missing)
    out += [f"{line.name} (nothing to show)" for line in data.lines if not line.marks]
    return f"{said} Not shown: {', '.join(out)}." if out else said
