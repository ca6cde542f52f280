"""What longer training with several seeds made of a search's best networks, beside what the search had seen."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich import box
from rich.table import Table

from reports import specs
from reports.units import digits, figure, plural, spread
from search_spaces import Arch
from search_spaces.published import read_yaml
from studies import ledger
from studies.ledger import TrialRecord
from studies.repeats import networks
from studies.runfolder import CONFIRM, SPEC

TEST, TOP1 = "test top-1, %", "top-1, %"
HEADINGS = (TOP1, "in the search, %", "latency, ms", "MACs, M")
TESTED = (
    "Test top-1 is on images that nothing was chosen by, neither networks nor settings: the figure to quote. The order "
    "is by the confirmed top-1, on the images that the search validated with."
)


@dataclass(frozen=True)
class Confirmed:
    """One network. searched: its top1 in the search, percent. top1: of each seed of the confirmation, percent; empty
    until one has finished. record: its costs. test_top1: of each seed whose network saw the test split, percent.
    name: of a published network that was trained beside; empty for one that the search has found."""

    arch: Arch
    searched: float | None
    top1: tuple[float, ...]
    record: TrialRecord
    test_top1: tuple[float, ...] = ()
    name: str = ""

    @property
    def mean(self) -> float | None:
        """Of top-1 over the seeds, in percent; None: no seed has ended."""
        return statistics.fmean(self.top1) if self.top1 else None

    @property
    def text(self) -> str:
        """The mean with the spread over the seeds."""
        return spread(self.top1)


def confirmed(
    trials: Sequence[TrialRecord],
    confirmation: Sequence[TrialRecord],
    beside: Mapping[str, Sequence[TrialRecord]] | None = None,
) -> list[Confirmed]:
    """The confirmed networks, the most accurate first: in validation, since a choice by the test split would spend it.
    beside: the trainings of the baselines by name (reports.baselines)."""
    named = {same[0].arch.id: (name, networks(same)[0]) for name, same in (beside or {}).items()}
    searched = {trial.arch.id: trial for trial in (*(one for _, one in named.values()), *networks(trials))}
    found = []
    for record in networks(confirmation):
        same = [trial for trial in confirmation if trial.arch.id == record.arch.id and trial.status == "ok"]
        top1, test_top1 = (_known(trial.metric(name) for trial in same) for name in ("top1", "test_top1"))
        before = searched.get(record.arch.id)
        name, _ = named.get(record.arch.id, ("", None))
        found.append(Confirmed(record.arch, before.metric("top1") if before else None, top1, record, test_top1, name))
    return sorted(found, key=lambda one: -(one.mean or 0.0))


def _known(values: Iterable[float | None]) -> tuple[float, ...]:
    return tuple(value for value in values if value is not None)


def read(run_dir: Path) -> tuple[list[TrialRecord], int]:
    """The trainings that the run folder holds as a confirmation, and their epochs; none and 0 where there was none."""
    path = run_dir / CONFIRM / SPEC
    if not path.exists():
        return [], 0
    return ledger.read(path.parent), specs.field(path, read_yaml(path), "train.epochs", int)


def agreement(found: Sequence[Confirmed]) -> str:
    """Whether the short training ranked these networks as the long one does; they are close by choice, so that a weak
    agreement here says little about the whole space."""
    own = [one for one in found if not one.name]
    pairs = [(one.searched, one.mean) for one in own if one.searched is not None and one.mean is not None]
    if len(pairs) < 3:
        return "Too few networks to say whether short and long training rank alike."
    frame = pd.DataFrame(pairs, columns=["searched", "confirmed"])
    tau = frame["searched"].corr(frame["confirmed"], method="kendall")
    return f"Kendall's tau between the search's top-1 and the confirmed one: {tau:.2f}, over {len(pairs)} networks."


def table(found: Sequence[Confirmed], epochs: int) -> Table:
    """The same for the terminal."""
    drawn = Table(title=f"Confirmed over {plural(epochs, 'epoch')}", box=box.SIMPLE_HEAD, title_justify="left")
    drawn.add_column("id", no_wrap=True)
    tested = any(one.test_top1 for one in found)
    for heading in (*[TEST] * tested, *HEADINGS):
        drawn.add_column(heading, justify="right")
    for one in found:
        accuracies = [*[spread(one.test_top1)] * tested, one.text, digits("top1", one.searched)]
        drawn.add_row(
            one.name or one.arch.id, *accuracies, *(figure(one.record, name) for name in ("latency_ms", "macs"))
        )
    return drawn
