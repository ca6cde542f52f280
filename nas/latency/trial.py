"""A trial's latency: what an earlier trial of the same network measured under the same key, or measured before the
training; and once more after it where the first is in doubt, since what disturbs a measurement lasts for a while."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import nn

from nas.latency.checks import LASTING
from nas.latency.measure import key_here, measure
from nas.latency.runtimes import NotExported
from nas.lease import Lease
from search_spaces import UserError
from studies.ledger import TRUSTED, Latency
from studies.spec import LatencySpec

PAYS = 0.1  # share of a training's time that all measurements of its network may take, before one is made again


@dataclass(frozen=True)
class Meter:
    """Measures on the device that ``spec`` names, or on ``device``."""

    spec: LatencySpec
    device: torch.device
    lease: Lease

    def measure(self, model: nn.Module, resolution: int, known: Latency | None = None) -> Latency:
        """One attempt, where ``known`` is of another key or there is none. A device that is away now keeps what it has
        measured."""
        if known and known.status in TRUSTED and self._key(resolution) in (None, known.key):
            return known
        return self._measure(model, resolution, retries=0)

    def is_worth_another(self, latency: Latency, took_s: float, train_s: float) -> bool:
        """Whether measuring again may help, not where all that is wrong is a state of the machine, which lasts; and
        whether the training was long enough to pay for it, since others pause meanwhile. took_s: the first measurement,
        with its wait for other measurements."""
        if latency.p50_ms is None:
            return True
        transient = not all(reason.startswith(LASTING) for reason in latency.failed)
        return self.spec.retries > 0 and transient and 2 * (took_s - latency.wait_s) <= PAYS * train_s

    def again(self, model: nn.Module, resolution: int, first: Latency) -> Latency:
        """The better of ``first`` and what is measured now, by the checks that they passed, never by their times."""
        return min(first, self._measure(model, resolution, max(0, self.spec.retries - 1)), key=doubt)

    def _measure(self, model: nn.Module, resolution: int, retries: int) -> Latency:
        """A device that cannot be reached ends no search: the latency is ``deferred``."""
        spec = replace(self.spec, retries=retries)
        if not spec.device:
            return measure(model, resolution, spec, self.device, self.lease)
        from nas.latency.gateway import measure_remote

        try:
            return measure_remote(model, resolution, spec, spec.device)
        except NotExported:
            raise
        except UserError as error:
            return Latency({"device": spec.device}, None, status="deferred", reasons=(str(error),))

    def _key(self, resolution: int) -> dict[str, Any] | None:
        """None: it cannot be had now."""
        if not self.spec.device:
            return key_here(self.spec, resolution, self.device)
        try:
            return _remote_key(self.spec) | {"resolution": resolution}
        except UserError:
            return None


@cache
def _remote_key(spec: LatencySpec) -> dict[str, Any]:
    """Asked for once in a process, since asking starts an agent on a device that may be measuring."""
    from nas.latency.gateway import ready

    assert spec.device
    return ready(spec, spec.device)


def doubt(latency: Latency) -> tuple[bool, bool, int]:
    """Less is better."""
    return latency.p50_ms is None, latency.status not in TRUSTED, len(latency.failed)
