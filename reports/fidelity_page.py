"""The page of a fidelity study: rank agreement against cost, short against long accuracy, a table of all, and what was
trained how. Functions that compute a figure's data stand beside those that draw it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from reports import fidelity, markup
from reports.page import REPORT
from reports.pareto import FRONT, LIMIT, OTHER
from reports.summary import plural
from reports.template import PAGE, STYLE
from studies.fidelity_record import Proxy, Study
from studies.runfolder import write_text

HEIGHT = 440  # pixels
CEILING_COLOUR, MACS_COLOUR = "#009E73", "#CC79A7"  # Okabe & Ito's palette, as in reports.pareto
AXIS = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False, "automargin": True}


@dataclass(frozen=True)
class Mark:
    """A proxy. x: percent of the long training's time. y: its tau, with the ends of the interval."""

    name: str
    x: float
    y: float
    low: float
    high: float
    chosen: bool


@dataclass(frozen=True)
class CostPanel:
    """lines: across at a tau, as (text, tau, colour). missing: proxies without tau or cost."""

    marks: tuple[Mark, ...]
    lines: tuple[tuple[str, float, str], ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """A network. x: top-1 in the proxy, mean of its seeds; y: in the long training, with the standard deviation between
    its seeds; percent."""

    network: str
    x: float
    y: float
    std: float


def cost_panel(study: Study) -> CostPanel:
    marks, missing = [], []
    for proxy in study.proxies:
        tau = proxy.agreement.tau
        if tau is None or proxy.cost is None:
            missing.append(proxy.name)
            continue
        low, high = (tau.value if end is None else end for end in (tau.low, tau.high))
        marks.append(Mark(proxy.name, 100 * proxy.cost, tau.value, low, high, proxy.name == study.chosen))
    lines = [(f"threshold {study.threshold:g}", study.threshold, LIMIT)]
    if ceiling := study.ceiling.tau:
        lines.append((f"noise ceiling {ceiling.value:.2f}", ceiling.value, CEILING_COLOUR))
    if macs := study.by_cost["macs"].tau:
        lines.append((f"MACs alone {macs.value:.2f}", macs.value, MACS_COLOUR))
    return CostPanel(tuple(marks), tuple(lines), tuple(missing))


def pairs(study: Study, proxy: Proxy) -> tuple[Pair, ...]:
    """Of the networks with a figure in both."""
    found = []
    for network, short, long in zip(study.networks, proxy.training.top1, study.long.top1, strict=True):
        xs, ys = ([value for value in row if value is not None] for row in (short, long))
        if xs and ys:
            std = statistics.stdev(ys) if len(ys) > 1 else 0.0
            found.append(Pair(network.id, statistics.fmean(xs), statistics.fmean(ys), std))
    return tuple(found)


def draw_costs(data: CostPanel) -> go.Figure:
    """Names stand where no neighbour's does: above and below in turn."""
    drawing = go.Figure(layout={"template": "none"})
    placed = sorted(data.marks, key=lambda mark: mark.x)
    for chosen in (False, True):
        marks = [mark for mark in placed if mark.chosen == chosen]
        colour = FRONT if chosen else OTHER
        drawing.add_scatter(
            x=[mark.x for mark in marks],
            y=[mark.y for mark in marks],
            error_y={
                "array": [mark.high - mark.y for mark in marks],
                "arrayminus": [mark.y - mark.low for mark in marks],
                "color": colour,
                "thickness": 1.5,
                "width": 4,
            },
            mode="markers+text",
            text=[escape(mark.name) for mark in marks],
            textposition=["top right" if placed.index(mark) % 2 else "bottom right" for mark in marks],
            marker={"color": colour, "size": 12 if chosen else 9},
            hovertext=[
                f"<b>{escape(mark.name)}</b><br>tau {mark.y:.2f} ({mark.low:.2f} to {mark.high:.2f})<br>"
                f"{fidelity.percent(mark.x / 100)} of the long training's time"
                for mark in marks
            ],
            hoverinfo="text",
        )
    for text, value, colour in data.lines:
        label = {"text": text, "font": {"color": colour, "size": 11}, "textposition": "start", "xanchor": "left"}
        drawing.add_shape(
            type="line",
            line={"dash": "dash", "color": colour, "width": 1.5},
            label=label,
            xref="x domain",
            x0=0,
            x1=1,
            yref="y",
            y0=value,
            y1=value,
        )
    xs = [mark.x for mark in data.marks]
    ends = [math.log10(min(xs) / 1.6), math.log10(max(xs) * 2.5)] if xs else None
    drawing.update_xaxes(title="share of the long training's time (%)", type="log", range=ends, dtick="D2", **AXIS)
    drawing.update_yaxes(title="Kendall's tau with the long training", **AXIS)
    return _laid_out(drawing)


def draw_pairs(data: Sequence[Pair]) -> go.Figure:
    drawing = go.Figure(layout={"template": "none"})
    drawing.add_scatter(
        x=[pair.x for pair in data],
        y=[pair.y for pair in data],
        error_y={"array": [pair.std for pair in data], "color": FRONT, "thickness": 1.5, "width": 4},
        mode="markers",
        marker={"color": FRONT, "size": 9},
        hovertext=[
            f"<b>{escape(pair.network)}</b><br>short {pair.x:.2f} %<br>long {pair.y:.2f} ± {pair.std:.2f} %"
            for pair in data
        ],
        hoverinfo="text",
    )
    drawing.update_xaxes(title="top-1 accuracy, proxy (%)", **AXIS)
    drawing.update_yaxes(title="top-1 accuracy, long training (%)", **AXIS)
    return _laid_out(drawing)


def write(folder: Path, study: Study) -> Path:
    """Writes ``report.html`` into the folder and returns its path."""
    write_text(folder / REPORT, render(study))
    return folder / REPORT


def render(study: Study) -> str:
    said = fidelity.verdict(study)
    headline = said[0].upper() + said[1:]
    lead = (
        f"{plural(len(study.networks), 'network')} of space {study.space['name']} (width {study.space['width']:g}), "
        f"spread over its costs, on {study.data['source']}; long: {study.long.epochs} epochs, "
        f"{plural(len(study.long.seeds), 'seed')}."
    )
    sections = [_figures(study), _table(study), _missing(study), _networks(study), _conditions(study)]
    return PAGE.substitute(
        title=escape(f"Fidelity: {said}"),
        style=STYLE,
        headline=escape(headline),
        summary=escape(lead + ("" if study.complete else " The study is not complete.")),
        sections="\n".join(sections),
    )


def _figures(study: Study) -> str:
    panel, best = cost_panel(study), study.proxy(study.chosen) or fidelity.nearest(study)
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
        f"<script>{get_plotlyjs()}</script>",
        markup.key(marks if study.chosen else marks[1:]),
        '<div class="figures">',
        _figure(
            draw_costs(panel),
            "tau-cost",
            "Up and left is better. Bars: 95% bootstrap intervals over networks and seeds. Noise ceiling: one long "
            f"training of another seed against the mean of the others. Logarithmic axis.{absent}",
        ),
        _figure(
            draw_pairs(pairs(study, best)),
            "short-long",
            f"Each network in {best.name} and in the long training; bars: standard deviation between its seeds.",
        ),
        "</div>",
    )


