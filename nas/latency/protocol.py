"""The measurement itself, without a clock or a network of its own: ``Device`` has them, real or simulated.

Warm-up; then rounds of reference, candidate, candidate, reference (or the other way round, by lot), so that drift falls
on both alike; until the intervals are narrow or time is up; then checks of the whole; and another attempt, a little
later, where one failed. What is not trusted carries a status: no number is silently wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from nas.latency import checks
from nas.latency.checks import Counters
from nas.latency.stats import Interval, Times, agree, intervals, iqr, percentile
from nas.lease import NO_LEASE, Deferred
from studies.ledger import Latency
from studies.spec import LatencySpec

MIN_ROUNDS, MIN_CALLS, MIN_S = 10, 64, 0.5  # of sampling, unless time is up
PATIENCE = 4  # times max_s, which is when time is up for a network too slow for so many rounds
MORE = 1.25  # rounds from one look at the intervals to the next; both of two in a row must be narrow, or sampling would
# end at one that is narrow by chance, and the interval would cover less than it says
WARMUP_CALLS = 10
WARMUP_FACTOR = 4  # times warmup_s is the most
BACKOFF_S = 0.5  # before the second attempt; twice as long before each further one
LONG = 5  # times block_ms: a call that lasts longer is no warmer for one before it, and a block holds one

Network = Literal["candidate", "reference"]
NETWORKS: tuple[Network, ...] = ("candidate", "reference")
Exclusive = Callable[[], AbstractContextManager[float]]
"""Enters once nobody else measures or trains on the host, and says how many seconds that took; ``Lease.measuring``."""


class Device(Protocol):
    """Where the two networks run. unchecked: what this system does not let us check."""

    @property
    def unchecked(self) -> tuple[str, ...]: ...

    def now(self) -> float: ...  # seconds, monotonic

    def sleep(self, seconds: float) -> None: ...

    def run(self, network: Network, calls: int, lead_in: bool) -> Sequence[float]:
        """Times of so many calls in ms; ``lead_in``: after one that is not timed and fetches what others displaced."""
        ...

    def counters(self) -> Counters: ...


@dataclass(frozen=True)
class Attempt:
    """Times have the shape (rounds, calls). reasons: of checks that failed; narrow: whether the intervals are so."""

    candidate: Times
    reference: Times
    p50: Interval
    ratio: Interval
    narrow: bool
    sampled_s: float
    reasons: tuple[str, ...]


def measure(
    device: Device,
    spec: LatencySpec,
    key: Mapping[str, Any],
    exclusive: Exclusive = NO_LEASE.measuring,
    baseline_ms: float | None = None,
    seed: int = 0,
) -> tuple[Latency, Attempt | None]:
    """The candidate's latency, and the attempt that it comes from (None where the device could not be had).

    The device is held during an attempt only. Of attempts that all fail, the one that fails fewest checks is kept:
    chosen by evidence, never by its time. ``deferred`` where another holds the device before anything was measured.
    baseline_ms: the reference's median in earlier measurements under the same key.
    """
    rng, wait_s = np.random.default_rng(seed), 0.0
    failed: list[Attempt] = []
    for number in range(spec.retries + 1):
        if number:
            device.sleep(BACKOFF_S * 2 ** (number - 1))
        try:
            with exclusive() as waited_s:
                wait_s += waited_s
                attempt = _attempt(device, spec, baseline_ms, rng)
        except Deferred as error:
            if not failed:
                return Latency(dict(key), None, status="deferred", reasons=(str(error),)), None
            break
        if not attempt.reasons:
            return _latency(attempt, spec, key, device.unchecked, wait_s), attempt
        failed.append(attempt)
    least = min(failed, key=lambda attempt: len(attempt.reasons))
    return _latency(least, spec, key, device.unchecked, wait_s), least


def _latency(
    attempt: Attempt, spec: LatencySpec, key: Mapping[str, Any], unchecked: tuple[str, ...], wait_s: float
) -> Latency:
    reasons = list(attempt.reasons)
    if not attempt.narrow:
        reasons.append(_width(attempt, spec))
    times, p50, ratio = attempt.candidate, attempt.p50, attempt.ratio
    return Latency(
        dict(key),
        p50_ms=p50.value,
        iqr_ms=iqr(times),
        min_ms=float(times.min()),
        n=times.size,
        status="flagged" if attempt.reasons else "ok" if attempt.narrow else "not_converged",
        reasons=(*reasons, *unchecked),
        ci95_ms=_ends(p50),
        p90_ms=percentile(times, 90),
        p95_ms=percentile(times, 95),
        p99_ms=percentile(times, 99),
        rounds=len(times),
        ratio=ratio.value,
        ratio_ci95=_ends(ratio),
        wait_s=round(wait_s, 3),
    )


def _ends(interval: Interval) -> tuple[float, float] | None:
    return (interval.low, interval.high) if math.isfinite(interval.low) else None


def _width(attempt: Attempt, spec: LatencySpec) -> str:
    rounds = f"{len(attempt.candidate)} rounds"
    if len(attempt.candidate) < MIN_ROUNDS:
        rounds += f" (of {MIN_ROUNDS} at least)"
    widths = f"±{attempt.p50.half_width:.1%} of the median, ±{attempt.ratio.half_width:.1%} of the ratio"
    return f"interval after {attempt.sampled_s:.1f} s and {rounds}: {widths} (asked ±{spec.precision:.1%})"


def _attempt(device: Device, spec: LatencySpec, baseline_ms: float | None, rng: np.random.Generator) -> Attempt:
    calls = _calls(_warm_up(device, spec), spec)
    counted, kept, disturbed = [device.counters()], [], []
    everything: list[tuple[Times, Times]] = []
    start, look, narrow, before = device.now(), MIN_ROUNDS, False, False
    while not (narrow and before):
        everything.append(_round(device, calls, rng))
        counted.append(device.counters())
        if found := checks.of_round(counted[-2], counted[-1]):
            disturbed.append(found)
        else:
            kept.append(everything[-1])
        elapsed_s = device.now() - start
        hopeless = len(disturbed) >= max(MIN_ROUNDS, len(everything) / 2)
        long = elapsed_s >= spec.max_s and len(everything) >= MIN_ROUNDS
        last = hopeless or long or (elapsed_s >= PATIENCE * spec.max_s and len(everything) > 1)
        enough = elapsed_s >= MIN_S and len(kept) * 2 * calls["candidate"][0] >= MIN_CALLS
        if last or (enough and len(kept) >= look):
            trusted = len(disturbed) <= checks.DISTURBED * len(everything)
            candidate, reference = _stack(kept if trusted else everything)
            p50, ratio = intervals(candidate, reference, rng)
            width = max(p50.half_width, ratio.half_width)
            before, narrow = narrow, len(candidate) >= MIN_ROUNDS and width <= spec.precision
            look = math.ceil(MORE * len(kept))
        if last:
            break
    reasons = checks.of_attempt(counted, disturbed, len(everything), candidate, reference, baseline_ms)
    return Attempt(candidate, reference, p50, ratio, narrow, elapsed_s, tuple(reasons))


def _stack(rounds: Sequence[tuple[Times, Times]]) -> tuple[Times, Times]:
    candidate, reference = zip(*rounds, strict=True)
    return np.stack(candidate), np.stack(reference)


def _round(device: Device, calls: Mapping[Network, tuple[int, bool]], rng: np.random.Generator) -> tuple[Times, Times]:
    """Times of candidate and reference, each from two blocks."""
    outer, inner = NETWORKS if rng.random() < 0.5 else NETWORKS[::-1]
    times: dict[Network, list[float]] = {network: [] for network in NETWORKS}
    for network in (outer, inner, inner, outer):
        times[network] += device.run(network, *calls[network])
    return np.array(times["candidate"]), np.array(times["reference"])


def _calls(median_ms: Mapping[Network, float], spec: LatencySpec) -> dict[Network, tuple[int, bool]]:
    """For each network how many timed calls a block holds, and whether one before them is not timed: the other network
    has just displaced this one's weights from the caches, and what is measured is the latency with warm ones."""
    found: dict[Network, tuple[int, bool]] = {}
    for network, call_ms in median_ms.items():
        short = call_ms <= LONG * spec.block_ms
        found[network] = (max(2, math.ceil(spec.block_ms / call_ms)) if short else 1, short)
    return found


def _warm_up(device: Device, spec: LatencySpec) -> dict[Network, float]:
    """Median ms of each network in the last of the windows, which go on until two agree; the reference is first, since
    it also heats a GPU up for a candidate that is too small to."""
    start, before, calls = device.now(), None, 0
    while True:
        window = {network: _window(device, network, spec.warmup_s / 4) for network in reversed(NETWORKS)}
        calls += len(window["candidate"])
        elapsed_s = device.now() - start
        enough = calls >= WARMUP_CALLS and elapsed_s >= spec.warmup_s
        stable = before and all(agree(before[network], window[network]) for network in NETWORKS)
        if elapsed_s > WARMUP_FACTOR * spec.warmup_s or (enough and stable):
            return {network: float(np.median(times)) for network, times in window.items()}
        before = window


def _window(device: Device, network: Network, seconds: float) -> Times:
    start, times = device.now(), list[float]()
    while len(times) < WARMUP_CALLS / 2 or device.now() - start < seconds:
        times += device.run(network, 1, False)
    return np.array(times)
