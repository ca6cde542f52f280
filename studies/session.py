"""An evaluation and the run that it belongs to: what they tell each other, and what becomes of one that fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from search_spaces import Arch
from studies.ledger import Latency, Outcome


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

    def measured(self, known: Outcome) -> None:
        """Nothing."""

    def epoch(self, metrics: dict[str, Any]) -> None:
        """Nothing; the trial goes on."""


Evaluate = Callable[[Arch, int, Any, Session], Outcome]
"""(arch, seed, payload, session) -> Outcome: a top-level function or a ``functools.partial`` of one, so that it can be
pickled. numpy arrays in ``payload`` are read-only in it: they lie in memory that all trials share."""


def saved(checkpoint: Path | None) -> bool:
    """Whether the trial can be taken up again from it."""
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
