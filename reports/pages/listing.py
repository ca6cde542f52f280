"""The tables of a search's page: its front, the confirmation, published networks, the other trials, the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from reports import baselines, confirmed, summary
from reports.pages import markup
from reports.run import Run
from reports.specs import plain
from reports.units import columns, digits, figure, plural, spread, unit
from search_spaces.constraint import Constraint
from studies.ledger import TrialRecord
from studies.pareto import front

MOST_ROWS = 500  # of one table; a page of more is slow, and --csv has them all


def front_section(run: Run) -> str:
    """The networks of the front with their figures, as HTML."""
    trials, goals, metrics = run.networks, run.objectives, columns(run.objectives, run.constraints)
    names = {metric: ", ".join(filter(None, (unit(metric).name, unit(metric).symbol))) for metric in metrics}
    names["latency_ms"] += " (p50 ± IQR)"
    headings = {" ": "pin", "id": "word", "trial": "number"} | {names[metric]: "number" for metric in metrics}
    headings |= {"input, px": "number", "network": "net"}
    rows = []
    for trial in front(trials, goals):
        figures = (figure(trial, metric) for metric in metrics)
        rows.append(
            [str(trial.number), trial.arch.id, str(trial.number), *figures, str(trial.arch.resolution), trial.arch.text]
        )
    if not rows:
        return markup.section("The front", markup.paragraph("The front is empty."), name="the-front")
    return markup.section(
        "The front",
        markup.paragraph(f"The networks that no other one beats in {' and '.join(goals)}."),
        markup.table(headings, rows),
        name="the-front",
    )


def others_section(trials: Sequence[TrialRecord]) -> str:
    """Every trial that did not finish ``ok``: causes with counts at once, each trial when opened."""
    others = [trial for trial in trials if trial.status != "ok"]
    if not others:
        return markup.section(
            "Trials without a result",
            markup.paragraph("None: every trial finished." if trials else "None: there is no trial yet."),
            name="others",
        )
    causes = [
        [status, cause, str(count)]
        for status, counts in summary.tally(others).items()
        for cause, count in counts.most_common()
    ]
    headings = {
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
        for t in others[-MOST_ROWS:]
    )
    title = f"All {plural(len(others), 'trial')} without a result"
    if len(others) > MOST_ROWS:
        title = f"The last {MOST_ROWS} of {len(others)} trials without a result (nas.report --csv has all)"
    return markup.section(
        "Trials without a result",
        markup.table({"status": "word", "reason": "wide", "trials": "number"}, causes),
        markup.folded(title, markup.table(headings, rows)),
        name="others",
    )


def conditions_section(trials: Sequence[TrialRecord], spec: Mapping[str, Any]) -> str:
    """Command, environments and how latencies were measured, as HTML."""
    parts = []
    if command := spec.get("command"):
        parts.append(f"<pre>{escape(str(command))}</pre>")
    latencies = [trial.outcome.latency for trial in trials if trial.outcome and trial.outcome.latency]
    keys = [latency.key for latency in latencies if latency.p50_ms is not None]
    shared, varying = summary.shared_and_varying(keys)
    own = varying.pop(summary.OWN_KEY, None)
    measured: dict[str, Any] = shared | ({summary.OWN_KEY: own} if own else {})
    if varying:
        found = "; ".join(f"{key}: {plain(values)}" for key, values in varying.items())
        warning = f"Latencies were measured under different conditions and should not be compared ({found})."
        parts.append(markup.paragraph(warning, "warn"))
    machines = [trial.outcome.environment for trial in trials if trial.outcome and trial.outcome.environment]
    trial_environment, differing = summary.shared_and_varying(machines)
    about = {"latency measured with": measured} if measured else {}
    about |= {key: value for key, value in spec.items() if key != "command"}
    about |= {"environment of trials": trial_environment} if trial_environment else {}
    about |= {"environment that differs between trials": differing} if differing else {}
    return markup.section("What was measured on what", *parts, markup.cards(about), name="conditions")


def confirmed_section(found: Sequence[confirmed.Confirmed], epochs: int) -> str:
    """HTML for the page; empty where nothing was confirmed."""
    if not found:
        return ""
    tested = any(one.test_top1 for one in found)
    columns = {"id": "word"} | ({confirmed.TEST: "number"} if tested else {})
    columns |= {
        confirmed.TOP1: "number",
        "in the search, %": "number",
        "latency, ms": "number",
        "MACs, M": "number",
        "parameters, M": "number",
        "network": "net",
    }
    rows = [
        [
            one.name or one.arch.id,
            *([spread(one.test_top1)] if tested else []),
            one.text,
            digits("top1", one.searched),
            *(figure(one.record, metric) for metric in ("latency_ms", "macs", "params")),
            one.arch.text,
        ]
        for one in found
    ]
    also = " and the published networks" if any(one.name for one in found) else ""
    notes = [
        f"The best of the front{also}, trained again for {epochs} epochs with other seeds: mean ± std (seeds). "
        f"{confirmed.agreement(found)}"
    ]
    notes += [confirmed.TESTED] * tested
    return markup.section("Confirmation", *map(markup.paragraph, notes), markup.table(columns, rows))


def published_section(
    found: Sequence[baselines.Baseline], objectives: Sequence[str], constraints: Sequence[Constraint] = ()
) -> str:
    """HTML for the page; empty where there are no baselines."""
    if not found:
        return ""
    metrics = columns(objectives, constraints)
    headings = {"network": "word"} | {unit(name).label: "number" for name in metrics}
    headings |= {"input, px": "number", "beside the front": "wide"}
    rows = [[one.name, *map(one.figure, metrics), str(one.record.arch.resolution), one.text] for one in found]
    return markup.section("Published networks", markup.paragraph(baselines.NOTE), markup.table(headings, rows))
