"""What a coefficient study says, in words and as tables for the terminal; and all that a scaling run prints."""

from __future__ import annotations

from collections.abc import Sequence
from math import dist

from rich.markup import escape
from rich.table import Table

from reports.scaling import (
    digits4,
    family_notes,
    family_table,
    implied_note,
    implied_table,
    interval,
    mean,
    table_of,
)
from reports.units import plural, spread
from search_spaces.compound import PAPER, Coefficients
from studies.scaling_record import Interval, Point, Scaling, Study, Surface, known

ALIKE = "●"
MOST_POINTS = 10  # of the grid, in the terminal


def by_fitted(study: Study) -> list[Point]:
    """The best first: by the surface, or their means without one; those without a figure last."""
    return sorted(study.points, key=lambda point: -((mean(point.top1) if point.fitted is None else point.fitted) or 0))


def point_columns(points: Sequence[Point]) -> dict[str, list[str]]:
    """Headings with their texts, a row a point of the grid."""
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
        "is": [" ".join(f"{100 * share:.0f}" for share in point.shares) for point in points],
        "fitted, %": ["-" if point.fitted is None else f"{point.fitted:.2f}" for point in points],
    }


def study_table(record: Scaling) -> Table:
    """The best points of the grid, for a terminal."""
    points = by_fitted(record.study) if record.study else []
    shown = points[:MOST_POINTS]
    drawn = table_of(f"Grid of twice the base's MACs: the best {len(shown)} of {len(points)}", point_columns(shown))
    drawn.caption = (
        f"{ALIKE} cannot be told from the best; excess: counted MACs over twice the base's; is: % of\nthe growth by "
        "depth, width and resolution, as rounded"
    )
    return drawn


def study_lines(record: Scaling) -> list[str]:
    """What the surface says: the best with ranges, how far it can be told from others, noise, verdict."""
    study = record.study
    if study is None:
        return []
    found = ["no surface: too few networks of the grid have a figure, or they are too alike"]
    if study.surface:
        like, every = sum(point.like_best for point in study.points), plural(len(study.points), "grid point")
        networks = plural(len({point.network.id for point in study.points}), "network")
        found = [*_surface(study.surface), f"{like} of {every} ({networks}) cannot be told from the best"]
    if study.missing:
        found.append(f"{plural(study.missing, 'training')} ended without a figure")
    if not study.complete:
        found.append("the study is not complete; what is said here is of the trainings that have a figure")
    if study.proxy:
        found.append(f"all this is of the base at {study.proxy}, the study's proxy")
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
    """What each rule reached and what was predicted, for a terminal."""
    drawn = table_of("Rules at equal cost", rules_columns(record))
    drawn.caption = (
        "seeds that the grid was not trained with; predicted from the grid alone, for so many seeds;\n"
        "excess: counted MACs over what was asked for"
    )
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
