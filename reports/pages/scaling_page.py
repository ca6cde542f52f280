"""The page of a scaling run: the family, the published one beside the formula, the map of directions, the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from reports import scaling, scaling_study
from reports.drawing import scaling_figures
from reports.drawing.canvas import FRONT, OTHER, PUBLISHED
from reports.drawing.fidelity_figures import HEIGHT
from reports.pages import markup
from reports.pages.page import REPORT
from reports.pages.template import WIDE, page
from reports.scaling import amount, triple
from reports.units import plural
from studies.runfolder import write_text
from studies.scaling_record import Scaling, Study

SOURCES = {"study": "found by this study", "given": "as given", "published": "as published"}
NUMBER = "number"


def write(folder: Path, record: Scaling) -> Path:
    """Writes ``report.html`` into the folder and returns its path."""
    write_text(folder / REPORT, render(record))
    return folder / REPORT


def render(record: Scaling) -> str:
    """The page as HTML."""
    said = headline(record)
    parts = [_family(record), _implied(record)]
    if study := record.study:
        parts += [_map(record, study), _rules(record), _points(study)]
    return page(f"Scaling: {said}", said, lead(record), [*parts, _conditions(record)])


def headline(record: Scaling) -> str:
    """The direction that was found, or what the family costs, in a sentence."""
    surface = record.study.surface if record.study else None
    if surface and surface.enough:
        depth, width, resolution = surface.best
        return (
            f"To double the cost of {record.base_name}: depth x {depth:.2f}, width x {width:.2f}, resolution x "
            f"{resolution:.2f}; {surface.region_share:.0%} of all directions cannot be told from it"
        )
    if record.study:
        return f"The study is too small to tell in which direction {record.base_name} should grow"
    if not record.family:
        return f"{record.base_name} has no family yet"
    macs, ratios = [one.network.macs for one in record.family], [one.counted / one.promised for one in record.family]
    return (
        f"{plural(len(macs), 'larger network')} from {record.base_name}, up to {amount(max(macs))} MACs; counted, they "
        f"cost {min(ratios):.2f} to {max(ratios):.2f} times what the formula promises"
    )


def lead(record: Scaling) -> str:
    """Where the base and the coefficients are from, and the verdict of the study."""
    found = [f"Base: {record.base_name}, {record.base_from}, {amount(record.base.macs)} MACs."]
    if record.coefficients:
        found.append(f"Coefficients {triple(record.coefficients)}, {SOURCES.get(record.source, record.source)}.")
    if study := record.study:
        verdict = study.surface.verdict if study.surface else "Too few grid points have a figure for a surface"
        found.append(f"{verdict.rstrip('.')}.")
        found += [f"The base that the study scales: {study.proxy}."] * bool(study.proxy)
        found += ["The study is not complete."] * (not study.complete)
    return " ".join(found)


def _family(record: Scaling) -> str:
    title = f"The family of {record.base_name}"
    if not record.family:
        notes = ("There is none: no coefficients are known yet.", *record.notes)
        return markup.section(title, *map(markup.paragraph, notes))
    data = scaling_figures.family_panel(record)
    marks = [
        ("", f"background:{FRONT}", "counted, after rounding"),
        ("open", f"color:{OTHER}", "what its multipliers promise"),
    ]
    marks += [("diamond", f"background:{PUBLISHED}", "as published, at phi of the number")] * bool(data.published)
    caption = "Times the base's MACs against phi, logarithmic axis. The gap between the lines is rounding."
    return markup.section(
        title,
        _table(scaling.family_columns(record)),
        _listed(scaling.family_notes(record)),
        markup.key(marks),
        markup.figure(scaling_figures.draw_family(data), "family", caption, HEIGHT),
    )


def _implied(record: Scaling) -> str:
    if not record.implied:
        return ""
    help_text = (
        "phi: what each published dimension implies for the coefficients, 0 being the base. Formula: what the "
        "coefficients give at phi of the number."
    )
    note = scaling.implied_note(record)
    return markup.section(
        "As published, and what the formula gives",
        markup.paragraph(note) if note else "",
        markup.paragraph(help_text, "help"),
        _table(scaling.implied_columns(record)),
    )


def _map(record: Scaling, study: Study) -> str:
    title, data, surface = "The map of directions", scaling_figures.map_panel(study), study.surface
    lines = _listed([line for line in scaling_study.study_lines(record) if not (surface and line == surface.verdict)])
    if data is None or surface is None:
        nothing = markup.paragraph("There is nothing to plot: no surface could be fitted.")
        return markup.section(title, nothing, lines)
    doubt = "" if surface.enough else "The study is too small to tell directions from each other: do not read this map."
    marks = [
        ("cross", f"color:{scaling_figures.BEST}", "best fitted"),
        ("diamond", f"background:{scaling_figures.OF_PAPER}", "direction of the EfficientNet paper"),
        ("open", f"color:{OTHER}", "circles: points of the grid, where rounding puts them, coloured as measured"),
        ("stairs", f"color:{OTHER}", "dark outline: 95% region of the best"),
    ]
    caption = (
        f"{doubt} Every direction costs twice the base. The nearer to a corner, the larger the share of that dimension "
        "in the growth; in the corner the network grows in it alone. Colour of the ground: top-1 as fitted."
    )
    return markup.section(
        title,
        markup.paragraph(doubt, "warn") if doubt else "",
        lines,
        markup.key(marks),
        markup.figure(scaling_figures.draw_map(data), "map", caption.strip(), scaling_figures.MAP_HEIGHT),
    )


def _rules(record: Scaling) -> str:
    lines = scaling_figures.rules_panel(record)
    if not lines:
        return ""
    marks = [("", f"background:{scaling_figures.style(place)[0]}", line.rule) for place, line in enumerate(lines)]
    marks += [("open", f"color:{OTHER}", "open: predicted from the grid alone"), ("", f"background:{OTHER}", "base")]
    multiples = sorted({one.multiple for one in record.rules})
    figures = [
        markup.figure(
            scaling_figures.draw_rules(lines, multiples),
            "rules",
            "Up is better at equal cost. Means ± std of seeds that the grid was not trained with, small dots: each "
            "seed; open marks: predictions with 95% intervals. Rules of one cost stand a little apart so that they can "
            "be seen. Logarithmic axis.",
            HEIGHT,
        )
    ]
    if checked := scaling_figures.checks(lines):
        help_text = "On the dashed line a prediction is met; bars: 95% interval across, std of seeds up and down."
        drawn = scaling_figures.draw_checks(checked)
        figures.append(markup.figure(drawn, "predicted", help_text, HEIGHT))
    return markup.section(
        "Rules at equal cost",
        markup.key(marks),
        f'<div class="figures" style="{WIDE}">',
        *figures,
        "</div>",
        _table(scaling_study.rules_columns(record)),
    )


def _points(study: Study) -> str:
    points = scaling_study.by_fitted(study)
    columns = scaling_study.point_columns(points) | {"stages": [point.network.text for point in points]}
    count = plural(len(points), "point")
    return markup.section(
        "The grid",
        markup.paragraph(
            f"{count} of steps of {study.grid_step:g} whose alpha * beta^2 * gamma^2 is within {study.tolerance:g} of "
            "2, each followed to the phi at which its network's counted MACs are nearest to twice the base's. "
            f"{scaling_study.ALIKE}: cannot be told from the best."
        ),
        markup.folded(f"All {count}, the best first", _table(columns, {"stages": "net"})),
    )


def _conditions(record: Scaling) -> str:
    names = ("created", "base_name", "base_from", "classes", "coefficients", "source", "rounding", "max_resolution")
    shown: dict[str, Any] = {name.replace("_", " "): getattr(record, name) for name in names}
    shown |= {"coefficients": triple(record.coefficients) if record.coefficients else None}
    shown |= {"later stages first": record.later, "base": _network(record.base.text, record.base.resolution)}
    if study := record.study:
        about = {"base": _network(study.base.text, study.base.resolution), "proxy": study.proxy or None}
        settings = ("classes", "seeds", "rounding", "grid_step", "tolerance", "missing")
        about |= {name: getattr(study, name) for name in settings}
        shown |= {"study": about, "data": study.data, "train": study.train}
    shown |= {"environment": record.environment}
    return markup.section("How it was made", f"<pre>{escape(record.command)}</pre>", markup.cards(shown))


def _network(text: str, resolution: int) -> str:
    return f"{text} @{resolution}"


def _listed(sentences: Sequence[str]) -> str:
    return "".join(markup.paragraph(f"{text[:1].upper()}{text[1:].rstrip('.')}.") for text in sentences)


def _table(columns: Mapping[str, Sequence[str]], kinds: Mapping[str, str] | None = None) -> str:
    """Numbers, but for a first column of names and what ``kinds`` says."""
    first = next(iter(columns))
    every = {name: "word" if name == first else NUMBER for name in columns} | dict(kinds or {})
    return markup.table(every, zip(*columns.values(), strict=True))
