"""What a scaling run says, in words and as tables for the terminal; ``scaling_page`` shows the same."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from reports.terminal import narrow_table
from reports.units import FLAG, digits, is_flagged
from search_spaces.compound import PAPER
from studies.ledger import Latency
from studies.scaling_record import Implied, Interval, Member, Scaling, Seeds, known

ALMOST = 0.05  # phi
PREDICTED = "proxy's predicted top-1, %"
EXTRAS = (PREDICTED, "latency, ms", "published top-1, %")
# Headings that would make a table wider than 80 columns; the others only break at their unit.
NARROW = {
    "dropout": "drop\nout",
    "drop path": "drop\npath",
    PREDICTED: "proxy\ntop-1",
    "published top-1, %": "publ.\ntop-1",
    "activations, M": "activ.\nM",
}


def digits4(value: float) -> str:
    """About four significant digits."""
    return f"{value:.{1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3}f}"


def macs_unit(macs: Iterable[float]) -> tuple[str, float]:
    """One for all of them: M, or G where one has 1e9."""
    return ("G", 1e9) if max(macs, default=0) >= 1e9 else ("M", 1e6)


def amount(macs: float) -> str:
    """``399.4 M``"""
    letter, scale = macs_unit([macs])
    return f"{digits4(macs / scale)} {letter}"


def interval(value: Interval | None, write: Callable[[float], str] = "{:.2f}".format) -> str:
    """``61.23 (60.10 to 62.41)``"""
    if value is None:
        return "-"
    ends = "" if value.low is None or value.high is None else f" ({write(value.low)} to {write(value.high)})"
    return write(value.value) + ends


def latency(data: dict[str, Any] | None) -> str:
    """``4.210* ± 0.030``: p50, flagged, and interquartile range; the status where there is no value."""
    found = Latency.from_dict(data) if data else None
    if found is None or found.p50_ms is None:
        return found.status if found else "-"
    between = "" if found.iqr_ms is None else f" ± {digits('latency_ms', found.iqr_ms)}"
    return f"{digits('latency_ms', found.p50_ms)}{FLAG if is_flagged(found) else ''}{between}"


def triple(values: Sequence[float]) -> str:
    """``1.2, 1.1, 1.15``"""
    return ", ".join(f"{value:.4g}" for value in values)


def mean(top1: Seeds) -> float | None:
    """Of the seeds that have a figure, in percent; None: none has."""
    return statistics.fmean(values) if (values := known(top1)) else None


def family_columns(record: Scaling) -> dict[str, list[str]]:
    """The base, then the members; without what none of them has."""
    members, base = record.family, record.base
    letter, scale = macs_unit([base.macs, *(one.network.macs for one in members)])

    def row(of_base: str, of_member: Callable[[Member], str]) -> list[str]:
        return [of_base, *map(of_member, members)]

    found = {
        "name": row("base", lambda one: one.name),
        "phi": row("0", lambda one: f"{one.phi:.4g}"),
        "depth, x": row(digits4(1), lambda one: digits4(one.depth)),
        "width, x": row(digits4(1), lambda one: digits4(one.width)),
        "px": row(str(base.resolution), lambda one: str(one.network.resolution)),
        "params, M": row(digits4(base.params / 1e6), lambda one: digits4(one.network.params / 1e6)),
        f"MACs, {letter}": row(digits4(base.macs / scale), lambda one: digits4(one.network.macs / scale)),
        "counted, x base": row("1.000", lambda one: f"{one.counted:.3f}"),
        "promised, x base": row("1.000", lambda one: f"{one.promised:.3f}"),
        "dropout": row("-", lambda one: f"{one.dropout:.2f}"),
        "drop path": row("-", lambda one: f"{one.drop_path:.2f}"),
        EXTRAS[0]: row("-", lambda one: interval(one.predicted)),
        EXTRAS[1]: row("-", lambda one: latency(one.latency)),
        EXTRAS[2]: row("-", lambda one: "-" if one.published_top1 is None else f"{one.published_top1:.1f}"),
    }
    return {heading: cells for heading, cells in found.items() if set(cells) != {"-"}}


def family_table(record: Scaling) -> Table:
    """Narrow enough for 80 columns: intervals are on the page, and so is dropout where there are other figures."""
    columns = family_columns(record)
    left_out = ("dropout", "drop path") if len(set(columns) & set(EXTRAS)) > 1 else ()
    by = ", as published"
    if record.coefficients and record.source != "published":
        by = f", alpha, beta, gamma {triple(record.coefficients)}"
    brief = {name: [cell.split(" ")[0] for cell in cells] for name, cells in columns.items() if name not in left_out}
    return table_of(f"Family of {record.base_name}{by}", brief)


def family_notes(record: Scaling) -> list[str]:
    """Why counted costs are not the formula's, what is flagged, targets missed, what chose phi, the record's notes."""
    missed = [
        f"{one.name}: asked for {' and '.join(map(amount, one.targets))} MACs, has {amount(one.network.macs)}; the "
        f"nearest two are {' and '.join(map(amount, one.nearest))}"
        for one in record.family
        if one.nearest
    ]
    chosen = [f"{one.name}: phi by {', '.join(one.limits)}" for one in record.family if one.limits]
    found = [_rounding(record)] if record.family else []
    if any(FLAG in latency(one.latency) for one in record.family):
        found.append(f"{FLAG} this latency is flagged or not precise; measure it again before relying on it")
    return [*found, *missed, *chosen, *record.notes]


def _rounding(record: Scaling) -> str:
    most = max(record.family, key=lambda one: abs(one.counted / one.promised - 1))
    depths = "to the nearest" if record.rounding == "nearest" else "up to"
    guard = ", never down by more than 10%" if record.rounding == "official" else ""
    limit = "" if record.max_resolution is None else f" and at most {record.max_resolution} px"
    later = "; layers are added to later stages first" if record.later else ""
    return (
        "counted differs from what depth * width^2 * resolution^2 promises, since networks are rounded: depths "
        f"{depths} whole layers, widths to multiples of 8{guard}, resolution to the pixel{limit}{later}; furthest "
        f"off: {most.name}, counted {most.counted:.3f} x the base, promised {most.promised:.3f} x"
    )


def short(name: str) -> str:
    """``b1`` of ``efficientnet_b1``"""
    return name.rpartition("_")[2]


def implied_columns(record: Scaling) -> dict[str, list[str]]:
    """Headings with their texts, a row a published network."""
    every = record.implied
    letter, scale = macs_unit(one.macs for one in every)

    def column(of_one: Callable[[Implied], float | None], write: Callable[[float], str] = digits4) -> list[str]:
        return ["-" if (value := of_one(one)) is None else write(value) for one in every]

    return {
        "name": [short(one.name) for one in every],
        "depth, x": column(lambda one: one.depth),
        "width, x": column(lambda one: one.width),
        "px": column(lambda one: one.resolution, str),
        "phi: depth": column(lambda one: one.phi_depth, "{:.2f}".format),
        "phi: width": column(lambda one: one.phi_width, "{:.2f}".format),
        "phi: px": column(lambda one: one.phi_resolution, "{:.2f}".format),
        f"MACs, {letter}": column(lambda one: one.macs / scale),
        "formula: depth": column(lambda one: one.formula_depth),
        "formula: width": column(lambda one: one.formula_width),
        "formula: px": column(lambda one: one.formula_resolution, str),
        f"formula: MACs, {letter}": column(lambda one: one.formula_macs / scale),
    }


def implied_table(record: Scaling) -> Table:
    """The published family beside the formula, for a terminal."""
    drawn = table_of("As published, and what the formula gives", implied_columns(record))
    drawn.caption = "phi: what each of its dimensions implies; formula: at phi 1, 2, ..."
    return drawn


def implied_note(record: Scaling) -> str:
    """That the published networks do not lie at whole phi, in a sentence; empty where they do."""
    found = {}
    for one in record.implied:
        phis = zip(("depth", "width", "resolution"), (one.phi_depth, one.phi_width, one.phi_resolution), strict=True)
        found[short(one.name)] = {name: phi for name, phi in phis if phi is not None}
    apart = {name: max(phis.values()) - min(phis.values()) for name, phis in found.items() if phis}
    if max(apart.values(), default=0) <= ALMOST or record.coefficients is None:
        return ""
    every, by = " to ".join(dict.fromkeys((next(iter(found)), list(found)[-1]))), triple(record.coefficients)
    most = max(apart, key=lambda name: apart[name])
    each = ", ".join(f"{dimension} {phi:.2f}" for dimension, phi in found[most].items())
    why = "so they were picked by hand" if by == triple(PAPER.at(1)) else "so they do not follow these coefficients"
    return (
        f"The official {every} do not lie at whole phi of {by}: the dimensions of one network imply phi that differ by "
        f"up to {apart[most]:.1f} ({most}: {each}), {why}."
    )


def table_of(title: str, columns: Mapping[str, Sequence[str]]) -> Table:
    """Columns of text as a table for a terminal, the first one to the left."""
    drawn = narrow_table(escape(title))
    for place, heading in enumerate(columns):
        narrow = NARROW.get(heading) or re.sub("[,:] ", "\n", heading, count=1)
        drawn.add_column(narrow, justify="right" if place else "left", no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        drawn.add_row(*map(Text, row))
    return drawn
