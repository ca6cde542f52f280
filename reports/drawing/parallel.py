"""Every network as a line through its genes and figures. ``parallel`` computes plain data, ``draw`` makes a Plotly
figure of it."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reports.drawing import genes as gene_words
from reports.drawing.canvas import FRONT, LIMIT, OTHER, empty
from reports.drawing.genes import LeftOut, left_out
from reports.units import columns, unit
from search_spaces.space import SearchSpace
from studies.ledger import TrialRecord
from studies.objectives import check
from studies.pareto import front

HEIGHT = 440  # pixels
WIDTH = 960  # pixels below which axes get too close; the page lets it scroll there
MOST_AXES = 12
MOST_LINES = 2000  # more cover one another, and take seconds without a graphics card
SEED = 0
SPREAD = 0.34  # how far lines of one value stand apart, of the distance between values: it shows how many they are
END = 0.7  # where an axis ends, beyond its last value
SCALE = [FRONT, "#CC79A7", LIMIT]  # colour-blind readers tell its ends apart, and each shows on light and dark


@dataclass(frozen=True)
class Axis:
    """values: one a line. ticks: text by value where the axis has names for numbers."""

    label: str
    values: np.ndarray
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Parallel:
    """axes: genes, costs and, last, what colours the lines (top-1). numbers: the trials, one a line.

    on_front: of the search, one a line. absent: figures without an axis, since most trials do not have them.
    """

    axes: tuple[Axis, ...]
    numbers: tuple[int, ...]
    on_front: np.ndarray
    left_out: LeftOut
    absent: tuple[str, ...]


def parallel(
    trials: Sequence[TrialRecord],
    space: SearchSpace,
    objectives: Sequence[str],
    genes: Sequence[str],
    most: int = MOST_AXES,
) -> Parallel:
    """``genes``: the most important first; as many as there is room for on ``most`` axes beside the figures.
    ``trials``: one a network (studies.repeats.networks). Raises UserError on a gene that the space does not have."""
    check(objectives)
    wanted = gene_words.check(genes, space)
    finished = [trial for trial in trials if trial.status == "ok"]
    top1, *costs = columns(objectives)
    told = {name: sum(map(math.isfinite, _known(finished, name))) for name in (*costs, top1)}
    metrics = [name for name, count in told.items() if 2 * count > len(finished)] or [top1]
    sample = gene_words.sample(trials, space, metrics)
    best = {trial.number for trial in front(trials, objectives)}
    sample = _thinned(sample, best)
    names = list(space.parameters)
    axes = []
    for gene in wanted[: max(0, most - len(metrics) - 1)]:
        ticks = tuple((float(p), gene_words.value(gene, value)) for p, value in enumerate(space.parameters[gene]))
        axes.append(Axis(gene_words.name(gene), sample.places[:, names.index(gene)].astype(float), ticks))
    axes += [Axis(unit(name).label, sample.values(name)) for name in metrics]
    on_front = np.array([trial.number in best for trial in sample.trials], bool)
    absent = tuple(unit(name).name for name in told if name not in metrics) if finished else ()
    return Parallel(tuple(axes), tuple(trial.number for trial in sample.trials), on_front, sample.left_out, absent)


def _thinned(sample: gene_words.Sample, best: set[int]) -> gene_words.Sample:
    """All of the best; of the others as many as there is room for, drawn at random, the same ones every time."""
    if len(sample.trials) <= MOST_LINES:
        return sample
    drawn = np.random.default_rng(SEED).permutation(len(sample.trials)).tolist()
    order = sorted(drawn, key=lambda row: sample.trials[row].number not in best)
    kept = sorted(order[: max(MOST_LINES, len(best))])
    fewer = ("drawn at random, since more would cover one another", len(sample.trials) - len(kept))
    return gene_words.Sample(tuple(sample.trials[row] for row in kept), sample.places[kept], (*sample.left_out, fewer))


def _known(trials: Sequence[TrialRecord], metric: str) -> list[float]:
    return [value for trial in trials if (value := trial.metric(metric)) is not None]


def draw(data: Parallel) -> go.Figure:
    """The front is chosen on the last axis to begin with: other lines are grey until the reader chooses otherwise."""
    drawing = empty(HEIGHT, margin={"l": 96, "r": 48, "t": 70, "b": 24})
    if not data.numbers:
        return drawing
    *_, colour = data.axes
    ends = float(colour.values.min()), float(colour.values.max())
    chosen = [0.75, 1 + END / 4] if data.on_front.any() else None
    is_front = Axis("front", data.on_front.astype(float), ((0.0, "other"), (1.0, "front")))
    drawing.add_parcoords(
        dimensions=[_dimension(axis) for axis in data.axes] + [_dimension(is_front) | {"constraintrange": chosen}],
        line={
            "color": colour.values.astype(np.float32),
            "colorscale": SCALE,
            "cmin": ends[0],
            "cmax": ends[1] if ends[1] > ends[0] else ends[0] + 1,
        },
        unselected={"line": {"color": OTHER, "opacity": _faint(len(data.numbers))}},
        labelfont={"size": 12},
        tickfont={"size": 11},
        rangefont={"color": "rgba(0,0,0,0)"},  # the ends, in too many digits and under the names
        labelangle=-20,
    )
    return drawing


def _dimension(axis: Axis) -> dict[str, Any]:
    label = html.escape(axis.label, quote=False)
    if not axis.ticks:
        low, high = float(axis.values.min()), float(axis.values.max())
        pad = 0.0 if high > low else abs(low) / 10 or 1.0
        return {"label": label, "values": axis.values.astype(np.float32), "range": [low - pad, high + pad]}
    # The reader can choose whole values only, each up to a quarter of the way to the next tick, and nothing beyond the
    # last tick: so ticks without text are the ends. Lines are apart by even steps (the golden ratio's).
    ticks = [(axis.ticks[0][0] - END, ""), *axis.ticks, (axis.ticks[-1][0] + END, "")]
    apart = (np.arange(len(axis.values)) * 0.6180339887 % 1 - 0.5) * SPREAD
    return {
        "label": label,
        "values": (axis.values + apart).astype(np.float32),
        "range": [ticks[0][0], ticks[-1][0]],
        "tickvals": [value for value, _ in ticks],
        "ticktext": [html.escape(text, quote=False) for _, text in ticks],
    }


def _faint(lines: int) -> float:
    """Opacity of a grey line: less, the more there are."""
    return min(0.3, max(0.02, 20 / lines))


def caption(data: Parallel) -> str:
    """How to read it and what was left out, as plain text."""
    parts = []
    if data.numbers:
        parts.append(
            f"A line for each of {len(data.numbers):,} networks; colour: {data.axes[-1].label}, blue (low) to orange. "
        )
        parts[0] += f"In colour at first: the {data.on_front.sum():,} of the front. " if data.on_front.any() else ""
        parts[0] += "Drag along an axis to choose lines, tap it to choose all again, drag its name to move it."
    else:
        parts.append("There is nothing to show: no finished network of the space has all figures.")
    if data.absent:
        parts.append(f"Without an axis, since most networks lack it: {', '.join(data.absent)}.")
    return " ".join(filter(None, [*parts, left_out(data.left_out)]))
