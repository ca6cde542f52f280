"""Several searches side by side, from their run folders alone: which of them can be compared, and how they stand."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reports import run as runs_of
from reports.comparable import NAMED, SETTINGS, differences, field, flat, processors
from reports.drawing import edf, progress
from reports.run import Run
from reports.specs import plain
from reports.summary import networks as count_networks
from reports.summary import shared_and_varying
from reports.units import is_flagged, quantity, unit
from search_spaces import UserError
from studies import objectives
from studies import spec as specs
from studies.ledger import TrialRecord
from studies.pareto import front

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Standing:
    """How far a run came. level: share of the common box that its front dominates, 0 where no trial has a value for
    every objective; with one objective the best value, None without. volume: the same in the objectives' units. front:
    how many networks, by the common objectives; flagged: those of them whose latency is."""

    run: Run
    progress: progress.Progress
    level: float | None
    volume: float | None
    front: int
    flagged: int
    most_accurate: TrialRecord | None


@dataclass(frozen=True)
class Setting:
    """Runs that differ in nothing but the seed. label: in what it differs from the other settings."""

    label: str
    members: tuple[Standing, ...]

    @property
    def levels(self) -> tuple[float, ...]:
        """Those of the members that have one."""
        return tuple(one.level for one in self.members if one.level is not None)


@dataclass(frozen=True)
class Comparison:
    """barriers: why the runs' figures do not mean the same, so that nobody is ahead. warnings: what else to know before
    reading them. settings: in the order of their first runs."""

    objectives: tuple[str, ...]
    box: progress.Box | None
    standings: tuple[Standing, ...]
    settings: tuple[Setting, ...]
    barriers: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def runs(self) -> list[Run]:
        """In the order of the standings."""
        return [one.run for one in self.standings]

    @property
    def repeated(self) -> bool:
        """Whether any setting has more than one run."""
        return any(len(one.members) > 1 for one in self.settings)


def read(run_dirs: Sequence[Path]) -> list[Run]:
    """With unique names, and with every default in their specs if all can be read as one. Raises UserError where a
    folder holds no search."""
    found = [
        replace(runs_of.read(folder), name=name) for folder, name in zip(run_dirs, unique_names(run_dirs), strict=True)
    ]
    try:
        return [replace(run, spec=dict(run.spec) | specs.parse(run.spec).to_dict()) for run in found]
    except UserError:  # of another version: what they hold is compared as it is
        return found


def unique_names(run_dirs: Sequence[Path]) -> list[str]:
    """The folders' names; with the folder above where two are alike, and a number where that is not enough."""
    paths = [Path(folder).resolve() for folder in run_dirs]
    short = [path.name for path in paths]
    found: list[str] = []
    for path in paths:
        name = f"{path.parent.name}/{path.name}" if short.count(path.name) > 1 else path.name
        numbered = (f"{name} ({number})" for number in itertools.count(2))
        found.append(name if name not in found else next(other for other in numbered if other not in found))
    return found


def compare(runs: Sequence[Run]) -> Comparison:
    """By the objectives that all have. Raises UserError where there are none, or no runs."""
    goals = common_objectives(runs)
    box = progress.box([trial for run in runs for trial in run.networks], goals)
    standings = tuple(_standing(run, goals, box) for run in runs)
    barriers, warnings = differences(runs, goals)
    warnings += filter(None, [uneven(standings, goals)])
    return Comparison(goals, box, standings, _settings(standings), tuple(barriers), tuple(warnings))


def common_objectives(runs: Sequence[Run]) -> tuple[str, ...]:
    """In the first run's order. Raises UserError."""
    if not runs:
        raise UserError("runs: none to compare, name at least two run folders")
    goals = tuple(name for name in runs[0].objectives if all(name in run.objectives for run in runs))
    if not goals:
        asked = "; ".join(f"{run.name}: {', '.join(run.objectives)}" for run in runs)
        raise UserError(f"objectives: the runs have none in common ({asked}), so they cannot be compared")
    return goals


def _standing(run: Run, goals: Sequence[str], box: progress.Box | None) -> Standing:
    reference, ideal = (box.reference, box.ideal) if box else (None, None)
    repeats = field(run, "search", "repeats", 1) > 1
    way = progress.progress(run.trials, goals, reference, ideal, processors(run), repeats)
    level = way.steps[-1].value if way.steps else (0.0 if box and len(goals) > 1 else None)
    volume = None
    if box and level is not None and len(goals) > 1:
        sides = (abs(a - b) / unit(name).scale for a, b, name in zip(box.reference, box.ideal, goals, strict=True))
        volume = level * math.prod(sides)
    best = front(run.networks, goals)
    flagged = count_networks(trial for trial in best if trial.outcome and is_flagged(trial.outcome.latency))
    accurate = front(run.networks, ["top1"])
    return Standing(run, way, level, volume, count_networks(best), flagged, accurate[0] if accurate else None)


