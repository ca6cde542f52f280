"""Accuracy against cost, one panel a cost, as plain data; ``pareto_figure`` draws it."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from reports.drawing.attained import attained
from reports.noise import Noise
from reports.units import UNITS, Z, figure, is_flagged, plural, unit
from reports.units import costs as usual_costs
from search_spaces.constraint import Constraint
from studies.ledger import TrialRecord
from studies.pareto import front

if TYPE_CHECKING:
    from reports.baselines import Baseline
    from reports.run import Run

LOG_FROM = 5  # a cost that spans more than this factor gets a logarithmic axis


@dataclass(frozen=True)
class Point:
    """One ``ok`` trial: x is its cost in the axis's unit, y its top1 in percent; ``hover`` is HTML for Plotly.

    label: written beside the point. faded: drawn so that it stands back, as what is not to be chosen.
    x_ends: of the 95% interval of a latency. y_error: half of that of top1, as far as its noise is known.
    """

    number: int
    x: float
    y: float
    on_front: bool
    flagged: bool
    hover: str
    label: str = ""
    faded: bool = False
    x_ends: tuple[float, float] | None = None
    y_error: float | None = None


@dataclass(frozen=True)
class Panel:
    """Top1 against one cost.

    stairs: corners of the step function "best top1 at or below this cost", up to the dearest point.
    on_front of a point: on the front of the *search's* objectives, so that a point looks the same in every panel; where
        this cost is not one of them, the stairs may pass through other points.
    limits: the search's constraints on either axis, as (axis, value in its unit, text).
    missing: ``ok`` trials without this cost or without top1, which cannot be shown.
    beside: published networks that were trained alike, with their names; those that break a limit are faded.
    band: (x, low, high), between which accuracies the best at this cost or below is in truth (``noise.attained``).
    """

    cost: str
    points: tuple[Point, ...]
    stairs: tuple[tuple[float, float], ...]
    limits: tuple[tuple[str, float, str], ...]
    missing: int
    beside: tuple[Point, ...] = ()
    band: tuple[tuple[float, float, float], ...] = ()

    @cached_property
    def log_x(self) -> bool:
        """Whether the costs span so much that their axis is logarithmic."""
        xs = [point.x for point in (*self.points, *self.beside)]
        xs += [value for axis, value, _ in self.limits if axis == "x"]
        return min(xs, default=0) > 0 and max(xs) > LOG_FROM * min(xs)


def panel(
    trials: Sequence[TrialRecord],
    objectives: Sequence[str],
    cost: str,
    constraints: Sequence[Constraint] = (),
    baselines: Sequence[Baseline] = (),
    noise: Noise | None = None,
    hovers: bool = True,
) -> Panel:
    """The data of one panel; ``cost`` is any of ``UNITS`` but top1 and val_loss. hovers: whether points carry texts,
    which a page with its own does without."""
    best = {trial.number for trial in front(trials, objectives)}
    scale = UNITS[cost].scale
    finished = [trial for trial in trials if trial.status == "ok"]
    drawn = (
        _point(trial, cost, hover(trial, objectives) if hovers else "", trial.number in best, noise=noise)
        for trial in finished
    )
    points = [point for point in drawn if point]
    drawn = (
        _point(
            one.record,
            cost,
            hover(one.record, objectives, one.name, one.text) if hovers else "",
            False,
            one.name,
            bool(one.beyond),
        )
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
    known = [(point.x, point.y, point.y_error / Z) for point in points if point.y_error is not None]
    band = attained(*zip(*known, strict=True)) if known else ()
    return Panel(cost, tuple(points), steps_up, limits, len(finished) - len(points), beside, band)


def _point(
    trial: TrialRecord,
    cost: str,
    text: str,
    on_front: bool,
    label: str = "",
    faded: bool = False,
    noise: Noise | None = None,
) -> Point | None:
    x, y = trial.metric(cost), trial.metric("top1")
    if x is None or y is None or not (math.isfinite(x) and math.isfinite(y)):
        return None
    latency = trial.outcome.latency if trial.outcome else None
    error = noise.of(trial) if noise else None
    return Point(
        trial.number,
        x / UNITS[cost].scale,
        y,
        on_front,
        is_flagged(latency),
        text,
        label,
        faded,
        latency.ci95_ms if latency and cost == "latency_ms" else None,
        None if error is None else Z * error,
    )


def hover(trial: TrialRecord, objectives: Sequence[str] = (), name: str = "", note: str = "") -> str:
    """Everything about one trial, or about a published network with its ``name`` and a note, in a few lines; free text
    is escaped, since Plotly reads tags."""
    outcome = trial.outcome
    lines = [
        f"<b>{html.escape(name, quote=False) or f'trial {trial.number}'}</b> {trial.arch.id}",
        f"top-1 {figure(trial, 'top1')} %",
    ]
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


def stairs(steps: list[tuple[float, float]], points: Sequence[Point]) -> tuple[tuple[float, float], ...]:
    """Corners of the step function through ``steps`` (rising in x and y), extended to the largest x of all points."""
    if not steps:
        return ()
    corners = [steps[0]]
    for x, y in steps[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    corners.append((max(point.x for point in points), corners[-1][1]))
    return tuple(dict.fromkeys(corners))


def costs(run: Run) -> list[str]:
    """Those that accuracy may be seen against: what is asked for, and whatever else was measured."""
    asked = usual_costs(run.objectives, run.constraints)
    trials = [*run.networks, *(one.record for one in run.published)]
    known = (name for name in UNITS if any(trial.status == "ok" and trial.metric(name) is not None for trial in trials))
    return list(dict.fromkeys([*asked, *(name for name in known if name not in ("top1", "val_loss"))]))


def caption(panel: Panel, run: Run) -> str:
    """How to read one figure, in a line."""
    line = "Up and left is better."
    if panel.log_x:
        line += " Logarithmic axis."
    if {"top1", panel.cost} != set(run.objectives):
        line += f" The front is by {' and '.join(run.objectives)}, so the line may pass other points."
    if panel.limits:
        line += f" Dashed: the search's limit, {' and '.join(text for _, _, text in panel.limits)}."
    if any(point.on_front and (point.x_ends or point.y_error) for point in panel.points):
        line += " Bars: 95% intervals of the front's figures"
        line += "." if run.noise.certain or run.noise.std is None else f"; that of accuracy is {run.noise.text}."
    if panel.missing:
        line += f" Not shown: {panel.missing} finished without this figure."
    if others := sum(trial.status != "ok" for trial in run.trials):
        line += f" {plural(others, 'trial')} without a result left out."
    return line
