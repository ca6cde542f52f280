"""Every figure of a run's page by name, for notebooks and for image files: each with a title, a reading help and a
legend of its own, on white, so that it can stand alone."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from reports import folder
from reports.drawing.canvas import DARK, FRONT, OTHER, PUBLISHED
from reports.run import Run
from reports.units import UNITS
from studies.fidelity_record import Study
from studies.scaling_record import Scaling

WIDTH = 960  # pixels
LETTERS, ROW = 130, 16  # of a line of the reading help; pixels of one
LEFT, EDGE = 90, 12  # pixels of margins: the least on the left; more on the other sides
Mark = tuple[str, str, str]
"""Of a legend: text, colour, symbol."""


def of_run(run_dir: str | Path) -> dict[str, go.Figure]:
    """By name, in the page's order, without those that have nothing to draw. Raises UserError where the folder holds no
    run, or no record yet."""
    return of_record(folder.read(Path(run_dir)), Path(run_dir).resolve().name)


def of_record(record: folder.Record, name: str) -> dict[str, go.Figure]:
    """The same of what the folder holds; name: of the run, for titles."""
    if isinstance(record, Scaling):
        found = dict(of_scaling(record))
    elif isinstance(record, Study):
        found = dict(of_fidelity(record))
    elif isinstance(record, folder.Catalogue):
        found = dict(of_catalogue(record))
    else:
        found = dict(of_search(record))
    for drawing in found.values():
        drawing.update_layout(title_text=f"{drawing.layout.title.text} ({html.escape(name, quote=False)})")
    return found


def of_search(run: Run) -> Iterator[tuple[str, go.Figure]]:
    """Name and figure: accuracy against each cost, what matters, how it went."""
    from reports.drawing import matters, pareto, pareto_figure

    for cost in pareto.costs(run):
        panel = pareto.panel(run.networks, run.objectives, cost, run.constraints, run.published, run.noise)
        if panel.points or panel.beside:
            title, drawn = f"Accuracy against {UNITS[cost].name}", pareto_figure.draw(panel)
            yield f"accuracy-{cost}", alone(drawn, title, pareto.caption(panel, run))
    for one in matters.matters(run).drawings:
        yield one.name, alone(one.drawing, one.title, one.caption)


def of_scaling(record: Scaling) -> Iterator[tuple[str, go.Figure]]:
    """Name and figure: the family; of a study also its map, the rules, and what was predicted."""
    from reports.drawing import scaling_figures as figures

    if record.family:
        panel, marks = figures.family_panel(record), [("counted, after rounding", FRONT, "circle")]
        marks += [("what its multipliers promise", OTHER, "circle-open")]
        marks += [("as published, at phi of the number", PUBLISHED, "diamond")] * bool(panel.published)
        said = "Times the base's MACs against phi, logarithmic axis. The gap between the lines is rounding."
        yield "family", alone(figures.draw_family(panel), f"The family of {record.base_name}", said, marks)
    if record.study is None:
        return
    if surface := figures.map_panel(record.study):
        marks = [("best fitted", figures.BEST, "x"), ("of the paper", figures.OF_PAPER, "diamond")]
        marks += [("grid points, as measured", DARK, "circle-open"), ("95% region of the best", DARK, "hexagon-open")]
        said = (
            "Every direction costs twice the base; the nearer to a corner, the larger the share of that dimension in "
            "the growth. Colour of the ground: top-1 as fitted."
        )
        enough = record.study.surface and record.study.surface.enough
        said += "" if enough else " The study is too small to tell directions from each other."
        yield "map", alone(figures.draw_map(surface), f"Directions in which {record.base_name} can grow", said, marks)
    if lines := figures.rules_panel(record):
        of_rules = [(line.rule, *figures.style(place)) for place, line in enumerate(lines)]
        multiples = sorted({one.multiple for one in record.rules})
        said = (
            "Up is better at equal cost. Means and std of seeds that the grid was not trained with; small dots: each "
            "seed; open marks: predicted from the grid alone, with 95% intervals. Logarithmic axis."
        )
        yield "rules", alone(figures.draw_rules(lines, multiples), "Rules at equal cost", said, of_rules)
        if checked := figures.checks(lines):
            said = "On the dashed line a prediction is met; bars: 95% interval across, std of seeds up and down."
            yield "predicted", alone(figures.draw_checks(checked), "Predicted against measured", said, of_rules)


def of_fidelity(study: Study) -> Iterator[tuple[str, go.Figure]]:
    """Name and figure: rank agreement against cost, and the best proxy against the long training."""
    from reports import fidelity
    from reports.drawing import fidelity_figures

    panel, best = fidelity_figures.cost_panel(study), study.proxy(study.chosen) or fidelity.nearest(study)
    if not panel.marks or best is None:
        return
    names = "; ".join(f"{mark.place}: {mark.name}" for mark in panel.marks)
    said = f"Up and left is better. Bars: 95% bootstrap intervals over networks and seeds. Logarithmic axis. {names}."
    said += f" Not shown, since nothing can be said of them: {'; '.join(panel.missing)}." if panel.missing else ""
    marks = [("the cheapest that reaches the threshold", FRONT, "circle")] * bool(study.chosen)
    marks += [("other proxies", OTHER, "circle")]
    yield "tau-cost", alone(fidelity_figures.draw_costs(panel), "How a cheaper training ranks networks", said, marks)
    pairs = fidelity_figures.pairs(study, best)
    said = f"Each network in {best.name} and in the long training; bars: standard deviation between its seeds."
    yield "short-long", alone(fidelity_figures.draw_pairs(pairs), "Short against long training", said)


def of_catalogue(record: folder.Catalogue) -> Iterator[tuple[str, go.Figure]]:
    """Name and figure: published accuracy against latency here."""
    from reports.drawing import catalogue_figure, pareto_figure

    panel = catalogue_figure.panel(record.entries, record.limits)
    if panel.points:
        said = "Up and left is better. Front and line are of the networks that keep the limits; crosses break one."
        said += f" Not shown, since no accuracy is published: {panel.missing} networks." if panel.missing else ""
        yield "accuracy-latency", alone(pareto_figure.draw(panel), "Published accuracy against latency here", said)


def alone(drawing: go.Figure, title: str, said: str, marks: Sequence[Mark] = ()) -> go.Figure:
    """The drawing with its title, with ``said`` under it, and a legend of its own traces' names or of ``marks``."""
    lines = textwrap.wrap(said, LETTERS)
    for trace in drawing.data:
        if "showlegend" in trace:  # which lines of parallel coordinates have not
            trace.showlegend = bool(trace.name)
    for text, colour, symbol in marks:
        style = {"color": colour, "symbol": symbol, "size": 10, "line": {"width": 2 if "open" in symbol else 0}}
        _add_mark(drawing, name=html.escape(text, quote=False), marker=style)
    if not drawing.layout.showlegend and any("showlegend" in trace and trace.showlegend for trace in drawing.data):
        drawing.update_layout(showlegend=True, legend=_legend(drawing))
    margin, more = drawing.layout.margin, 44 + ROW * len(lines)
    subtitle = {"text": "<br>".join(html.escape(line, quote=False) for line in lines), "font": {"size": 12}}
    heading = {"text": html.escape(title, quote=False), "subtitle": subtitle, "font": {"size": 18, "color": DARK}}
    place = {"x": 0, "xref": "container", "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top"}
    return drawing.update_layout(
        title={**heading, **place, "pad": {"t": 14, "l": 16}},
        width=WIDTH,
        height=drawing.layout.height + more + EDGE,
        margin={"l": max(margin.l, LEFT), "r": margin.r + EDGE, "t": margin.t + more, "b": margin.b + EDGE},
        paper_bgcolor="white",
        plot_bgcolor="white",
        font_color=DARK,
    )


def _legend(drawing: go.Figure) -> dict[str, Any]:
    """Under the axis' title; of a triangle, in the corner that it leaves empty."""
    if _is_ternary(drawing):
        return {"x": 1, "xanchor": "right", "y": 1, "yanchor": "top"}
    plot = drawing.layout.height - drawing.layout.margin.t - drawing.layout.margin.b
    return {"orientation": "h", "x": 0, "xanchor": "left", "y": -70 / plot, "yanchor": "top"}


def _is_ternary(drawing: go.Figure) -> bool:
    return bool(drawing.data) and drawing.data[0].type == "scatterternary"


def _add_mark(drawing: go.Figure, **more: Any) -> None:
    """A trace without a point, for the legend; of the drawing's own kind, or it would bring other axes."""
    common = {"mode": "markers", "showlegend": True, "hoverinfo": "skip", **more}
    if _is_ternary(drawing):
        drawing.add_scatterternary(a=[None], b=[None], c=[None], **common)
    else:
        drawing.add_scatter(x=[None], y=[None], **common)
