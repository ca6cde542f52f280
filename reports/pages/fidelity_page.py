"""The page of a fidelity study: its figures, a table of all, and what was trained how."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from reports import fidelity
from reports.drawing import fidelity_figures
from reports.drawing.canvas import FRONT, OTHER
from reports.pages import markup
from reports.pages.page import REPORT
from reports.pages.template import WIDE, page
from reports.units import plural
from studies.fidelity_record import Study
from studies.runfolder import write_text


def write(folder: Path, study: Study) -> Path:
    """Writes ``report.html`` into the folder and returns its path."""
    write_text(folder / REPORT, render(study))
    return folder / REPORT


def render(study: Study) -> str:
    """The page as HTML."""
    said, *doubts = fidelity.verdict(study).split("; ")
    headline = said[0].upper() + said[1:]
    lead = (
        f"{plural(len(study.networks), 'network')} of space {study.space['name']} (width {study.space['width']:g}), "
        f"spread over its costs, on {study.data['source']}; long: {study.long.epochs} epochs, "
        f"{plural(len(study.long.seeds), 'seed')}."
    )
    lead = "".join(f"{doubt[0].upper()}{doubt[1:]}. " for doubt in doubts) + lead
    sections = [_figures(study), _table(study), _missing(study), _networks(study), _conditions(study)]
    lead += "" if study.complete else " The study is not complete."
    return page(f"Fidelity: {said}", headline, lead, sections)


def _figures(study: Study) -> str:
    panel, best = fidelity_figures.cost_panel(study), study.proxy(study.chosen) or fidelity.nearest(study)
    if not panel.marks or not best:
        nothing = "There is nothing to plot: no proxy can be judged yet."
        return markup.section("How a cheaper training ranks networks", markup.paragraph(nothing))
    absent = f" Not shown, since nothing can be said of them: {'; '.join(panel.missing)}." if panel.missing else ""
    marks = [
        ("", f"background:{FRONT}", "the cheapest that reaches the threshold"),
        ("", f"background:{OTHER}", "other proxies"),
    ]
    return markup.section(
        "How a cheaper training ranks networks",
        markup.key(marks if study.chosen else marks[1:]),
        f'<div class="figures" style="{WIDE}">',
        markup.figure(
            fidelity_figures.draw_costs(panel),
            "tau-cost",
            "Up and left is better; numbers as in the table. Bars: 95% bootstrap intervals over networks and seeds. "
            "Noise ceiling: one long training of another seed against the mean of the others. Logarithmic axis."
            f"{absent}",
            fidelity_figures.HEIGHT,
        ),
        markup.figure(
            fidelity_figures.draw_pairs(fidelity_figures.pairs(study, best)),
            "short-long",
            f"Each network in {best.name} and in the long training; bars: standard deviation between its seeds.",
            fidelity_figures.HEIGHT,
        ),
        "</div>",
    )


def _table(study: Study) -> str:
    rows = fidelity.rows(study)
    columns = {
        "": "word",
        "training": "word",
        "time": "number",
        "Kendall's tau": "number",
        "95% interval": "number",
        "Spearman's rho": "number",
        f"top-{study.top} recall": "number",
        "networks": "number",
        "std between networks / seeds": "number",
    }
    proxy = study.proxy(study.chosen)
    return markup.section(
        "All figures",
        markup.paragraph(
            "Agreement of each ranking with that by the mean of the long training's seeds. The networks are spread "
            "over the whole range of costs; among networks of equal cost every ranking agrees less. Time is a share of "
            "the long training's; what ranks no better than MACs alone need not be trained."
        ),
        markup.table(
            columns, [[str(place) if place <= len(study.proxies) else "", *row] for place, row in enumerate(rows, 1)]
        ),
        f"<p>To search so:</p><pre>{escape(proxy.command)}</pre>" if proxy else "",
    )


def _missing(study: Study) -> str:
    lost = [(name, failure) for name, failure in fidelity.missing(study) if failure.status != "running"]
    if not lost:
        none = markup.paragraph("None: every training that ended has one.")
        return markup.section("Trainings without a figure", none)
    columns = {"training": "word", "network": "word", "seed": "number", "status": "word", "reason": "wide"}
    listed = [[name, one.network, str(one.seed), one.status, one.reason] for name, one in lost]
    note = "These trainings are left out of the comparison in question; a proxy that loses networks is worth less."
    return markup.section("Trainings without a figure", markup.paragraph(note, "warn"), markup.table(columns, listed))


def _networks(study: Study) -> str:
    columns = {"network": "word", "MACs, M": "number", "parameters, M": "number", "long": "number"}
    columns |= {proxy.name: "number" for proxy in study.proxies}
    columns |= {"stages": "net"}
    listed = []
    for place, network in enumerate(study.networks):
        tops = [training.top1[place] for training in (study.long, *(proxy.training for proxy in study.proxies))]
        costs = [f"{network.macs / 1e6:.2f}", f"{network.params / 1e6:.3f}"]
        listed.append([network.id, *costs, *map(_mean, tops), network.text])
    return markup.section(
        "The networks", markup.folded("Top-1 in percent, means of seeds", markup.table(columns, listed))
    )


def _mean(row: Sequence[float | None]) -> str:
    known = [value for value in row if value is not None]
    return f"{statistics.fmean(known):.2f}" if known else "-"


def _conditions(study: Study) -> str:
    shown: dict[str, Any] = {"created": study.created, "long epochs": study.long.epochs}
    shown |= {"seconds of a long training": None if study.long.seconds is None else round(study.long.seconds, 1)}
    shown |= {name: getattr(study, name) for name in ("space", "data", "train", "environment")}
    return markup.section("What was trained how", f"<pre>{escape(study.command)}</pre>", markup.cards(shown))
