"""The ledger: everything a run knows, as one append-only file of JSON lines with one writer.

``trials.jsonl`` in the run folder holds one event a line: ``started``, ``measured``, ``epoch``, ``finished``. Each is
handed to the system before anyone acts on it, so that no end of the process loses any; ``finished``, and all before it,
is on disk (fsync) as well. What a power loss takes of the others is done again. Reading folds the events into one
``TrialRecord`` a trial; a torn end, which a power loss or a full disk can leave, is dropped by the reader and cut off
by the next writer.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from search_spaces import Arch, UserError
from studies import rewards

LEDGER = "trials.jsonl"
SCHEMA = 1
STATUSES = ("ok", "rejected", "stopped", "failed")
Curve = Sequence[Mapping[str, Any]]
"""A trial's metrics, one mapping an epoch: ``{"epoch": 1, "train_loss": 2.1, "val_loss": 1.9, "top1": 31.2}``."""
TRUSTED = ("ok", "not_converged")  # status of a latency that needs no second measurement
UNCHECKED = "not checked"  # how a latency's reason begins that is none to doubt it


@dataclass(frozen=True)
class Latency:
    """One latency measurement: its key (what comparisons never cross), its value with spread, and what to think of it.

    status: ``ok``; ``not_converged``: the interval is wider than was asked for; ``flagged``: a check failed, the value
        may be wrong; ``deferred``: nothing was measured, there is no value. ``reasons`` says why, and what could not be
        checked.
    p50_ms, iqr_ms, min_ms, p90_ms, p95_ms, p99_ms: of ``n`` calls in ``rounds`` rounds; None where these are too few.
    ratio: to the reference network's p50 in the same rounds. ci95_ms, ratio_ci95: ends of the 95% interval.
    wait_s: until the device was free.
    energy_mj: of one call in millijoules, all that the GPU draws meanwhile; None: not measured.
    """

    key: dict[str, Any]
    p50_ms: float | None
    iqr_ms: float | None = None
    min_ms: float | None = None
    n: int = 0
    status: str = "ok"
    reasons: tuple[str, ...] = ()
    ci95_ms: tuple[float, float] | None = None
    p90_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    rounds: int = 0
    ratio: float | None = None
    ratio_ci95: tuple[float, float] | None = None
    wait_s: float = 0.0
    energy_mj: float | None = None

    @property
    def failed(self) -> tuple[str, ...]:
        """The reasons that speak against the value, without what could not be checked."""
        return tuple(reason for reason in self.reasons if not reason.startswith(UNCHECKED))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Latency:
        """Of a ledger's mapping; fields that an older program did not know take their defaults."""
        pairs = ("reasons", "ci95_ms", "ratio_ci95")
        return cls(**data | {name: tuple(data[name]) for name in pairs if data.get(name) is not None})


@dataclass(frozen=True)
class Outcome:
    """What an evaluation returns: everything about a trial but its number, network and seed.

    status: ``ok``; ``rejected`` (a constraint is violated; ``violations`` says by how much); ``stopped``; ``failed``.
    params, activations: as ``search_spaces.cost.count`` has them. top1: percent, of the last epoch, on the validation
        split. val_loss: of the same, in nats. macs: conv + linear multiply-adds at the trial's
        resolution and number of classes; macs_fvcore: the same, counted by fvcore on the built model.
    test_top1: percent, on the test split, which no decision looks at: measured once a network is confirmed only.
    step_time_s: median time of one training step. peak_memory_mb: most memory that training took, in MB (1e6 bytes).
    timings: seconds by phase.
    violations: share over the limit by constraint text, for example ``{"latency_ms<=8": 0.16}``.
    environment: versions and hardware of where it ran. error: why it failed, in a line.
    """

    status: str
    params: int | None = None
    macs: int | None = None
    activations: int | None = None
    macs_fvcore: int | None = None
    latency: Latency | None = None
    top1: float | None = None
    val_loss: float | None = None
    step_time_s: float | None = None
    peak_memory_mb: float | None = None
    test_top1: float | None = None
    violations: dict[str, float] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    error: str | None = None

    @property
    def latency_ms(self) -> float | None:
        """The median call; None where nothing was measured."""
        return self.latency.p50_ms if self.latency else None

    def metric(self, name: str) -> float | None:
        """The figure that an objective or a constraint names (studies.objectives), rewards included; None where it, or
        an ingredient of it, is unknown."""
        if rewards.name(name):
            return rewards.value(name, self.metric)
        value: float | None = getattr(self, name)
        return value

    def to_dict(self) -> dict[str, Any]:
        """For JSON; ``from_dict`` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Outcome:
        """Of a ledger's mapping. Raises TypeError on fields that this program does not know."""
        latency = data.get("latency")
        return cls(**data | {"latency": None if latency is None else Latency.from_dict(latency)})


