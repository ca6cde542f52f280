"""One search from a spec to its report: plan, load the images, run the trials, write what was found."""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import Progress

from nas import data, environment
from nas.progress import SearchProgress, log, log_to
from search_spaces import UserError, cost
from search_spaces.space import SearchSpace, load_space
from studies import ledger, runfolder, samplers
from studies.engine import Resources
from studies.spec import Spec

console = Console(highlight=False)
SHOWN_WARNINGS = 5


@dataclass(frozen=True)
class Plan:
    """A spec with everything resolved that decides the run, and what it is resolved to on this machine."""

    spec: Spec
    space: SearchSpace
    resources: Resources
    gpus: tuple[str, ...]


def plan(spec: Spec) -> Plan:
    """Checks a spec against this machine. Raises UserError on an unknown space, unusable data or missing GPUs."""
    data.check(spec.data.source)
    resolution = spec.data.resolution or data.default_resolution(spec.data.source)
    space = load_space(spec.space.name, spec.space.width, resolution)
    found = environment.gpu_names()
    wanted = len(found) if spec.resources.gpus is None else spec.resources.gpus
    if wanted > len(found):
        raise UserError(f"gpus: {wanted} asked for, but this machine has {len(found)}")
    cores = environment.cpu_count()
    if (spec.resources.cpus or 0) > cores:
        raise UserError(f"cpus: {spec.resources.cpus} asked for, but this machine has {cores}")
    resources = Resources(
        cpus_per_trial=spec.resources.cpus_per_trial,
        gpus_per_trial=spec.resources.gpus_per_trial if wanted else 0,
        cpus=spec.resources.cpus or cores,
        gpus=wanted,
    )
    search = replace(
        spec.search,
        population=spec.search.population or samplers.population_for(spec.search.trials),
        lag=samplers.lag_for(resources.concurrency) if spec.search.lag is None else spec.search.lag,
    )
    resolved = replace(spec.resources, gpus=wanted, cpus=resources.cpus)
    spec = replace(spec, data=replace(spec.data, resolution=resolution), search=search, resources=resolved)
    return Plan(spec, space, resources, tuple(found[:wanted]))


def show(plan: Plan) -> None:
    """Prints what a search would do and what it would cost (``--dry-run``)."""
    spec, space, rng = plan.spec, plan.space, random.Random(plan.spec.seed)
    console.print(yaml.safe_dump(runfolder.plain(spec.to_dict()), sort_keys=False), markup=False)
    costs = [cost.count(space.sample(rng)) for _ in range(1000)]
    macs, params = ([c.macs / 1e6 for c in costs], [c.params / 1e6 for c in costs])
    devices = f"{len(plan.gpus)} GPU(s): {', '.join(plan.gpus)}" if plan.gpus else f"{plan.resources.cpus} CPU core(s)"
    together = f"{plan.resources.concurrency} at a time on {devices}"
    lines = [
        f"space {space.name}: {space.size:,} networks ({space.description})",
        f"at {spec.data.resolution} px: {_range(macs)} M MACs, {_range(params)} M parameters (1,000 random networks)",
        f"{spec.search.trials} trials of {spec.train.epochs} epochs, {together}",
        "training a trial takes about 3 x epochs x images x MACs: "
        f"{3 * spec.train.epochs * statistics.median(macs) / 1e3:.2f} GMACs for each training image",
    ]
    console.print("\n".join(lines), markup=False, soft_wrap=True)


def search(plan: Plan, out: Path, command: str) -> None:
    """Runs the search into the new run folder ``out`` and prints the front. Raises UserError where it holds a run."""
    run_dir = runfolder.create(out)
    handler = log_to(run_dir / runfolder.LOG)
    try:
        log.info("%s", command)
        images = load_images(plan.spec)
        about = {
            "command": command,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "space_size": plan.space.size,
            **plan.spec.to_dict(),
            "environment": environment.describe(plan.gpus),
        }
        runfolder.write_yaml(run_dir / runfolder.SPACE, plan.space.to_dict())
        runfolder.write_yaml(run_dir / runfolder.SPEC, about)
        try:
            _run_trials(plan, images, run_dir)
        except KeyboardInterrupt:
            console.print("\ninterrupted; what was found so far:")
            finish(run_dir, plan.spec)
            raise
        finish(run_dir, plan.spec)
    finally:
        log.removeHandler(handler)
        handler.close()


def load_images(spec: Spec, quiet: bool = False) -> data.ImageSet:
    """The images that ``spec`` names; says what it read and skipped unless ``quiet``."""
    settings = spec.data
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as live:
        task = live.add_task(f"reading {settings.source}", total=None)
        images = data.load(
            settings.source,
            settings.resolution or data.default_resolution(settings.source),
            spec.seed,
            settings.val_fraction,
            settings.max_per_class,
            on_progress=lambda done, total: live.update(task, completed=done, total=total),
        )
    if not quiet:
        _describe(images)
    return images


def _describe(images: data.ImageSet) -> None:
    for line in images.warnings:
        log.warning("%s", line)
    for line in images.warnings[:SHOWN_WARNINGS]:
        console.print(f"warning: {line}", markup=False, soft_wrap=True)
    if (more := len(images.warnings) - SHOWN_WARNINGS) > 0:
        console.print(f"warning: and {more} more files, see {runfolder.LOG}")
    counts = f"{len(images.train_labels)} training and {len(images.val_labels)} validation images"
    shape = f"{images.num_classes} classes, {images.resolution} px"
    console.print(f"{images.name}: {counts}, {shape}", markup=False, soft_wrap=True)


def _run_trials(plan: Plan, images: data.ImageSet, run_dir: Path) -> None:
    from nas.evaluate import evaluate
    from studies import engine

    spec, trials = plan.spec, plan.spec.search.trials
    proposer = samplers.Proposer(
        plan.space,
        spec.search.sampler,
        spec.search.objectives,
        spec.seed,
        lag=spec.search.lag or 0,
        population_size=spec.search.population or samplers.population_for(trials),
    )
    with ledger.Ledger(run_dir) as writer, SearchProgress(console, trials) as progress:
        console.print(f"starting Ray: {plan.resources.concurrency} trial(s) at a time", highlight=False)
        evaluation = partial(evaluate, spec=spec)
        engine.run(proposer, evaluation, images, writer, trials, spec.seed, plan.resources, progress)


def finish(run_dir: Path, spec: Spec) -> None:
    """Writes the front's networks and the page, and prints the front with where everything lies."""
    from reports import page, terminal
    from studies.pareto import front

    trials = ledger.read(run_dir)
    for trial in front(trials, spec.search.objectives):
        runfolder.write_arch(run_dir, trial)
    report = page.write(run_dir)
    console.print(terminal.front_table(trials, spec.search.objectives))
    console.print(terminal.summary_line(trials))
    console.print(f"run folder: {run_dir}", soft_wrap=True, markup=False)
    console.print(f"report: {report}", soft_wrap=True, markup=False)


def _range(values: list[float]) -> str:
    tenths: Any = statistics.quantiles(values, n=10)
    return f"{tenths[0]:.2f} to {tenths[-1]:.2f}"
