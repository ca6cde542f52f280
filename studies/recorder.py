"""What happens to trials, in order: proposed, recorded, told. Every event is on disk before anyone acts on it."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from search_spaces import Arch
from studies.asha import Asha, values_at
from studies.ledger import TRUSTED, Curve, Latency, Ledger, Outcome, TrialRecord
from studies.proposer import Proposal


class Proposes(Protocol):
    """What decides which networks are tried (``studies.proposer``)."""

    asked: int

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing more to propose."""

    def ask(self) -> Proposal | None:
        """The next trial; None: there is none, or none before one that runs has ended."""

    def tell(self, number: int, outcome: Outcome, curve: Curve = ()) -> None:
        """How a proposed trial ended. curve: its epochs."""

    def restore(self, records: Iterable[TrialRecord]) -> None:
        """Takes up a run that is resumed, before anything is asked."""


@dataclass(frozen=True)
class Started:
    """A trial began, for the first time or again."""

    number: int
    arch: Arch


@dataclass(frozen=True)
class EpochEnded:
    """metrics: those of the epoch, with ``epoch`` counted from 1."""

    number: int
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """A trial ended, in whatever way."""

    number: int
    outcome: Outcome


@dataclass(frozen=True)
class WorkerLost:
    """The process or the machine that ran the trial died; the trial goes on from its last checkpoint elsewhere."""

    number: int
    reason: str


@dataclass(frozen=True)
class Paused:
    """The run is ending and the trial's state is saved: it goes on from there when the run is resumed."""

    number: int


@dataclass(frozen=True)
class Draining:
    """No trial is started any more; those that run end, or pause once their state is saved."""

    reason: str


TrialEvent = Started | EpochEnded | Finished | WorkerLost | Paused | Draining
OnEvent = Callable[[TrialEvent], None]


@dataclass(frozen=True)
class Limits:
    """When a run ends.

    trials: how many there are to be in the ledger in the end; None: no limit.
    deadline: value of ``time.monotonic()`` after which nothing starts and what runs is paused; None: no limit.
    """

    trials: int | None = None
    deadline: float | None = None


@dataclass(frozen=True)
class Task:
    """A trial to run. latency: what an earlier trial of the same network measured, if that can be trusted."""

    number: int
    arch: Arch
    seed: int
    latency: Latency | None = None


