"""What a study would train and what that would cost, without doing it: ``--dry-run``."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from nas.fidelity.arms import Arm, Settings
from nas.plan import Plan
from reports.terminal import narrow_table, say
from search_spaces import cost


def show(planned: Plan, every: Sequence[Arm], settings: Settings) -> None:
    """Prints the arms with their work relative to one another, the long one's last."""
    console, (long, *proxies) = Console(highlight=False), every
    macs = [cost.count(arch, planned.outline.classes).macs / 1e6 for arch in long.archs]
    say(
        console,
        f"{len(macs)} networks of space {planned.space.name} ({planned.space.size:,} networks), "
        f"{macs[0]:.2f} to {macs[-1]:.2f} M MACs; {planned.spec.data.source}: {planned.outline.images:,} images",
    )
    table = narrow_table()
    table.add_column("training", overflow="fold")
    for heading in ("px", "epochs", "seeds", "trainings", "work of\none", "work of\nall"):
        table.add_column(heading, justify="right", no_wrap=True)
    for arm in (*proxies, long):
        count = len(set(arm.archs)) * len(arm.seeds)
        one = arm.work / long.work
        figures = max(arm.plan.space.resolutions), arm.plan.spec.train.epochs, len(arm.seeds), count
        table.add_row(arm.name, *map(str, figures), f"{one:.3f}", f"{one * count:.1f}")
    console.print(table)
    counts = [len(set(arm.archs)) * len(arm.seeds) for arm in every]
    total = sum(arm.work / long.work * count for arm, count in zip(every, counts, strict=True))
    searched = sum(arm.work / proxies[0].work * count for arm, count in zip(every, counts, strict=True))
    say(
        console,
        f"{sum(counts)} trainings, as much work as {total:.0f} long ones or {searched:.0f} trials of a search; work is "
        "epochs x share of the images x MACs of the mean network, which small networks and validation exceed in time",
    )
    console.print(f"then: tau against the long training, threshold {settings.threshold:g}, top {settings.top} recall")
