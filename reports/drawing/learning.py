"""Learning curves of all trials: top-1 against epochs. ``learning`` computes plain data, ``draw`` makes a Plotly figure
of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from reports.drawing.canvas import AXIS, FRONT, OTHER, empty
from reports.drawing.genes import LeftOut, left_out
from reports.drawing.legend import below
from reports.drawing.timeline import COLOURS
from reports.units import unit
from studies.ledger import TrialRecord
from studies.pareto import front
from studies.repeats import networks

MOST = 150  # curves; more cover one another
POINTS = 60  # of a curve; more are closer together than a phone shows
SEED = 0
HEIGHT = 360  # pixels, without the legend
# Of a group: its name, colour, dash, width, and the mark at its curves' ends, with that one's size. Front last, on top.
GROUPS = {
    "ok": ("other, trained to the end", OTHER, "solid", 1.0, "circle", 4),
    "running": ("running", COLOURS["running"], "solid", 1.0, "triangle-right", 9),
    "rejected": ("rejected after training", COLOURS["rejected"], "dashdot", 1.0, "square", 7),
    "stopped": ("stopped early", COLOURS["stopped"], "dot", 1.0, "line-ns-open", 10),
    "failed": ("failed", COLOURS["failed"], "dash", 1.0, "x", 8),
    "front": ("on the front", FRONT, "solid", 1.6, "circle", 7),
}
FAINT = 0.55  # opacity of all but the front


@dataclass(frozen=True)
class Curve:
    """group: of ``GROUPS``: ``front``, or the trial's status. epochs, top1 (percent): shape [points], at most
    ``POINTS``, the first and the last among them."""

    number: int
    group: str
    epochs: np.ndarray
    top1: np.ndarray


@dataclass(frozen=True)
class Learning:
    """totals: how many curves there are of each group, drawn or not. thinned: how many of those drawn show fewer epochs
    than were trained. left_out: trials without a curve."""

    curves: tuple[Curve, ...]
    totals: Mapping[str, int]
    thinned: int
    left_out: LeftOut


def learning(
    trials: Sequence[TrialRecord], objectives: Sequence[str], repeats: bool = False, most: int = MOST
) -> Learning:
    """At most so many curves: those of the front, and of the others as many as there is room for, drawn at random, the
    same ones every time. repeats: the front is that of networks' means, and all of their trials are on it."""
    best = {_key(trial, repeats) for trial in front(networks(trials) if repeats else trials, objectives)}
    curves, without, long = [], Counter[str](), set()
    for trial in trials:
        points = _points(trial)
        if not points:
            without[trial.status] += 1
            continue
        if len(points) > POINTS:
            long.add(trial.number)
            points = [points[place] for place in np.linspace(0, len(points) - 1, POINTS).round().astype(int)]
        epochs, top1 = np.array(points, np.float32).T
        is_front = trial.status == "ok" and _key(trial, repeats) in best
        curves.append(Curve(trial.number, "front" if is_front else trial.status, epochs, top1))
    kinds = ", ".join(f"{count:,} {status}" for status, count in without.most_common())
    missing = [(f"without the accuracy of an epoch ({kinds})", without.total())] if without else []
    totals = Counter(curve.group for curve in curves)
    if (fewer := len(curves) - most) > 0:
        curves = _drawn(curves, most)
        missing.append(("chosen at random, since more curves would cover one another", fewer))
    return Learning(tuple(curves), totals, sum(curve.number in long for curve in curves), tuple(missing))


def _key(trial: TrialRecord, repeats: bool) -> str | int:
    return trial.arch.id if repeats else trial.number


def _points(trial: TrialRecord) -> list[tuple[float, float]]:
    """Epoch and top1 of each epoch that has one; they are counted where they carry no number."""
    found = ((metrics.get("epoch", place), metrics.get("top1")) for place, metrics in enumerate(trial.epochs, 1))
    return [(epoch, top1) for epoch, top1 in found if top1 is not None and math.isfinite(top1)]


def _drawn(curves: Sequence[Curve], most: int) -> list[Curve]:
    order = np.random.default_rng(SEED).permutation(len(curves)).tolist()
    order.sort(key=lambda place: curves[place].group != "front")
    return [curves[place] for place in sorted(order[:most])]


def draw(data: Learning) -> go.Figure:
    """Two traces a group: its curves, and their ends."""
    groups = {name: [curve for curve in data.curves if curve.group == name] for name in GROUPS}
    groups = {name: curves for name, curves in groups.items() if curves}
    drawing = empty(**below(HEIGHT, len(groups)))
    for name, curves in groups.items():
        _add(drawing, name, curves, data.totals[name])
    longest = max((float(curve.epochs[-1]) for curve in data.curves), default=1.0)
    drawing.update_xaxes(title="epochs", **AXIS, **({"dtick": 1} if longest <= 10 else {}))
    drawing.update_yaxes(title=unit("top1").label, **AXIS)
    return drawing


def _add(drawing: go.Figure, name: str, curves: Sequence[Curve], total: int) -> None:
    said, colour, dash, width, symbol, size = GROUPS[name]
    shown = f"{total:,}" if len(curves) == total else f"{len(curves):,} of {total:,}"
    opacity = 1.0 if name == "front" else FAINT
    line = {"color": colour, "dash": dash, "width": width}
    drawing.add_scatter(
        **_joined([(curve.number, curve.epochs, curve.top1) for curve in curves]),
        mode="lines",
        line=line,
        opacity=opacity,
        legendgroup=name,
        showlegend=False,
        hovertemplate="<b>trial %{customdata}</b><br>%{y:.2f} % after epoch %{x}<extra></extra>",
    )
    ended = "in the end" if name in ("ok", "front") else name
    # Lines as well, none of which has two points: so that the legend shows what both look like.
    drawing.add_scatter(
        **_joined([(curve.number, curve.epochs[-1:], curve.top1[-1:]) for curve in curves]),
        mode="lines+markers",
        line=line,
        marker={"color": colour, "symbol": symbol, "size": size, "line": {"width": 2 if "open" in symbol else 0}},
        name=f"{said} ({shown})",
        legendgroup=name,
        hovertemplate=f"<b>trial %{{customdata}}</b>, {ended}<br>%{{y:.2f}} % after epoch %{{x}}<extra></extra>",
    )


def _joined(parts: Sequence[tuple[int, np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """Lines as one, with a gap after each."""
    gap = np.array([np.nan], np.float32)
    return {
        "x": np.concatenate([piece for _, xs, _ in parts for piece in (xs, gap)]),
        "y": np.concatenate([piece for _, _, ys in parts for piece in (ys, gap)]),
        "customdata": np.concatenate([np.full(len(xs) + 1, number, np.int32) for number, xs, _ in parts]),
    }


def caption(data: Learning) -> str:
    """How to read it, and what is not in it."""
    if not data.curves:
        return f"There is nothing to plot: no trial has the accuracy of an epoch. {left_out(data.left_out)}".rstrip()
    said = "Up is better: each line is a trial's accuracy on the validation split after each epoch, up to its mark."
    if data.thinned:
        many = "curve shows" if data.thinned == 1 else "curves show"
        said += f" {data.thinned:,} {many} {POINTS} of {'its' if data.thinned == 1 else 'their'} epochs, evenly spread."
    return " ".join(filter(None, [said, left_out(data.left_out)]))
