"""One search from a plan to its report: read the images, run the trials, write what was found; or go on with one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from nas import baselines, data, lifecycle, warmstart
from nas.confirm import check_epochs, confirm
from nas.data.part import part_of
from nas.flags import line_of
from nas.plan import Plan, plan
from nas.progress import SearchProgress, log, log_to
from reports.terminal import say
from search_spaces import Arch, UserError, constraint, cost, feasible
from search_spaces.errors import found_in
from search_spaces.published import read_yaml
from search_spaces.space_file import load_space
from studies import fidelity_record, ledger, runfolder, samplers
from studies.asha import Asha
from studies.ledger import TrialRecord
from studies.proposer import Proposer
from studies.recorder import Limits, Recorder
from studies.spec import Spec, parse

if TYPE_CHECKING:
    from nas.latency.predictor import Predictor

COMMAND = "python -m nas.search"
console = Console(highlight=False)
SHOWN_WARNINGS = 5


def search(plan: Plan, out: Path, command: str) -> None:
    """Runs the search into the new run folder ``out`` and prints the front. Raises UserError where it holds a run."""
    begun = time.monotonic()
    runfolder.check_free(out)
    foreign = warmstart.read(plan, plan.spec.search.warm_start)
    for line in warmstart.differences(plan, plan.spec.search.warm_start) if plan.spec.search.warm_start else ():
        say(console, f"warning: --warm-start: {line}")
    _check_first_network(plan)
    images = load_images(plan)
    run_dir = runfolder.create(out)
    with ledger.Ledger(run_dir) as writer, log_to(run_dir / runfolder.LOG):
        runfolder.check_free(run_dir)  # another run may have begun since
        runfolder.write_yaml(run_dir / runfolder.SPACE, plan.space.to_dict())
        warmstart.keep(run_dir, plan.spec.search.warm_start)
        if plan.spec.latency.table:
            shutil.copyfile(plan.spec.latency.table, run_dir / runfolder.LATENCY_TABLE)
        head = lifecycle.head(command, plan.resources.gpus) | {"space_size": plan.space.size}
        head["images"] = {"train": len(images.train), "val": len(images.val), "classes": images.num_classes}
        head["images"]["fingerprint"] = images.fingerprint
        runfolder.write_yaml(run_dir / runfolder.SPEC, {**head, **plan.spec.to_dict()})
        log.info("%s", command)
        _describe(images)
        _Search(plan, images, run_dir, writer, (), foreign, begun).go()


def resume(run_dir: Path, changes: Mapping[str, Any], command: str, verbose: bool) -> None:
    """Goes on with the run in ``run_dir``, however it ended; ``changes``: fields of its spec that are others now.

    Raises UserError where it holds no run, another process writes to it, or it was measured on another device.
    """
    begun = time.monotonic()
    run_dir = run_dir.expanduser().absolute()
    for name in (runfolder.SPEC, runfolder.SPACE):
        if not (run_dir / name).is_file():
            raise UserError(f"--resume: {run_dir} holds no search (no {name})")
    with ledger.Ledger(run_dir) as writer, log_to(run_dir / runfolder.LOG):
        about = read_yaml(run_dir / runfolder.SPEC)
        with found_in(run_dir / runfolder.SPEC):
            old = parse(about)
        spec = lifecycle.spec_again(old, changes)
        if spec.latency.table:  # the copy, wherever the run folder lies now
            spec = replace(spec, latency=replace(spec.latency, table=str(run_dir / runfolder.LATENCY_TABLE)))
        named = (*old.search.baselines, *spec.search.baselines)  # more may be asked for, and none be forgotten
        spec = replace(spec, search=replace(spec.search, baselines=named))
        now = plan(spec, load_space(str(run_dir / runfolder.SPACE)), verbose)
        records = ledger.read(run_dir)
        if now.spec.search.trials is not None and now.spec.search.trials < len(records):
            raise UserError(f"--trials: {now.spec.search.trials} is less than the {len(records)} that the run holds")
        if records:
            lifecycle.check_kind("run", old.resources, now.resources)
        _check_latencies(now, records)
        if now.spec.confirm.networks:
            check_epochs(run_dir / runfolder.CONFIRM, now.spec)
        foreign = warmstart.read(now, warmstart.kept(run_dir))
        images = load_images(now)
        _check_images(images, about)
        head = lifecycle.head_again(about, command, now.resources.gpus)
        runfolder.write_yaml(run_dir / runfolder.SPEC, {**head, **now.spec.to_dict()})
        log.info("%s", command)
        _describe(images)
        done = sum(record.outcome is not None for record in records)
        over = _is_over(now, run_dir, changes)
        left = "the search is over" if over else f"{len(records) - done} begin again where they were"
        console.print(f"resuming: {done} trials are done, {left}")
        _Search(now, images, run_dir, writer, records, foreign, begun).go(over)


def _is_over(plan: Plan, run_dir: Path, changes: Mapping[str, Any]) -> bool:
    """A search that is being confirmed, or whose baselines are being trained, is over, unless more is asked for."""
    if {"search.trials", "search.budget"} & changes.keys():
        return False
    beside = baselines.trainings(plan.spec, plan.space, run_dir)
    return (run_dir / runfolder.CONFIRM).exists() or (beside.folder.exists() and beside.left > 0)


def load_images(plan: Plan) -> data.ImageSet:
    """The images that the plan's spec names, at its largest resolution."""
    images = read_images(plan.spec, plan.resolution)
    return images.portable(test=plan.spec.confirm.networks > 0) if plan.spec.resources.address else images


