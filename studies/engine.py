"""How trials are run: proposed, evaluated several at a time by Ray Tune, recorded before anyone acts on them.

``run`` is for real work; ``run_inline`` does the same in this process, one trial after another, to debug and test.
Both are a loop around ``Recorder``, which alone talks to proposer and ledger. Ray is imported by ``run``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from search_spaces import Arch, UserError
from studies.ledger import Latency, Outcome
from studies.recorder import Recorder, Task, checkpoint_of


class Session(Protocol):
    """What an evaluation knows of the run that it belongs to, and what it tells it."""

    @property
    def checkpoint(self) -> Path | None:
        """File to save the trial's state in, and to go on from where it exists; None: nothing can be saved."""

    @property
    def latency(self) -> Latency | None:
        """What an earlier trial of the same network measured; None: nothing that can be trusted."""

    def measured(self, known: Outcome) -> None:
        """What is known before training begins (costs, latency), so that nothing of it is lost if training is."""

    def epoch(self, metrics: dict[str, Any]) -> None:
        """An epoch's metrics, with ``epoch`` counted from 1; a trial that goes on from a checkpoint tells the earlier
        ones again. Does not return where the trial is to stop: it raises what only a bare ``except`` catches."""


class NoRun:
    """The session of an evaluation that belongs to no run: it saves nothing and nobody listens."""

    checkpoint: Path | None = None
    latency: Latency | None = None

    def measured(self, known: Outcome) -> None: ...

    def epoch(self, metrics: dict[str, Any]) -> None: ...


Evaluate = Callable[[Arch, int, Any, Session], Outcome]
"""(arch, seed, payload, session) -> Outcome: a top-level function or a ``functools.partial`` of one, so that it can be
pickled. numpy arrays in ``payload`` are read-only in it: they lie in memory that all trials share."""


class Stop(BaseException):
    """Ends an evaluation whose trial is to stop; no Exception, so that no handler of failures takes it for one."""


@dataclass(frozen=True)
class Resources:
    """What one trial holds and what there is. A trial without a GPU (``gpus_per_trial=0``) sees none.

    address: of a running Ray cluster (``auto``, ``HOST:PORT``, ``ray://...``); None: this machine.
    retries: how often a trial is started again after its worker died.
    verbose: whether Ray's own messages are shown.
    """

    cpus_per_trial: float
    gpus_per_trial: float
    cpus: int
    gpus: int
    address: str | None = None
    retries: int = 2
    verbose: bool = False

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


def run(recorder: Recorder, evaluate: Evaluate, payload: Any, resources: Resources) -> None:
    """Runs trials until the recorder's limits are reached, as many at a time as ``resources`` allow.

    Starts Ray, or uses the one that runs (and leaves it running). A trial whose worker dies begins again on another,
    from its checkpoint where there is one, ``resources.retries`` times at most; then it is ``failed``. Ctrl-C (or
    SIGTERM) lets running trials end or pause and then raises KeyboardInterrupt; a second one raises it at once. Trials
    without an outcome stay in the ledger as started, and ``Recorder(records=...)`` brings them back.
    """
    if not recorder.over:
        from studies import raytune

        raytune.schedule(recorder, evaluate, payload, resources)


def run_inline(recorder: Recorder, evaluate: Evaluate, payload: Any) -> None:
    """``run`` in this process, one trial after another, with the same records."""
    while task := recorder.next():
        session = _InlineSession(recorder, task)
        try:
            outcome = attempt(evaluate, task.arch, task.seed, payload, session)
        except Stop as stop:
            if stop.__cause__:
                raise stop.__cause__ from None
            continue
        recorder.finish(task.number, outcome)


class _InlineSession:
    def __init__(self, recorder: Recorder, task: Task) -> None:
        self._recorder, self._number, self.latency = recorder, task.number, task.latency
        self.checkpoint = checkpoint_of(recorder.checkpoints, task.number)

    def measured(self, known: Outcome) -> None:
        self._call(self._recorder.measured, known)

    def epoch(self, metrics: dict[str, Any]) -> None:
        if not self._call(self._recorder.epoch, metrics, saved(self.checkpoint)):
            raise Stop

    def _call(self, step: Callable[..., Any], *arguments: Any) -> Any:
        """What goes wrong while recording is no failure of the trial."""
        try:
            return step(self._number, *arguments)
        except Exception as error:
            raise Stop from error


def saved(checkpoint: Path | None) -> bool:
    return checkpoint is not None and checkpoint.exists()


def attempt(evaluate: Evaluate, arch: Arch, seed: int, payload: Any, session: Session) -> Outcome:
    """``evaluate``'s outcome; ``failed`` with the error where it raises or returns what the ledger cannot hold."""
    try:
        outcome = evaluate(arch, seed, payload, session)
        json.dumps(outcome.to_dict(), allow_nan=False)
        return outcome
    except Exception as error:
        return Outcome("failed", error=describe(error))


def describe(error: BaseException) -> str:
    """``ValueError: the last line of its message``."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1].strip()}" if lines else type(error).__name__
