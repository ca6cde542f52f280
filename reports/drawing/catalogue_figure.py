"""Published accuracy against latency here, as plain data; ``pareto_figure`` draws it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from reports import catalogue
from reports.catalogue import Entry
from reports.drawing.pareto import Panel, Point, stairs
from reports.specs import plain
from reports.units import FLAG, digits
from search_spaces.constraint import Constraint

# Of a label's letters, and left of the first point: shares of what the points span, on a wide screen.
LETTER, LINE, MARGIN = 0.0065, 0.035, 0.04


def panel(entries: Sequence[Entry], limits: Sequence[Constraint]) -> Panel:
    """Published accuracy against measured latency; front and stairs are of the networks that keep the limits. What
    breaks one, or cannot be told to keep it, is faded."""
    front = catalogue.front(entries)
    named = _labelled(front, [entry for entry in entries if entry.measured])
    points = []
    for entry in entries:
        x, y = entry.figures["latency_ms"], entry.network.top1
        if x is not None and y is not None:
            label = entry.network.name if entry in named else ""
            flagged = catalogue.flagged(entry)
            number, on_front = entry.record.number, entry in front
            points.append(Point(number, x, y, on_front, flagged, hover(entry), label, not entry.fits))
    steps = [(entry.figures["latency_ms"] or 0.0, entry.network.top1 or 0.0) for entry in front]
    lines = tuple(
        ("y" if limit.metric == "top1" else "x", limit.limit, str(limit))
        for limit in limits
        if limit.metric in catalogue.OBJECTIVES
    )
    missing = sum(entry.measured and entry.network.top1 is None for entry in entries)
    return Panel("latency_ms", tuple(points), stairs(steps, points), lines, missing)


def hover(entry: Entry) -> str:
    """All figures of a network; free text is escaped, since Plotly reads tags."""
    figures = entry.figures
    lines = [f"<b>{_escaped(entry.network.name)}</b>"]
    lines.append(f"top-1 {plain(entry.network.top1)} % ({_escaped(entry.network.source)})")
    if entry.measured:
        flag = FLAG if catalogue.flagged(entry) else ""
        lines.append(f"latency {digits('latency_ms', figures['latency_ms'])} ms{flag} (p50)")
        lines.append(f"95% interval {catalogue.interval(entry)} ms")
        if entry.latency and entry.latency.p90_ms is not None:
            lines.append(f"p90 {digits('latency_ms', entry.latency.p90_ms)} ms")
    if figures["peak_memory_mb"] is not None:
        lines.append(f"memory {digits('peak_memory_mb', figures['peak_memory_mb'])} MB")
    lines.append(f"MACs {digits('macs', figures['macs'])} M, parameters {digits('params', figures['params'])} M")
    lines.append(f"{entry.network.arch.resolution} px")
    lines += [_escaped(text) for text in (entry.status, *catalogue.reasons(entry)) if text != "ok"]
    return "<br>".join(lines)


def _escaped(text: str) -> str:
    return escape(text, quote=False)


def _labelled(front: Sequence[Entry], shown: Sequence[Entry]) -> list[Entry]:
    """Those of the front whose names, to the upper left of their points, overlap no other name; the best first."""
    xs = [math.log(entry.figures["latency_ms"] or 1.0) for entry in shown]
    ys = [entry.network.top1 for entry in shown if entry.network.top1 is not None]
    if not ys:
        return []
    width, height = (max(values) - min(values) or 1.0 for values in (xs, ys))
    placed: list[tuple[float, float, float]] = []
    kept = []
    for entry in reversed(front):
        right = (math.log(entry.figures["latency_ms"] or 1.0) - min(xs)) / width
        y = ((entry.network.top1 or 0.0) - min(ys)) / height
        left = right - LETTER * len(entry.network.name)
        if left > -MARGIN and all(right < begin or left > end or abs(y - other) > LINE for begin, end, other in placed):
            kept.append(entry)
            placed.append((left, right, y))
    return kept
