"""Accuracy against cost, one panel a cost. ``panel`` computes plain data, ``draw`` turns them into a Plotly figure."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from reports.canvas import AXIS, empty
from reports.units import UNITS, figure, is_flagged, unit
from search_spaces.constraint import Constraint
from studies.ledger import TrialRecord
from studies.pareto import front

if TYPE_CHECKING:
    from reports.baselines import Baseline

# Okabe & Ito's palette, which colour-blind readers can tell apart; on white and on near-black alike.
FRONT, OTHER, LIMIT, PUBLISHED = "#0072B2", "#999999", "#D55E00", "#009E73"
HEIGHT = 400  # pixels
Box = tuple[float, float, float, float]  # left, low, right, high
# A name's letter, its line, and half a mark, as shares of what the points of a panel span, in three columns.
LETTER, LINE, MARK = 0.025, 0.05, 0.02
LOG_FROM = 5  # a cost that spans more than this factor gets a logarithmic axis


@dataclass(frozen=True)
class Point:
    """One ``ok`` trial: x is its cost in the axis's unit, y its top1 in percent; ``hover`` is HTML for Plotly.

    label: written beside the point. faded: drawn so that it stands back, as what is not to be chosen.
    """

    number: int
    x: float
    y: float
    on_front: bool
    flagged: bool
    hover: str
    label: str = ""
    faded: bool = False


@dataclass(frozen=True)
class Panel:
    """Top1 against one cost.

    stairs: corners of the step function "best top1 at or below this cost", up to the dearest point.
    on_front of a point: on the front of the *search's* objectives, so that a point looks the same in every panel; where
        this cost is not one of them, the stairs may pass through other points.
    limits: the search's constraints on either axis, as (axis, value in its unit, text).
    missing: ``ok`` trials without this cost or without top1, which cannot be shown.
    beside: published networks that were trained alike, with their names; those that break a limit are faded.
    """

    cost: str
    points: tuple[Point, ...]
    stairs: tuple[tuple[float, float], ...]
    limits: tuple[tuple[str, float, str], ...]
    missing: int
    beside: tuple[Point, ...] = ()

    @property
    def log_x(self) -> bool:
        xs = [point.x for point in (*self.points, *self.beside)]
        xs += [value for axis, value, _ in self.limits if axis == "x"]
        return min(xs, default=0) > 0 and max(xs) > LOG_FROM * min(xs)


def panel(
    trials: Sequence[TrialRecord],
    objectives: Sequence[str],
    cost: str,
    constraints: Sequence[Constraint] = (),
    baselines: Sequence[Baseline] = (),
) -> Panel:
    """The data of one panel; ``cost`` is any of ``UNITS`` but top1 and val_loss."""
    best = {trial.number for trial in front(trials, objectives)}
    scale = UNITS[cost].scale
    finished = [trial for trial in trials if trial.status == "ok"]
    drawn = (_point(trial, cost, hover(trial, objectives), trial.number in best) for trial in finished)
    points = [point for point in drawn if point]
    drawn = (
        _point(one.record, cost, hover(one.record, objectives, one.name, one.text), False, one.name, bool(one.beyond))
        for one in baselines
        if one.record.status == "ok"
    )
    beside = tuple(point for point in drawn if point)
    steps = [(trial.metric(cost), trial.metric("top1")) for trial in front(trials, ("top1", cost))]
    limits = tuple(
        ("y" if limit.metric == "top1" else "x", limit.limit / UNITS[limit.metric].scale, str(limit))
        for limit in constraints
        if limit.metric in ("top1", cost)
    )
    steps_up = stairs([(x / scale, y) for x, y in steps if x is not None and y is not None], (*points, *beside))
    return Panel(cost, tuple(points), steps_up, limits, len(finished) - len(points), beside)


def _point(
    trial: TrialRecord, cost: str, text: str, on_front: bool, label: str = "", faded: bool = False
) -> Point | None:
    x, y = trial.metric(cost), trial.metric("top1")
    if x is None or y is None or not (math.isfinite(x) and math.isfinite(y)):
        return None
    flagged = trial.outcome is not None and is_flagged(trial.outcome.latency)
    return Point(trial.number, x / UNITS[cost].scale, y, on_front, flagged, text, label, faded)


def hover(trial: TrialRecord, objectives: Sequence[str] = (), name: str = "", note: str = "") -> str:
    """Everything about one trial, or about a published network with its ``name`` and a note, in a few lines; free text
    is escaped, since Plotly reads tags."""
    outcome = trial.outcome
    lines = [f"<b>{name or f'trial {trial.number}'}</b> {trial.arch.id}", f"top-1 {figure(trial, 'top1')} %"]
    lines += [html.escape(note)] * bool(note)
    if outcome and outcome.latency:
        lines.append(f"latency {figure(trial, 'latency_ms')} ms (p50 ± IQR)")
        if is_flagged(outcome.latency):
            lines.append("* " + html.escape(", ".join((outcome.latency.status, *outcome.latency.reasons))))
    lines.append(f"MACs {figure(trial, 'macs')} M, parameters {figure(trial, 'params')} M")
    others = [name for name in objectives if name not in ("top1", "latency_ms", "macs", "params")]
    lines += [f"{unit(name).name} {figure(trial, name)} {unit(name).symbol}".rstrip() for name in others]
    lines.append(f"{trial.arch.resolution} px, stem {trial.arch.stem_channels}, head {trial.arch.head_channels}")
    return "<br>".join([*lines, *(stage.text for stage in trial.arch.stages)])


def draw(data: Panel) -> go.Figure:
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    margin = {"l": 56, "r": 16, "t": 48, "b": 48}
    drawing = empty(HEIGHT, margin=margin, showlegend=None, legend=legend)
    xs, ys = zip(*data.stairs, strict=True) if data.stairs else ((), ())
    drawing.add_scatter(x=xs, y=ys, mode="lines", name="best at this cost", line_color=FRONT, hoverinfo="skip")
    for faded, on_front, flagged in product((True, False), (False, True), (False, True)):
        chosen = [p for p in data.points if (p.faded, p.on_front, p.flagged) == (faded, on_front, flagged)]
        if chosen:
            name = "on the front" if on_front else "beyond a limit" if faded else "other"
            drawing.add_scatter(
                x=[point.x for point in chosen],
                y=[point.y for point in chosen],
                mode="markers+text" if any(point.label for point in chosen) else "markers",
                text=[html.escape(point.label) for point in chosen],
                textposition="top left",
                name=name + (", latency flagged" if flagged else ""),
                marker={
                    "color": FRONT if on_front else OTHER,
                    "size": 11 if on_front else 8,
                    "symbol": ("x" if faded else "circle") + ("-open" if flagged else ""),
                    "opacity": 0.65 if faded else 1,
                    "line": {"width": 2 if flagged else 0},
                },
                hovertext=[point.hover for point in chosen],
                hoverinfo="text",
            )
    _draw_beside(drawing, data)
    for axis, value, text in data.limits:
        # Plotly places a shape on a logarithmic axis by value, but its label by exponent; `label` follows the shape.
        line = {"dash": "dash", "color": LIMIT, "width": 1.5}
        label = {
            "text": html.escape(text),
            "font": {"color": LIMIT, "size": 11},
            "textposition": "end",
            "textangle": 0,
            "xanchor": "right",
        }
        drawing.add_shape(type="line", line=line, label=label, **_across(axis, value))
    drawing.update_xaxes(title=UNITS[data.cost].label, type="log" if data.log_x else "linear", **AXIS)
    drawing.update_yaxes(title=UNITS["top1"].label, **AXIS)
    return drawing


def _draw_beside(drawing: go.Figure, data: Panel) -> None:
    """The published networks as diamonds, their names on the sides where there is room."""
    for flagged in (False, True):
        sides = zip(data.beside, name_sides(data), strict=True)
        if chosen := [(point, side) for point, side in sides if point.flagged == flagged]:
            drawing.add_scatter(
                x=[point.x for point, _ in chosen],
                y=[point.y for point, _ in chosen],
                mode="markers+text",
                text=[html.escape(point.label) for point, _ in chosen],
                textposition=[side for _, side in chosen],
                name="published network" + (", latency flagged" if flagged else ""),
                marker={
                    "color": PUBLISHED,
                    "size": 11,
                    "symbol": "diamond-open" if flagged else "diamond",
                    "opacity": [0.5 if point.faded else 1.0 for point, _ in chosen],
                    "line": {"width": 2 if flagged else 0},
                },
                hovertext=[point.hover for point, _ in chosen],
                hoverinfo="text",
            )


def name_sides(data: Panel) -> list[str]:
    """Where the name of each of ``beside`` stands: one after another, on the side of its point where least of it is
    beyond the panel or over other points and names."""
    everything = [*data.beside, *data.points]
    xs = _unit([math.log(point.x) if data.log_x else point.x for point in everything])
    ys = _unit([point.y for point in everything])
    marks = list(zip(xs, ys, strict=True))
    taken: list[Box] = [(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in marks]
    sides = []
    for point, (x, y) in zip(data.beside, marks, strict=False):
        width = LETTER * len(point.label)
        boxes = {
            f"{rise} {side}": (x - width * (side == "left"), low, x + width * (side == "right"), low + LINE)
            for rise, low in (("top", y + MARK), ("bottom", y - MARK - LINE))
            for side in ("left", "right")
        }
        best = min(boxes, key=lambda side: _hidden(boxes[side], taken))
        taken.append(boxes[best])
        sides.append(best)
    return sides


def _unit(values: Sequence[float]) -> list[float]:
    """From 0 for the least to 1 for the most."""
    low, span = min(values, default=0.0), max(values, default=0.0) - min(values, default=0.0)
    return [(value - low) / (span or 1.0) for value in values]


def _hidden(box: Box, taken: Sequence[Box]) -> float:
    """How much of it would be beyond the panel's sides, or over ``taken``."""
    left, low, right, high = box
    beyond = (max(0.0, -left) + max(0.0, right - 1)) * (high - low)
    return beyond + sum(
        max(0.0, min(right, other[2]) - max(left, other[0])) * max(0.0, min(high, other[3]) - max(low, other[1]))
        for other in taken
    )


def _across(axis: str, value: float) -> dict[str, object]:
    """A line over the whole panel at ``value`` of one axis."""
    if axis == "x":
        return {"xref": "x", "x0": value, "x1": value, "yref": "y domain", "y0": 0, "y1": 1}
    return {"yref": "y", "y0": value, "y1": value, "xref": "x domain", "x0": 0, "x1": 1}


def stairs(steps: list[tuple[float, float]], points: Sequence[Point]) -> tuple[tuple[float, float], ...]:
    """Corners of the step function through ``steps`` (rising in x and y), extended to the largest x of all points."""
    if not steps:
        return ()
    corners = [steps[0]]
    for x, y in steps[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    corners.append((max(point.x for point in points), corners[-1][1]))
    return tuple(dict.fromkeys(corners))
