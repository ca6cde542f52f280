"""What a search had found by when: hypervolume (with one objective: the best value) against trials and against
device-hours. ``progress`` computes plain data, ``draw`` turns them into a Plotly figure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import moocore
import numpy as np
import plotly.graph_objects as go

from reports.drawing.canvas import AXIS, empty
from reports.drawing.legend import below, label, style
from reports.units import UNITS, quantity, unit
from studies.ledger import TrialRecord
from studies.objectives import check, direction, values
from studies.repeats import networks

Against = Literal["trials", "hours"]

BEYOND = 0.1  # of the range, by which the reference point is worse than the worst value
MOST = 1000  # hypervolumes that are computed, or a long search whose every trial is on the front would take minutes
HEIGHT = 320  # pixels
AXES = {"trials": "trials that have ended", "hours": "device-hours (h)"}


@dataclass(frozen=True)
class Box:
    """Two points, a value an objective in its own unit and order: ideal, the best; reference, worse than the worst."""

    reference: tuple[float, ...]
    ideal: tuple[float, ...]


@dataclass(frozen=True)
class Step:
    """What was known when trial ``number`` had ended.

    ended: trials that had by then, whatever became of them. hours: device-hours that those took. value: see
        ``Progress``.
    """

    number: int
    ended: int
    hours: float
    value: float


@dataclass(frozen=True)
class Progress:
    """A search's way to its front.

    steps: one for each trial that has a finite value for every objective, as they finished. Their value: with several
        objectives the share of ``box`` that what was found so far dominates, with one the best so far, in its own unit.
    ended, hours: of all trials in the end. processors: cores or GPUs that a trial holds.
    left_out: how many trials (repeats: networks) have no step, by reason. exact: whether every value is; else some are
        a little too low, those of steps between ``MOST`` at which the hypervolume was computed.
    """

    objectives: tuple[str, ...]
    box: Box | None
    steps: tuple[Step, ...]
    ended: int
    hours: float
    left_out: Mapping[str, int]
    processors: float = 1.0
    exact: bool = True

    @property
    def label(self) -> str:
        """Of the axis."""
        if len(self.objectives) > 1:
            return "hypervolume (share of the box)"
        return f"best {unit(self.objectives[0]).label} so far"


def progress(
    trials: Sequence[TrialRecord],
    objectives: Sequence[str],
    reference: Sequence[float] | None = None,
    ideal: Sequence[float] | None = None,
    processors: float = 1.0,
    repeats: bool = False,
) -> Progress:
    """The data of the figures.

    reference, ideal: of the box, a value an objective in its own unit; None: of ``box(trials, objectives)``. Where
        searches are compared all of them need the same two.
    processors: cores or GPUs that a trial holds; a half where two share a GPU.
    repeats: trials of one network are one, found when the last of them has ended, with their means.
    """
    goals = check(objectives)
    ended = sorted((trial for trial in trials if trial.outcome), key=lambda trial: (_end(trial), trial.number))
    hours = np.cumsum([spent_s(trial) for trial in ended]) * processors / 3600
    judged = networks(ended) if repeats else ended
    last = {trial.arch.id if repeats else trial.number: place for place, trial in enumerate(ended)}
    found = {}
    for trial in judged:
        if (value := finite(trial, goals)) is not None:
            found[last[trial.arch.id if repeats else trial.number]] = value
    left_out = Counter(trial.status for trial in judged if trial.status != "ok")
    left_out["finished without a value"] = sum(trial.status == "ok" for trial in judged) - len(found)
    left_out["still running"] = len(trials) - len(ended)
    places = sorted(found)
    points = [found[place] for place in places]
    own = box(judged, goals)
    used = Box(tuple(reference or own.reference), tuple(ideal or own.ideal)) if own else None
    level, exact = _levels(points, goals, used)
    steps = [
        Step(ended[place].number, place + 1, float(hours[place]), value)
        for place, value in zip(places, level, strict=True)
    ]
    rest = {reason: count for reason, count in left_out.items() if count}
    return Progress(goals, used, tuple(steps), len(ended), float(hours[-1]) if ended else 0.0, rest, processors, exact)


def box(trials: Sequence[TrialRecord], objectives: Sequence[str]) -> Box | None:
    """Between the best value of each objective among the finished trials, and the worst with a tenth of the range more
    (of one unit where all are equal). None where no trial has a finite value for every objective."""
    found = [value for trial in trials if (value := finite(trial, objectives)) is not None]
    if not found:
        return None
    signs = _signs(objectives)
    losses = np.array(found) * signs
    low, high = losses.min(axis=0), losses.max(axis=0)
    beyond = BEYOND * np.where(high > low, high - low, 1.0)
    reference, ideal = (high + beyond) * signs, low * signs
    return Box(tuple(reference.tolist()), tuple(ideal.tolist()))


def finite(trial: TrialRecord, objectives: Sequence[str]) -> list[float] | None:
    """Of an ``ok`` trial its value for each objective; None where one is unknown, infinite or NaN."""
    found = values(trial, objectives)
    return found if found is not None and all(map(math.isfinite, found)) else None


def spent_s(trial: TrialRecord) -> float:
    """Seconds for which the trial held its cores or GPU: the sum of its timings by phase (waiting for the device
    included). A training that was stopped or whose process died has no timing, so that the clock counts from the
    trial's last start to its end; as it does where no phase was timed."""
    outcome = trial.outcome
    if outcome is None:
        return 0.0
    phases = math.fsum(outcome.timings.values())
    trained_through = "train_s" in outcome.timings or outcome.status in ("ok", "rejected")
    return phases if outcome.timings and trained_through else max(phases, _end(trial) - trial.started)


