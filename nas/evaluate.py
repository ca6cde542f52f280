"""One trial: cost, then latency, then short training; the cheapest question first, so that rejection is cheap."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from nas.data import ImageSet
from nas.environment import device_name
from nas.latency import measure
from nas.train import Diverged, train
from search_spaces import Arch, constraint, cost
from search_spaces.build import build_model
from studies.ledger import Outcome
from studies.spec import Spec


def evaluate(
    arch: Arch, seed: int, images: ImageSet, report: Callable[[dict[str, Any]], None], *, spec: Spec
) -> Outcome:
    """Costs, measures and trains ``arch`` on the device that the scheduler gave; ``report`` takes each epoch's metrics.

    A network that breaks a constraint comes back ``rejected`` before anything dearer is done to it; one whose loss is
    no longer finite, ``failed``. A count by fvcore that differs from the closed form is an error, not a number.
    """
    timings: dict[str, float] = {}
    figures = cost.count(arch, images.num_classes)._asdict()
    if broken := constraint.violations(spec.constraints, figures):
        return Outcome("rejected", **figures, violations=broken)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(spec.resources.cpus_per_trial)
    torch.manual_seed(seed)
    knobs = spec.train
    model = build_model(arch, images.num_classes, knobs.dropout, knobs.drop_path, knobs.zero_init_residual)
    model = model.to(device).to(memory_format=torch.channels_last)
    known: dict[str, Any] = {**figures, "timings": timings, "environment": _environment(device)}
    with _timed(timings, "fvcore_s"):
        known["macs_fvcore"] = count_fvcore(model, arch.resolution)
    if known["macs_fvcore"] != figures["macs"]:
        error = f"MACs differ: closed form {figures['macs']}, fvcore {known['macs_fvcore']}"
        return Outcome("failed", **known, error=error)

    with _timed(timings, "latency_s"):
        known["latency"] = measure(model, arch.resolution, spec.latency, device)
    if broken := constraint.violations(spec.constraints, {"latency_ms": known["latency"].p50_ms}):
        return Outcome("rejected", **known, violations=broken)

    try:
        with _timed(timings, "train_s"):
            last = train(model, images, spec.train, seed, device, report)
    except Diverged as error:
        return Outcome("failed", **known, error=f"training diverged: {error}")
    return Outcome("ok", **known, top1=last["top1"], val_loss=last["val_loss"])


def count_fvcore(model: nn.Module, resolution: int) -> int:
    """Conv + linear multiply-adds of the built model on one image, counted by fvcore on its trace."""
    from fvcore.nn import FlopCountAnalysis

    device = next(model.parameters()).device
    model.eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        analysis = FlopCountAnalysis(model, torch.zeros(1, 3, resolution, resolution, device=device))
        counts = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
    return int(counts["conv"] + counts["linear"])


def _environment(device: torch.device) -> dict[str, Any]:
    return {"device": device_name(device), "torch": torch.__version__, "threads": torch.get_num_threads()}


@contextmanager
def _timed(timings: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        timings[name] = round(time.perf_counter() - start, 3)
