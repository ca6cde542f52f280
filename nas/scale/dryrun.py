"""What a scaling run would train and what that would cost, without doing it: ``--dry-run``."""

from __future__ import annotations

from rich.console import Console

from nas.scale.base import Base
from nas.scale.emission import check
from nas.scale.settings import Settings
from reports.terminal import say
from reports.units import plural
from search_spaces import cost
from studies.spec import Spec


def show(spec: Spec, settings: Settings, base: Base, verbose: bool = False) -> None:
    """Raises UserError as the run would."""
    console = Console(highlight=False)
    macs = cost.count(base.arch, base.classes).macs
    say(console, f"base: {base.name}, {base.found}: {macs / 1e6:,.1f} M MACs at {base.arch.resolution} px")
    check(base, settings)
    if settings.studied:
        for line in _study(spec, settings, base, verbose):
            say(console, line)
    wanted = [f"phi {phi:g}" for phi in settings.phis] + [f"{target:g} MACs" for target in settings.targets]
    if settings.limits:
        wanted.append(f"the largest within {' and '.join(settings.limits)}")
    say(console, f"family: {', '.join(wanted)}")


def _study(spec: Spec, settings: Settings, base: Base, verbose: bool) -> list[str]:
    from nas.scale.study import CLOSE, MULTIPLE, design, doubts
    from nas.timing import RAY_START_S, Workload, step_time_s

    made = design(spec, settings, base.arch, verbose)
    count = cost.count(made.base, made.classes)
    excess = sum(abs(each.excess) <= CLOSE for each in made.directions)
    trainings = len(made.archs) * settings.seeds
    import torch

    device = torch.device("cuda" if made.plan.resources.gpus else "cpu")
    images = made.plan.outline.images
    validated = round(images * made.plan.spec.data.val_fraction)
    work = Workload(images - validated, validated, made.plan.spec.train, made.plan.spec.latency)
    middle = sorted(made.archs, key=lambda arch: cost.count(arch, made.classes).activations)[len(made.archs) // 2]
    each_s = work.seconds(step_time_s(middle, made.classes, made.plan.spec, device))
    together = made.plan.resources.concurrency
    compared = len(settings.rules) * settings.seeds
    dearer = sum(multiple / MULTIPLE for multiple in settings.multiples)  # than the grid's
    minutes = (RAY_START_S + (trainings + compared * dearer) * each_s / together) / 60
    seeds, epochs = plural(settings.seeds, "seed"), plural(work.train.epochs, "epoch")
    lines = [
        f"study: {made.proxy or 'the base as it is'}: {count.macs / 1e6:.3g} M MACs; {made.plan.spec.data.source}, "
        f"{made.classes} classes",
        f"grid: {len(made.directions)} points within {settings.tolerance:g} of 2 in steps of {settings.grid_step:g}, "
        f"which round to {plural(len(made.archs) - 1, 'network')}; {excess} of the points cost {MULTIPLE:g} times the "
        f"base within {CLOSE:.0%}",
        f"{trainings} trainings ({seeds}, base included) of {epochs}, "
        f"then {plural(len(settings.rules), 'rule')} at "
        f"{', '.join(f'{multiple:g}' for multiple in settings.multiples)} times the cost, with as many other seeds; "
        f"{together} at a time: about {minutes:.0f} min in all",
    ]
    return lines + [f"warning: {doubt}" for doubt in doubts(made)]
