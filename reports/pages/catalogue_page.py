"""The page of the published networks on one device: accuracy against latency, a table of all, and what was measured on
what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from reports import catalogue, summary
from reports.catalogue import Entry
from reports.drawing import catalogue_figure
from reports.drawing.canvas import FRONT, OTHER
from reports.pages import markup, template
from reports.pages.page import REPORT, figure_html, unbroken
from reports.specs import plain
from reports.units import FLAG, digits, plural
from search_spaces.constraint import Constraint
from studies.runfolder import write_text

HEIGHT = 520  # pixels of the figure
MEMORY = (
    "Memory is that of inference: weights, input and the most that calls hold beside them, without the runtime itself; "
    "on a CPU resident memory of a process of its own, in MB of 1e6 bytes."
)
PUBLISHED = (
    "Accuracies are published ones, top-1 on ImageNet with each network's own training recipe, as its source gives "
    "them; nothing was trained here, and a difference may come from the recipe. Latency and memory were measured here, "
    "at the resolution that the accuracy belongs to."
)


def write(folder: Path, entries: Sequence[Entry], limits: Sequence[Constraint], about: Mapping[str, Any]) -> Path:
    """Writes ``report.html`` into the folder and returns its path; about: the mapping of its ``spec.yaml``."""
    write_text(folder / REPORT, render(entries, limits, about))
    return folder / REPORT


def render(entries: Sequence[Entry], limits: Sequence[Constraint], about: Mapping[str, Any]) -> str:
    """The page as HTML. about: the folder's spec.yaml."""
    said = headline(entries, limits)
    sections = [_figure(entries, limits, about), _table(entries), _conditions(entries, about)]
    return template.page(said, unbroken(said), _lead(entries, limits), sections)


def headline(entries: Sequence[Entry], limits: Sequence[Constraint]) -> str:
    """The best network within the limits, in a sentence."""
    best, within = catalogue.best(entries), f" within {' and '.join(map(str, limits))}" if limits else ""
    if best is None:
        return f"No published network was found{within}" if limits else "No published network was measured"
    flag = f" ({best.latency.status})" if best.latency and catalogue.flagged(best) else ""
    latency = digits("latency_ms", best.figures["latency_ms"])
    return (
        f"The most accurate published network{within}{catalogue.so_far(entries)} is {best.network.name}: "
        f"{catalogue.percent(best)} % at {latency} ms{flag}"
    )


def _lead(entries: Sequence[Entry], limits: Sequence[Constraint]) -> str:
    measured = [entry for entry in entries if entry.measured]
    device = plain(sorted({str(entry.latency.key["device"]) for entry in measured if entry.latency}))
    parts = [f"{len(measured)} of {plural(len(entries), 'published network')} measured on {device}"]
    if not measured:
        return f"None of {plural(len(entries), 'published network')} was measured."
    if limits:
        parts.append(f"{sum(entry.fits for entry in entries)} keep the limits")
    out, failed = (sum(text(entry) for entry in entries) for text in (lambda e: e.left_out, _failed))
    if out:
        parts.append(f"{out} left out, since what is published of them breaks a limit")
    if failed:
        parts.append(f"{failed} failed")
    if rest := len(entries) - len(measured) - out - failed:
        parts.append(f"{rest} still to be measured")
    return "; ".join(parts) + "."


def _failed(entry: Entry) -> bool:
    return bool(entry.record.outcome and entry.record.outcome.error)


