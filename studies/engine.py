"""How trials are run: proposed, evaluated several at a time by Ray Tune, recorded before anyone acts on them.

``run`` is for real work; ``run_inline`` does the same in this process, one trial after another, to debug and test.
Both are a loop around ``Recorder``, which alone talks to proposer and ledger. Ray is imported by ``run``.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from search_spaces import Arch, UserError
from studies.ledger import Ledger, Outcome, TrialRecord
from studies.samplers import Proposer

ReportEpoch = Callable[[dict[str, Any]], None]
Evaluate = Callable[[Arch, int, Any, ReportEpoch], Outcome]
"""(arch, seed, payload, report_epoch) -> Outcome: a top-level function or a ``functools.partial`` of one, so that it
can be pickled. numpy arrays in ``payload`` are read-only in it: they lie in memory that all trials share."""


@dataclass(frozen=True)
class Started:
    number: int
    arch: Arch


@dataclass(frozen=True)
class EpochEnded:
    number: int
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Finished:
    number: int
    outcome: Outcome


@dataclass(frozen=True)
class WorkerLost:
    """A worker process died under the trial, which starts again from its first epoch."""

    number: int


TrialEvent = Started | EpochEnded | Finished | WorkerLost
OnEvent = Callable[[TrialEvent], None]


@dataclass(frozen=True)
class Resources:
    """What one trial holds and what there is. A trial without a GPU (``gpus_per_trial=0``) sees none."""

    cpus_per_trial: float
    gpus_per_trial: float
    cpus: int
    gpus: int

    def __post_init__(self) -> None:
        if self.cpus_per_trial <= 0:
            raise UserError(f"cpus_per_trial: {self.cpus_per_trial} is not greater than 0")
        if self.gpus_per_trial < 0:
            raise UserError(f"gpus_per_trial: {self.gpus_per_trial} is not 0 or more")
        if self.gpus_per_trial > 1 and self.gpus_per_trial % 1:
            raise UserError(f"gpus_per_trial: {self.gpus_per_trial} is neither a whole number nor below 1")
        for kind, each, total in (
            ("cpus", self.cpus_per_trial, self.cpus),
            ("gpus", self.gpus_per_trial, self.gpus),
        ):
            if each > total:
                raise UserError(f"{kind}_per_trial: {each:g} is more than there are ({total})")

    @property
    def concurrency(self) -> int:
        """How many trials fit at a time. A fraction of a GPU never spans two."""
        by_cpu = math.floor(self.cpus / self.cpus_per_trial + 1e-9)
        if self.gpus_per_trial == 0:
            return by_cpu
        if self.gpus_per_trial < 1:
            return min(by_cpu, self.gpus * math.floor(1 / self.gpus_per_trial + 1e-9))
        return min(by_cpu, int(self.gpus // self.gpus_per_trial))


@dataclass(frozen=True)
class Task:
    number: int
    arch: Arch
    seed: int


def trial_seed(seed: int, number: int) -> int:
    """The seed that trial ``number`` of a run with ``seed`` is evaluated with: their sum."""
    return seed + number


class Recorder:
    """Between an executor, the proposer and the ledger. Every event is on disk before the proposer, the display or the
    next trial learns of it.

    records: what the ledger already holds when a run is resumed. They are replayed: the proposer is asked for them
        again, which leaves it as it was, and those without an outcome are run again.
    """

    def __init__(
        self,
        proposer: Proposer,
        ledger: Ledger,
        trials: int,
        seed: int,
        on_event: OnEvent,
        records: Iterable[TrialRecord] = (),
    ) -> None:
        self._proposer, self._ledger, self._on_event = proposer, ledger, on_event
        self._trials, self._seed = trials, seed
        self._running: dict[int, Task] = {}
        self._again: deque[Task] = deque()
        for record in records:
            if proposer.ask() != (record.number, record.arch):
                raise UserError(
                    f"trial {record.number}: the ledger holds a network that this run would not propose; "
                    "what decides proposals (space, sampler, seed, lag, ...) must be that of the run that is resumed"
                )
            if record.outcome:
                proposer.tell(record.number, record.outcome)
            else:
                self._again.append(Task(record.number, record.arch, record.seed))

    @property
    def remaining(self) -> int:
        """Trials that have no outcome yet, whether proposed or not."""
        return max(0, self._trials - self._proposer.asked) + len(self._again) + len(self._running)

    def next(self) -> Task | None:
        """A trial to run; None: all are proposed, or the next one waits for one that is running."""
        if self._again:
            task = self._again.popleft()
        elif self._proposer.asked < self._trials and (proposal := self._proposer.ask()):
            number, arch = proposal
            task = Task(number, arch, trial_seed(self._seed, number))
        else:
            return None
        self._running[task.number] = task
        self._start(task)
        return task

    def epoch(self, number: int, metrics: dict[str, Any]) -> None:
        self._ledger.epoch(number, metrics)
        self._on_event(EpochEnded(number, metrics))

    def lost(self, number: int) -> None:
        """The trial starts anew: a second ``started`` line makes readers forget the epochs of the first attempt."""
        self._on_event(WorkerLost(number))
        self._start(self._running[number])

    def finish(self, number: int, outcome: Outcome) -> None:
        self._ledger.finished(number, outcome)
        del self._running[number]
        self._proposer.tell(number, outcome)
        self._on_event(Finished(number, outcome))

    def _start(self, task: Task) -> None:
        self._ledger.started(task.number, task.arch, task.seed)
        self._on_event(Started(task.number, task.arch))


def attempt(evaluate: Evaluate, arch: Arch, seed: int, payload: Any, report_epoch: ReportEpoch) -> Outcome:
    """``evaluate``'s outcome; ``failed`` with the error where it raises or returns what the ledger cannot hold."""
    try:
        outcome = evaluate(arch, seed, payload, report_epoch)
        json.dumps(outcome.to_dict(), allow_nan=False)
        return outcome
    except Exception as error:
        return Outcome("failed", error=describe(error))


def describe(error: BaseException) -> str:
    """``ValueError: the last line of its message``."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1].strip()}" if lines else type(error).__name__


def run(
    proposer: Proposer,
    evaluate: Evaluate,
    payload: Any,
    ledger: Ledger,
    trials: int,
    seed: int,
    resources: Resources,
    on_event: OnEvent,
    records: Iterable[TrialRecord] = (),
) -> None:
    """Runs trials until there are ``trials``, as many at a time as ``resources`` allow.

    Starts Ray, or uses the one that runs (and leaves it running). A worker process that dies is replaced and its trial
    begins again, twice at most; then it is ``failed``. On Ctrl-C the workers are stopped and KeyboardInterrupt raised;
    trials without an outcome stay in the ledger as started, and ``records`` brings them back (see ``Recorder``).
    """
    recorder = Recorder(proposer, ledger, trials, seed, on_event, records)
    if recorder.remaining:
        from studies import raytune

        raytune.schedule(recorder, evaluate, payload, resources)


def run_inline(
    proposer: Proposer,
    evaluate: Evaluate,
    payload: Any,
    ledger: Ledger,
    trials: int,
    seed: int,
    on_event: OnEvent,
    records: Iterable[TrialRecord] = (),
) -> None:
    """``run`` in this process, one trial after another, with the same records."""
    recorder = Recorder(proposer, ledger, trials, seed, on_event, records)
    while task := recorder.next():
        number = task.number

        def report_epoch(metrics: dict[str, Any], number: int = number) -> None:
            recorder.epoch(number, metrics)

        recorder.finish(number, attempt(evaluate, task.arch, task.seed, payload, report_epoch))
