"""Error distributions of sub-spaces, after pycls: which part of a space holds good networks, not which single one is
best. ``distributions`` computes plain data, ``draw`` turns them into a Plotly figure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reports.drawing.canvas import AXIS, OTHER, PALETTE, empty
from reports.drawing.legend import below, label, style
from search_spaces import UserError
from search_spaces.space import SearchSpace
from studies.ledger import TrialRecord

OTHERS = "others"
CHOSEN = "{sampler} chose by what was found before"
STOPPED = "trials were stopped early for their accuracy"
REJECTED = "networks beyond limits were rejected"
CONFIDENCE = 0.95
BANDS = 3  # with more curves their bands would hide one another
CORNERS = 1000  # of a curve: more than a screen has pixels
HEIGHT = 320  # pixels, without the legend


@dataclass(frozen=True)
class Distribution:
    """One group. errors: in percent, sorted, of one network each. place: among the groups that were given, which is its
    colour; None: several groups. half_band: half the height of the band that holds the whole of the group's true curve
    with ``CONFIDENCE``; None: the networks were not drawn at random, so none is known."""

    name: str
    errors: tuple[float, ...]
    place: int | None = 0
    half_band: float | None = None

    def below(self, error: float) -> float:
        """F: the share of the networks whose error is less, not equal (arXiv 2003.13678, eq. 1); 0 to 1."""
        return bisect_left(self.errors, error) / len(self.errors) if self.errors else 0.0


@dataclass(frozen=True)
class Distributions:
    """merged: names of the smallest groups, which are the last curve, in no colour. empty: groups without a value.
    without: how many values were missing or no number, and were left out. selected: by what the networks of curves
    without a band were."""

    curves: tuple[Distribution, ...]
    merged: tuple[str, ...] = ()
    without: int = 0
    empty: tuple[str, ...] = ()
    selected: tuple[str, ...] = ()

    @property
    def banded(self) -> bool:
        """Whether the bands are drawn."""
        known = any(curve.half_band is not None for curve in self.curves)
        return known and len(self.curves) <= BANDS


def selected(search: Mapping[str, Any]) -> tuple[str, ...]:
    """What decided, beside chance, which networks have an accuracy, by a spec's ``search``: then no band is known."""
    chosen = search.get("sampler") != "random"
    stopped = search.get("early_stop", "none") not in ("none", None)
    return (CHOSEN,) * chosen + (STOPPED,) * stopped + (REJECTED,) * bool(search.get("constraints"))


def distributions(
    groups: Mapping[str, Sequence[float]], at_random: Collection[str] = (), selected: Sequence[str] = (CHOSEN,)
) -> Distributions:
    """Of the top1 in percent of each group's networks. The largest groups stay, in the given order, as many as the
    palette has colours; the others become one.

    at_random: names of the groups whose networks were drawn independently of what was known of others, and all of
    them finished. selected: what decided in the other groups, as ``selected`` tells.
    """
    errors = {name: sorted(100.0 - top1 for top1 in values if _is_figure(top1)) for name, values in groups.items()}
    without = sum(map(len, groups.values())) - sum(map(len, errors.values()))
    filled = [name for name in errors if errors[name]]
    kept = set(sorted(filled, key=lambda name: -len(errors[name]))[: len(PALETTE)])
    curves = [_curve(name, errors[name], place, name in at_random) for place, name in enumerate(groups) if name in kept]
    merged = tuple(name for name in filled if name not in kept)
    if merged:
        together = sorted(chain.from_iterable(errors[name] for name in merged))
        name = OTHERS if len(merged) > 1 else merged[0]
        curves.append(_curve(name, together, None, all(name in at_random for name in merged)))
    empty_ones = tuple(name for name in errors if not errors[name])
    is_selected = any(curve.half_band is None for curve in curves)
    return Distributions(tuple(curves), merged, without, empty_ones, tuple(selected) if is_selected else ())


def half_band(n: int) -> float:
    """So far the curve of n independent draws is off the true one nowhere, with ``CONFIDENCE``: the inequality of
    Dvoretzky, Kiefer and Wolfowitz with the constant of Massart (1990), P(sup |F_n - F| > e) <= 2 exp(-2 n e^2)."""
    return math.sqrt(math.log(2 / (1 - CONFIDENCE)) / (2 * n))


def by_gene(trials: Sequence[TrialRecord], space: SearchSpace, gene: str) -> dict[str, list[float]]:
    """Top1 in percent of the finished networks by their value of ``gene``, in the space's order. ``left_out`` counts
    the others. Raises UserError where the space has no such gene."""
    if gene not in space.parameters:
        raise UserError(
            f"gene: {gene!r} is not one of {', '.join(space.parameters) or 'none: the space has no choice'}"
        )
    groups: dict[str, list[float]] = {str(value): [] for value in space.parameters[gene]}
    for trial in trials:
        top1 = trial.metric("top1")
        if top1 is not None and not _why_not(trial, space):
            groups[str(space.genes(trial.arch)[gene])].append(top1)
    return groups


