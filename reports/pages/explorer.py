"""The part of a search's page that answers to the reader: the figure with a cost to choose, the network to take under a
limit, and networks pinned side by side. What it shows lies in the page as data; ``assets/explorer.js`` shows it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from typing import Any

from reports.baselines import Baseline
from reports.drawing import pareto, pareto_figure
from reports.noise import Noise
from reports.pages import markup
from reports.units import UNITS, Z, columns, digits, figure, unit
from search_spaces.constraint import Constraint
from studies.ledger import Latency, TrialRecord
from studies.pareto import front

HEIGHT = 460  # pixels
SCRIPTS = ("network.js", "explorer.js")
MOST_EPOCHS = 24  # points of a learning curve
PRECISION = 6  # significant digits of what is compared, not read
TARGETS = ("timm", "torchvision", "onnx", "keras")


def networks(
    trials: Sequence[TrialRecord],
    objectives: Sequence[str],
    constraints: Sequence[Constraint] = (),
    beside: Sequence[Baseline] = (),
    noise: Noise | None = None,
    more: Sequence[str] = ("latency_ms", "macs", "params"),
) -> dict[str, Any]:
    """What is known of every finished network, by columns: one item a network, those of ``beside`` last.

    stages: places in ``texts``. shown: figures as tables write them; values: as numbers, in the metric's own unit.
    more: metrics beside those asked for. reasons, in ``latency``: places in ``said``. error: half of the 95% interval
    of top1, points.
    """
    records = [trial for trial in trials if trial.status == "ok"]
    others = [one for one in beside if one.record.status == "ok"]
    every = [*records, *(one.record for one in others)]
    texts, said = _Table(), _Table()
    metrics = list(dict.fromkeys([*columns(objectives, constraints), *more]))
    trainings = [None] * len(records) + [len(one.top1) for one in others]
    errors = [noise.of(trial, count) if noise else None for trial, count in zip(every, trainings, strict=True)]
    return {
        "key": [*(str(trial.number) for trial in records), *(f"b{one.record.number}" for one in others)],
        "name": [*(f"trial {trial.number}" for trial in records), *(one.name for one in others)],
        "id": [trial.arch.id for trial in every],
        "front": [str(trial.number) for trial in front(trials, objectives)],
        "px": [trial.arch.resolution for trial in every],
        "stem": [trial.arch.stem_channels for trial in every],
        "head": [trial.arch.head_channels for trial in every],
        "stages": [[texts.place(stage.text) for stage in trial.arch.stages] for trial in every],
        "texts": texts.texts,
        "metrics": {name: [unit(name).name, unit(name).symbol, unit(name).scale] for name in metrics},
        "shown": {name: [figure(trial, name) for trial in every] for name in metrics},
        "values": {name: [_rounded(trial.metric(name)) for trial in every] for name in metrics},
        "atLeast": bool(noise and not noise.certain),
        "down": [trial.arch.stem_stride * (2 if trial.arch.stem_pool else 1) for trial in every],
        "error": [None if error is None else _rounded(Z * error) for error in errors],
        "curve": [_curve(trial) for trial in every],
        "latency": [_latency(trial.outcome.latency if trial.outcome else None, said) for trial in every],
        "said": said.texts,
    }


class _Table:
    """Texts, each once."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        return self._places.setdefault(text, len(self._places))

    @property
    def texts(self) -> list[str]:
        return list(self._places)


def _rounded(value: float | None) -> float | None:
    return float(f"{value:.{PRECISION}g}") if value is not None and math.isfinite(value) else None


def _curve(trial: TrialRecord) -> list[list[float]]:
    """(epoch, top1), thinned out."""
    known = [(e["epoch"], e["top1"]) for e in trial.epochs if isinstance(e.get("top1"), (int, float))]
    known = [(epoch, top1) for epoch, top1 in known if math.isfinite(top1)]
    step = (len(known) - 1) / (MOST_EPOCHS - 1)
    kept = known if step <= 1 else [known[round(place * step)] for place in range(MOST_EPOCHS)]
    return [[epoch, round(top1, 2)] for epoch, top1 in kept]


def _latency(latency: Latency | None, said: _Table) -> list[Any] | None:
    """Its certificate: status, interval, calls, rounds, reasons."""
    if latency is None:
        return None
    ends = latency.ci95_ms
    interval = f"{digits('latency_ms', ends[0])} to {digits('latency_ms', ends[1])}" if ends else ""
    places = [said.place(reason) for reason in latency.reasons]
    return [said.place(latency.status), interval, latency.n, latency.rounds, places]


def section(
    panels: Sequence[tuple[pareto.Panel, str]],
    found: dict[str, Any],
    marks: Sequence[tuple[str, str, str]],
    aside: str,
    run: str,
    constraints: Sequence[Constraint] = (),
) -> str:
    """panels: one a cost, with its caption; there is at least one. aside: HTML beside the figure. run: the folder, as
    export commands name it."""
    options = "".join(
        f'<option value="{panel.cost}" data-caption="{escape(caption)}">{escape(UNITS[panel.cost].label)}</option>'
        for panel, caption in panels
    )
    scripts = [markup.data_script(f"front-{panel.cost}", _drawn(panel).to_json()) for panel, _ in panels]
    limits = {limit.metric: limit.limit for limit in constraints if limit.operator == "<="}
    about = found | {"run": run, "targets": TARGETS, "limits": limits}
    first, caption = panels[0]
    return f"""<section id="explorer">
<h2>Accuracy against cost</h2>
<div class="explorer">
<div>
<p class="controls"><label>Against <select id="axis">{options}</select></label>
<span class="help">Point at a network to see it, click to pin it.</span></p>
<figure>
<div class="plot" id="front" data-figure="front-{first.cost}" style="height:{HEIGHT}px"></div>
<figcaption class="help" id="front-caption">{escape(caption)}</figcaption>
</figure>
{markup.key(marks)}
</div>
<aside>
<div class="card" id="chooser">
<h3>Which one to take?</h3>
<p><label>The most accurate with at most <input type="number" id="limit" min="0" step="any">
<span id="limit-unit"></span></label></p>
<div id="taken" aria-live="polite"></div>
</div>
{aside}
</aside>
</div>
<div id="pins" aria-live="polite"></div>
{markup.data_script("networks", json.dumps(about, separators=(",", ":"), allow_nan=False))}
{"".join(scripts)}
</section>"""


def _drawn(panel: pareto.Panel) -> Any:
    return pareto_figure.draw(panel, keyed=True).update_layout(height=HEIGHT, hovermode="closest")
