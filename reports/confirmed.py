"""What longer training with several seeds made of a search's best networks, beside what the search had seen."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml
from rich import box
from rich.table import Table

from reports import markup
from reports.units import digits, figure
from search_spaces import Arch
from studies import ledger
from studies.ledger import TrialRecord
from studies.repeats import networks
from studies.runfolder import CONFIRM, SPEC


@dataclass(frozen=True)
class Confirmed:
    """One network. searched: its top1 in the search, percent. top1: of each seed of the confirmation, percent; empty
    until one has finished. record: its costs."""

    arch: Arch
    searched: float | None
    top1: tuple[float, ...]
    record: TrialRecord

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.top1) if self.top1 else None

    @property
    def std(self) -> float | None:
        """Between seeds; None for fewer than two."""
        return statistics.stdev(self.top1) if len(self.top1) > 1 else None

    @property
    def text(self) -> str:
        """``91.20 ± 0.35 (3)``: mean, standard deviation between seeds, how many."""
        if self.mean is None:
            return "-"
        spread = "" if self.std is None else f" ± {digits('top1', self.std)}"
        return f"{digits('top1', self.mean)}{spread} ({len(self.top1)})"


def confirmed(trials: Sequence[TrialRecord], confirmation: Sequence[TrialRecord]) -> list[Confirmed]:
    """The confirmed networks, the most accurate first."""
    searched = {trial.arch.id: trial for trial in networks(trials)}
    found = []
    for record in networks(confirmation):
        values = [t.metric("top1") for t in confirmation if t.arch.id == record.arch.id and t.status == "ok"]
        before = searched.get(record.arch.id)
        top1 = tuple(value for value in values if value is not None)
        found.append(Confirmed(record.arch, before.metric("top1") if before else None, top1, record))
    return sorted(found, key=lambda one: -(one.mean or 0.0))


def of_run(run_dir: Path, trials: Sequence[TrialRecord]) -> tuple[list[Confirmed], int]:
    """What the run folder holds of a confirmation, and its epochs; nothing and 0 where there was none."""
    folder = run_dir / CONFIRM
    if not (folder / SPEC).exists():
        return [], 0
    epochs = yaml.safe_load((folder / SPEC).read_text(encoding="utf-8"))["train"]["epochs"]
    return confirmed(trials, ledger.read(folder)), epochs


def agreement(found: Sequence[Confirmed]) -> str:
    """Whether the short training ranked these networks as the long one does; they are close by choice, so that a weak
    agreement here says little about the whole space."""
    pairs = [(one.searched, one.mean) for one in found if one.searched is not None and one.mean is not None]
    if len(pairs) < 3:
        return "Too few networks to say whether short and long training rank alike."
    frame = pd.DataFrame(pairs, columns=["searched", "confirmed"])
    tau = frame["searched"].corr(frame["confirmed"], method="kendall")
    return f"Kendall's tau between the search's top-1 and the confirmed one: {tau:.2f}, over {len(pairs)} networks."


def section(found: Sequence[Confirmed], epochs: int) -> str:
    """HTML for the page; empty where nothing was confirmed."""
    if not found:
        return ""
    columns = {
        "id": "word",
        "confirmed top-1, % ± std (seeds)": "number",
        "top-1 in the search, %": "number",
        "latency, ms (p50 ± IQR)": "number",
        "MACs, M": "number",
        "parameters, M": "number",
        "network": "net",
    }
    rows = [
        [
            one.arch.id,
            one.text,
            digits("top1", one.searched),
            *(figure(one.record, metric) for metric in ("latency_ms", "macs", "params")),
            one.arch.text,
        ]
        for one in found
    ]
    note = f"The best of the front, trained again for {epochs} epochs with other seeds. {agreement(found)}"
    return markup.section("Confirmation", markup.paragraph(note), markup.table(columns, rows))


def table(found: Sequence[Confirmed], epochs: int) -> Table:
    """The same for the terminal."""
    drawn = Table(title=f"Confirmed over {epochs} epochs", box=box.SIMPLE_HEAD, title_justify="left")
    drawn.add_column("id", no_wrap=True)
    for heading in ("top-1, % ± std (seeds)", "in the search, %", "latency, ms", "MACs, M"):
        drawn.add_column(heading, justify="right")
    for one in found:
        costs = (figure(one.record, metric) for metric in ("latency_ms", "macs"))
        drawn.add_row(one.arch.id, one.text, digits("top1", one.searched), *costs)
    return drawn
