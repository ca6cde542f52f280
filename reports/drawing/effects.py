"""What each value of a gene does to a metric. ``effects`` computes plain data, ``draw`` makes a Plotly figure of it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reports.drawing import genes as gene_words
from reports.drawing.canvas import AXIS, FRONT, OTHER, empty
from reports.drawing.genes import LeftOut, left_out
from reports.units import unit
from search_spaces.space import SearchSpace
from studies.ledger import TrialRecord

FEWEST, ROOM = 20, 2  # trials for least squares; for each of its coefficients
ROW, GAP = 19, 0.5  # pixels of a row; between genes, in rows


@dataclass(frozen=True)
class Level:
    """One value of a gene. mean: of the metric in its unit; low, high: ends of the 95% interval, None with one network.
    trials: that have it; without any there is no mean."""

    value: Any
    mean: float | None
    low: float | None
    high: float | None
    trials: int


@dataclass(frozen=True)
class Effect:
    """How top-1 goes with one gene: a level for each of its values."""

    gene: str
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Effects:
    """mean: of all ``trials``. adjusted: by least squares, what all networks tried would have on average, had each this
    value and its own other genes; otherwise means of those that have it, in which other genes' effects may be mixed.
    """

    metric: str
    effects: tuple[Effect, ...]
    mean: float | None
    adjusted: bool
    trials: int
    left_out: LeftOut


def effects(trials: Sequence[TrialRecord], space: SearchSpace, metric: str, genes: Sequence[str]) -> Effects:
    """Of the given genes, such as the most important ones. ``trials``: one a network (studies.repeats.networks).
    Raises UserError on a gene that the space does not have.

    A sampler does not draw at random: good values of different genes are tried together, and a plain mean gives each
    the credit of the others. So effects of all genes are fitted at once wherever the trials can tell them apart.
    """
    wanted = gene_words.check(genes, space)
    sample = gene_words.sample(trials, space, [metric])
    values = sample.values(metric)
    names = list(space.parameters)
    fitted = _fit(sample.places, values)
    found = []
    for gene in wanted:
        column = names.index(gene)
        levels = []
        for place, value in enumerate(space.parameters[gene]):
            have = sample.places[:, column] == place
            mean, half = fitted.level(column, place) if fitted and have.any() else _plain(values[have])
            low, high = (None, None) if mean is None or half is None else (mean - half, mean + half)
            levels.append(Level(value, mean, low, high, int(have.sum())))
        found.append(Effect(gene, tuple(levels)))
    mean = float(values.mean()) if len(values) else None
    return Effects(metric, tuple(found), mean, fitted is not None, len(values), sample.left_out)


def _plain(values: np.ndarray) -> tuple[float | None, float | None]:
    """The mean and half of its 95% interval, by Student's t."""
    if not len(values):
        return None, None
    if len(values) == 1:
        return float(values[0]), None
    from scipy.special import stdtrit

    half = stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean()), float(half)


class _Fit:
    """Least squares on the values of all genes that were tried, but one a gene. An interval is the wider one of the
    usual and of HC3's (MacKinnon and White 1985), as Angrist and Pischke (2009, section 8.1) advise: the usual is too
    narrow where some networks are noisier than others, HC3 where a value was tried once or twice."""

    def __init__(self, coded: np.ndarray, columns: Sequence[tuple[int, int]], values: np.ndarray) -> None:
        """coded: shape [networks, 1 + columns]: 1, then 1 for each (gene, place) of ``columns`` that a network has."""
        self._coded, self._columns = coded, columns
        inverse = np.linalg.inv(coded.T @ coded)
        self._coefficients = inverse @ (coded.T @ values)
        residuals = values - coded @ self._coefficients
        leverage = np.einsum("ij,jk,ik->i", coded, inverse, coded)
        scores = (coded @ inverse) * (residuals / np.maximum(1 - leverage, 1e-9))[:, None]
        self._spare = len(values) - coded.shape[1]
        self._covariances = (inverse * (residuals @ residuals / self._spare), scores.T @ scores)

    def level(self, gene: int, place: int) -> tuple[float, float]:
        """The mean had all networks this value, and half of its 95% interval."""
        from scipy.special import stdtrit

        row = self._coded.mean(axis=0)
        for column, (other, value) in enumerate(self._columns, 1):
            if other == gene:
                row[column] = value == place
        variance = max(float(row @ covariance @ row) for covariance in self._covariances)
        return float(row @ self._coefficients), float(stdtrit(self._spare, 0.975)) * max(0.0, variance) ** 0.5