def _figure(drawing: go.Figure, name: str, caption: str) -> str:
    body = to_html(
        drawing,
        full_html=False,
        include_plotlyjs=False,
        default_height=f"{HEIGHT}px",
        div_id=name,
        config={"responsive": True, "displayModeBar": False},
    )
    return f"<figure>\n{body}\n<figcaption>{markup.paragraph(caption, 'help')}</figcaption>\n</figure>"


def _table(study: Study) -> str:
    columns = {
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
        markup.table(columns, fidelity.rows(study)),
        f"<p>To search so:</p><pre>{escape(proxy.command)}</pre>" if proxy else "",
    )


def _missing(study: Study) -> str:
    lost = [(name, failure) for name, failure in fidelity.missing(study) if failure.status != "running"]
    if not lost:
        none = markup.paragraph("None: every training that ended has one.")
        return markup.section("Trainings without a figure", none)
    columns = {"training": "word", "network": "word", "seed": "number", "status": "word", "reason": "wide"}
    listed = [[name, one.network, str(one.seed), one.status, one.reason] for name, one in lost]
    note = "These networks are left out of the comparison in question; a proxy that loses networks is worth less."
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


def _laid_out(drawing: go.Figure) -> go.Figure:
    return drawing.update_layout(
        margin={"l": 56, "r": 16, "t": 16, "b": 48},
        height=HEIGHT,
        showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12},
        hoverlabel={"bgcolor": "white", "font": {"color": "#1b1f24", "size": 11}, "align": "left"},
    )
