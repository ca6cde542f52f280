"""What networks of a family take on this device: measured one after another, each once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch

from nas.latency.footprint import peak_memory_mb
from nas.latency.measure import measure
from nas.lease import Lease
from nas.scale.family import Fits
from search_spaces import Arch, UserError, cost
from search_spaces.build import build_model
from search_spaces.constraint import Constraint, violations
from studies.ledger import TRUSTED, Latency
from studies.objectives import COUNTED
from studies.spec import LatencySpec

# As python -m nas.latency measures, with a little less time a network.
SPEC = LatencySpec(precision=0.01, max_s=5.0, warmup_s=0.5, block_ms=20.0, retries=3)


@cache
def latency(arch: Arch, num_classes: int) -> Latency:
    """On the first GPU where there is one, else on a core."""
    return measure(build_model(arch, num_classes), arch.resolution, SPEC, _device(), Lease.of_host())


def limits_of(limits: Sequence[Constraint], num_classes: int) -> Fits:
    """Of all limits; a network that does not fit in memory breaks those that would be measured. Raises UserError where
    a latency cannot be relied on."""
    measured = {limit.metric for limit in limits}

    def broken(arch: Arch) -> dict[str, float]:
        figures: dict[str, float | None] = dict(cost.count(arch, num_classes)._asdict())
        if over := violations(limits, figures):
            return over
        try:
            if "latency_ms" in measured:
                figures["latency_ms"] = _trusted(arch, num_classes)
            if "peak_memory_mb" in measured:
                figures["peak_memory_mb"] = _peak(arch)
        except (MemoryError, torch.OutOfMemoryError):
            return {str(limit): math.inf for limit in limits if limit.metric not in COUNTED}
        return violations(limits, figures)

    return broken


def _trusted(arch: Arch, num_classes: int) -> float | None:
    found = latency(arch, num_classes)
    if found.status not in TRUSTED:
        raise UserError(
            f"--constraint: a latency at {arch.resolution} px is {found.status} ({'; '.join(found.failed)}); "
            "try again when the machine is quiet"
        )
    return found.p50_ms


@cache
def _peak(arch: Arch) -> float | None:
    return peak_memory_mb(arch, SPEC, _device())


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