def left_out(trials: Sequence[TrialRecord], space: SearchSpace | None = None) -> dict[str, int]:
    """How many trials are in no group, by reason. space: None: a network need not be in one."""
    return dict(Counter(why for trial in trials if (why := _why_not(trial, space))))


def _why_not(trial: TrialRecord, space: SearchSpace | None) -> str:
    """Empty where the trial is in a group."""
    if trial.status != "ok":
        return trial.status
    if not _is_figure(trial.metric("top1")):
        return "without an accuracy"
    return "" if space is None or space.contains(trial.arch) else "not in the space"


def _is_figure(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _curve(name: str, errors: Sequence[float], place: int | None, at_random: bool) -> Distribution:
    return Distribution(name, tuple(errors), place, half_band(len(errors)) if at_random else None)


def draw(data: Distributions) -> go.Figure:
    """A step function a curve, with its band where bands are shown."""
    drawing = empty(**below(HEIGHT, len(data.curves)))
    ends = [error for curve in data.curves for error in (curve.errors[0], curve.errors[-1])]
    for curve in data.curves:
        colour, _, dash = (OTHER, "", "solid") if curve.place is None else style(curve.place)
        xs, ys = corners(curve)
        xs, ys = np.concatenate([[min(ends)], xs, [max(ends)]]), np.concatenate([[0.0], ys, [1.0]])
        if data.banded and curve.half_band is not None:
            _add_band(drawing, xs, ys, curve.half_band, colour)
        drawing.add_scatter(
            x=xs,
            y=ys,
            mode="lines",
            name=f"{label(curve.name)} (n = {len(curve.errors):,})",
            line={"shape": "hv", "color": colour, "dash": dash, "width": 2},
            hovertemplate="<b>%{fullData.name}</b><br>%{y:.0%} have an error up to %{x:.2f} %<extra></extra>",
        )
    drawing.update_xaxes(title="top-1 error (%)", **AXIS)
    drawing.update_yaxes(title="share of networks with less", tickformat=".0%", range=[0, 1.02], **AXIS)
    return drawing


def corners(curve: Distribution) -> tuple[np.ndarray, np.ndarray]:
    """Each error once, rising, and F right after it, for a line that is level between them. Of more than ``CORNERS``
    errors those are kept whose shares are evenly spread."""
    errors, counts = np.unique(np.array(curve.errors, dtype=float), return_counts=True)
    shares = np.cumsum(counts) / max(1, len(curve.errors))
    if len(errors) > CORNERS:
        kept = np.unique(np.searchsorted(shares, np.linspace(shares[0], 1.0, CORNERS)).clip(max=len(errors) - 1))
        errors, shares = errors[kept], shares[kept]
    return errors, shares


def _add_band(drawing: go.Figure, xs: np.ndarray, ys: np.ndarray, half: float, colour: str) -> None:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    for level, fill in ((ys - half, None), (ys + half, "tonexty")):
        drawing.add_scatter(
            x=xs,
            y=level.clip(0, 1),
            mode="lines",
            line={"shape": "hv", "width": 0, "color": colour},
            fill=fill,
            fillcolor=f"rgba({red},{green},{blue},0.15)",
            hoverinfo="skip",
            showlegend=False,
        )


def caption(data: Distributions, excluded: Mapping[str, int] | None = None, sampler: str = "") -> str:
    """How to read the figure, why curves have no band, and what is not in it. excluded: trials by reason, as
    ``left_out`` counts them. sampler: what proposed the networks of groups that were not drawn at random."""
    rest = _rest(data, excluded or {})
    if not data.curves:
        return f"There is nothing to plot: no finished network with an accuracy.{rest}"
    said = "Up and left is better: each curve is the share of a group's networks whose error is less than this."
    if data.selected:
        reasons = " or ".join(data.selected).format(sampler=f"the sampler ({sampler})" if sampler else "a sampler")
        said += f" Where {reasons}, a curve shows what was tried, not what the space holds, so it has no band."
    if data.banded:
        said += (
            f" Shaded: {CONFIDENCE:.0%} band of the whole curve (Dvoretzky, Kiefer and Wolfowitz), of networks that "
            "were drawn at random."
        )
    elif any(curve.half_band is not None for curve in data.curves):
        said += f" No bands, since those of more than {BANDS} curves would hide one another."
    return said + rest


def _rest(data: Distributions, excluded: Mapping[str, int]) -> str:
    parts = []
    if len(data.merged) > 1:
        parts.append(f"The {len(data.merged)} smallest groups are one curve, {OTHERS}.")
    missing = [f"{count} {reason}" for reason, count in excluded.items() if count]
    missing += [f"{data.without} without a finite accuracy"] * bool(data.without)
    parts += [f"Not counted: {', '.join(missing)}."] * bool(missing)
    parts += [f"Nothing in {', '.join(data.empty)}."] * bool(data.empty)
    return "".join(f" {part}" for part in parts)
