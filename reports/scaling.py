"""What a scaling run says, in words and as tables for the terminal; ``scaling_page`` shows the same."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import dist
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from reports.summary import plural
from reports.terminal import narrow_table
from reports.units import FLAG, digits, is_flagged, spread
from search_spaces.compound import PAPER, Coefficients
from studies.ledger import Latency
from studies.scaling_record import Implied, Interval, Member, Point, Scaling, Seeds, Study, Surface, known

ALIKE = "●"
MOST_POINTS, MISSED, ALMOST = 10, 0.02, 0.05  # of the grid, for the terminal; of the MACs asked for; phi
EXTRAS = ("predicted top-1, %", "latency, ms", "published top-1, %")
# Headings that would make a table wider than 80 columns; the others only break at their unit.
NARROW = {
    "dropout": "drop\nout",
    "drop path": "drop\npath",
    "predicted top-1, %": "pred.\ntop-1",
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
        "formula, x base": row("1.000", lambda one: f"{one.formula:.3f}"),
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
    by = f", alpha, beta, gamma {triple(record.coefficients)}" if record.coefficients else ""
    brief = {name: [cell.split(" ")[0] for cell in cells] for name, cells in columns.items() if name not in left_out}
    return _table(f"Family of {record.base_name}{by}", brief)


def family_notes(record: Scaling) -> list[str]:
    """Why counted costs are not the formula's, what is flagged, targets missed, what chose phi, the record's notes."""
    missed = [
        f"{one.name}: asked for {amount(one.target)} MACs, has {amount(one.network.macs)}; the nearest two are "
        f"{' and '.join(map(amount, one.nearest))}"
        for one in record.family
        if one.target and abs(one.network.macs / one.target - 1) > MISSED
    ]
    chosen = [f"{one.name}: phi by {', '.join(one.limits)}" for one in record.family if one.limits]
    found = [_rounding(record)] if record.family else []
    if any(FLAG in latency(one.latency) for one in record.family):
        found.append(f"{FLAG} this latency is flagged or not precise; measure it again before relying on it")
    return [*found, *missed, *chosen, *record.notes]


def _rounding(record: Scaling) -> str:
    most = max(record.family, key=lambda one: abs(one.counted / one.formula - 1))
    depths = "to the nearest" if record.rounding == "nearest" else "up to"
    guard = ", never down by more than 10%" if record.rounding == "official" else ""
    limit = "" if record.max_resolution is None else f" and at most {record.max_resolution} px"
    later = "; layers are added to later stages first" if record.later else ""
    return (
        f"counted differs from the formula, since networks are rounded: depths {depths} whole layers, widths to "
        f"multiples of 8{guard}, resolution to the pixel{limit}{later}; furthest off: {most.name}, counted "
        f"{digits4(most.counted)} x the base, formula {digits4(most.formula)} x"
    )


def short(name: str) -> str:
    """``b1`` of ``efficientnet_b1``"""
    return name.rpartition("_")[2]


def implied_columns(record: Scaling) -> dict[str, list[str]]:
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
    drawn = _table("As published, and what the formula gives", implied_columns(record))
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


def by_fitted(study: Study) -> list[Point]:
    """The best first: by the surface, or their means without one; those without a figure last."""
    return sorted(study.points, key=lambda point: -((mean(point.top1) if point.fitted is None else point.fitted) or 0))


def point_columns(points: Sequence[Point]) -> dict[str, list[str]]:
    return {
        "": [ALIKE if point.like_best else "" for point in points],
        "alpha": [digits4(point.coefficients[0]) for point in points],
        "beta": [digits4(point.coefficients[1]) for point in points],
        "gamma": [digits4(point.coefficients[2]) for point in points],
        "phi": [f"{point.phi:.4g}" for point in points],
        "px": [str(point.network.resolution) for point in points],
        "MACs, M": [digits4(point.network.macs / 1e6) for point in points],
        "excess, %": [f"{100 * point.excess:+.1f}" for point in points],
        "top-1, %": [spread(known(point.top1)) for point in points],
        "fitted, %": ["-" if point.fitted is None else f"{point.fitted:.2f}" for point in points],
    }


def study_table(record: Scaling) -> Table:
    points = by_fitted(record.study) if record.study else []
    shown = points[:MOST_POINTS]
    drawn = _table(f"Grid of twice the base's MACs: the best {len(shown)} of {len(points)}", point_columns(shown))
    drawn.caption = f"{ALIKE} cannot be told from the best; excess: counted MACs over twice the base's"
    return drawn


def study_lines(record: Scaling) -> list[str]:
    """What the surface says: the best with ranges, how far it can be told from others, noise, verdict."""
    study = record.study
    if study is None:
        return []
    found = ["no surface yet: too few grid points have a figure"]
    if study.surface:
        like, every = sum(point.like_best for point in study.points), plural(len(study.points), "grid point")
        networks = plural(len({point.network.id for point in study.points}), "network")
        found = [*_surface(study.surface), f"{like} of {every} ({networks}) cannot be told from the best"]
    if study.missing:
        found.append(f"{plural(study.missing, 'training')} ended without a figure")
    if not study.complete:
        found.append("the study is not complete; what is said here is of the trainings that have a figure")
    return found + ([study.surface.verdict] if study.surface else [])


def _surface(surface: Surface) -> list[str]:
    ranges = zip(("alpha", "beta", "gamma"), surface.best, surface.low, surface.high, strict=True)
    parts = ", ".join(f"{name} {interval(Interval(*values))}" for name, *values in ranges)
    nearest = min(surface.mesh, key=lambda place: dist(place.shares, PAPER.shares), default=None)
    paper = "in" if nearest and nearest.inside else "not in"
    std = "unknown with one seed" if surface.seed_std is None else f"{surface.seed_std:.2f} points"
    return [
        f"best fitted: {parts}, top-1 there {interval(surface.top1)} %"
        + ("" if surface.enough else "; too few data to rely on it"),
        f"its alpha * beta^2 * gamma^2 is {Coefficients(*surface.best).growth:.2f}; its 95% region is "
        f"{surface.region_share:.0%} of the constraint surface",
        f"the paper's {PAPER} ({PAPER.doubling()} at a growth of 2) is {paper} the 95% region",
        f"std of one seed: {std}; of what the surface leaves of the points' means: {surface.rest_std:.2f} points; "
        f"p-value of a surface without any shape: {surface.flat_p:.2g}",
    ]


def rules_columns(record: Scaling) -> dict[str, list[str]]:
    """The base of the study, then each rule at each multiple."""
    study, rules = record.study, record.rules
    if study is None:
        return {}
    networks = [study.base, *(one.network for one in rules)]
    return {
        "rule": ["base", *(one.rule for one in rules)],
        "x base": ["1", *(f"{one.multiple:g}" for one in rules)],
        "MACs, M": [digits4(network.macs / 1e6) for network in networks],
        "excess, %": ["-", *(f"{100 * one.excess:+.1f}" for one in rules)],
        "activations, M": [digits4(network.activations / 1e6) for network in networks],
        "top-1, %": [spread(known(study.base_top1)), *(spread(known(one.top1)) for one in rules)],
        "predicted, %": ["-", *(interval(one.predicted) for one in rules)],
    }


def rules_table(record: Scaling) -> Table:
    drawn = _table("Rules at equal cost", rules_columns(record))
    drawn.caption = "excess: counted MACs over what was asked for; predicted before they were trained"
    return drawn


def printed(record: Scaling) -> list[str | Table]:
    """All that the terminal shows, in order; sentences are escaped for rich."""
    found: list[str | Table] = [family_table(record)] if record.family else []
    found += map(escape, family_notes(record))
    if record.implied:
        found += [implied_table(record), escape(implied_note(record))]
    if record.study:
        found += [study_table(record), *map(escape, study_lines(record))]
    if record.rules:
        found.append(rules_table(record))
    return found


def _table(title: str, columns: Mapping[str, Sequence[str]]) -> Table:
    drawn = narrow_table(escape(title))
    for place, heading in enumerate(columns):
        narrow = NARROW.get(heading) or re.sub("[,:] ", "\n", heading, count=1)
        drawn.add_column(narrow, justify="right" if place else "left", no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        drawn.add_row(*map(Text, row))
    return drawn