def read_images(spec: Spec, resolution: int) -> data.ImageSet:
    """The images that a spec names, at a resolution."""
    settings = spec.data
    with Progress(console=console, transient=True, disable=not console.is_terminal) as live:
        task = live.add_task(f"reading {settings.source}", total=None)
        images = data.load(
            settings.source,
            resolution,
            spec.seed,
            settings.val_fraction,
            settings.max_per_class,
            on_progress=lambda done, total: live.update(task, completed=done, total=total),
            test_fraction=settings.test_fraction,
            cache_gb=settings.cache_gb,
        )
    return images if settings.share == 1 else part_of(images, settings.share, spec.seed)


def proposer_of(plan: Plan, foreign: Sequence[TrialRecord] = ()) -> Proposer:
    """What proposes the run's networks; it has learned from ``foreign`` trials and begins with their front."""
    spec = plan.spec
    sampler = samplers.make(
        spec.search.sampler,
        plan.space,
        spec.search.objectives,
        spec.search.population or samplers.population_for(spec.search.trials),
        plan.outline.classes,
    )
    for record in foreign:
        if record.outcome:
            sampler.learn(record.arch, record.outcome, record.epochs)
    return Proposer(
        plan.space,
        sampler,
        spec.seed,
        spec.search.lag or 0,
        partial(
            _violations,
            constraints=spec.constraints,
            num_classes=plan.outline.classes,
            predictor=plan.predictor,
        ),
        spec.search.repeats,
        warmstart.best(foreign, spec.search.objectives),
    )


def _violations(
    arch: Arch, constraints: Sequence[constraint.Constraint], num_classes: int, predictor: Predictor | None = None
) -> dict[str, float]:
    """Of what is known without building the network: counted costs, and what the predictor is sure of."""
    if not constraints:
        return {}
    broken = constraint.violations(constraints, cost.count(arch, num_classes)._asdict())
    return broken | (predictor.violations(arch, constraints) if predictor else {})


def _describe(images: data.ImageSet) -> None:
    for line in images.warnings:
        log.warning("%s", line)
    for line in images.warnings[:SHOWN_WARNINGS]:
        say(console, f"warning: {line}")
    if (more := len(images.warnings) - SHOWN_WARNINGS) > 0:
        console.print(f"warning: and {more} more files, see {runfolder.LOG}")
    counts = f"{len(images.train)} training and {len(images.val)} validation images"
    shape = f"{images.num_classes} classes, {images.resolution} px"
    say(console, f"{images.name}: {counts}, {shape}")


def _check_first_network(plan: Plan) -> None:
    """Raises UserError where no network is found that keeps all counted limits, before anything else is done."""
    try:
        proposer_of(plan).ask()
    except UserError as error:
        bounds = feasible.bounds(plan.space, plan.spec.constraints, plan.outline.classes)
        raise UserError(f"{error}; the space has {bounds}" if bounds else str(error)) from None


