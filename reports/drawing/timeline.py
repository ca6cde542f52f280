"""When each trial ran, by the clock of the host that wrote the ledger: whether workers waited, and for what.
``timeline`` computes plain data, ``draw`` makes a Plotly figure of it."""

from __future__ import annotations

import heapq
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reports.drawing.canvas import AXIS, LIMIT, OTHER, PALETTE, empty
from reports.drawing.genes import LeftOut, left_out
from reports.drawing.legend import below
from reports.units import plural
from studies.ledger import TrialRecord

# What most trials are stands back, so that the others are seen; and not by colour alone: by patterns, and by heights
# where bars are too narrow for these.
COLOURS = {"ok": OTHER, "rejected": PALETTE[5], "stopped": PALETTE[4], "failed": LIMIT, "running": PALETTE[2]}
PATTERNS = {"ok": "", "rejected": ".", "stopped": "/", "failed": "x", "running": "|"}
HATCH = {"fillmode": "overlay", "fgcolor": "white", "fgopacity": 0.7, "size": 6, "solidity": 0.35}
HEIGHTS = {"ok": 0.8, "rejected": 0.45, "stopped": 0.6, "failed": 0.95, "running": 0.7}  # of a lane
EDGE = {"color": "rgba(0,0,0,0.5)", "width": 0.5}  # between such as follow one another; it would hide narrow ones
PAUSE_S = 60.0  # a run whose trials are shorter still may think for so long without having been stopped
HOURS_FROM_S = 7200.0  # below, the axis is in minutes
SHORTEST = 1 / 1000  # of the axis, about a pixel, as which a shorter trial is drawn; of very many, half their room
FEW = 100  # trials in a lane, up to which bars have edges
MANY = 2_000  # trials from which on the graphics card draws them
LANE, LEAST, MOST = 24, 90, 400  # pixels of a lane, and of all of them


@dataclass(frozen=True)
class Bar:
    """A trial from its last start to its end, in seconds since the first trial began."""

    number: int
    status: str
    start_s: float
    end_s: float
    lane: int


@dataclass(frozen=True)
class Timeline:
    """lanes: as many as trials ran at once. pauses: from when to when nothing ran for so long that the run must have
    been stopped. busy: the mean share of lanes with a trial, pauses left out; None where no time passed."""

    bars: tuple[Bar, ...]
    lanes: int
    pauses: tuple[tuple[float, float], ...]
    busy: float | None
    left_out: LeftOut = ()

    @property
    def span_s(self) -> float:
        """From the first trial's start to the last one's end, in seconds."""
        return max((bar.end_s for bar in self.bars), default=0.0)

    @property
    def shortest_s(self) -> float:
        """As which a shorter trial is drawn, so that it is seen."""
        return self.span_s * min(SHORTEST, self.lanes / (2 * len(self.bars))) if self.span_s else 1.0


def timeline(trials: Sequence[TrialRecord]) -> Timeline:
    """All trials of a run, whatever became of them (repeats of a network each). One without an outcome is taken to run
    until the ledger's last event, or to have ended with the run where that was stopped after the trial's own last."""
    timed = [trial for trial in trials if math.isfinite(trial.started)]
    lost = ((("without a time", len(trials) - len(timed)),)) if len(timed) < len(trials) else ()
    if not timed:
        return Timeline((), 0, (), None, lost)
    ordered = sorted(timed, key=lambda trial: (trial.started, trial.number))
    spans = [(trial.started, _last_event(trial)) for trial in ordered]
    origin, last = spans[0][0], max(end for _, end in spans)
    usual = [end - start for trial, (start, end) in zip(ordered, spans, strict=True) if trial.status == "ok"]
    pauses = _pauses(spans, max(PAUSE_S, statistics.median(usual) if usual else 0.0))
    ends = [
        end if trial.outcome else next((start for start, _ in pauses if start >= end), last)
        for trial, (_, end) in zip(ordered, spans, strict=True)
    ]
    lanes = _lanes([(start, end) for (start, _), end in zip(spans, ends, strict=True)])
    bars = tuple(
        Bar(trial.number, trial.status, trial.started - origin, end - origin, lane)
        for trial, end, lane in zip(ordered, ends, lanes, strict=True)
    )
    many = max(lanes) + 1
    open_s = last - origin - math.fsum(end - start for start, end in pauses)
    busy = math.fsum(bar.end_s - bar.start_s for bar in bars) / (many * open_s) if open_s > 0 else None
    return Timeline(bars, many, tuple((start - origin, end - origin) for start, end in pauses), busy, lost)


def _last_event(trial: TrialRecord) -> float:
    """Its end where it has one; never before its start, though clocks are put back."""
    last = trial.finished if trial.finished is not None else max(trial.epoch_times, default=trial.started)
    return max(trial.started, last) if math.isfinite(last) else trial.started


def _pauses(spans: Iterable[tuple[float, float]], longer_than: float) -> list[tuple[float, float]]:
    """From when to when none of ``spans``, which come in order of their starts, lasted."""
    found, until = [], math.inf
    for start, end in spans:
        if start - until > longer_than:
            found.append((until, start))
        until = end if until == math.inf else max(until, end)
    return found


def _lanes(spans: Sequence[tuple[float, float]]) -> list[int]:
    """For each of ``spans``, which come in order of their starts, the first lane that is free: greedy interval
    colouring, which takes no more lanes than overlap at once."""
    lanes: list[int] = []
    free: list[int] = []
    taken: list[tuple[float, int]] = []
    for start, end in spans:
        while taken and taken[0][0] <= start:
            heapq.heappush(free, heapq.heappop(taken)[1])
        lane = heapq.heappop(free) if free else len(taken)
        heapq.heappush(taken, (end, lane))
        lanes.append(lane)
    return lanes