def more_is_better(goals: Sequence[str]) -> bool:
    """Whether a higher level is the better one: of several objectives it is a hypervolume, of one its value."""
    return len(goals) > 1 or objectives.direction(goals[0]) == "maximize"


def best_first(standings: Iterable[Standing], goals: Sequence[str]) -> list[Standing]:
    """Those that have found anything."""
    known = [one for one in standings if one.progress.steps]
    return sorted(known, key=lambda one: one.level or 0.0, reverse=more_is_better(goals))


def top1_of(one: Standing) -> float | None:
    """Of its most accurate network."""
    return one.most_accurate.metric("top1") if one.most_accurate else None


def most_accurate(found: Comparison) -> list[Standing]:
    """By ``top1_of``, the highest first; those without one are left out."""
    known = [one for one in found.standings if one.most_accurate]
    return sorted(known, key=lambda one: top1_of(one) or 0.0, reverse=True)


def ranked_settings(found: Comparison) -> list[Setting]:
    """By the means of their levels, the best first."""
    known = [one for one in found.settings if one.levels]
    return sorted(known, key=lambda one: statistics.fmean(one.levels), reverse=more_is_better(found.objectives))


def luck(found: Comparison) -> str:
    """What is known of whether other seeds would turn the order round."""
    if not found.repeated:
        return (
            "One run a setting: how far another seed would change the order is unknown, so a small lead may be luck; "
            "run each with several seeds to know."
        )
    if len(ranked := ranked_settings(found)) < 2:
        return ""
    one, other = ranked[:2]
    if min(len(one.levels), len(other.levels)) < 2:
        return "One of the two best settings has a single run, so whether its place is luck cannot be told."
    p = welch(one.levels, other.levels)
    if p is None:
        return "The runs of a setting do not differ at all, so that nothing is known of luck."
    if p < SIGNIFICANT:
        return f"Seeds alone hardly explain that lead over the second (Welch's t-test, p = {p:.2g})."
    return f"That lead over the second may be luck: seeds alone make as much (Welch's t-test, p = {p:.2f})."


def welch(some: Sequence[float], others: Sequence[float]) -> float | None:
    """p of equal means, with unequal variances; None where neither sample has any."""
    from scipy import stats

    if not (statistics.pvariance(some) or statistics.pvariance(others)):
        return None
    return float(stats.ttest_ind(some, others, equal_var=False).pvalue)


def uneven(standings: Sequence[Standing], goals: Sequence[str]) -> str:
    """Where the runs did not try equally many: how far each was after as many as the shortest; else empty."""
    tried = [one.progress.ended for one in standings]
    if len(set(tried)) == 1 or not (least := min(tried)):
        return ""
    parts = []
    for one in standings:
        before = [step.value for step in one.progress.steps if step.ended <= least]
        parts.append(f"{one.run.name} {one.progress.ended} ({level_text(before[-1] if before else None, goals)})")
    return f"They did not try equally many: {', '.join(parts)}; in brackets, where each was after {least}."


def level_text(level: float | None, goals: Sequence[str]) -> str:
    """A level with its unit; a hypervolume is a share, in percent."""
    if level is None:
        return "nothing"
    return quantity(goals[0], level) if len(goals) == 1 else f"{100 * level:.1f} %"


def errors(runs: Sequence[Run]) -> edf.Distributions:
    """Of each run's finished networks."""
    groups = {
        run.name: [v for t in run.networks if t.status == "ok" and (v := t.metric("top1")) is not None] for run in runs
    }
    selected = {run.name: edf.selected(run.spec["search"]) for run in runs}
    at_random = [name for name, reasons in selected.items() if not reasons]
    return edf.distributions(groups, at_random, list(dict.fromkeys(itertools.chain.from_iterable(selected.values()))))


def _settings(standings: Sequence[Standing]) -> tuple[Setting, ...]:
    alike: dict[str, list[Standing]] = {}
    for one in standings:
        alike.setdefault(repr(sorted(flat(one.run.spec, SETTINGS).items())), []).append(one)
    groups = [(flat(same[0].run.spec, SETTINGS), same) for same in alike.values()]
    _, varying = shared_and_varying(settings for settings, _ in groups)
    found = []
    for settings, same in groups:
        parts = [f"{name.partition('.')[2]} {plain(settings.get(name))}" for name in varying]
        more = f" and {len(parts) - NAMED} more" if len(parts) > NAMED else ""
        found.append(Setting(", ".join(parts[:NAMED]) + more or "all runs alike", tuple(same)))
    return tuple(found)


def spread(values: Sequence[float], digits: int) -> str:
    """``83.1 ± 2.0``, which no line breaks: mean and standard deviation; a dash for none."""
    if not values:
        return "-"
    between = f"\u00a0±\u00a0{statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{between}"
