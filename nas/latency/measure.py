"""Latency of a network on the device at hand, as the protocol has it, beside a reference network."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import nn

from nas.environment import device_name
from nas.latency import protocol, runtimes
from nas.latency.checks import Counters
from nas.latency.modes import RUNTIMES, key_of, resolve
from nas.latency.protocol import Network
from nas.latency.watch import CpuWatch, GpuWatch
from nas.lease import HOLD_S, NO_LEASE, Deferred, Lease
from search_spaces.build import build_model
from search_spaces.published import load
from studies.ledger import Latency
from studies.spec import LatencySpec

# The reference: depthwise and 1x1 convolutions as candidates have, 2 to 4 ms a call on one core (54 M MACs).
REFERENCE, REFERENCE_PX = "mobilenet_v2", 96
ENERGY_CALLS = 10  # between two looks at the clock
REMEMBERED = 9  # measurements whose reference times make the baseline


def measure(
    model: nn.Module,
    resolution: int,
    spec: LatencySpec,
    device: torch.device,
    lease: Lease = NO_LEASE,
    against: tuple[nn.Module, int] | None = None,
) -> Latency:
    """Times a copy of ``model`` on an input of (batch, 3, resolution, resolution).

    The ratio is to the reference network at batch 1, or to ``against``, a model and its resolution, at the same batch.
    The host is asked for once everything is built and compiled. Raises UserError where the device cannot do what
    ``spec`` asks for.
    """
    mode, _ = resolve(spec, device.type)
    key = key_here(spec, resolution, device)
    exclusive = partial(lease.measuring, hold_s=HOLD_S + 2 * spec.max_s)
    with runtimes.settings(spec.threads):
        with lease.sharing():
            calls: dict[Network, runtimes.Call] = {"candidate": call_of(model, resolution, spec, device)}
            fixed = reference_of(*resolve(spec, device.type), spec.threads, device)
            calls["reference"] = call_of(*against, spec, device) if against else fixed.call
        local = Local(calls, device, mode, spec.threads, lease.unchecked)
        latency, attempt = protocol.measure(local, spec, key, exclusive, None if against else fixed.baseline_ms)
        if attempt and spec.energy_s and local.counts_energy:
            latency = replace(latency, energy_mj=_energy_mj(local, spec.energy_s, exclusive))
    if attempt and not against:
        fixed.seen.append(float(np.median(attempt.reference)))
    return latency


def _energy_mj(local: Local, seconds: float, exclusive: protocol.Exclusive) -> float | None:
    try:
        with exclusive():
            return local.energy_mj(seconds)
    except Deferred:
        return None


def key_here(spec: LatencySpec, resolution: int, device: torch.device) -> dict[str, Any]:
    """Under which ``measure`` files its result."""
    key = key_of(spec, resolution, device_name(device), device.type)
    if device.type == "cuda" and key["dtype"] == "float32":
        key["tf32"] = torch.backends.cudnn.allow_tf32
    return key


class Local:
    """Networks on this machine, as the protocol's device."""

    def __init__(
        self,
        calls: Mapping[Network, runtimes.Call],
        device: torch.device,
        mode: str,
        threads: int,
        unchecked: tuple[str, ...] = (),
    ) -> None:
        self._calls, self._timer, self._unchecked = calls, runtimes.timer(device, mode), unchecked
        gpu = device.type == "cuda"
        self._watch = GpuWatch(device, launches=not RUNTIMES[mode].queued) if gpu else CpuWatch(threads)

    @property
    def unchecked(self) -> tuple[str, ...]:
        return self._watch.unchecked + self._unchecked

    def now(self) -> float:
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def run(self, network: Network, calls: int, lead_in: bool) -> Sequence[float]:
        return self._timer(self._calls[network], calls + lead_in)[lead_in:]

    def counters(self) -> Counters:
        return self._watch.read()

    @property
    def counts_energy(self) -> bool:
        return self._watch.energy_mj() is not None

    def energy_mj(self, seconds: float) -> float | None:
        """Of one call of the candidate, on average over so many seconds; None where nothing counts it."""
        before, calls, end = self._watch.energy_mj(), 0, self.now() + seconds
        if before is None:
            return None
        while self.now() < end:
            calls += len(self.run("candidate", ENERGY_CALLS, False))
        after = self._watch.energy_mj()
        return None if after is None else (after - before) / calls


class _Reference:
    """seen: its median ms in the last measurements of this process."""

    def __init__(self, call: runtimes.Call) -> None:
        self.call = call
        self.seen: deque[float] = deque(maxlen=REMEMBERED)

    @property
    def baseline_ms(self) -> float | None:
        return statistics.median(self.seen) if self.seen else None


@cache
def reference_of(mode: str, dtype: str, threads: int, device: torch.device) -> _Reference:
    """Built once in a process; the random state is left alone, and its weights do not matter."""
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        model = build_model(load(REFERENCE))
    spec = LatencySpec(mode=mode, dtype=dtype, threads=threads)  # type: ignore[arg-type]
    return _Reference(call_of(model, REFERENCE_PX, spec, device))


def call_of(model: nn.Module, side: int, spec: LatencySpec, device: torch.device, channels: int = 3) -> runtimes.Call:
    """A copy of ``model`` on a random input of shape (batch, channels, side, side); within ``runtimes.settings``."""
    mode, dtype = resolve(spec, device.type)
    shape, generator = (spec.batch_size, channels, side, side), torch.Generator(device).manual_seed(0)
    x = torch.randn(*shape, device=device, dtype=getattr(torch, dtype), generator=generator)
    return runtimes.prepare(model, x, mode, spec.threads)
