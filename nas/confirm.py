"""Confirmation: the best networks of a search trained again, longer and with several seeds, in a run folder of their
own inside the search's, ``confirm``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from nas import data
from nas.plan import Plan
from nas.progress import SearchProgress
from search_spaces import Arch, UserError
from search_spaces.published import read_yaml
from studies import engine, ledger, runfolder
from studies.ledger import TrialRecord
from studies.listed import Listed
from studies.recorder import Limits, Recorder
from studies.repeats import networks
from studies.spec import Spec

LONGER = 4  # times the search's epochs, where nothing else is asked for
FIRST_SEED = 1_000_000  # away from those of the search, which decided what is confirmed


def epochs_of(spec: Spec) -> int:
    return spec.confirm.epochs or LONGER * spec.train.epochs


def confirm(plan: Plan, images: data.ImageSet, run_dir: Path, console: Console) -> None:
    """Trains ``confirm.networks`` of the front of ``run_dir`` with ``confirm.seeds`` seeds each; those that are done
    (by an earlier command) stay. Raises UserError where they were trained for another number of epochs."""
    from nas.evaluate import evaluate
    from studies.pareto import select

    wanted = plan.spec.confirm
    folder = run_dir / runfolder.CONFIRM
    spec = replace(
        plan.spec,
        train=replace(plan.spec.train, epochs=epochs_of(plan.spec)),
        search=replace(plan.spec.search, constraints=(), early_stop="none"),
    )
    trials = ledger.read(run_dir)
    best = select(networks(trials), spec.search.objectives, wanted.networks)
    folder.mkdir(exist_ok=True)
    with ledger.Ledger(folder) as writer:
        records = ledger.read(folder)
        check_epochs(folder, plan.spec)
        runfolder.write_yaml(folder / runfolder.SPEC, spec.to_dict())
        seeds = range(plan.spec.seed + FIRST_SEED, plan.spec.seed + FIRST_SEED + wanted.seeds)
        pairs = pairs_of([trial.arch for trial in best], seeds, records)
        with SearchProgress(console, len(pairs), records, title="confirming") as progress:
            checkpoints = runfolder.make_checkpoints(folder)
            recorder = Recorder(Listed(pairs), writer, Limits(), progress, records, None, checkpoints, trials)
            if not recorder.over:
                console.print(f"confirming {len(best)} networks: {wanted.seeds} seeds, {spec.train.epochs} epochs")
            engine.run(recorder, partial(evaluate, spec=spec), images, plan.resources)
        runfolder.remove_checkpoints(folder)


def pairs_of(archs: Sequence[Arch], seeds: Sequence[int], done: Sequence[TrialRecord]) -> list[tuple[Arch, int]]:
    """Each network with each seed: first those of ``done``, whose order stays, then what is missing, seed by seed, so
    that all networks are compared early."""
    pairs = [(record.arch, record.seed) for record in done]
    return pairs + [(arch, seed) for seed in seeds for arch in archs if (arch, seed) not in pairs]


def check_epochs(folder: Path, spec: Spec) -> None:
    """Raises UserError where what is confirmed already was trained for another number of epochs."""
    if not (folder / runfolder.SPEC).exists():
        return
    before = read_yaml(folder / runfolder.SPEC)["train"]["epochs"]
    if before != epochs_of(spec):
        raise UserError(f"--confirm-epochs: {epochs_of(spec)}, but {folder} was trained for {before}; both cannot be")