def draw(data: Timeline) -> go.Figure:
    """A row a lane, a bar a trial; shaded where the run was stopped."""
    groups = {status: [bar for bar in data.bars if bar.status == status] for status in COLOURS}
    groups = {status: bars for status, bars in groups.items() if bars}
    plot = min(MOST, max(LEAST, LANE * data.lanes))
    drawing = empty(**below(80 + plot, len(groups)), barmode="overlay")
    word, unit_s = _unit(data)
    for status, bars in groups.items():
        if len(data.bars) > MANY:
            drawing.add_scattergl(**_line(status, bars, data, HEIGHTS[status] * plot / data.lanes))
        else:
            drawing.add_bar(**_bars(status, bars, data))
    for start, end in data.pauses:
        drawing.add_vrect(x0=start / unit_s, x1=end / unit_s, fillcolor=OTHER, opacity=0.15, line_width=0)
    shown = data.span_s / unit_s or 1.0
    drawing.update_xaxes(title=f"{word} since the first trial began", range=[-0.01 * shown, 1.01 * shown], **AXIS)
    rows = {"tickformat": ",d", "range": [data.lanes + 0.5, 0.5], **({"dtick": 1} if data.lanes <= 8 else {})}
    drawing.update_yaxes(title="trials at once", **AXIS | {"gridcolor": "rgba(0,0,0,0)"}, **rows)
    return drawing


def _unit(data: Timeline) -> tuple[str, float]:
    """Of the time axis, and its seconds."""
    return ("hours", 3600.0) if data.span_s >= HOURS_FROM_S else ("minutes", 60.0)


def _drawn(bars: Sequence[Bar], data: Timeline) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts, lengths as drawn, and lanes, counted from 1."""
    _, unit_s = _unit(data)
    starts = np.array([bar.start_s for bar in bars])
    lengths = np.maximum([bar.end_s - bar.start_s for bar in bars], data.shortest_s)
    return starts / unit_s, lengths / unit_s, np.array([bar.lane + 1 for bar in bars], np.int32)


def _bars(status: str, bars: Sequence[Bar], data: Timeline) -> dict[str, Any]:
    starts, lengths, lanes = _drawn(bars, data)
    unit = "h" if data.span_s >= HOURS_FROM_S else "min"
    apart = status == "ok" and len(data.bars) <= FEW * data.lanes
    seconds = np.array([(bar.number, bar.end_s - bar.start_s) for bar in bars])
    return {
        "orientation": "h",
        "base": starts,
        "x": lengths,
        "y": lanes,
        "width": HEIGHTS[status],
        "name": f"{status} ({len(bars):,})",
        "marker": {
            "color": COLOURS[status],
            "pattern": HATCH | {"shape": PATTERNS[status]},
            "line": EDGE if apart else {},
        },
        "customdata": seconds,
        "hovertemplate": f"<b>trial %{{customdata[0]}}</b>, {status}<br>%{{customdata[1]:,.1f}} s, "
        f"from %{{base:.3~r}} {unit}<extra></extra>",
    }


def _line(status: str, bars: Sequence[Bar], data: Timeline, width: float) -> dict[str, Any]:
    """One line for all, broken between trials, as thick as a bar."""
    starts, lengths, lanes = _drawn(bars, data)
    unit = "h" if data.span_s >= HOURS_FROM_S else "min"
    return {
        "x": np.column_stack([starts, starts + lengths, np.full(len(bars), np.nan)]).ravel().astype(np.float32),
        "y": lanes.repeat(3).astype(np.int16),
        "mode": "lines",
        "line": {"color": COLOURS[status], "width": width},
        "name": f"{status} ({len(bars):,})",
        "customdata": np.array([bar.number for bar in bars], np.int32).repeat(3),
        "hovertemplate": f"<b>trial %{{customdata}}</b>, {status}<br>at %{{x:.4~r}} {unit}<extra></extra>",
    }


def caption(data: Timeline) -> str:
    """How to read it, whether workers waited, and what is not in it."""
    if not data.bars:
        return f"There is nothing to plot: no trial has begun. {left_out(data.left_out)}".rstrip()
    said = "Each bar is a trial, by the clock of the host that wrote the ledger."
    if data.lanes > 1:
        said += f" At most {data.lanes:,} ran at once: as many rows, which are no particular workers."
    else:
        said += " One ran at a time."
    said += " Blank in a row: nothing ran."
    if data.busy is not None:
        said += f" On average {data.busy:.1%} of {'the rows were' if data.lanes > 1 else 'the time it was'} busy."
    if data.pauses:
        hours = math.fsum(end - start for start, end in data.pauses) / 3600
        said += (
            f" Shaded: {plural(len(data.pauses), 'pause')} of {hours:,.2g} h together in which nothing ran, as when a "
            "run is stopped and resumed; not counted as idle."
        )
    if any(bar.status == "running" for bar in data.bars):
        said += " Running ones are drawn up to the last event of the run."
    said += " Of a trial that was started again only the last start is known."
    if any(bar.end_s - bar.start_s < data.shortest_s for bar in data.bars):
        said += " The shortest are drawn longer than they were, or they would not be seen."
    return " ".join(filter(None, [said, left_out(data.left_out)]))
