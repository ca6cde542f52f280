"""Genes and their values in a reader's words, and the trials that tell something about them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.units import unit
from search_spaces import UserError
from search_spaces.space import SearchSpace
from studies.ledger import TrialRecord

_FIELDS = {"se_ratio": "SE ratio"}
_VALUES = {"mbconv": "MBConv", "fused_mbconv": "Fused-MBConv"}  # as `search_spaces show` and the papers write them
LeftOut = tuple[tuple[str, int], ...]
"""How many trials for each reason, which goes on after their number: ``without latency``."""


@dataclass(frozen=True)
class Sample:
    """places: shape [trials, genes]: the place of each network's value among those of ``space.parameters``."""

    trials: tuple[TrialRecord, ...]
    places: np.ndarray
    left_out: LeftOut

    def values(self, metric: str) -> np.ndarray:
        """Of each trial, in the metric's unit."""
        return np.array([trial.metric(metric) for trial in self.trials], float) / unit(metric).scale


def sample(trials: Sequence[TrialRecord], space: SearchSpace, metrics: Sequence[str]) -> Sample:
    """The ``ok`` trials of networks of the space with a finite figure for each metric."""
    places = [{value: place for place, value in enumerate(values)} for values in space.parameters.values()]
    kept, rows, reasons = [], [], Counter[str]()
    for trial in trials:
        if reason := _unusable(trial, space, metrics):
            reasons[reason] += 1
            continue
        kept.append(trial)
        rows.append([place[value] for place, value in zip(places, space.genes(trial.arch).values(), strict=True)])
    return Sample(tuple(kept), np.array(rows, int).reshape(len(kept), len(places)), tuple(reasons.most_common()))


def _unusable(trial: TrialRecord, space: SearchSpace, metrics: Sequence[str]) -> str:
    if trial.status != "ok":
        return "without a result"
    for metric in metrics:
        value = trial.metric(metric)
        if value is None or not math.isfinite(value):
            return f"without {unit(metric).name}"
    return "" if space.contains(trial.arch) else "of networks beyond the space"


def left_out(reasons: LeftOut) -> str:
    """``Left out: 3 trials without a result, 1 without latency.``; empty where there are none."""
    if not reasons:
        return ""
    (first, count), *rest = reasons
    parts = [f"{count:,} trial{'s' * (count > 1)} {first}", *(f"{count:,} {reason}" for reason, count in rest)]
    return f"Left out: {', '.join(parts)}."


def check(genes: Iterable[str], space: SearchSpace) -> tuple[str, ...]:
    """The genes as a tuple. Raises UserError on one that the space does not have."""
    found = tuple(genes)
    for gene in found:
        if gene not in space.parameters:
            raise UserError(f"genes: {gene!r} is not one of {', '.join(space.parameters) or 'none'}")
    return found


def name(gene: str) -> str:
    """``stage 3 kernel`` of ``s2.kernel``: stages as `search_spaces show` counts them, the stem being stage 0."""
    stage, _, field = gene.rpartition(".")
    words = _FIELDS.get(field, field)
    return f"stage {int(stage[1:]) + 1} {words}" if stage else words


def value(gene: str, given: Any) -> str:
    """One of the gene's values: ``Fused-MBConv``, ``no SE``, ``5``."""
    if gene.endswith("se_ratio") and not given:
        return "no SE"
    return f"{given:g}" if isinstance(given, (int, float)) else _VALUES.get(given, str(given))
