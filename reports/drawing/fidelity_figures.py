"""The figures of a fidelity study: rank agreement against cost, short against long accuracy. Functions that compute a
figure's data stand beside those that draw it."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from reports import fidelity
from reports.drawing.canvas import AXIS, FRONT, LIMIT, OTHER, empty
from studies.fidelity_record import Proxy, Study

HEIGHT = 440  # pixels
CEILING_COLOUR, MACS_COLOUR = "#009E73", "#CC79A7"  # Okabe & Ito's palette
TICKS = [place * 10.0**power for power in range(-2, 3) for place in (1, 2, 5)]  # percent
LABELS = ("start", "middle", "end")  # of lines, in turn, since they may coincide


@dataclass(frozen=True)
class Mark:
    """A proxy. place: its number in figure and table. x: percent of the long training's time. y: its tau, with
    the ends of the interval."""

    place: int
    name: str
    x: float
    y: float
    low: float
    high: float
    chosen: bool


@dataclass(frozen=True)
class CostPanel:
    """lines: across at a tau, as (text, tau, colour). missing: proxies without tau or cost."""

    marks: tuple[Mark, ...]
    lines: tuple[tuple[str, float, str], ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """A network. x: top-1 in the proxy, mean of its seeds; y: in the long training, with the standard deviation between
    its seeds; percent."""

    network: str
    x: float
    y: float
    std: float


def cost_panel(study: Study) -> CostPanel:
    """Each proxy's tau over its share of the long training's time, and what it is to be compared with."""
    marks, missing = [], []
    for place, proxy in enumerate(fidelity.by_cost(study), 1):
        tau = proxy.agreement.tau
        if tau is None or proxy.cost is None:
            missing.append(proxy.name)
            continue
        low, high = (tau.value if end is None else end for end in (tau.low, tau.high))
        marks.append(Mark(place, proxy.name, 100 * proxy.cost, tau.value, low, high, proxy.name == study.chosen))
    lines = [(f"threshold {study.threshold:g}", study.threshold, LIMIT)]
    if ceiling := study.ceiling.tau:
        lines.append((f"noise ceiling {ceiling.value:.2f}", ceiling.value, CEILING_COLOUR))
    if macs := study.by_cost["macs"].tau:
        lines.append((f"MACs alone {macs.value:.2f}", macs.value, MACS_COLOUR))
    return CostPanel(tuple(marks), tuple(lines), tuple(missing))


def pairs(study: Study, proxy: Proxy) -> tuple[Pair, ...]:
    """Of the networks with a figure in both."""
    found = []
    for network, short, long in zip(study.networks, proxy.training.top1, study.long.top1, strict=True):
        xs, ys = ([value for value in row if value is not None] for row in (short, long))
        if xs and ys:
            std = statistics.stdev(ys) if len(ys) > 1 else 0.0
            found.append(Pair(network.id, statistics.fmean(xs), statistics.fmean(ys), std))
    return tuple(found)


def draw_costs(data: CostPanel) -> go.Figure:
    """The proxies with their 95% intervals, the chosen one in colour, over time on a log axis."""
    drawing = empty(HEIGHT)
    for chosen in (False, True):
        marks = [mark for mark in data.marks if mark.chosen == chosen]
        colour = FRONT if chosen else OTHER
        drawing.add_scatter(
            x=[mark.x for mark in marks],
            y=[mark.y for mark in marks],
            error_y={
                "array": [mark.high - mark.y for mark in marks],
                "arrayminus": [mark.y - mark.low for mark in marks],
                "color": colour,
                "thickness": 1.5,
                "width": 4,
            },
            mode="markers+text",
            text=[str(mark.place) for mark in marks],
            textposition="middle right",
            marker={"color": colour, "size": 12 if chosen else 9},
            hovertext=[
                f"<b>{mark.place}: {escape(mark.name)}</b><br>tau {mark.y:.2f} ({mark.low:.2f} to {mark.high:.2f})<br>"
                f"{fidelity.percent(mark.x / 100)} of the long training's time"
                for mark in marks
            ],
            hoverinfo="text",
        )
    for place, (text, value, colour) in zip(itertools.cycle(LABELS), data.lines):
        label = {"text": text, "font": {"color": colour, "size": 11}, "textposition": place}
        drawing.add_shape(
            type="line",
            line={"dash": "dash", "color": colour, "width": 1.5},
            label=label,
            xref="x domain",
            x0=0,
            x1=1,
            yref="y",
            y0=value,
            y1=value,
        )
    xs = [mark.x for mark in data.marks]
    ends = [math.log10(min(xs) / 1.6), math.log10(max(xs) * 1.6)] if xs else None
    drawing.update_xaxes(title="share of the long training's time (%)", type="log", range=ends, tickvals=TICKS, **AXIS)
    drawing.update_yaxes(title="Kendall's tau with the long training", **AXIS)
    return drawing


def draw_pairs(data: Sequence[Pair]) -> go.Figure:
    """Short against long top-1, a point a network, with the spread of the long seeds."""
    drawing = empty(HEIGHT)
    drawing.add_scatter(
        x=[pair.x for pair in data],
        y=[pair.y for pair in data],
        error_y={"array": [pair.std for pair in data], "color": FRONT, "thickness": 1.5, "width": 4},
        mode="markers",
        marker={"color": FRONT, "size": 9},
        hovertext=[
            f"<b>{escape(pair.network)}</b><br>short {pair.x:.2f} %<br>long {pair.y:.2f} ± {pair.std:.2f} %"
            for pair in data
        ],
        hoverinfo="text",
    )
    drawing.update_xaxes(title="top-1 accuracy, proxy (%)", **AXIS)
    drawing.update_yaxes(title="top-1 accuracy, long training (%)", **AXIS)
    return drawing