def _check_latencies(plan: Plan, records: Sequence[TrialRecord]) -> None:
    """What was measured on two devices must not meet on one front."""
    latencies = [r.outcome.latency for r in records if r.outcome and r.outcome.latency]
    differing = [text for one in latencies if one.p50_ms is not None for text in plan.differences(one.key)]
    if differing and plan.spec.uses_device:
        raise UserError(
            f"--resume: the run was measured with {differing[0]}; begin a new run with --warm-start instead"
        )


def _check_images(images: data.ImageSet, about: Mapping[str, Any]) -> None:
    """Accuracies on two sets of images must not meet on one front. Runs of earlier versions did not record theirs."""
    recorded = (about.get("images") or {}).get("fingerprint")
    if recorded not in (None, images.fingerprint):
        raise UserError(
            f"--resume: the images of {images.name} are not those that the run began with (fingerprint "
            f"{images.fingerprint}, not {recorded}); begin a new run with --warm-start instead"
        )


@dataclass(frozen=True)
class _Search:
    """A search that is about to run. records: its trials so far; foreign: those of others that its sampler learns from;
    begun: by ``time.monotonic``."""

    plan: Plan
    images: data.ImageSet
    run_dir: Path
    writer: ledger.Ledger
    records: Sequence[TrialRecord]
    foreign: Sequence[TrialRecord]
    begun: float

    def go(self, over: bool = False) -> None:
        """Runs what is left, then writes and prints what was found, however the trials ended. over: no more trials."""
        plan, run_dir = self.plan, self.run_dir
        with lifecycle.with_report(console, lambda: finish(run_dir, plan.spec), COMMAND, run_dir):
            ended = over or self._run_trials()
            if plan.spec.search.baselines:
                trainings = baselines.trainings(plan.spec, plan.space, run_dir)
                trainings.run(self.images, plan.resources, ledger.read(run_dir), console)
            if plan.spec.confirm.networks:
                confirm(plan, self.images, run_dir, console)
        finish(run_dir, plan.spec)
        if not ended:
            lifecycle.say_how_to_go_on(console, COMMAND, run_dir)

    def _run_trials(self) -> bool:
        """Whether all trials of the plan have ended; not so where the budget was spent first."""
        from nas.evaluate import evaluate
        from studies import engine

        plan, spec, search = self.plan, self.plan.spec, self.plan.spec.search
        deadline = None if search.budget_s is None else self.begun + search.budget_s
        stopper = None
        if search.early_stop == "asha":
            stopper = Asha(search.objectives, spec.train.epochs, search.grace_epochs, search.reduction)
        proposer = proposer_of(plan, self.foreign)
        checkpoints = runfolder.make_checkpoints(self.run_dir)
        with SearchProgress(console, search.trials, self.records) as progress:
            limits = Limits(search.trials, deadline)
            recorder = Recorder(proposer, self.writer, limits, progress, self.records, stopper, checkpoints)
            if not recorder.over:
                console.print(f"starting Ray, {plan.amount}, {plan.together}")
            engine.run(recorder, partial(evaluate, spec=spec), self.images, plan.resources)
        if proposer.exhausted:
            tried = proposer.asked // search.repeats
            console.print(f"all {tried} networks that were found to keep the limits were tried")
        ended = proposer.exhausted or (search.trials is not None and proposer.asked >= search.trials)
        if ended and not recorder.unfinished:
            runfolder.remove_checkpoints(self.run_dir)
        return ended and not recorder.unfinished


def finish(run_dir: Path, spec: Spec) -> None:
    """Writes the front's networks and the page, and prints the front with where everything lies."""
    from reports import folder
    from reports import run as runs
    from reports.pages import page
    from studies.pareto import front

    fidelity_record.carry(run_dir, load_space(str(run_dir / runfolder.SPACE)), spec)
    found = runs.read(run_dir)
    runfolder.write_archs(run_dir, front(found.networks, found.objectives))
    report = run_dir / page.REPORT
    runfolder.write_text(report, page.render(found))
    for part in folder.search_printed(found, console.width):
        console.print(part, soft_wrap=isinstance(part, str))
    if any(trial.status == "ok" for trial in found.trials):
        say(console, f"to export: {line_of('nas.export', [str(run_dir), '--to', 'onnx'])}")
    say(console, f"run folder: {run_dir}")
    say(console, f"report: {report}")
