"""What a search would do and what it would cost, without doing it: ``--dry-run``."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import yaml
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nas import baselines
from nas.confirm import epochs_of
from nas.environment import memory_bytes
from nas.memory import training_mb
from nas.plan import Plan
from nas.timing import PATIENCE_S, RAY_START_S, Workload, step_time_s
from reports.units import UNITS, digits
from search_spaces import Arch, constraint, cost
from search_spaces.constraint import Constraint
from search_spaces.cost import Cost
from search_spaces.extremes import extreme
from search_spaces.space import SearchSpace
from studies import runfolder
from studies.objectives import COUNTED

SAMPLED = 2_000  # networks drawn for medians and shares
MOST_SAMPLED = 10_000  # drawn in all where fewer than ENOUGH of them keep the limits
ENOUGH = 50


class Network(NamedTuple):
    """A network that was drawn, counted."""

    arch: Arch
    cost: Cost


@dataclass(frozen=True)
class Sample:
    """Networks drawn uniformly from a space. kept: those that keep the limits on counted costs."""

    drawn: tuple[Network, ...]
    kept: tuple[Network, ...]

    def at(self, share: float) -> Network:
        """The network with so large a share of the kept ones at or below its MACs; of all drawn where none is kept."""
        ranked = sorted(self.kept or self.drawn, key=lambda network: network.cost.macs)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def show(plan: Plan) -> None:
    """Prints the resolved spec, the space with its costs, the limits, and estimates of memory and time."""
    spec, classes, console = plan.spec, plan.outline.classes, Console(highlight=False)
    sample = draw(plan.space, spec.constraints, classes, spec.seed)
    print(yaml.safe_dump(runfolder.plain(spec.to_dict()), sort_keys=False))
    console.print(_grid(_about(plan)))
    console.print(_costs(plan.space, sample, classes))
    console.print(_grid([*_limits(spec.constraints, sample), _memory(plan), *_time(plan, sample)]))


def draw(space: SearchSpace, constraints: Sequence[Constraint], num_classes: int, seed: int) -> Sample:
    """``SAMPLED`` networks; more, up to ``MOST_SAMPLED``, until ``ENOUGH`` keep the limits."""
    rng = random.Random(seed)
    drawn: list[Network] = []
    kept: list[Network] = []
    while len(drawn) < SAMPLED or (len(kept) < ENOUGH and len(drawn) < MOST_SAMPLED):
        arch = space.sample(rng)
        network = Network(arch, cost.count(arch, num_classes))
        drawn.append(network)
        if not constraint.violations(constraints, network.cost._asdict()):
            kept.append(network)
    return Sample(tuple(drawn), tuple(kept))


def extremes(space: SearchSpace, metric: str, num_classes: int) -> tuple[Cost, Cost]:
    """The costs of the networks with the least and with the most of ``metric``."""
    least, most = (cost.count(extreme(space, metric, num_classes, largest), num_classes) for largest in (False, True))
    return least, most


def _grid(rows: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, text in rows:
        table.add_row(Text(name), Text(text))
    return table


def _about(plan: Plan) -> list[tuple[str, str]]:
    spec, space = plan.spec, plan.space
    sides = " or ".join(map(str, space.resolutions))
    early = ", fewer where asha stops a trial" if spec.search.early_stop == "asha" else ""
    rows = [
        ("space", f"{space.name}: {space.size:,} networks ({space.description})"),
        ("data", f"{spec.data.source}: {plan.outline.classes} classes, {_images(plan):,} images, {sides} px"),
        ("search", f"{plan.amount}, {spec.train.epochs} epochs a trial{early}, {plan.together}"),
    ]
    if spec.search.baselines:
        rows.append(("then", f"the same training of {', '.join(spec.search.baselines)}"))
    if spec.confirm.networks:
        also = " and these" if spec.search.baselines else ""
        what = f"{spec.confirm.networks} networks{also}, {spec.confirm.seeds} seeds, {epochs_of(spec)} epochs"
        rows.append(("then", f"confirmation of {what}"))
    return rows


def _costs(space: SearchSpace, sample: Sample, num_classes: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2), pad_edge=False)
    table.add_column("cost of a network")
    for heading in ("least", "median", "most"):
        table.add_column(heading, justify="right")
    for metric in COUNTED:
        least, most = (getattr(found, metric) for found in extremes(space, metric, num_classes))
        median = statistics.median(getattr(network.cost, metric) for network in sample.drawn)
        table.add_row(UNITS[metric].label, *(digits(metric, value) for value in (least, median, most)))
    return table


def _limits(constraints: Sequence[Constraint], sample: Sample) -> list[tuple[str, str]]:
    """How many networks keep the limits on counted costs, and which limits only show later."""
    counted = [str(limit) for limit in constraints if limit.metric in COUNTED]
    later = [str(limit) for limit in constraints if limit.metric not in COUNTED]
    rows = []
    if counted:
        kept, drawn = len(sample.kept), len(sample.drawn)
        share = f"{kept:,} of {drawn:,} sampled networks keep them ({kept / drawn:.2g})"
        rows.append(("limits", f"{' and '.join(counted)}: {share if kept else f'none of {drawn:,} sampled networks'}"))
    if later:
        rows.append(("limits", f"{' and '.join(later)}: known only once a network is measured or trained"))
    return rows


def _memory(plan: Plan) -> tuple[str, str]:
    """Of a training step of the largest network, limits or not: the one with the most parameters or activations."""
    on_gpu = bool(plan.resources.gpus)
    largest = (extremes(plan.space, metric, plan.outline.classes)[1] for metric in ("params", "activations"))
    most = max(training_mb(found, plan.spec.train, on_gpu) for found in largest)
    text = f"training the largest network takes about {most:,.0f} MB (estimate), {_slots(plan)} at a time"
    there = memory_bytes() / 1e6
    if not on_gpu and not plan.resources.address and most * _slots(plan) > there:
        text += f"; this machine has {there:,.0f} MB"
    return "memory", text


def _time(plan: Plan, sample: Sample) -> list[tuple[str, str]]:
    """Estimates from steps that are really trained: of the network at the median of MACs and of one at the 90th
    percentile; in between, and to the mean of all networks, time grows with MACs along a line."""
    if plan.resources.gpus and not torch.cuda.is_available():
        return [("time", "not estimated: no GPU is visible here")]
    device = torch.device("cuda" if plan.resources.gpus else "cpu")
    (usual, usual_s), *others = _timed(plan, sample, device)
    work, macs = _workload(plan), statistics.fmean(network.cost.macs for network in sample.kept or sample.drawn)
    mean_s = usual_s * macs / usual.cost.macs
    text = f"{usual_s * 1e3:,.0f} ms a training step at the median of MACs"
    for high, high_s in others:
        if high.cost.macs > usual.cost.macs:
            slope = max(0.0, high_s - usual_s) / (high.cost.macs - usual.cost.macs)
            mean_s = usual_s + slope * (macs - usual.cost.macs)
        text += f", {high_s * 1e3:,.0f} ms at the 90th percentile"
    trial_s, classes = work.seconds(mean_s), plan.outline.classes
    published = baselines.networks(plan.spec.search.baselines, plan.space).values()
    beside = [step_time_s(arch, classes, plan.spec, device) for arch in published]
    totals = _totals(plan, trial_s, mean_s, beside)
    rows = [("time", f"{text}; {_duration(trial_s)} for a trial of mean MACs"), *totals]
    where = "here, not on the cluster" if plan.resources.address else "here, alone"
    return [*rows, ("", f"estimates from steps timed {where}; trials at the same time slow each other down")]


def _timed(plan: Plan, sample: Sample, device: torch.device) -> list[tuple[Network, float]]:
    """The second network only where the first was quick."""
    usual, high = sample.at(0.5), sample.at(0.9)
    classes, found = plan.outline.classes, []
    for network in (usual, high):
        found.append((network, step_time_s(network.arch, classes, plan.spec, device)))
        if found[0][1] > PATIENCE_S:
            break
    return found


def _totals(plan: Plan, trial_s: float, step_s: float, beside: Sequence[float]) -> list[tuple[str, str]]:
    """Wall time of all trials, of the baselines and of the confirmation; how many trials fit into the budget.

    beside: the time of a training step of each baseline.
    """
    search, confirm, slots = plan.spec.search, plan.spec.confirm, _slots(plan)
    rows = []
    if search.trials is not None:
        trials = min(search.trials, plan.space.size * search.repeats)
        rows.append(("", f"{_duration(RAY_START_S + math.ceil(trials / slots) * trial_s)} for {trials:,} trials"))
    if search.budget_s is not None:
        fit = max(0, int((search.budget_s - RAY_START_S) / trial_s)) * slots
        rows.append(("", f"about {_rounded(fit)} trials fit into the budget of {search.budget}"))
    work = _workload(plan)
    if beside:
        total_s = search.repeats * sum(work.seconds(each_s) for each_s in beside) / slots
        rows.append(("", f"{_duration(total_s)} for {search.repeats * len(beside)} trainings of published networks"))
    if confirm.networks:
        trainings, epochs = confirm.networks * confirm.seeds, epochs_of(plan.spec)
        total_s = math.ceil(trainings / slots) * work.seconds(step_s, epochs)
        total_s += confirm.seeds * sum(work.seconds(each_s, epochs) for each_s in beside) / slots
        trainings += confirm.seeds * len(beside)
        rows.append(("", f"{_duration(total_s)} for {trainings} trainings to confirm"))
    return rows


def _workload(plan: Plan) -> Workload:
    settings = plan.spec.data
    images, validated = _images(plan), settings.val_fraction
    if not plan.outline.own_test:
        images = round(images * (1 - settings.test_fraction))
    trained = images * (1 - validated) * settings.share
    return Workload(round(trained), round(images * validated), plan.spec.train, plan.spec.latency)


def _images(plan: Plan) -> int:
    """In training and validation together, and in the test where its images are taken out of these."""
    outline, most = plan.outline, plan.spec.data.max_per_class
    return min(outline.images, outline.classes * (most or outline.images))


def _slots(plan: Plan) -> int:
    """How many trials run at a time."""
    return min(plan.resources.concurrency, (plan.spec.search.lag or 0) + 1)


def _duration(seconds: float) -> str:
    """``about 45 s``, ``about 12 min``, ``about 3.5 h``, ``about 12 days``."""
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"about {_rounded(seconds / unit)} {name}"
    return f"about {_rounded(seconds / 86400)} days"


def _rounded(value: float) -> str:
    """Two digits, which is more than an estimate knows."""
    return f"{float(f'{value:.2g}'):,g}"