def _figure(entries: Sequence[Entry], limits: Sequence[Constraint], about: Mapping[str, Any]) -> str:
    drawn = catalogue_figure.panel(entries, limits)
    if not drawn.points:
        return markup.section("Published accuracy against latency here", markup.paragraph("There is nothing to plot."))
    marks = [("", f"background:{FRONT}", "on the front: no other is as accurate and faster")]
    if any(not point.on_front and not point.faded for point in drawn.points):
        marks.append(("", f"background:{OTHER}", "other networks" + (" within the limits" if limits else "")))
    if any(point.faded for point in drawn.points):
        doubt = ", or perhaps" if any(entry.doubtful for entry in entries) else ""
        marks.append(("cross", f"color:{OTHER}", f"beyond a limit{doubt}"))
    if any(point.flagged for point in drawn.points):
        marks.append(("open", f"color:{OTHER}", "open: latency flagged or not precise"))
    marks.append(("stairs", f"color:{FRONT}", "best accuracy at this latency or below"))
    caption = f"Up and left is better.{' Logarithmic axis.' if drawn.log_x else ''}"
    if drawn.limits:
        caption += f" Dashed: {' and '.join(text for _, _, text in drawn.limits)}."
    if drawn.missing:
        names = [e.network.name for e in entries if e.measured and e.network.top1 is None]
        caption += f" Not shown, since no accuracy is published: {', '.join(names)}."
    caption += f" Measured with {_with(entries)}; torch {about['environment']['torch']}."
    return markup.section(
        "Published accuracy against latency here",
        markup.key(marks),
        figure_html(drawn, "catalogue", caption, HEIGHT),
        markup.paragraph(PUBLISHED),
    )


def _with(entries: Sequence[Entry]) -> str:
    shared, _ = summary.shared_and_varying(entry.latency.key for entry in entries if entry.latency)
    return ", ".join(
        f"{name} {value}" for name, value in shared.items() if value is not None and name != summary.OWN_KEY
    )


def _table(entries: Sequence[Entry]) -> str:
    front = catalogue.front(entries)
    columns = {
        "network": "word",
        "input, px": "number",
        "parameters, M": "number",
        "MACs, M": "number",
        "top-1, %": "number",
        "latency, ms": "number",
        "95% interval, ms": "number",
        "memory, MB": "number",
        "status": "wide",
    }
    measured = catalogue.by_latency(entries)
    rows = []
    for entry in measured:
        place = "on the front" if entry in front else ""
        status = ", ".join(filter(None, (place, entry.status if entry.status != "ok" or not place else "")))
        rows.append([*_figures(entry), status])
    others = [[*_figures(entry), entry.status] for entry in entries if not entry.measured]
    doubts = [
        [entry.network.name, "; ".join(catalogue.reasons(entry))] for entry in measured if catalogue.flagged(entry)
    ]
    return markup.section(
        "The networks",
        markup.paragraph(summary.flagged_note([entry.record for entry in measured])) if measured else "",
        markup.paragraph(MEMORY),
        markup.table(columns, rows) if rows else "",
        markup.folded("Why latencies are flagged", markup.table({"network": "word", "reasons": "wide"}, doubts))
        if doubts
        else "",
        markup.folded(f"{plural(len(others), 'network')} without a latency", markup.table(columns, others))
        if others
        else "",
    )


def _figures(entry: Entry) -> list[str]:
    flag = FLAG if catalogue.flagged(entry) else ""
    return [
        entry.network.name,
        str(entry.network.arch.resolution),
        *(digits(name, entry.figures[name]) for name in ("params", "macs")),
        catalogue.percent(entry),
        digits("latency_ms", entry.figures["latency_ms"]) + flag,
        catalogue.interval(entry),
        digits("peak_memory_mb", entry.figures["peak_memory_mb"]),
    ]


def _conditions(entries: Sequence[Entry], about: Mapping[str, Any]) -> str:
    commands = [about["command"], *about.get("resumed", [])]
    shared, varying = summary.shared_and_varying(entry.latency.key for entry in entries if entry.latency)
    shown = {"latency measured with": shared | varying} if shared else {}
    shown |= {name: about[name] for name in ("created", "constraints", "latency", "environment")}
    sources = {entry.network.name: entry.network.source for entry in entries}
    return markup.section(
        "What was measured on what",
        *(f"<pre>{escape(text)}</pre>" for text in commands),
        markup.cards(shown | {"accuracies published by": sources}),
    )