def _fit(places: np.ndarray, values: np.ndarray) -> _Fit | None:
    """None where trials are too few, or genes went together so that their effects cannot be told apart."""
    columns = [(gene, place) for gene, column in enumerate(places.T) for place in np.unique(column)[1:]]
    if len(values) < max(FEWEST, ROOM * (1 + len(columns))):
        return None
    coded = np.column_stack([np.ones(len(values)), *(places[:, gene] == place for gene, place in columns)])
    if np.linalg.matrix_rank(coded) < coded.shape[1]:
        return None
    return _Fit(coded, columns, values)


def draw(data: Effects) -> go.Figure:
    """A row a value, under its gene's name; all on one axis, so that genes can be compared."""
    at, text = 0.0, {}
    rows: list[tuple[float, str, float, Level]] = []
    for effect in data.effects:
        text[at] = f"<b>{gene_words.name(effect.gene)}</b>"
        for level in effect.levels:
            at += 1
            text[at] = html.escape(gene_words.value(effect.gene, level.value), quote=False)
            rows += [(at, effect.gene, level.mean, level)] if level.mean is not None else []
        at += 1 + GAP
    drawing = empty(int(70 + ROW * at))
    drawing.add_scatter(
        x=[mean for _, _, mean, _ in rows],
        y=[y for y, _, _, _ in rows],
        mode="markers",
        error_x={
            "array": [0.0 if level.high is None else level.high - mean for _, _, mean, level in rows],
            "color": FRONT,
            "thickness": 1.5,
            "width": 4,
        },
        marker={
            "color": FRONT,
            "size": 9,
            "symbol": "circle" if data.adjusted else "circle-open",
            "line": {"width": 2, "color": FRONT},
        },
        hovertext=[_hover(data, gene, level) for _, gene, _, level in rows],
        hoverinfo="text",
    )
    if data.mean is not None:
        drawing.add_vline(x=data.mean, line={"dash": "dash", "color": OTHER, "width": 1.5})
    drawing.update_xaxes(title=html.escape(unit(data.metric).label, quote=False), **AXIS)
    scale = {"tickvals": list(text), "ticktext": list(text.values()), "range": [max(at, 1) - GAP, -0.7]}
    drawing.update_yaxes(**AXIS | {"gridcolor": "rgba(0,0,0,0)"}, **scale)
    return drawing


def _hover(data: Effects, gene: str, level: Level) -> str:
    about = unit(data.metric)
    value = html.escape(gene_words.value(gene, level.value), quote=False)
    lines = [f"<b>{gene_words.name(gene)} {value}</b> ({gene})", f"{level.mean:.4g} {about.symbol}".rstrip()]
    if level.low is not None:
        lines.append(f"95% interval {level.low:.4g} to {level.high:.4g}")
    return "<br>".join([*lines, f"tried in {level.trials:,} of {data.trials:,} networks"])


def caption(data: Effects) -> str:
    """How to read it, how it was estimated and what was left out, as plain text."""
    name = unit(data.metric).name
    if not data.trials:
        return f"No network of the space has a {name}. {left_out(data.left_out)}".rstrip()
    if not data.effects:
        return f"There is no gene to show. {left_out(data.left_out)}".rstrip()
    if data.adjusted:
        how = (
            f"The mean {name} of the {data.trials:,} networks tried if all had this value and kept their other genes "
            "(least squares on all genes, without interactions): a value gets no credit for what it was tried with."
        )
    else:
        how = (
            f"The plain mean {name} of those of {data.trials:,} networks that have this value: the trials are too few "
            "or too alike to tell genes apart, so part of it may be the doing of other genes that were tried with it."
        )
    return f"{how} Bars: 95% intervals; dashed: the mean of all. {left_out(data.left_out)}".rstrip()