@dataclass(frozen=True)
class TrialRecord:
    """One trial as the ledger knows it. ``outcome`` is None while it runs (or when the run ended under it).

    number: from 0, in the order of proposals. seed: of its initialisation and order of images.
    started, finished, epoch_times: when the trial and each of ``epochs`` was recorded, in s since 1970; None: not yet.
    measured: what was known before it trained.
    epochs: the learning curve, a mapping an epoch: ``epoch``, ``train_loss`` and ``val_loss`` in nats, ``top1`` in %.
    """

    number: int
    arch: Arch
    seed: int
    started: float
    measured: Outcome | None = None
    epochs: tuple[dict[str, Any], ...] = ()
    epoch_times: tuple[float, ...] = ()
    finished: float | None = None
    outcome: Outcome | None = None

    @property
    def status(self) -> str:
        """The outcome's; ``running`` without one."""
        return self.outcome.status if self.outcome else "running"

    def metric(self, name: str) -> float | None:
        """``Outcome.metric``; None without an outcome."""
        return self.outcome.metric(name) if self.outcome else None


class Ledger:
    """The writer. Holds a lock on the run folder, so that a second driver is refused. Use as a context manager."""

    def __init__(self, run_dir: Path) -> None:
        self.path = Path(run_dir) / LEDGER
        self._lock = FileLock(str(Path(run_dir) / ".lock"))

    def __enter__(self) -> Ledger:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UserError(f"{self.path.parent}: another process is writing to this run folder") from None
        whole = sum(len(line) for line in _whole_lines(self.path))
        try:
            self._file = open(self.path, "ab", buffering=0)
            if whole < os.fstat(self._file.fileno()).st_size:
                self._file.truncate(whole)
        except OSError as error:
            self._lock.release()
            raise UserError(f"{self.path}: cannot be written ({error.strerror})") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._lock.release()

    def started(self, trial: int, arch: Arch, seed: int) -> None:
        """A trial begins, for the first time or again."""
        self._append({"event": "started", "trial": trial, "seed": seed, "arch": arch.to_dict()})

    def measured(self, trial: int, known: Outcome) -> None:
        """What is known of it before it trains."""
        self._append({"event": "measured", "trial": trial, "outcome": known.to_dict()})

    def epoch(self, trial: int, metrics: dict[str, Any]) -> None:
        """An epoch's metrics, with ``epoch`` counted from 1."""
        self._append({"event": "epoch", "trial": trial, "metrics": metrics})

    def finished(self, trial: int, outcome: Outcome) -> None:
        """Its end; on disk when this returns."""
        self._append({"event": "finished", "trial": trial, "outcome": outcome.to_dict()}, sync=True)

    def _append(self, event: dict[str, Any], sync: bool = False) -> None:
        """Raises UserError where the disk does not take it (full, over quota, gone)."""
        text = json.dumps({"schema": SCHEMA} | event | {"time": time.time()}, allow_nan=False)
        rest = memoryview(text.encode() + b"\n")
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            if sync:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written ({error.strerror}); what it holds so far is whole"
            ) from None


def read(run_dir: str | Path) -> list[TrialRecord]:
    """All trials of a run in order of their numbers. Raises UserError where ``run_dir`` holds no ledger, or one with a
    line that no program of this version has written."""
    path = Path(run_dir) / LEDGER
    if not path.is_file():
        raise UserError(f"{run_dir}: holds no run (no {LEDGER})")
    trials: dict[int, TrialRecord] = {}
    for line_number, line in enumerate(_whole_lines(path), 1):
        try:
            event = json.loads(line)
            number, schema = event["trial"], event["schema"]
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path}: line {line_number} is damaged") from None
        if schema != SCHEMA:
            raise UserError(f"{path}: schema {schema!r} is not {SCHEMA}, the version that this program reads")
        try:
            trials[number] = _after(event, trials.get(number))
        except UserError as error:
            raise UserError(f"{path}: line {line_number}: {error}") from None
        except (KeyError, TypeError, AttributeError, ValueError):
            raise UserError(f"{path}: line {line_number} is damaged") from None
    return [trials[number] for number in sorted(trials)]


def _after(event: dict[str, Any], trial: TrialRecord | None) -> TrialRecord:
    """The trial as it is after one more event; None: it had not started."""
    kind = event["event"]
    if kind == "started":
        return TrialRecord(event["trial"], Arch.from_dict(event["arch"]), event["seed"], event["time"])
    if trial is None:
        raise UserError(f"{kind!r} of trial {event['trial']}, which has not started")
    if kind == "measured":
        return replace(trial, measured=_outcome(event["outcome"]))
    if kind == "epoch":
        if not isinstance(event["metrics"].get("epoch"), int):
            raise UserError("metrics: 'epoch' is missing or no integer")
        times = (*trial.epoch_times, event["time"])
        return replace(trial, epochs=(*trial.epochs, event["metrics"]), epoch_times=times)
    if kind == "finished":
        return replace(trial, finished=event["time"], outcome=_outcome(event["outcome"]))
    return trial


def _outcome(data: dict[str, Any]) -> Outcome:
    try:
        return Outcome.from_dict(data)
    except TypeError:  # asked only now, since it is one line in thousands
        for kind, known in ((Outcome, data), (Latency, data.get("latency") or {})):
            if unknown := set(known) - {one.name for one in fields(kind)}:
                raise UserError(f"outcome: this program does not know {', '.join(sorted(unknown))}") from None
        raise


def _whole_lines(path: Path) -> list[bytes]:
    """The file's lines up to its torn end: a power loss leaves a part of a line, or blocks of zeros."""
    if not path.is_file():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    while lines and not (lines[-1].startswith(b"{") and lines[-1].endswith(b"}\n")):
        lines.pop()
    return lines
