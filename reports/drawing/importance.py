"""Which genes matter: how much of each objective's variance a gene explains by itself, by functional ANOVA (Hutter et
al., ICML 2014). ``importances`` computes plain data, ``draw`` turns them into a Plotly figure."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from reports.drawing import genes, legend
from reports.drawing.canvas import AXIS, PALETTE, empty
from reports.units import unit
from search_spaces.space import SearchSpace
from studies.ledger import TrialRecord

FEWEST = 20  # trials
LEAST_R2 = 0.1  # noise gets so far once in ten times with 20 trials, hardly ever with 30
MOST_TRIALS = 400  # take less than a second an objective
MOST_GENES = 12
T95 = 2.365  # Student's t for 95%, of the spread of fanova.HALVES halves (7 degrees of freedom)
SEED = 0
BAR, WHISKER = 22, "#808080"  # pixels of a gene's bars; seen on light and dark, and on every bar
PATTERNS = ("", "/", "x", ".", "-", "+")
HATCH = {"fillmode": "overlay", "fgcolor": "white", "fgopacity": 0.7, "size": 7, "solidity": 0.3}


@dataclass(frozen=True)
class Share:
    """Of the objective's variance. share: what chance gives a gene is taken off, so that of one that does nothing it is
    0 on average, and may be below. low, high: ends of its 95% interval, from 0 to 1."""

    gene: str
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Importance:
    """What the genes do for one objective.

    shares: of every gene of the space, the largest first; empty where ``reason`` says why nothing can be said.
    trials: what it rests on. explained: R2 of the forest's predictions for networks that it has not seen; None where
        none was grown.
    """

    objective: str
    shares: tuple[Share, ...] = ()
    trials: int = 0
    left_out: genes.LeftOut = ()
    explained: float | None = None
    reason: str = ""


def importances(
    trials: Sequence[TrialRecord], space: SearchSpace, objectives: Sequence[str], most_trials: int = MOST_TRIALS
) -> tuple[Importance, ...]:
    """One an objective, in their order. ``trials``: one a network (studies.repeats.networks); of more than
    ``most_trials``, so many are drawn at random, the same ones every time."""
    return tuple(_importance(genes.sample(trials, space, [name]), space, name, most_trials) for name in objectives)


def _importance(sample: genes.Sample, space: SearchSpace, objective: str, most_trials: int) -> Importance:
    usable, left_out = len(sample.trials), sample.left_out
    values, places = sample.values(objective), sample.places
    if reason := _too_little(values, space):
        return Importance(objective, (), usable, left_out, None, reason)
    if usable > most_trials:
        drawn = np.sort(np.random.default_rng(SEED).permutation(usable)[:most_trials])
        values, places = values[drawn], places[drawn]
        left_out = (*left_out, ("drawn at random, to save time", usable - most_trials))
    from studies import fanova  # scikit-learn

    values = _standard(values)
    explained = fanova.explained(places, values, SEED)
    if not explained >= LEAST_R2:
        reason = (
            f"nothing can be said: {len(values):,} trials hardly foretell unseen networks (R² {explained:.2f}), so "
            "they are too few, or it is mostly noise"
        )
        return Importance(objective, (), len(values), left_out, explained, reason)
    found = fanova.shares(places, [len(levels) for levels in space.parameters.values()], values, SEED)
    # The spread of halves is the uncertainty of the mean of all halves (delete-half jackknife); and these are some.
    means, spread = found.mean(0), T95 * found.std(0, ddof=1) * (1 + 1 / len(found)) ** 0.5
    shares = [
        Share(gene, float(mean), *np.clip([mean - half, mean + half], 0, 1).tolist())
        for gene, mean, half in zip(space.parameters, means, spread, strict=True)
    ]
    shares.sort(key=lambda share: -share.share)
    return Importance(objective, tuple(shares), len(values), left_out, explained)


def _too_little(values: np.ndarray, space: SearchSpace) -> str:
    if len(space.parameters) < 2:
        return "the space has only one gene" if space.parameters else "the space has no gene"
    if len(values) < FEWEST:
        return f"nothing can be said from {len(values)} trials, it takes {FEWEST} at least"
    return "" if _standard(values).any() else "all networks have the same value"


def _standard(values: np.ndarray) -> np.ndarray:
    """Mean 0 and standard deviation 1; zeros where they differ by no more than rounding."""
    values = values / (np.abs(values).max() or 1.0)
    values = values - values.mean()
    return values / values.std() if values.std() > 1e-12 else np.zeros(len(values))


def draw(data: Sequence[Importance]) -> go.Figure:
    """Bars for the genes that matter most, their objectives below one another; the rest of the genes in one."""
    told = [one for one in data if one.shares]
    if not told:
        return empty(100, xaxis_visible=False, yaxis_visible=False)
    most = {share.gene: 0.0 for one in told for share in one.shares}
    for share in (share for one in told for share in one.shares):
        most[share.gene] = max(most[share.gene], share.share)
    ranked = sorted(most, key=lambda gene: -most[gene])
    shown = ranked if len(ranked) <= MOST_GENES + 1 else ranked[:MOST_GENES]
    rest = len(ranked) - len(shown)
    rows = [*map(genes.name, shown), *([f"{rest} other genes"] if rest else [])]
    height = 70 + len(rows) * (BAR + 8 * len(told))
    drawing = empty(**legend.below(height, len(told) if len(told) > 1 else 0), bargap=0.3)
    for place, one in enumerate(told):
        about = html.escape(unit(one.objective).name, quote=False)
        by_gene = {share.gene: share for share in one.shares}
        bars = [by_gene[gene] for gene in shown]
        others = [max(0.0, sum(by_gene[gene].share for gene in ranked[len(shown) :]))] if rest else []
        shares = [max(0.0, bar.share) for bar in bars]
        colour, pattern = PALETTE[place % len(PALETTE)], PATTERNS[place % len(PATTERNS)]
        drawing.add_bar(
            orientation="h",
            y=rows,
            x=[100 * x for x in (*shares, *others)],
            name=legend.label(unit(one.objective).name),
            marker={"color": colour, "pattern": HATCH | {"shape": pattern}},
            error_x={
                "array": [100 * (bar.high - share) for bar, share in zip(bars, shares, strict=True)]
                + [0] * len(others),
                "arrayminus": [100 * (share - bar.low) for bar, share in zip(bars, shares, strict=True)]
                + [0] * len(others),
                "color": WHISKER,
                "thickness": 1.5,
                "width": 3,
            },
            hovertext=[_hover(bar, about) for bar in bars]
            + [f"{rows[-1]}: {100 * other:.1f} % of {about}" for other in others],
            hoverinfo="text",
        )
    drawing.update_yaxes(autorange="reversed", **AXIS | {"gridcolor": "rgba(0,0,0,0)"})
    drawing.update_xaxes(title="share of the objective's variance (%)", rangemode="tozero", **AXIS)
    return drawing


def _hover(bar: Share, about: str) -> str:
    """With the name that space files and commands use."""
    interval = f"95% interval {100 * bar.low:.1f} to {100 * bar.high:.1f} %"
    return f"<b>{genes.name(bar.gene)}</b> ({bar.gene})<br>{100 * max(0.0, bar.share):.1f} % of {about}<br>{interval}"


def caption(data: Sequence[Importance]) -> str:
    """How to read it, what it rests on and what was left out, as plain text."""
    lines = []
    if any(one.shares for one in data):
        lines.append(
            "The share of an objective's variance over the whole space that each gene explains by itself (fANOVA); "
            "what is missing to 100% is genes acting together, weak effects and noise. Lines: 95% intervals "
            "of the estimate, from random halves of the trials. What chance gives a gene is taken off: one that does "
            "nothing is at 0, and weak ones are underrated, lines included."
        )
    alike = len({one.left_out for one in data}) == 1
    for one in data:
        name = unit(one.objective).name
        about = one.reason or f"{one.trials:,} trials, which foretell unseen networks with R² {one.explained:.2f}"
        lines.append(f"{name[0].upper()}{name[1:]}: {about}.")
        lines += [] if alike else [genes.left_out(one.left_out)]
    lines += [genes.left_out(data[0].left_out)] if alike else []
    return " ".join(filter(None, lines)) or "There is no objective."