def _end(trial: TrialRecord) -> float:
    return trial.started if trial.finished is None else trial.finished


def _signs(objectives: Sequence[str]) -> np.ndarray:
    """What makes less better."""
    return np.array([-1.0 if direction(name) == "maximize" else 1.0 for name in objectives])


def _levels(points: Sequence[Sequence[float]], objectives: Sequence[str], used: Box | None) -> tuple[list[float], bool]:
    """The value after each of ``points``, and whether all of them are exact."""
    if not points or used is None:
        return [], True
    signs = _signs(objectives)
    losses = np.array(points) * signs
    if len(objectives) == 1:
        return (np.minimum.accumulate(losses[:, 0]) * signs[0]).tolist(), True
    ideal = np.array(used.ideal) * signs
    span = np.array(used.reference) * signs - ideal
    scaled = np.where(span > 0, (losses - ideal) / np.where(span > 0, span, 1.0), 1.0)
    changes = _changes(scaled)
    best = scaled[changes]
    computed = np.unique(np.linspace(0, len(changes) - 1, min(MOST, len(changes))).round().astype(int))
    volumes = [float(moocore.hypervolume(best[: place + 1], ref=np.ones(len(objectives)))) for place in computed]
    known = np.searchsorted(np.array(changes)[computed], np.arange(len(points)), side="right") - 1
    return np.array(volumes)[known].tolist(), len(computed) == len(changes)


def _changes(losses: np.ndarray) -> list[int]:
    """The places of the points that no earlier one equals or dominates: only these change the front."""
    places: list[int] = []
    kept = np.empty_like(losses)
    for place, point in enumerate(losses):
        if not (kept[: len(places)] <= point).all(axis=1).any():
            kept[len(places)] = point
            places.append(place)
    return places


def draw(data: Progress, against: Against) -> go.Figure:
    """A step line to the end of the run; up is better, but for one objective that is a cost."""
    return draw_all({"": data}, against)


def draw_all(runs: Mapping[str, Progress], against: Against) -> go.Figure:
    """A line a run, by its name. All have the same objectives, and the same box."""
    rows = len(runs) if len(runs) > 1 else 0
    drawing = empty(**below(HEIGHT, rows))
    for place, (name, data) in enumerate(runs.items()):
        if data.steps:
            _add(drawing, place, name, data, against)
    title = next((data.label for data in runs.values()), "")
    drawing.update_xaxes(title=AXES[against], rangemode="tozero", **AXIS)
    drawing.update_yaxes(title=title, **AXIS)
    return drawing


