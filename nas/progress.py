"""What a search shows while it runs: a live line in a terminal, one plain line a trial elsewhere and in ``log.txt``."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from reports.terminal import say
from reports.units import FLAG, is_flagged, quantity
from studies.ledger import Outcome, TrialRecord
from studies.recorder import Draining, EpochEnded, Finished, Paused, Started, TrialEvent, WorkerLost

log = logging.getLogger("nas")


class _LogFile(logging.FileHandler):
    """Loses lines on a full disk: it is the ledger that then ends the run, in one line."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # of opening it, with the first line
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None: ...

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Sends the project's log to the end of a file, each line with its time."""
    handler = _LogFile(path, encoding="utf-8", delay=True)  # what is refused before its first line leaves no file
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


class Live:
    """A line with these columns that stays below what is printed; shown in a terminal only."""

    def __init__(self, console: Console, *columns: ProgressColumn) -> None:
        self._console = console
        self._live = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()


class SearchProgress(Live):
    """Takes the engine's events. trials: how many there will be, None: nobody knows. records: those of a run that is
    resumed. names: what networks are called, by id; others by their id."""

    def __init__(
        self,
        console: Console,
        trials: int | None,
        records: Sequence[TrialRecord] = (),
        title: str = "searching",
        names: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            console,
            TextColumn(title),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[best]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._called = names or {}
        self._task = self._live.add_task("search", total=trials, best="")
        self._trials, self._done = trials, 0
        self._best: tuple[float, str] | None = None
        self._names: dict[int, str] = {}
        for record in records:
            if record.outcome:
                self._count(self._called.get(record.arch.id, record.arch.id), record.outcome)

    def __call__(self, event: TrialEvent) -> None:
        if isinstance(event, Started):
            self._names[event.number] = self._called.get(event.arch.id, event.arch.id)
            log.info("trial %d started: %s %s", event.number, event.arch.id, event.arch.text)
        elif isinstance(event, EpochEnded):
            log.info("trial %d: %s", event.number, event.metrics)
        elif isinstance(event, WorkerLost):
            self._say(f"trial {event.number}: {event.reason}; starting again", logging.WARNING)
        elif isinstance(event, Paused):
            self._say(f"trial {event.number}: paused, its state is saved")
        elif isinstance(event, Draining):
            self._say(f"{event.reason}: starting no more trials; those that run end or save their state")
        elif isinstance(event, Finished):
            self._finished(event.number, event.outcome)

    def _say(self, line: str, level: int = logging.INFO) -> None:
        log.log(level, "%s", line)
        say(self._console, line)

    def _count(self, name: str, outcome: Outcome) -> None:
        self._done += 1
        if outcome.status == "ok" and outcome.top1 is not None and (not self._best or outcome.top1 > self._best[0]):
            self._best = outcome.top1, name
        best = f"best {quantity('top1', self._best[0])} ({self._best[1]})" if self._best else ""
        self._live.update(self._task, completed=self._done, best=best)

    def _finished(self, number: int, outcome: Outcome) -> None:
        name = self._names.pop(number, "")
        self._count(name, outcome)
        share = f"[{self._done}/{self._trials}]" if self._trials is not None else f"[{self._done}]"
        line = f"trial {number} {name} {outcome.status}: {describe(outcome)}"
        log.info("%s", line)
        say(self._console, f"{share} {line}")


def describe(outcome: Outcome) -> str:
    """An outcome in a line: its figures, or why there are none. A latency that is flagged is marked as in tables."""
    mark = FLAG if is_flagged(outcome.latency) else ""
    if outcome.status == "rejected":
        broken = (
            f"{text} by {100 * amount:.0f}%{mark if text.startswith('latency_ms') else ''}"
            for text, amount in outcome.violations.items()
        )
        return f"breaks {', '.join(broken)}"
    if outcome.error:
        return outcome.error
    metrics = ((name, getattr(outcome, name)) for name in ("top1", "latency_ms", "macs", "params"))
    units = {"latency_ms": mark, "macs": " MACs", "params": " params"}
    return ", ".join(quantity(name, value) + units.get(name, "") for name, value in metrics if value is not None)