class Recorder:
    """Between an executor, the proposer and the ledger.

    records: what the ledger holds when a run is resumed. Trials without an outcome run again, before any new one.
    stopper: stops trials early; None: every trial trains to its end.
    checkpoints: folder of the trials' saved states, ``checkpoint_of``; those of finished trials are removed.
    measured: other trials, whose networks need not be measured again.

    While a trial measures its network no other trial of that network is started, so that each is measured once.
    """

    def __init__(
        self,
        proposer: Proposes,
        ledger: Ledger,
        limits: Limits,
        on_event: OnEvent,
        records: Iterable[TrialRecord] = (),
        stopper: Asha | None = None,
        checkpoints: Path | None = None,
        measured: Iterable[TrialRecord] = (),
    ) -> None:
        self.checkpoints = checkpoints
        self._proposer, self._ledger, self._limits, self._on_event = proposer, ledger, limits, on_event
        self._stopper = stopper
        self._running: dict[int, Proposal] = {}
        self._known: dict[int, Outcome] = {}
        self._latencies: dict[str, Latency] = {}  # by network
        self._curves: dict[int, list[dict[str, Any]]] = {}
        self._since: dict[int, float] = {}
        self._draining = False
        self._paused = 0
        records = list(records)
        proposer.restore(records)
        self._again = deque(Proposal(r.number, r.arch, r.seed) for r in records if r.outcome is None)
        self._durations = [r.finished - r.started for r in records if r.finished is not None]
        for record in (*measured, *records):
            for found in (record.measured, record.outcome):
                self._keep_latency(record.arch, found)
        self._replay(records)

    @property
    def unfinished(self) -> int:
        """Trials that were proposed and have no outcome."""
        return len(self._again) + len(self._running) + self._paused

    @property
    def over(self) -> bool:
        """Whether nothing more will be started."""
        if self._draining or self._too_late():
            return True
        return not self._again and (self._all_asked() or self._proposer.exhausted)

    def next(self) -> Task | None:
        """A trial to run; None: the run is over, or the next trial waits for one that is running."""
        if self.over:
            return None
        if self._again:
            task = self._again.popleft()
        elif self._all_asked() or (proposal := self._proposer.ask()) is None:
            return None
        else:
            task = proposal
        if self._is_being_measured(task.arch):
            self._again.appendleft(task)
            return None
        self._running[task.number] = task
        self._start(task)
        return Task(task.number, task.arch, task.seed, self._latencies.get(task.arch.id))

    def drain(self, reason: str) -> None:
        """Starts nothing more, and pauses trials when they have saved their state."""
        if not self._draining:
            self._draining = True
            self._on_event(Draining(reason))

    def measured(self, number: int, known: Outcome) -> None:
        """What is known of a trial before it trains; its status means nothing yet."""
        self._ledger.measured(number, known)
        self._known[number] = known
        self._keep_latency(self._running[number].arch, known)

    def epoch(self, number: int, metrics: dict[str, Any], saved: bool) -> bool:
        """Whether the trial is to go on; ``saved``: what it has learned so far can be taken up again later."""
        self._ledger.epoch(number, metrics)
        self._curves[number].append(metrics)
        self._on_event(EpochEnded(number, metrics))
        known = self._known.get(number, Outcome("stopped"))
        if self._stopper and not self._stopper.report(
            number, metrics["epoch"], values_at(self._stopper.objectives, known, metrics)
        ):
            figures = {name: metrics[name] for name in ("top1", "val_loss", "step_time_s") if name in metrics}
            self.finish(number, replace(known, status="stopped", **figures))
            return False
        if self._limits.deadline is not None and time.monotonic() >= self._limits.deadline:
            self.drain("the budget is spent")
        if self._draining and saved:
            del self._running[number]
            self._paused += 1
            self._on_event(Paused(number))
            return False
        return True

    def lost(self, number: int, reason: str) -> Latency | None:
        """The trial is started again: a second ``started`` line makes readers forget what the first attempt said.
        Returns what it, or another trial of the network, has measured."""
        self._on_event(WorkerLost(number, reason))
        self._start(self._running[number])
        return self._latencies.get(self._running[number].arch.id)

    def finish(self, number: int, outcome: Outcome) -> None:
        """A trial's end: recorded, then told to the proposer."""
        known = self._known.pop(number, None)
        if known and outcome.status == "failed" and outcome.params is None:  # its process could tell no more
            outcome = replace(known, status="failed", error=outcome.error)
        self._ledger.finished(number, outcome)
        self._keep_latency(self._running.pop(number).arch, outcome)
        self._durations.append(time.monotonic() - self._since[number])
        if path := checkpoint_of(self.checkpoints, number):
            path.unlink(missing_ok=True)
        self._proposer.tell(number, outcome, self._curves.pop(number))
        self._on_event(Finished(number, outcome))

    def _is_being_measured(self, arch: Arch) -> bool:
        if arch.id in self._latencies:
            return False
        return any(task.arch.id == arch.id and task.number not in self._known for task in self._running.values())

    def _keep_latency(self, arch: Arch, outcome: Outcome | None) -> None:
        if outcome and outcome.latency and outcome.latency.status in TRUSTED:
            self._latencies[arch.id] = outcome.latency

    def _start(self, task: Proposal) -> None:
        self._ledger.started(task.number, task.arch, task.seed)
        self._since[task.number] = time.monotonic()
        self._curves[task.number] = []
        self._on_event(Started(task.number, task.arch))

    def _all_asked(self) -> bool:
        return self._limits.trials is not None and self._proposer.asked >= self._limits.trials

    def _too_late(self) -> bool:
        """Whether a trial of usual length would not end before the deadline."""
        if self._limits.deadline is None:
            return False
        usual = statistics.median(self._durations) if self._durations else 0.0
        return time.monotonic() + usual > self._limits.deadline

    def _replay(self, records: Sequence[TrialRecord]) -> None:
        """The stopper learns all epochs in the order in which they were recorded, and so decides as it did then."""
        if self._stopper:
            told = [
                (time, record, metrics)
                for record in records
                for time, metrics in zip(record.epoch_times, record.epochs, strict=True)
            ]
            for _, record, metrics in sorted(told, key=lambda each: each[0]):
                values = values_at(self._stopper.objectives, record.measured or Outcome("stopped"), metrics)
                self._stopper.report(record.number, metrics["epoch"], values)


def checkpoint_of(folder: Path | None, number: int) -> Path | None:
    """Where trial ``number`` saves its state; None where there is no such folder, as on a machine that does not share
    the run folder."""
    return folder / f"{number:06d}.pt" if folder and folder.is_dir() else None
