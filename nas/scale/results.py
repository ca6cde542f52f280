"""From the ledgers of a coefficient study to what they say."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nas.given import recorded
from nas.scale.study import CLOSE, GRID, MULTIPLE, RULES, Design, Direction
from search_spaces import Arch
from search_spaces.compound import COMPOUND, Coefficients, Triple, of_shares
from studies import response
from studies.ledger import TrialRecord
from studies.response import Observation, Response
from studies.scaling_record import Interval, Point, Ruled, Seeds, Study, known, network

Table = dict[Arch, Seeds]


@dataclass(frozen=True)
class Found:
    """What the study says so far. best: None until the grid is complete. response: None where too little was trained.
    notes: what a reader must know of it."""

    study: Study
    rules: tuple[Ruled, ...]
    best: Coefficients | None
    response: Response | None
    notes: tuple[str, ...]

    def predicted(self, shares: Triple, multiple: float, rules: Sequence[Ruled] = ()) -> Interval | None:
        """Mean top-1 of as many seeds of a network at a multiple of the base's cost: along a power of the cost through
        the base, the surface at twice its cost, and what ``rules`` hold of this direction at others."""
        base = known(self.study.base_top1)
        if self.response is None or not base:
            return None
        noise, rng = self.response.seed_std or self.response.rest_std, np.random.default_rng(0)
        surface = self.response.drawn(shares)
        levels = {1.0: _draws(base, noise, rng, len(surface) - 1), MULTIPLE: surface}
        for rule in rules:
            if rule.multiple != MULTIPLE and (top1 := known(rule.top1)):
                levels[rule.network.macs / self.study.base.macs] = _draws(top1, noise, rng, len(surface) - 1)
        return response.power_law(levels, multiple, self.response.rest_std)


def found_so_far(design: Design, folder: Path) -> Found:
    """What the ledgers of grid and rules hold, however much that is."""
    records = recorded(folder / GRID)
    table = _table(records, design.archs, design.seeds())
    ended = sum(record.outcome is not None for record in records)
    slope = _slope(design, table)
    equal = _at_equal_cost(design, table, slope)
    fitted = response.fit([Observation(each.shares, top1) for each, top1 in equal])
    best = None
    if ended == len(design.archs) * design.settings.seeds:
        best = of_shares(*fitted.best) if fitted else _most_accurate(equal)
    points = tuple(
        Point(
            coefficients=each.coefficients.triple,
            phi=each.reached.phi,
            network=network(each.reached.arch, design.classes),
            excess=each.excess,
            shares=each.shares,
            top1=table[each.reached.arch],
            fitted=fitted.at(each.shares).value if fitted else None,
            like_best=bool(fitted and fitted.like_best(each.shares)),
        )
        for each in design.directions
    )
    spec, settings = design.plan.spec.to_dict(), design.settings
    study = Study(
        base=network(design.base, design.classes),
        base_top1=table[design.base],
        proxy=design.proxy,
        classes=design.classes,
        seeds=tuple(design.seeds()),
        grid_step=settings.grid_step,
        tolerance=settings.tolerance,
        rounding=settings.study_rounding,
        points=points,
        surface=response.surface(fitted) if fitted else None,
        data=spec["data"],
        train=spec["train"],
        missing=ended - sum(len(known(top1)) for top1 in table.values()),
        complete=False,
    )
    notes = _notes(design, slope)
    if best and not fitted:
        notes.append("no surface could be fitted; the coefficients are those of the most accurate network of the grid")
    grid = Found(study, (), best, fitted, tuple(notes))
    return _with_rules(design, grid, folder)


def _with_rules(design: Design, grid: Found, folder: Path) -> Found:
    """The rules at equal counted cost, those without a figure (yet) too."""
    if grid.best is None:
        return grid
    compared = list(design.compared(grid.best))
    records, seeds = recorded(folder / RULES), design.seeds(of_rules=True)
    archs = list(dict.fromkeys(each.reached.arch for _, _, each in compared))
    table = _table(records, archs, seeds)
    ended = sum(record.outcome is not None for record in records)
    rules = tuple(
        Ruled(
            rule=text,
            coefficients=each.coefficients.triple,
            multiple=multiple,
            phi=each.reached.phi,
            network=network(each.reached.arch, design.classes),
            excess=each.excess,
            shares=each.shares,
            top1=table[each.reached.arch],
            predicted=grid.predicted(each.shares, multiple * (1 + each.excess)),
        )
        for text, multiple, each in compared
    )
    lost = ended - sum(len(known(top1)) for top1 in table.values())
    study = replace(grid.study, missing=grid.study.missing + lost, complete=ended == len(archs) * design.settings.seeds)
    return replace(grid, study=study, rules=rules)


def of_compound(rules: Sequence[Ruled]) -> list[Ruled]:
    """Those of compound scaling, with the best coefficients."""
    return [rule for rule in rules if rule.rule == COMPOUND]


def _notes(design: Design, slope: float | None) -> list[str]:
    found = []
    far = [each for each in design.directions if abs(each.excess) > CLOSE]
    if far:
        most = max(far, key=lambda each: abs(each.excess))
        moved = "; accuracies are moved to equal cost along the line from the base to the mean of all points"
        found.append(
            f"rounding keeps {len(far)} of the {len(design.directions)} points more than {CLOSE:.0%} from equal cost, "
            f"{most.coefficients} by {most.excess:+.0%}{moved if slope is not None else ''}"
        )
    return found


def _table(records: Sequence[TrialRecord], archs: Sequence[Arch], seeds: Sequence[int]) -> Table:
    top1 = {(record.arch, record.seed): record.metric("top1") for record in records if record.status == "ok"}
    return {arch: tuple(top1.get((arch, seed)) for seed in seeds) for arch in archs}


def _networks(design: Design) -> list[Direction]:
    """Each network of the grid once."""
    return list({each.reached.arch: each for each in design.directions}.values())


def _slope(design: Design, table: Table) -> float | None:
    """Of top-1 with the logarithm of cost, from the base to the mean of the grid; None: one of them has no figure."""
    base = known(table[design.base])
    trained = [(each, top1) for each in _networks(design) if (top1 := known(table[each.reached.arch]))]
    if not base or not trained:
        return None
    gain = statistics.fmean(statistics.fmean(top1) for _, top1 in trained) - statistics.fmean(base)
    return gain / statistics.fmean(math.log(MULTIPLE * (1 + each.excess)) for each, _ in trained)


def _at_equal_cost(design: Design, table: Table, slope: float | None) -> list[tuple[Direction, tuple[float, ...]]]:
    """Each network of the grid that has a figure, with its top-1 by seed moved to twice the base's cost."""
    found = []
    for each in _networks(design):
        if top1 := known(table[each.reached.arch]):
            extra = (slope or 0.0) * math.log(1 + each.excess)
            found.append((each, tuple(value - extra for value in top1)))
    return found


def _most_accurate(equal: Sequence[tuple[Direction, tuple[float, ...]]]) -> Coefficients | None:
    if not equal:
        return None
    direction, _ = max(equal, key=lambda each: statistics.fmean(each[1]))
    return direction.coefficients.doubling()


def _draws(top1: Sequence[float], noise: float, rng: np.random.Generator, count: int) -> np.ndarray:
    """The mean, and what it might have been with other seeds."""
    mean = statistics.fmean(top1)
    return np.concatenate([[mean], rng.normal(mean, noise / math.sqrt(len(top1)), count)])