def _add(drawing: go.Figure, place: int, name: str, data: Progress, against: Against) -> None:
    xs, ys = line(data, against)
    one = unit(data.objectives[0])
    is_volume = len(data.objectives) > 1
    said = "%{x:,.0f} trials" if against == "trials" else "%{x:,.3~r} device-hours"
    value = "%{y:.2%} of the box" if is_volume else f"%{{y:,.4~r}} {one.symbol}"
    colour, symbol, dash = style(place)
    drawing.add_scatter(
        x=xs,
        y=ys if is_volume else ys / one.scale,
        mode="lines+markers" if len(xs) < 3 else "lines",  # a line of one point would not show
        marker={"symbol": symbol, "color": colour, "size": 8},
        name=label(name),
        line={"shape": "hv", "color": colour, "dash": dash},
        hovertemplate=("<b>%{fullData.name}</b><br>" if name else "") + f"{value}<br>after {said}<extra></extra>",
    )


def line(data: Progress, against: Against) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the step line: where the value changes, and the run's end."""
    ys = np.array([step.value for step in data.steps])
    xs = np.array([step.ended if against == "trials" else step.hours for step in data.steps], dtype=float)
    kept = np.concatenate([[True], ys[1:] != ys[:-1]])
    end = float(data.ended if against == "trials" else data.hours)
    return np.append(xs[kept], end), np.append(ys[kept], ys[-1])


def caption(data: Progress, against: Against | None = None) -> str:
    """How to read the figure, and what is not in it. against: None: in words for either axis."""
    if not data.steps:
        return f"There is nothing to plot: no trial has a value for every objective.{_left_out(data)}"
    goals = " and ".join(data.objectives)
    if len(data.objectives) == 1:
        way = "Up" if direction(data.objectives[0]) == "maximize" else "Down"
        said = f"{way} is better: the best {goals} found so far."
    else:
        said = (
            f"Up is better: how much of the box between the ideal point (the best of each of {goals}) and the "
            f"reference point ({_named(data)}: the worst, and a tenth of the range more) the front so far dominates."
        )
    if not data.exact:
        said += f" Computed at {MOST:,} of the trials that changed the front, spread evenly."
    return said + ("" if against == "trials" else _hours(data.processors)) + _left_out(data)


def caption_all(runs: Mapping[str, Progress], against: Against) -> str:
    """Of ``draw_all``."""
    drawn = [data for data in runs.values() if data.steps]
    if not drawn:
        return "There is nothing to plot: no run has a trial with a value for every objective."
    together = Counter[str]()
    for data in runs.values():
        together.update(data.left_out)
    held = {data.processors for data in runs.values()}
    said = caption(replace(drawn[0], left_out=together, exact=all(data.exact for data in drawn)), "trials")
    hours = "" if against == "trials" else _hours(held.pop() if len(held) == 1 else None)
    return said + hours + "".join(f" {name} found nothing." for name, data in runs.items() if not data.steps)


def _hours(processors: float | None) -> str:
    """processors: None: not the same in all runs."""
    many = "cores or GPUs" if processors is None else f"{processors:g} cores or GPUs"
    each = "" if processors == 1 else f", times the {many} that it holds"
    return f" Device-hours: what measuring and training took, of every trial whatever became of it{each}."


def _named(data: Progress) -> str:
    reference = data.box.reference if data.box else ()
    named = zip(data.objectives, reference, strict=True)
    return ", ".join(f"{UNITS[name].name if name in UNITS else name} {quantity(name, value)}" for name, value in named)


def _left_out(data: Progress) -> str:
    parts = ", ".join(f"{count} {reason}" for reason, count in data.left_out.items())
    return f" They count as trials but found nothing: {parts}." if parts else ""
