"""One self-contained page for a search: ``report.html``, which needs nothing but a browser, on- or offline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import plotly.graph_objects as go

from reports import baselines, certificates, confirmed, summary
from reports import run as runs
from reports.drawing import pareto, pareto_figure
from reports.drawing.canvas import FRONT, LIMIT, OTHER, PUBLISHED
from reports.pages import explorer, listing, markup, matters, template, trust
from reports.run import Run
from reports.units import UNITS
from studies.ledger import TrialRecord
from studies.runfolder import write_text

REPORT = "report.html"
# What the marks mean, once for all figures.
MARKS = (
    ("", f"background:{FRONT}", "on the front of the search"),
    ("", f"background:{OTHER}", "other finished networks"),
    ("open", f"color:{OTHER}", "open: latency flagged"),
    ("stairs", f"color:{FRONT}", "best accuracy at this cost or below"),
)
BESIDE_MARK = ("diamond", f"background:{PUBLISHED}", "published networks, trained alike (pale: beyond a limit)")
LIMIT_MARK = ("stairs", f"color:{LIMIT}", "limit of the search; shaded: beyond it")
BAND = "95%: the best at this cost in truth, given the noise of accuracies"
LINKS = {
    "explorer": "Which one to take",
    "the-front": "The front",
    "certificates": "What the figures rest on",
    "matters": "What matters",
    "progress": "How it went",
    "others": "Trials without a result",
    "conditions": "Settings and machines",
}


def write(run_dir: str | Path) -> Path:
    """Writes ``report.html`` into the run folder and returns its path; a reader never sees half a page.

    Raises UserError where the folder holds no run, or a spec without valid ``search.objectives``.
    """
    path = Path(run_dir) / REPORT
    write_text(path, render(runs.read(run_dir)))
    return path


def render(run: Run) -> str:
    """The page as text."""
    limits = [str(limit) for limit in run.constraints]
    headline = summary.headline(run.networks, run.objectives, limits, run.noise)
    headline += baselines.advantage(run.published, run.networks, run.objectives)
    found = certificates.certificates(run)
    again = confirmed.confirmed(run.trials, run.confirmation, run.beside) if run.confirmation else []
    sections = [
        _explorer(run, trust.card(found)),
        listing.confirmed_section(again, run.epochs),
        listing.front_section(run),
        listing.published_section(run.published, run.objectives, run.constraints),
        trust.section(found),
        *matters.sections(run),
        listing.others_section(run.trials),
        listing.conditions_section([*run.trials, *(one.record for one in run.published)], run.spec),
    ]
    sections.insert(0, _links(sections))
    lead = f"{summary.counts(run.trials)}. {_when(run.trials)}"
    scripts = explorer.SCRIPTS if any('id="explorer"' in part for part in sections) else ()
    return template.page(f"{run.name}: {headline}", unbroken(headline), lead, sections, scripts)


def _links(sections: Sequence[str]) -> str:
    """To what the page has."""
    body = "".join(sections)
    found = (
        f'<a href="#{name}">{text}</a>'
        for name, text in LINKS.items()
        if f"id='{name}'" in body or f'id="{name}"' in body
    )
    return f"<nav>{''.join(found)}</nav>"


def _explorer(run: Run, aside: str) -> str:
    asked = pareto.costs(run)
    panels = [
        pareto.panel(run.networks, run.objectives, cost, run.constraints, run.published, run.noise, hovers=False)
        for cost in asked
    ]
    drawn = [panel for panel in panels if panel.points or panel.beside]
    if not drawn:
        return markup.paragraph("There is nothing to plot: no finished network with an accuracy and a cost.") + aside
    words = BAND if run.noise.certain else f"{BAND}, which may be larger"
    marks = [*MARKS, *[("", f"background:{pareto_figure.BAND}", words)] * any(panel.band for panel in drawn)]
    marks += [*[LIMIT_MARK] * any(panel.limits for panel in drawn), *[BESIDE_MARK] * any(p.beside for p in drawn)]
    found = explorer.networks(run.networks, run.objectives, run.constraints, run.published, run.noise, asked)
    captioned = [(panel, pareto.caption(panel, run)) for panel in drawn]
    absent = [UNITS[panel.cost].name for panel in panels if panel not in drawn]
    gone = markup.paragraph(f"No finished network has a figure for {' or '.join(absent)}.") if absent else ""
    return explorer.section(captioned, found, marks, aside, run.path, run.constraints) + gone


def figure_html(panel: pareto.Panel, name: str, caption: str, height: int = pareto_figure.HEIGHT) -> str:
    """The drawing as HTML. name: of its element."""
    drawn: go.Figure = pareto_figure.draw(panel).update_layout(height=height)
    return markup.figure(drawn, name, caption, height)


def _when(trials: Sequence[TrialRecord]) -> str:
    if not trials:
        return ""
    first = min(trial.started for trial in trials)
    last = max(trial.finished or trial.started for trial in trials)
    start = datetime.fromtimestamp(first, UTC)
    return (
        f"First trial {start:%Y-%m-%d %H:%M} UTC, last result after {timedelta(seconds=round(last - first))} (h:min:s)."
    )


def unbroken(text: str) -> str:
    """Keeps numbers and their units on one line."""
    return re.sub(r"(?<=\d) (?=%|ms|M|nats)", "\u00a0", text)
