"""A run as one tidy data frame: a row a trial, whatever became of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from reports import summary
from search_spaces.space import SearchSpace
from studies.ledger import Outcome, TrialRecord
from studies.pareto import front
from studies.repeats import networks

if TYPE_CHECKING:
    from reports.run import Run

TIME = "datetime64[us, UTC]"
COLUMNS = {
    "trial": "int64",
    "id": "str",
    "status": "str",
    "top1": "float64",
    "val_loss": "float64",
    "latency_ms": "float64",
    "latency_iqr_ms": "float64",
    "latency_low_ms": "float64",
    "latency_high_ms": "float64",
    "latency_n": "Int64",
    "latency_status": "str",
    "latency_reasons": "str",
    "macs": "Int64",
    "params": "Int64",
    "activations": "Int64",
    "resolution": "int64",
    "seed": "int64",
    "epochs": "int64",
    "started": TIME,
    "finished": TIME,
    "latency_time_s": "float64",
    "train_time_s": "float64",
    "step_time_s": "float64",
    "peak_memory_mb": "float64",
    "test_top1": "float64",
    "text": "str",
    "on_front": "bool",
    "reason": "str",
    "error": "str",
}
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for one, at the beginning of a cell
TYPES = {int: "Int64", float: "float64", str: "str", bool: "boolean"}  # of a gene, by its values


def trials_frame(
    trials: Sequence[TrialRecord], objectives: Sequence[str], space: SearchSpace | None = None, repeats: int = 1
) -> pd.DataFrame:
    """One row a trial in the given order, columns as in ``COLUMNS`` and one for each gene of the ``space``, if it is
    given; what is unknown is missing, never zero.

    top1 is in percent, val_loss in nats; the ends of the latency's 95% interval, its ``n`` calls and its reasons are
    those of studies.ledger.Latency; ``train_time_s`` and ``latency_time_s`` are the timings of the phases; ``reason``:
    why there is no result. A ``stopped`` trial keeps its last top1, so filter by ``status`` (or ``on_front``) before
    comparing. repeats: of each network; more than one: ``on_front`` is that of their means, of those that are ``ok``.
    """
    best = front(networks(trials) if repeats > 1 else trials, objectives)
    numbers, ids = {trial.number for trial in best}, {trial.arch.id for trial in best}

    def stands(trial: TrialRecord) -> bool:
        return trial.status == "ok" and (trial.arch.id in ids if repeats > 1 else trial.number in numbers)

    types = COLUMNS | (gene_types(space) if space else {})
    rows = [_row(trial) | _genes(trial, space) | {"on_front": stands(trial)} for trial in trials]
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def of_runs(runs: Sequence[Run]) -> pd.DataFrame:
    """All trials of one or more searches, with the name of the run as the first column; a gene that a search's space
    does not have is missing."""
    frames = []
    for run in runs:
        frame = trials_frame(run.trials, run.objectives, run.space, run.spec["search"].get("repeats", 1))
        frame.insert(0, "run", pd.Series([run.name] * len(frame), dtype="str"))
        frames.append(frame)
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]


def gene_types(space: SearchSpace) -> dict[str, str]:
    """The type of each gene's column; the resolution has one anyway."""
    found = {}
    for name, values in space.parameters.items():
        kinds = {type(value) for value in values}
        if name not in COLUMNS:
            found[name] = TYPES[kinds.pop()] if len(kinds) == 1 else "float64"
    return found


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """UTF-8, times in ISO 8601. Text that a spreadsheet would compute gets an apostrophe before it, which spreadsheets
    do not show."""
    safe = frame.copy()
    for name in safe.columns[safe.dtypes == "str"]:
        risky = safe[name].str.startswith(FORMULA, na=False)
        safe[name] = safe[name].mask(risky, "'" + safe[name])
    safe.to_csv(path, index=False, date_format="%Y-%m-%dT%H:%M:%S.%f%z")


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """With the frame's types."""
    frame.to_parquet(path, index=False)


WRITERS = {"csv": write_csv, "parquet": write_parquet}


def _genes(trial: TrialRecord, space: SearchSpace | None) -> dict[str, object]:
    """None of a network that is not of the space."""
    found = space.genes(trial.arch) if space and space.contains(trial.arch) else {}
    return {name: value for name, value in found.items() if name not in COLUMNS}


def _row(trial: TrialRecord) -> dict[str, object]:
    outcome = trial.outcome or Outcome("running")
    latency = outcome.latency
    low, high = (latency and latency.ci95_ms) or (None, None)
    return {
        "trial": trial.number,
        "id": trial.arch.id,
        "status": trial.status,
        "top1": outcome.top1,
        "val_loss": outcome.val_loss,
        "latency_ms": outcome.latency_ms,
        "latency_iqr_ms": latency.iqr_ms if latency else None,
        "latency_low_ms": low,
        "latency_high_ms": high,
        "latency_n": latency.n if latency else None,
        "latency_status": latency.status if latency else None,
        "latency_reasons": "; ".join(latency.reasons) or None if latency else None,
        "macs": outcome.macs,
        "params": outcome.params,
        "activations": outcome.activations,
        "resolution": trial.arch.resolution,
        "seed": trial.seed,
        "epochs": len(trial.epochs),
        "started": pd.Timestamp(trial.started, unit="s", tz="UTC"),
        "finished": None if trial.finished is None else pd.Timestamp(trial.finished, unit="s", tz="UTC"),
        "latency_time_s": outcome.timings.get("latency_s"),
        "train_time_s": outcome.timings.get("train_s"),
        "step_time_s": outcome.step_time_s,
        "peak_memory_mb": outcome.peak_memory_mb,
        "test_top1": outcome.test_top1,
        "text": trial.arch.text,
        "reason": summary.reason(trial) or None,
        "error": outcome.error,
    }
