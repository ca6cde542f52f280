"""A device whose true latency is known: what the protocol is tested on, in milliseconds instead of seconds."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.latency.checks import Counters
from nas.latency.protocol import Network


@dataclass(frozen=True)
class Behaviour:
    """Times of a call are base * drift * mode * noise, some of them interrupted on top.

    noise: standard deviation of the logarithm; it fades from call to call over ``memory_s``. slow_share of the time the
    device is in a second mode that takes slow_by longer, for slow_s at a time on average. drift: amplitude of a sine
    with a period of drift_s. interrupted: share of calls that another process delays, by interrupt_ms on average,
    which the run delay shows. hidden: what everything is slowed by while nothing shows it but ``others``, the share of
    all cores that other processes use.
    """

    candidate_ms: float = 3.0
    reference_ms: float = 2.0
    noise: float = 0.03
    memory_s: float = 0.005
    slow_share: float = 0.25
    slow_by: float = 0.06
    slow_s: float = 0.02
    drift: float = 0.01
    drift_s: float = 5.0
    interrupted: float = 0.005
    interrupt_ms: float = 1.0
    hidden: float = 0.0
    others: float = 0.01


class SimulatedDevice:
    """Equal seeds give equal times."""

    unchecked: tuple[str, ...] = ()

    def __init__(self, behaviour: Behaviour, seed: int) -> None:
        self.behaviour = behaviour
        self._rng = random.Random(seed)
        self._now = 0.0
        self._phase = self._rng.uniform(0, 2 * math.pi)
        self._noise = self._rng.gauss()
        self._slow = self._rng.random() < behaviour.slow_share
        self._switch = 0.0
        self._delay_s = 0.0
        self._drifts: list[float] = []

    def median_ms(self, samples: int = 1_000_000) -> float:
        """Of the candidate where nothing drifts."""
        b, rng = self.behaviour, np.random.default_rng(0)
        slow_calls = b.slow_share / (1 + b.slow_by * (1 - b.slow_share))  # fewer fit into a second of the slow mode
        times = np.exp(b.noise * rng.standard_normal(samples)) * (1 + b.slow_by * (rng.random(samples) < slow_calls))
        times *= b.candidate_ms * (1 + b.hidden)
        times += (rng.random(samples) < b.interrupted) * rng.exponential(b.interrupt_ms, samples)
        return float(np.median(times))

    @property
    def mean_drift(self) -> float:
        """Over the calls of the last attempt, without its warm-up; the candidate's median is as much larger."""
        return math.fsum(self._drifts) / len(self._drifts)

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds
        self._drifts.clear()

    def run(self, network: Network, calls: int, lead_in: bool) -> Sequence[float]:
        b, times = self.behaviour, []
        base = (b.candidate_ms if network == "candidate" else b.reference_ms) * (1 + b.hidden)
        for _ in range(calls + lead_in):
            drift = 1 + b.drift * math.sin(self._phase + 2 * math.pi * self._now / b.drift_s)
            kept = math.exp(-base / 1e3 / b.memory_s)
            self._noise = kept * self._noise + math.sqrt(1 - kept**2) * self._rng.gauss()
            call_ms = base * drift * (1 + b.slow_by * self._in_slow_mode()) * math.exp(b.noise * self._noise)
            if self._rng.random() < b.interrupted:
                delay_ms = self._rng.expovariate(1 / b.interrupt_ms)
                self._delay_s += delay_ms / 1e3
                call_ms += delay_ms
            self._now += call_ms / 1e3
            times.append(call_ms)
            if lead_in:  # not in warm-up
                self._drifts.append(drift)
        return times[lead_in:]

    def counters(self) -> Counters:
        ran_s = self._now - self._delay_s
        return Counters(self._now, ran_s, {1: (ran_s, self._delay_s)}, 0.0, self.behaviour.others * self._now)

    def _in_slow_mode(self) -> bool:
        b = self.behaviour
        while self._now >= self._switch:
            self._slow = not self._slow
            share = b.slow_share if self._slow else 1 - b.slow_share
            self._switch += self._rng.expovariate((1 - b.slow_share) / (b.slow_s * share))
        return self._slow
