"""One self-contained page for a run: ``report.html``, which needs nothing but a browser, on- or offline."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import yaml
from plotly.offline import get_plotlyjs

from reports import baselines, confirmed, fidelity, markup, pareto, summary
from reports.template import PAGE, STYLE
from reports.units import UNITS, columns, costs, figure, unit
from search_spaces import UserError
from search_spaces.constraint import parse
from studies import ledger, objectives
from studies.ledger import TrialRecord
from studies.pareto import front
from studies.repeats import networks
from studies.runfolder import SPEC, write_text

REPORT = "report.html"
# Of a latency's key, what belongs to the network and therefore differs between the candidates of one search.
OWN_KEY = "resolution"
# What the marks mean, once for all figures.
MARKS = (
    ("", f"background:{pareto.FRONT}", "on the front of the search"),
    ("", f"background:{pareto.OTHER}", "other finished networks"),
    ("open", f"color:{pareto.OTHER}", "open: latency flagged"),
    ("stairs", f"color:{pareto.FRONT}", "best accuracy at this cost or below"),
)
BESIDE_MARK = ("diamond", f"background:{pareto.PUBLISHED}", "published networks, trained alike (pale: beyond a limit)")


def write(run_dir: str | Path) -> Path:
    """Writes ``report.html`` into the run folder and returns its path; a reader never sees half a page.

    Raises UserError where the folder holds no run, or a spec without valid ``search.objectives``.
    """
    run_dir = Path(run_dir)
    spec, trials = read_spec(run_dir), ledger.read(run_dir)
    confirmation = confirmed.section(*confirmed.of_run(run_dir, trials)) + fidelity.section(run_dir, spec)
    beside = baselines.read(run_dir)
    write_text(run_dir / REPORT, render(trials, spec, run_dir.resolve().name, confirmation, beside))
    return run_dir / REPORT


def read_spec(run_dir: Path) -> dict[str, Any]:
    path = run_dir / SPEC
    try:
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{run_dir}: holds no {SPEC}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    search = spec.get("search") if isinstance(spec, dict) else None
    if not isinstance(search, dict) or not isinstance(search.get("objectives"), list):
        raise UserError(f"{path}: search.objectives: missing, a list such as [top1, latency_ms] is needed")
    return spec


def render(
    trials: Sequence[TrialRecord],
    spec: Mapping[str, Any],
    name: str = "run",
    confirmation: str = "",
    beside: Mapping[str, Sequence[TrialRecord]] | None = None,
) -> str:
    """The page as text. ``spec`` is any nested mapping with ``search.objectives`` and maybe ``search.constraints``;
    ``confirmation``: HTML of ``confirmed.section``; ``beside``: what ``baselines.read`` gives. Repeats of a network are
    one, with the means of their figures."""
    search = spec["search"]
    goals = objectives.check(search["objectives"])
    constraints = [parse(text, objectives.METRICS) for text in search.get("constraints") or ()]
    found = networks(trials) if search.get("repeats", 1) > 1 else trials
    headline = summary.headline(found, goals)
    published = baselines.compare(beside or {}, found, goals, constraints)
    panels = [pareto.panel(found, goals, cost, constraints, published) for cost in costs(goals, constraints)]
    sections = [
        _figures(panels, goals),
        confirmation,
        _front_section(found, goals, columns(goals, constraints)),
        baselines.section(published, goals, constraints),
        _others_section(trials),
        _conditions_section([*trials, *(one.record for one in published)], spec),
    ]
    return PAGE.substitute(
        title=escape(f"{name}: {headline}"),
        style=STYLE,
        headline=escape(unbroken(headline)),
        summary=escape(f"{summary.counts(trials)}. {_when(trials)}"),
        sections="\n".join(sections),
    )


def _figures(panels: Sequence[pareto.Panel], goals: Sequence[str]) -> str:
    drawn = [panel for panel in panels if panel.points or panel.beside]
    if not drawn:
        return markup.paragraph("There is nothing to plot: no finished network with an accuracy and a cost.")
    blocks = [figure_html(panel, f"top1-{panel.cost}", _help(panel, goals)) for panel in drawn]
    absent = [UNITS[panel.cost].name for panel in panels if panel not in drawn]
    marks = (*MARKS, BESIDE_MARK) if any(panel.beside for panel in drawn) else MARKS
    return markup.section(
        "Accuracy against cost",
        f"<script>{get_plotlyjs()}</script>",
        markup.key(marks),
        '<div class="figures">\n' + "\n".join(blocks) + "\n</div>",
        markup.paragraph(f"No finished network has a figure for {' or '.join(absent)}.") if absent else "",
    )


def figure_html(panel: pareto.Panel, name: str, caption: str, height: int = pareto.HEIGHT) -> str:
    """The drawing as HTML that needs plotly.js before it; ``name``: of its element."""
    drawn = pareto.draw(panel).update_layout(showlegend=False, margin_t=16, height=height)
    return markup.figure(drawn, name, caption, height)


def _help(panel: pareto.Panel, goals: Sequence[str]) -> str:
    """How to read one figure, in a line."""
    line = "Up and left is better."
    if panel.log_x:
        line += " Logarithmic axis."
    if {"top1", panel.cost} != set(goals):
        line += f" The front is by {' and '.join(goals)}, so the line may pass other points."
    if panel.limits:
        line += f" Dashed: the search's limit, {' and '.join(text for _, _, text in panel.limits)}."
    if panel.missing:
        line += f" Not shown: {panel.missing} finished without this figure."
    return line


def _front_section(trials: Sequence[TrialRecord], goals: Sequence[str], metrics: Sequence[str]) -> str:
    names = {metric: ", ".join(filter(None, (unit(metric).name, unit(metric).symbol))) for metric in metrics}
    names["latency_ms"] += " (p50 ± IQR)"
    headings = {"id": "word", "trial": "number"} | {names[metric]: "number" for metric in metrics}
    headings |= {"input, px": "number", "network": "net"}
    rows = []
    for trial in front(trials, goals):
        figures = (figure(trial, metric) for metric in metrics)
        rows.append([trial.arch.id, str(trial.number), *figures, str(trial.arch.resolution), trial.arch.text])
    if not rows:
        return markup.section("The front", markup.paragraph("The front is empty."))
    return markup.section(
        "The front",
        markup.paragraph(
            f"The networks that no other one beats in {' and '.join(goals)}. {summary.flagged_note(trials)}"
        ),
        markup.paragraph(summary.macs_note(trials)),
        markup.table(headings, rows),
    )


def _others_section(trials: Sequence[TrialRecord]) -> str:
    """Every trial that did not finish ``ok``: causes with counts at once, each trial when opened."""
    others = [trial for trial in trials if trial.status != "ok"]
    if not others:
        return markup.section("Trials without a result", markup.paragraph("None: every trial finished."))
    causes = [
        [status, cause, str(count)]
        for status, counts in summary.tally(others).items()
        for cause, count in counts.most_common()
    ]
    columns = {
        "trial": "number",
        "status": "word",
        "id": "word",
        "epochs": "number",
        "reason": "wide",
        "network": "net",
    }
    rows = (
        [
            str(t.number),
            t.status,
            t.arch.id,
            str(len(t.epochs)),
            summary.reason(t),
            f"{t.arch.text} @{t.arch.resolution}",
        ]
        for t in others
    )
    return markup.section(
        "Trials without a result",
        markup.table({"status": "word", "reason": "wide", "trials": "number"}, causes),
        markup.folded(f"All {summary.plural(len(others), 'trial')} without a result", markup.table(columns, rows)),
    )


def _conditions_section(trials: Sequence[TrialRecord], spec: Mapping[str, Any]) -> str:
    parts = []
    if command := spec.get("command"):
        parts.append(f"<pre>{escape(str(command))}</pre>")
    latencies = [trial.outcome.latency for trial in trials if trial.outcome and trial.outcome.latency]
    keys = [latency.key for latency in latencies if latency.p50_ms is not None]
    shared, varying = summary.shared_and_varying(keys)
    own = varying.pop(OWN_KEY, None)
    measured: dict[str, Any] = shared | ({OWN_KEY: own} if own else {})
    if varying:
        found = "; ".join(f"{key}: {markup.plain(values)}" for key, values in varying.items())
        warning = f"Latencies were measured under different conditions and should not be compared ({found})."
        parts.append(markup.paragraph(warning, "warn"))
    machines = [trial.outcome.environment for trial in trials if trial.outcome and trial.outcome.environment]
    trial_environment, differing = summary.shared_and_varying(machines)
    about = {"latency measured with": measured} if measured else {}
    about |= {key: value for key, value in spec.items() if key != "command"}
    about |= {"environment of trials": trial_environment} if trial_environment else {}
    about |= {"environment that differs between trials": differing} if differing else {}
    return markup.section("What was measured on what", *parts, markup.cards(about))


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
