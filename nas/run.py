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
from search_spaces.space import SearchSpace
from search_spaces.space_file import load_space
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
    outline: data.Outline
    resources: Resources

    @property
    def resolution(self) -> int:
        """Side of the images as they are read, in pixels; networks for smaller ones get them resized."""
        return max(self.space.resolutions)

    @property
    def together(self) -> str:
        """How many trials run at a time on what."""
        lag, spec = self.spec.search.lag or 0, self.spec.resources
        devices = f"{spec.gpus} GPU(s)" if spec.gpus else f"{spec.cpus} CPU core(s)"
        held = f"; search.lag={lag} allows no more" if lag + 1 < self.resources.concurrency else ""
        return f"{min(self.resources.concurrency, lag + 1)} at a time on {devices}{held}"


def plan(spec: Spec) -> Plan:
    """Checks a spec against this machine. Raises UserError on an unknown space, unusable data or missing GPUs."""
    outline = data.check(spec.data.source)
    fallback = data.default_resolution(spec.data.source)
    space = load_space(spec.space.name, spec.space.width, spec.data.resolution, fallback)
    resources = _resources(spec)
    search = replace(
        spec.search,
        population=spec.search.population or samplers.population_for(spec.search.trials),
        lag=samplers.lag_for(resources.concurrency) if spec.search.lag is None else spec.search.lag,
    )
    resolved = replace(spec.resources, gpus=resources.gpus, cpus=resources.cpus)
    spec = replace(spec, space=replace(spec.space, width=space.width))
    if len(space.resolutions) == 1:
        spec = replace(spec, data=replace(spec.data, resolution=space.resolutions[0]))
    return Plan(replace(spec, search=search, resources=resolved), space, outline, resources)


def _resources(spec: Spec) -> Resources:
    wanted, cores = spec.resources, environment.cpu_count()
    gpus = 0 if wanted.gpus == 0 else environment.gpu_count()
    if (wanted.gpus or 0) > gpus:
        raise UserError(f"gpus: {wanted.gpus} asked for, but this machine has {gpus}")
    if (wanted.cpus or 0) > cores:
        raise UserError(f"cpus: {wanted.cpus} asked for, but this machine has {cores}")
    if not gpus and spec.latency.threads > wanted.cpus_per_trial:
        raise UserError(
            f"latency.threads: {spec.latency.threads} is more than resources.cpus_per_trial ({wanted.cpus_per_trial}), "
            "so that it would measure on cores that other trials use"
        )
    used = gpus if wanted.gpus is None else wanted.gpus
    return Resources(wanted.cpus_per_trial, wanted.gpus_per_trial if used else 0, wanted.cpus or cores, used)


def show(plan: Plan) -> None:
    """Prints what a search would do and what it would cost (``--dry-run``)."""
    spec, space, rng, outline = plan.spec, plan.space, random.Random(plan.spec.seed), plan.outline
    print(yaml.safe_dump(runfolder.plain(spec.to_dict()), sort_keys=False))
    costs = [cost.count(space.sample(rng), outline.classes) for _ in range(1000)]
    macs, params = ([c.macs / 1e6 for c in costs], [c.params / 1e6 for c in costs])
    images = min(outline.images, outline.classes * (spec.data.max_per_class or outline.images))
    passes = spec.search.trials * spec.train.epochs * images * (1 - spec.data.val_fraction)
    sides = " or ".join(map(str, space.resolutions))
    print(f"space {space.name}: {space.size:,} networks ({space.description})")
    print(f"data {spec.data.source}: {outline.classes} classes, {images:,} images in all, at {sides} px")
    print(f"cost of a network: {_range(macs)} M MACs, {_range(params)} M parameters (10th to 90th percentile of 1,000)")
    print(f"{spec.search.trials} trials of {spec.train.epochs} epochs, {plan.together}")
    print(
        f"training in all: about {3 * passes * statistics.mean(macs) / 1e6:,.1f} T multiply-adds (three forward passes)"
    )


def search(plan: Plan, out: Path, command: str) -> None:
    """Runs the search into the new run folder ``out`` and prints the front. Raises UserError where it holds a run."""
    runfolder.check_free(out)
    images = load_images(plan)
    run_dir = runfolder.create(out)
    handler = log_to(run_dir / runfolder.LOG)
    try:
        log.info("%s", command)
        _describe(images)
        about = {
            "command": command,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "space_size": plan.space.size,
            **plan.spec.to_dict(),
            "environment": environment.describe(plan.resources.gpus),
        }
        runfolder.write_yaml(run_dir / runfolder.SPACE, plan.space.to_dict())
        runfolder.write_yaml(run_dir / runfolder.SPEC, about)
        try:
            _run_trials(plan, images, run_dir)
        except BaseException as error:
            what = "interrupted" if isinstance(error, KeyboardInterrupt) else "broken off"
            console.print(f"\n{what}; what was found so far:")
            finish(run_dir, plan.spec)
            raise
        finish(run_dir, plan.spec)
    finally:
        log.removeHandler(handler)
        handler.close()


def load_images(plan: Plan) -> data.ImageSet:
    """The images that the plan's spec names, at its largest resolution."""
    settings = plan.spec.data
    with Progress(console=console, transient=True, disable=not console.is_terminal) as live:
        task = live.add_task(f"reading {settings.source}", total=None)
        return data.load(
            settings.source,
            plan.resolution,
            plan.spec.seed,
            settings.val_fraction,
            settings.max_per_class,
            on_progress=lambda done, total: live.update(task, completed=done, total=total),
        )


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
        console.print(f"starting Ray, {trials} trials, {plan.together}")
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
