"""What measuring the catalogue shows while it runs: a live line in a terminal, and one plain line a network."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from nas.progress import Live
from reports.catalogue import Entry
from reports.terminal import say
from reports.units import digits, plural
from search_spaces.constraint import Constraint
from studies.ledger import Outcome

RECENT = 5  # networks whose time says how long the next ones take
TOO_SLOW, IN_A_ROW = 1.0, 3  # share over the limit on latency that so many networks exceed before it is said


class CatalogueProgress(Live):
    """known: every network; left: those to be measured now."""

    def __init__(
        self, console: Console, known: Sequence[Entry], left: Sequence[Entry], limits: Sequence[Constraint]
    ) -> None:
        super().__init__(
            console,
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._task = self._live.add_task("measuring", total=len(left), left="")
        self._total, self._seconds = len(left), list[float]()
        self._limits = [limit for limit in limits if limit.metric == "latency_ms" and limit.operator == "<="]
        self._slow, self._said = 0, False
        out = sum(entry.left_out for entry in known)
        before = len(known) - out - len(left)
        parts = [f"measuring {plural(len(left), 'network')}, the one of fewest MACs first"]
        parts += [f"{before} measured before"] if before else []
        parts += [f"{out} left out, since what is published of them breaks a limit"] if out else []
        say(self._console, "; ".join(parts))

    def begin(self, entry: Entry) -> None:
        self._live.update(self._task, description=f"measuring {entry.network.name}")

    def end(self, entry: Entry, outcome: Outcome, seconds: float) -> None:
        self._seconds.append(seconds)
        self._live.update(self._task, advance=1, left=self._left)
        left = f"; {self._left}" if self._left else ""
        say(self._console, f"[{len(self._seconds)}/{self._total}] {entry.network.name}: {described(outcome)}{left}")
        self._warn(outcome)

    @property
    def _left(self) -> str:
        """An estimate; larger networks take longer, so that it is low at first."""
        networks = self._total - len(self._seconds)
        if not networks:
            return ""
        seconds = networks * statistics.fmean(self._seconds[-RECENT:])
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"

    def _warn(self, outcome: Outcome) -> None:
        """Says once that the rest will hardly fit; they are measured all the same, since MACs are not latency."""
        latency_ms = outcome.latency_ms
        if latency_ms is None:
            return
        beyond = any(limit.violation(latency_ms) > TOO_SLOW for limit in self._limits)
        self._slow = self._slow + 1 if beyond else 0
        if self._slow == IN_A_ROW and not self._said and len(self._seconds) < self._total:
            self._said = True
            say(
                self._console,
                f"the last {IN_A_ROW} took more than twice {self._limits[0]}: larger ones will hardly fit; "
                "Ctrl-C ends here and keeps what was measured",
            )


def described(outcome: Outcome) -> str:
    """An outcome in a line."""
    if outcome.error:
        return f"{outcome.status}: {outcome.error}"
    assert outcome.latency
    memory = "" if outcome.peak_memory_mb is None else f", {digits('peak_memory_mb', outcome.peak_memory_mb)} MB"
    status = "" if outcome.latency.status == "ok" else f", {outcome.latency.status}"
    return f"{digits('latency_ms', outcome.latency_ms)} ms{memory}{status}"
