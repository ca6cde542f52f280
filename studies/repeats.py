"""Several trainings of one network as one outcome."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from studies.ledger import Curve, Latency, Outcome, TrialRecord

MEANS = ("top1", "test_top1", "val_loss", "step_time_s", "peak_memory_mb")
LATENCY_MEANS = ("p50_ms", "iqr_ms", "ratio")
ORDER = ("rejected", "stopped", "failed")


def merged(outcomes: Sequence[Outcome]) -> Outcome:
    """One outcome of the same network with different seeds: ``ok`` if more than half are, with the means of those.

    Counts are the same in all of them. Otherwise: the first that is rejected, else stopped, else failed.
    """
    ok = [outcome for outcome in outcomes if outcome.status == "ok"]
    if 2 * len(ok) <= len(outcomes):
        outcomes = [outcome for outcome in outcomes if outcome.status != "ok"]
        return min(outcomes, key=lambda outcome: ORDER.index(outcome.status))
    means: dict[str, Any] = {name: _mean([getattr(outcome, name) for outcome in ok]) for name in MEANS}
    return replace(ok[0], **means, latency=_latency([o.latency for o in ok if o.latency]))


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """The means of what all of them have, epoch by epoch."""
    if len(curves) == 1:
        return curves[0]
    return [
        {name: statistics.fmean(one[name] for one in same) for name in same[0] if all(name in one for one in same)}
        for same in zip(*curves, strict=False)
    ]


def networks(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """One record a network, in order of their first trials: that trial's with the ``merged`` outcome of all of the
    network's that have ended. The outcome is None where none has."""
    found: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        found.setdefault(trial.arch.id, []).append(trial)
    return [_one(same) for same in found.values()]


def _one(same: Sequence[TrialRecord]) -> TrialRecord:
    ended = [trial for trial in same if trial.outcome]
    if len(same) == 1 or not ended:
        return same[0]
    curve = mean_curve([trial.epochs for trial in ended])
    return replace(same[0], outcome=merged([t.outcome for t in ended if t.outcome]), epochs=tuple(map(dict, curve)))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _latency(measured: Sequence[Latency]) -> Latency | None:
    """The means of the medians, spreads and ratios, of those measurements that are ``ok`` if any is, else of those with
    a value; of more than one without interval and percentiles, which are one measurement's. One that several trials
    share counts once."""
    different = [latency for place, latency in enumerate(measured) if latency not in measured[:place]]
    with_value = [latency for latency in different if latency.p50_ms is not None]
    trusted = [latency for latency in with_value if latency.status == "ok"] or with_value or different[:1]
    if len(trusted) < 2:
        return trusted[0] if trusted else None
    means: dict[str, Any] = {name: _mean([getattr(latency, name) for latency in trusted]) for name in LATENCY_MEANS}
    return replace(
        trusted[0],
        **means,
        min_ms=min(latency.min_ms for latency in trusted if latency.min_ms is not None),
        n=sum(latency.n for latency in trusted),
        rounds=sum(latency.rounds for latency in trusted),
        ci95_ms=None,
        ratio_ci95=None,
        p90_ms=None,
        p95_ms=None,
        p99_ms=None,
    )
