"""Two genes together: the mean of a metric for each pair of their values, and whether the two do more together than
each by itself. ``pairs`` computes plain data, ``draw`` makes a Plotly figure of it."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reports.drawing import genes as gene_words
from reports.drawing.canvas import AXIS, empty
from reports.drawing.genes import LeftOut, left_out
from reports.units import plural, unit
from search_spaces import UserError
from search_spaces.space import SearchSpace
from studies.ledger import TrialRecord

FEWEST, ROOM = 20, 2  # networks to tell anything from; for each effect that is to be told apart
LEVEL = 0.05  # of p, below which an interaction is said to be there
ALIKE = 1e-9  # of the values' spread, which counts as rounding
CELL, LEAST = 34, 190  # pixels of a row of cells, and of all of them
BAR = 66  # pixels that the colour bar takes


@dataclass(frozen=True)
class Interaction:
    """Whether what a pair of values does differs from the sum of what each does: a test of the pair's own effects, as
    many as ``terms``, against additive effects of all genes.

    p: None where nothing can be said, for the ``reason``. share: of the variance that additive effects leave, how much
    the pair's own explain beyond what chance would (0 to 1).
    """

    p: float | None
    terms: int = 0
    share: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Pair:
    """values: of both genes. means: in the metric's unit, shape [values of first, values of second], NaN where no
    network has both; counts: how many do, the same shape. trials: of all pairs."""

    metric: str
    genes: tuple[str, str]
    values: tuple[tuple[Any, ...], tuple[Any, ...]]
    means: np.ndarray
    counts: np.ndarray
    interaction: Interaction
    trials: int
    left_out: LeftOut


def pairs(trials: Sequence[TrialRecord], space: SearchSpace, metric: str, first: str, second: str) -> Pair:
    """``trials``: one a network (studies.repeats.networks). Raises UserError on a gene that the space does not have,
    and on one gene twice."""
    gene_words.check((first, second), space)
    if first == second:
        raise UserError(f"genes: {first!r} is given twice; a pair takes two of {', '.join(space.parameters)}")
    return of_sample(gene_words.sample(trials, space, [metric]), space, metric, first, second)


def of_sample(sample: gene_words.Sample, space: SearchSpace, metric: str, first: str, second: str) -> Pair:
    """``pairs`` of a sample that several of them share."""
    names = list(space.parameters)
    columns, sizes = (names.index(first), names.index(second)), [len(found) for found in space.parameters.values()]
    values = sample.values(metric)
    shape = len(space.parameters[first]), len(space.parameters[second])
    cells = np.ravel_multi_index(sample.places[:, columns].T, shape)
    counts = np.bincount(cells, minlength=shape[0] * shape[1])
    sums = np.bincount(cells, weights=values, minlength=len(counts))
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return Pair(
        metric,
        (first, second),
        (tuple(space.parameters[first]), tuple(space.parameters[second])),
        means.reshape(shape),
        counts.reshape(shape),
        _interaction(sample.places, sizes, columns, values),
        len(values),
        sample.left_out,
    )


def _interaction(places: np.ndarray, sizes: Sequence[int], pair: tuple[int, int], values: np.ndarray) -> Interaction:
    """By the score test that allows for unequal noise (White 1980), with residuals of the additive model as in HC3. The
    usual F test takes noise for an interaction a third of the time where a sampler tried the worse networks, which are
    noisier, less often. sizes: how many values each gene has."""
    spread = float(np.ptp(values)) if len(values) else 0.0
    if not spread > ALIKE * float(np.abs(values).max(initial=0.0)):
        return Interaction(None, reason="all networks have the same value")
    effects = sum(size - 1 for size in sizes) + math.prod(sizes[gene] - 1 for gene in pair) + 1
    if len(values) < (needed := max(FEWEST, ROOM * effects)):
        return Interaction(None, reason=f"too few networks to tell, {len(values)}; it takes {needed}")
    coded = [(column == place).astype(float) for column in places.T for place in np.unique(column)[1:]]
    additive = _basis(np.column_stack([np.ones(len(values)), *coded]))
    one, other = (places[:, column] for column in pair)
    both = [(one == here) & (other == there) for here in np.unique(one)[1:] for there in np.unique(other)[1:]]
    cells = np.array(both, float).reshape(len(both), len(values)).T
    own = _basis(cells - additive @ (additive.T @ cells))
    if not (terms := own.shape[1]):
        return Interaction(None, reason="too few pairs of their values were tried to tell")
    scaled = (values - values.mean()) / spread
    left = scaled - additive @ (additive.T @ scaled)
    noise = float(left @ left)
    if noise <= ALIKE**2 * len(values):
        return Interaction(1.0, terms)  # additive effects explain all
    from scipy.special import chdtrc

    scores = own * (left / np.maximum(1 - (additive**2).sum(axis=1), ALIKE))[:, None]
    found = own.T @ left
    p = float(chdtrc(terms, found @ np.linalg.pinv(scores.T @ scores, hermitian=True) @ found))
    spare = len(values) - additive.shape[1]
    unexplained = max(0.0, noise - float(found @ found)) / (spare - terms)
    return Interaction(p, terms, max(0.0, 1 - unexplained / (noise / spare)))


def _basis(columns: np.ndarray) -> np.ndarray:
    """Orthonormal columns that span the same; ``columns`` are of zeros and ones or what is left of such, and may hang
    together."""
    if not columns.shape[1]:
        return columns
    sizes, vectors = np.linalg.eigh(columns.T @ columns)
    kept = sizes > 1e-8 * len(columns)
    basis: np.ndarray = columns @ (vectors[:, kept] / sizes[kept] ** 0.5)
    return basis


def draw(data: Pair) -> go.Figure:
    """The first gene from left to right, the second upwards; how many networks are in each cell."""
    about = unit(data.metric)
    label = html.escape(about.label, quote=False)
    across, up = (
        [html.escape(gene_words.value(gene, value), quote=False) for value in values]
        for gene, values in zip(data.genes, data.values, strict=True)
    )
    plot = max(LEAST, CELL * len(up))
    drawing = empty(plot + 80 + BAR, margin={"l": 56, "r": 16, "t": 16, "b": 64 + BAR})
    if not data.trials:
        return drawing.update_layout(height=100, xaxis_visible=False, yaxis_visible=False)
    names = [gene_words.name(gene) for gene in data.genes]
    drawing.add_heatmap(
        x=across,
        y=up,
        z=data.means.T.astype(np.float32),
        text=[[f"{count:,}" if count else "" for count in row] for row in data.counts.T.tolist()],
        texttemplate="%{text}",
        hovertemplate=f"{names[0]} <b>%{{x}}</b><br>{names[1]} <b>%{{y}}</b><br>"
        f"mean %{{z:,.4~r}} {about.symbol}, n = %{{text}}<extra></extra>",
        hoverongaps=False,
        colorscale="Cividis",
        xgap=1,
        ygap=1,
        colorbar={
            "orientation": "h",
            "title": {"text": f"mean {label}", "side": "top"},
            "thickness": 10,
            "outlinewidth": 0,
            "len": 1.0,
            "y": -56 / plot,
            "yanchor": "top",
        },
    )
    plain = AXIS | {"gridcolor": "rgba(0,0,0,0)", "type": "category"}
    drawing.update_xaxes(title=names[0], categoryarray=across, **plain)
    drawing.update_yaxes(title=names[1], categoryarray=up, **plain)
    return drawing


def caption(data: Pair) -> str:
    """How to read it, whether the two interact, and what was left out, as plain text."""
    name = unit(data.metric).name
    if not data.trials:
        return f"No network of the space has a {name}. {left_out(data.left_out)}".rstrip()
    how = (
        f"The plain mean {name} of those of {data.trials:,} networks that have both values (yellow: high), and how "
        "many they are; blank: none was tried. Other genes differ between cells, so part of it may be their doing."
    )
    return " ".join(filter(None, [how, _said(data), left_out(data.left_out)]))


def _said(data: Pair) -> str:
    found = data.interaction
    if found.p is None:
        return f"Whether the two interact: {found.reason}."
    p = f"p = {found.p:.2g}" if found.p >= 1e-4 else "p < 0.0001"
    terms = plural(found.terms, "interaction term")
    rests = f"{p}, n = {data.trials:,}: robust score test of {terms} against additive effects of all genes"
    if found.p >= LEVEL:
        return f"No sign that the two interact ({rests}); a weak interaction may go unseen."
    return (
        f"The two interact ({rests}): together they do other than the sum of what each does, which explains "
        f"{found.share:.1%} of the variance that additive effects leave. Of twenty pairs that do not interact, one "
        "looks so by chance."
    )
