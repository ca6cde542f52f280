"""Whether a search's folder agrees with itself: its trials, its counted costs, the networks that it names."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.run import Run
from reports.summary import networks
from reports.units import plural
from search_spaces import Arch, UserError, cost
from studies.ledger import TrialRecord
from studies.pareto import front
from studies.runfolder import ARCHS

COUNTED = ("params", "macs", "activations")


@dataclass(frozen=True)
class Check:
    """name: what was looked at. text: what was found."""

    name: str
    ok: bool
    text: str


def checks(run: Run, run_dir: Path) -> list[Check]:
    """Nothing is trained or measured; costs are counted again in closed form."""
    return [_trials(run.trials), _costs(run), _archs(run, run_dir)]


def _trials(trials: Sequence[TrialRecord]) -> Check:
    """Numbers are given in turn, so that a gap is a record that was lost."""
    if absent := sorted(set(range(len(trials))) - {trial.number for trial in trials}):
        return Check("trials", False, f"{plural(len(trials), 'trial')}, but none of number {absent[0]}")
    twice = [pair for pair, times in Counter((t.arch.id, t.seed) for t in trials).items() if times > 1]
    if twice:
        return Check("trials", False, f"network {twice[0][0]} was trained twice with seed {twice[0][1]}")
    if not trials:
        return Check("trials", True, "none yet")
    return Check("trials", True, f"0 to {len(trials) - 1} without a gap, no network twice with one seed")


def _costs(run: Run) -> Check:
    """The number of classes is that of the run's images; where it is not recorded nothing can be counted again."""
    classes = (run.spec.get("images") or {}).get("classes")
    if not isinstance(classes, int):
        return Check("costs", True, "not counted again: the number of classes is not recorded")
    known = [trial for trial in run.trials if trial.outcome and trial.outcome.macs is not None]
    for trial in known:
        again = cost.count(trial.arch, classes)
        for name in COUNTED:
            if (recorded := trial.metric(name)) != (now := getattr(again, name)):
                return Check("costs", False, f"trial {trial.number}: {name} {recorded:,}, counted again {now:,}")
    return Check("costs", True, f"parameters, MACs and activations of {plural(networks(known), 'network')} are equal")


def _archs(run: Run, run_dir: Path) -> Check:
    best = {trial.arch.id: trial.arch for trial in front(run.networks, run.objectives)}
    paths = sorted((run_dir / ARCHS).glob("*.json"))
    if not paths:
        return Check("archs", True, "none yet: they are written when a run ends in order")
    for path in paths:
        try:
            arch = Arch.from_dict(json.loads(path.read_text(encoding="utf-8"))["arch"])
        except (OSError, ValueError, KeyError, TypeError, UserError):
            return Check("archs", False, f"{path.name} is damaged")
        if best.get(path.stem) != arch:
            return Check("archs", False, f"{path.name} is no network of the front that the ledger gives")
    if missing := sorted(set(best) - {path.stem for path in paths}):
        return Check("archs", False, f"{plural(len(missing), 'network')} of the front without a file: {missing[0]}")
    return Check("archs", True, f"the {plural(len(paths), 'file')} are the front that the ledger gives")
