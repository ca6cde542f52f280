"""The trials of another run, from which a sampler learns before its first proposal."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nas import environment
from nas.plan import Plan
from search_spaces import Arch, UserError, constraint
from search_spaces.published import read_yaml
from studies import ledger, runfolder
from studies.ledger import TrialRecord
from studies.objectives import METRICS
from studies.pareto import front
from studies.repeats import networks
from studies.spec import parse


def read(plan: Plan, run_dir: str | Path | None) -> list[TrialRecord]:
    """What another run found, as far as it means something here: one record a network of this space, judged by this
    plan's limits, without what was measured on another device. Raises UserError where the folder holds no run or
    nothing of use."""
    if run_dir is None:
        return []
    if "catalogue" in (read_yaml(path) if (path := Path(run_dir) / runfolder.SPEC).is_file() else {}):
        raise UserError(f"--warm-start: {run_dir} holds published networks, which were trained on other data")
    here = None if plan.resources.address else environment.this_device(plan.resources.gpus)
    finished = [r for r in ledger.read(run_dir) if r.outcome and plan.space.contains(r.arch)]
    records = [used for record in networks(finished) if (used := _translated(record, plan, here))]
    if not records:
        raise UserError(f"--warm-start: {run_dir} has no finished trial of a network in space {plan.space.name}")
    return records


def differences(plan: Plan, run_dir: str | Path) -> list[str]:
    """What the other run's accuracies rest on that is not so here: ``train.epochs: 4 there, 8 here``."""
    try:
        there, here = parse(read_yaml(Path(run_dir) / runfolder.SPEC)).to_dict(), plan.spec.to_dict()
    except UserError:
        return []
    return [
        f"{section}.{name}: {value} there, {here[section][name]} here"
        for section in ("data", "train")
        for name, value in there[section].items()
        if value != here[section][name] and name != "cache_gb"
    ]


def keep(run_dir: Path, source: str | None) -> None:
    """Copies the ledger into the run folder, which then needs nothing else to be resumed."""
    if source is not None:
        (run_dir / runfolder.WARM_START).mkdir(exist_ok=True)
        shutil.copyfile(Path(source) / ledger.LEDGER, run_dir / runfolder.WARM_START / ledger.LEDGER)


def kept(run_dir: Path) -> Path | None:
    """The copy of the run that this one learned from, if there is one."""
    folder = run_dir / runfolder.WARM_START
    return folder if folder.is_dir() else None


def best(records: Sequence[TrialRecord], objectives: Sequence[str]) -> list[Arch]:
    """The networks of the front, which the new run tries first, under its own conditions; the front of accuracy and
    MACs where the objectives are unknown (latency, of another device)."""
    return [record.arch for record in front(records, objectives) or front(records, ("top1", "macs"))]


def _translated(record: TrialRecord, plan: Plan, here: str | None) -> TrialRecord | None:
    """The record as this plan would have judged it; None where that cannot be known. here: this machine's device."""
    outcome = record.outcome
    if outcome is None:
        return None
    if here is not None and outcome.environment.get("device") != here:
        outcome = replace(outcome, step_time_s=None, peak_memory_mb=None)
    if outcome.latency and plan.differences(outcome.latency.key):
        outcome = replace(outcome, latency=None)
    broken = constraint.violations(plan.spec.constraints, {name: outcome.metric(name) for name in METRICS})
    if broken:
        outcome = replace(outcome, status="rejected", violations=broken)
    elif outcome.status == "rejected":  # by a limit that is none here, maybe before it was trained
        if outcome.top1 is None:
            return None
        outcome = replace(outcome, status="ok", violations={})
    return replace(record, outcome=outcome)
