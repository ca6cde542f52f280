"""Draws accuracy against cost from what ``pareto`` computes."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reports.drawing.canvas import AXIS, FRONT, LIMIT, OTHER, PUBLISHED, empty
from reports.drawing.pareto import Panel, Point
from reports.units import UNITS

HEIGHT = 400  # pixels
MANY = 2_000  # points from which on they are drawn by the graphics card
PAD = 0.05  # of what the points span, beyond them on every side
BAND = "rgba(0,114,178,0.18)"
BEYOND = "rgba(213,94,0,0.07)"
Box = tuple[float, float, float, float]  # left, low, right, high
# A name's letter, its line, and half a mark, as shares of what the points of a panel span, in three columns.
LETTER, LINE, MARK = 0.025, 0.05, 0.02


def draw(data: Panel, keyed: bool = False) -> go.Figure:
    """keyed: points carry their numbers (those of ``beside`` with a b before them) instead of texts, for a page that
    shows its own."""
    drawing = empty(HEIGHT)
    _draw_limits(drawing, data)
    _draw_front(drawing, data)
    for faded, on_front, flagged in product((True, False), (False, True), (False, True)):
        if chosen := [p for p in data.points if (p.faded, p.on_front, p.flagged) == (faded, on_front, flagged)]:
            name = "on the front" if on_front else "beyond a limit" if faded else "other"
            named = any(point.label for point in chosen)
            kind = go.Scattergl if len(data.points) > MANY and not on_front else go.Scatter
            texts = {"text": [html.escape(point.label) for point in chosen], "textposition": "top left"}
            marker = {
                "color": FRONT if on_front else OTHER,
                "size": 11 if on_front else 8 if len(data.points) <= MANY else 5,
                "symbol": ("x" if faded else "circle") + ("-open" if flagged else ""),
                "opacity": 0.65 if faded else 1,
                "line": {"width": 2 if flagged else 0},
            }
            drawing.add_trace(
                kind(
                    **_places(chosen),
                    **(texts if named else {}),
                    **(_bars(chosen) if on_front else {}),
                    mode="markers+text" if named else "markers",
                    name=name + (", latency flagged" if flagged else ""),
                    marker=marker,
                    **_said(chosen, keyed),
                )
            )
    _draw_beside(drawing, data, keyed)
    drawing.update_xaxes(title=UNITS[data.cost].label, **_range([*_xs(data)], data.log_x), **AXIS)
    drawing.update_yaxes(title=UNITS["top1"].label, **_range([*_ys(data)], False), **AXIS)
    return drawing


def _places(points: Sequence[Point]) -> dict[str, Any]:
    return {"x": np.array([point.x for point in points]), "y": np.array([point.y for point in points])}


def _said(points: Sequence[Point], keyed: bool, prefix: str = "") -> dict[str, Any]:
    """What the reader is shown, or by what the page finds it."""
    if not keyed:
        return {"hovertext": [point.hover for point in points], "hoverinfo": "text"}
    numbers = np.array([point.number for point in points])
    return {"customdata": [f"{prefix}{n}" for n in numbers] if prefix else numbers, "hoverinfo": "none"}


def _bars(points: Sequence[Point]) -> dict[str, Any]:
    """95% intervals of a latency and of the accuracy, as far as they are known."""
    style = {"color": FRONT, "thickness": 1.2, "width": 3}
    found: dict[str, Any] = {}
    if any(point.x_ends for point in points):
        ends = [point.x_ends or (point.x, point.x) for point in points]
        high = [max(0.0, end[1] - point.x) for end, point in zip(ends, points, strict=True)]
        low = [max(0.0, point.x - end[0]) for end, point in zip(ends, points, strict=True)]
        found["error_x"] = {"array": high, "arrayminus": low, **style}
    if any(point.y_error for point in points):
        found["error_y"] = {"array": [point.y_error or 0.0 for point in points], **style}
    return found


def _draw_front(drawing: go.Figure, data: Panel) -> None:
    """What is best at each cost, and between what it is in truth."""
    if data.band:
        xs, low, high = zip(*data.band, strict=True)
        outline = {"x": np.array([*xs, *xs[::-1]]), "y": np.array([*high, *low[::-1]])}
        drawing.add_scatter(
            **outline, mode="lines", line_width=0, fill="toself", fillcolor=BAND, name="95% band", hoverinfo="skip"
        )
    xs, ys = zip(*data.stairs, strict=True) if data.stairs else ((), ())
    drawing.add_scatter(x=xs, y=ys, mode="lines", name="best at this cost", line_color=FRONT, hoverinfo="skip")


def _draw_limits(drawing: go.Figure, data: Panel) -> None:
    """A line at each limit, and a shade over what is beyond it."""
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
        drawing.add_shape(type="line", line=line, label=label, **_across(axis, value, value))
        below = axis == "y" or ">" in text
        values = [*(_ys(data) if axis == "y" else _xs(data)), value]
        end = min(values) / 10 if below else max(values) * 10
        shade = {"fillcolor": BEYOND, "line_width": 0, "layer": "below"}
        drawing.add_shape(type="rect", **shade, **_across(axis, value, end))


def _xs(data: Panel) -> list[float]:
    return [point.x for point in (*data.points, *data.beside)] + [v for axis, v, _ in data.limits if axis == "x"]


def _ys(data: Panel) -> list[float]:
    ends = [end for _, low, high in data.band for end in (low, high)]
    bars = [
        point.y + sign * point.y_error for point in data.points if point.on_front and point.y_error for sign in (-1, 1)
    ]
    limits = [v for axis, v, _ in data.limits if axis == "y"]
    return [point.y for point in (*data.points, *data.beside)] + ends + bars + limits


def _range(values: Sequence[float], log: bool) -> dict[str, Any]:
    """Of an axis, so that shades reach over its end."""
    if not values:
        return {"type": "log" if log else "linear"}
    low, high = (math.log10(end) if log else end for end in (min(values), max(values)))
    pad = PAD * (high - low) or (0.1 if log else 0.1 * abs(high) or 1.0)
    return {"type": "log" if log else "linear", "range": [low - pad, high + pad]}


def _draw_beside(drawing: go.Figure, data: Panel, keyed: bool) -> None:
    """The published networks as diamonds, their names on the sides where there is room."""
    sides = name_sides(data) if data.beside else []
    for flagged in (False, True):
        both = zip(data.beside, sides, strict=True)
        if chosen := [(point, side) for point, side in both if point.flagged == flagged]:
            drawing.add_scatter(
                **_places([point for point, _ in chosen]),
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
                **_said([point for point, _ in chosen], keyed, "b"),
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


def _across(axis: str, start: float, end: float) -> dict[str, object]:
    """A line or a band over the whole panel, from ``start`` to ``end`` of one axis."""
    if axis == "x":
        return {"xref": "x", "x0": start, "x1": end, "yref": "y domain", "y0": 0, "y1": 1}
    return {"yref": "y", "y0": start, "y1": end, "xref": "x domain", "x0": 0, "x1": 1}
