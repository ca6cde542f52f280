"""The trials of another run, from which a sampler learns before its first proposal."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nas import environment
from nas.plan import Plan
from search_spaces import Arch, UserError
from studies import ledger, runfolder
from studies.ledger import TrialRecord
from studies.pareto import front


def read(plan: Plan, run_dir: str | Path | None) -> list[TrialRecord]:
    """The run's finished trials that mean something here: of networks in this space, without latencies that were
    measured on another device. Raises UserError where the folder holds no run or nothing of use."""
    if run_dir is None:
        return []
    records = [r for r in ledger.read(run_dir) if r.outcome and plan.space.contains(r.arch)]
    if not records:
        raise UserError(f"--warm-start: {run_dir} has no finished trial of a network in space {plan.space.name}")
    here = environment.this_device(plan.resources.gpus)
    return [_without_foreign_latency(record, here) for record in records]


def keep(run_dir: Path, source: str | None) -> None:
    """Copies the ledger into the run folder, which then needs nothing else to be resumed."""
    if source is not None:
        (run_dir / runfolder.WARM_START).mkdir(exist_ok=True)
        shutil.copyfile(Path(source) / ledger.LEDGER, run_dir / runfolder.WARM_START / ledger.LEDGER)


def kept(run_dir: Path) -> Path | None:
    folder = run_dir / runfolder.WARM_START
    return folder if folder.is_dir() else None


def best(records: Sequence[TrialRecord], objectives: Sequence[str]) -> list[Arch]:
    """The networks of the front, which the new run tries first, under its own conditions; the front of accuracy and
    MACs where the objectives are unknown (latency, of another device)."""
    return [record.arch for record in front(records, objectives) or front(records, ("top1", "macs"))]


def _without_foreign_latency(record: TrialRecord, here: str) -> TrialRecord:
    outcome = record.outcome
    if outcome is None or outcome.latency is None or outcome.latency.key.get("device") == here:
        return record
    return replace(record, outcome=replace(outcome, latency=None))
