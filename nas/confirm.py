"""Confirmation: the best networks of a search, and its baselines, trained again, longer and with several seeds, in a
run folder of their own inside the search's, ``confirm``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from nas import data
from nas.given import Trainings, recorded
from nas.plan import Plan
from search_spaces import UserError
from search_spaces.published import read_yaml
from studies import ledger, runfolder
from studies.repeats import networks
from studies.spec import Spec
from studies.train_spec import TrainSpec

LONGER = 4  # times the search's epochs, where nothing else is asked for
FIRST_SEED = 1_000_000  # away from those of the search, which decided what is confirmed


def epochs_of(spec: Spec) -> int:
    """Of the confirmation's training."""
    return spec.confirm.epochs or LONGER * spec.train.epochs


def longer(spec: Spec) -> TrainSpec:
    """A limit of seconds grows with the epochs."""
    epochs, limit_s = epochs_of(spec), spec.train.seconds
    return replace(spec.train, epochs=epochs, seconds=limit_s and limit_s * epochs / spec.train.epochs)


def confirm(plan: Plan, images: data.ImageSet, run_dir: Path, console: Console) -> None:
    """Trains ``confirm.networks`` of the front of ``run_dir``, and the baselines that could be trained, with
    ``confirm.seeds`` seeds each; those that are done (by an earlier command) stay. Raises UserError where they were
    trained for another number of epochs."""
    from studies.pareto import select

    wanted, folder = plan.spec.confirm, run_dir / runfolder.CONFIRM
    check_epochs(folder, plan.spec)
    spec = replace(plan.spec, train=longer(plan.spec))
    trials, beside = ledger.read(run_dir), recorded(run_dir / runfolder.BASELINES)
    best = select(networks(trials), spec.search.objectives, wanted.networks)
    best += [record for record in networks(beside) if record.status == "ok"]
    archs = list(dict.fromkeys(record.arch for record in best))
    seeds = range(plan.spec.seed + FIRST_SEED, plan.spec.seed + FIRST_SEED + wanted.seeds)
    again = Trainings(folder, spec, archs, seeds, "confirming", final=True)
    _ = images.test  # read here once, not in every worker
    again.run(images, plan.resources, [*trials, *beside], console)


def check_epochs(folder: Path, spec: Spec) -> None:
    """Raises UserError where what is confirmed already was trained for another number of epochs."""
    if not (folder / runfolder.SPEC).exists():
        return
    before = read_yaml(folder / runfolder.SPEC)["train"]["epochs"]
    if before != epochs_of(spec):
        raise UserError(f"--confirm-epochs: {epochs_of(spec)}, but {folder} was trained for {before}; both cannot be")
