"""A run as one tidy data frame: a row a trial, whatever became of it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from studies.ledger import Outcome, TrialRecord
from studies.pareto import front

COLUMNS = {
    "trial": "int64",
    "id": "str",
    "status": "str",
    "top1": "float64",
    "val_loss": "float64",
    "latency_ms": "float64",
    "latency_iqr_ms": "float64",
    "latency_status": "str",
    "macs": "Int64",
    "params": "Int64",
    "activations": "Int64",
    "resolution": "int64",
    "seed": "int64",
    "train_time_s": "float64",
    "step_time_s": "float64",
    "peak_memory_mb": "float64",
    "text": "str",
    "on_front": "bool",
    "error": "str",
}


def trials_frame(trials: Sequence[TrialRecord], objectives: Sequence[str]) -> pd.DataFrame:
    """One row a trial in the given order, columns as in ``COLUMNS``; what is unknown is missing, never zero.

    top1 is in percent, val_loss in nats; ``train_time_s`` is the timing ``train_s``. A ``stopped`` trial keeps its last
    top1, so filter by ``status`` (or ``on_front``) before comparing.
    """
    best = {trial.number for trial in front(trials, objectives)}
    rows = [_row(trial) | {"on_front": trial.number in best} for trial in trials]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _row(trial: TrialRecord) -> dict[str, object]:
    outcome = trial.outcome or Outcome("running")
    latency = outcome.latency
    return {
        "trial": trial.number,
        "id": trial.arch.id,
        "status": trial.status,
        "top1": outcome.top1,
        "val_loss": outcome.val_loss,
        "latency_ms": outcome.latency_ms,
        "latency_iqr_ms": latency.iqr_ms if latency else None,
        "latency_status": latency.status if latency else None,
        "macs": outcome.macs,
        "params": outcome.params,
        "activations": outcome.activations,
        "resolution": trial.arch.resolution,
        "seed": trial.seed,
        "train_time_s": outcome.timings.get("train_s"),
        "step_time_s": outcome.step_time_s,
        "peak_memory_mb": outcome.peak_memory_mb,
        "text": trial.arch.text,
        "error": outcome.error,
    }
