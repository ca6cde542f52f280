"""From the ledgers of a coefficient study to what they say."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.given import recorded
from nas.scale.study import CLOSE, GRID, MULTIPLE, RULES, Design
from search_spaces import Arch
from search_spaces.compound import Coefficients, of_shares
from studies import response
from studies.ledger import TrialRecord
from studies.response import Observation, Response
from studies.scaling_record import Interval, Point, Ruled, Seeds, Study, Triple, known, network

Table = dict[Arch, Seeds]


@dataclass(frozen=True)
class Found:
    """What the study says so far. best: None until it is complete. response: None where too little was trained."""

    study: Study
    best: Coefficients | None
    response: Response | None

    def predicted(self, shares: Sequence[float], multiple: float, rules: Sequence[Ruled] = ()) -> Interval | None:
        """Top-1 of the study's network at a multiple of its base's cost: at the study's own the surface; elsewhere
        along a power of the cost, through the base, the surface and what ``rules`` hold of this direction."""
        base = known(self.study.base_top1)
        if self.response is None or not base:
            return None
        if multiple == MULTIPLE:
            return self.response.at(shares)
        drawn = self.response.drawn(shares)
        noise, rng = self.response.seed_std or self.response.rest_std, np.random.default_rng(0)
        levels = {1.0: _draws(base, noise, rng, len(drawn))}
        levels[MULTIPLE] = np.concatenate([[self.response.at(shares).value], drawn])
        for rule in rules:
            if rule.multiple != MULTIPLE and (top1 := known(rule.top1)):
                levels[rule.multiple] = _draws(top1, noise, rng, len(drawn))
        return response.power_law(list(levels), list(levels.values()), multiple)


def found_so_far(design: Design, folder: Path) -> Found:
    """What the grid's ledger holds, however much that is."""
    archs = design.archs
    records = recorded(folder / GRID)
    table = _table(records, archs, design.seeds)
    ended = sum(record.outcome is not None for record in records)
    equal = _at_equal_cost(design, table)
    observations = [Observation(shares, top1) for _, shares, top1 in equal]
    fitted = response.fit(observations)
    complete = ended == len(archs) * design.settings.seeds
    points = tuple(
        Point(
            coefficients=_triple(each.coefficients),
            phi=each.reached.phi,
            network=network(each.reached.arch, design.classes),
            excess=each.excess,
            top1=table[each.reached.arch],
            fitted=fitted.at(each.coefficients.shares).value if fitted else None,
            like_best=bool(fitted and fitted.like_best(each.coefficients.shares)),
        )
        for each in design.directions
    )
    spec = design.plan.spec.to_dict()
    study = Study(
        base=network(design.base, design.classes),
        base_top1=table[design.base],
        proxy=design.proxy,
        classes=design.classes,
        seeds=tuple(design.seeds),
        grid_step=design.settings.grid_step,
        tolerance=design.settings.tolerance,
        points=points,
        surface=response.surface(fitted) if fitted else None,
        data=spec["data"],
        train=spec["train"],
        missing=ended - sum(len(known(top1)) for top1 in table.values()),
        complete=complete,
    )
    return Found(study, _best(fitted, equal) if complete else None, fitted)


def ruled(design: Design, found: Found, folder: Path) -> tuple[Ruled, ...]:
    """The rules at equal counted cost, those without a figure (yet) too."""
    if found.best is None:
        return ()
    compared = list(design.compared(found.best))
    archs = [each.reached.arch for _, _, each in compared]
    table = _table([*recorded(folder / GRID), *recorded(folder / RULES)], archs, design.seeds)
    return tuple(
        Ruled(
            rule=text,
            coefficients=_triple(each.coefficients),
            multiple=multiple,
            phi=each.reached.phi,
            network=network(each.reached.arch, design.classes),
            excess=each.excess,
            top1=table[each.reached.arch],
            predicted=found.predicted(each.coefficients.shares, multiple),
        )
        for text, multiple, each in compared
    )


def notes(design: Design) -> list[str]:
    """What a reader of the study must know."""
    far = [each for each in design.directions if abs(each.excess) > CLOSE]
    if not far:
        return []
    most = max(far, key=lambda each: abs(each.excess))
    return [
        f"rounding keeps {len(far)} of the {len(design.directions)} points more than {CLOSE:.0%} from equal cost, "
        f"{most.coefficients} by {most.excess:+.0%}; their accuracies are moved to equal cost along the line from the "
        "base to the mean of all points"
    ]


def _table(records: Sequence[TrialRecord], archs: Sequence[Arch], seeds: Sequence[int]) -> Table:
    top1 = {(record.arch, record.seed): record.metric("top1") for record in records if record.status == "ok"}
    return {arch: tuple(top1.get((arch, seed)) for seed in seeds) for arch in archs}


def _at_equal_cost(design: Design, table: Table) -> list[tuple[Arch, tuple[float, float, float], tuple[float, ...]]]:
    """Each network of the grid that has a figure, with the mean shares of its directions and its top-1 by seed, moved
    to twice the base's cost along the line, in the logarithm of cost, from the base to the mean of all points."""
    sharing: dict[Arch, list[Coefficients]] = {}
    excess: dict[Arch, float] = {}
    for each in design.directions:
        sharing.setdefault(each.reached.arch, []).append(each.coefficients)
        excess[each.reached.arch] = each.excess
    trained = {arch: known(table[arch]) for arch in sharing if known(table[arch])}
    base = known(table[design.base])
    slope = 0.0
    if trained and base:
        gain = statistics.fmean(map(statistics.fmean, trained.values())) - statistics.fmean(base)
        slope = gain / statistics.fmean(math.log(MULTIPLE * (1 + excess[arch])) for arch in trained)
    return [
        (
            arch,
            response.direction(sharing[arch]),
            tuple(value - slope * math.log(1 + excess[arch]) for value in top1),
        )
        for arch, top1 in trained.items()
    ]


def _best(
    fitted: Response | None, equal: Sequence[tuple[Arch, tuple[float, float, float], tuple[float, ...]]]
) -> Coefficients | None:
    """Of the surface; of the trained networks where there is none."""
    if fitted:
        return of_shares(*fitted.best)
    if not equal:
        return None
    _, shares, _ = max(equal, key=lambda each: statistics.fmean(each[2]))
    return of_shares(*shares)


def _draws(top1: Sequence[float], noise: float, rng: np.random.Generator, count: int) -> np.ndarray:
    """The mean, and what it might have been with other seeds."""
    mean = statistics.fmean(top1)
    return np.concatenate([[mean], rng.normal(mean, noise / math.sqrt(len(top1)), count)])


def _triple(coefficients: Coefficients) -> Triple:
    return coefficients.alpha, coefficients.beta, coefficients.gamma
