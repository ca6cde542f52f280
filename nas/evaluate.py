"""One trial: cost, then latency, then short training; the cheapest question first, so that rejection is cheap."""

from __future__ import annotations

import os
import statistics
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from nas.checkpoint import Checkpoint
from nas.data import ImageSet
from nas.environment import device_name
from nas.latency.trial import Meter
from nas.lease import Lease
from nas.memory import PeakMemory
from nas.train import Diverged, train
from search_spaces import Arch, constraint, cost
from search_spaces.build import build_model
from studies.engine import Session
from studies.ledger import TRUSTED, Outcome
from studies.spec import Spec


def evaluate(arch: Arch, seed: int, images: ImageSet, session: Session, *, spec: Spec, measure: bool = True) -> Outcome:
    """Costs, measures and trains ``arch`` on the device that the scheduler gave; ``session`` hears how it goes.
    measure: latency too, or no limit on it is looked at.

    A network that breaks a constraint comes back ``rejected`` before anything dearer is done to it; one whose loss is
    no longer finite or that does not fit in memory, ``failed`` with what is known (it is not tried again at the same
    batch size). Counts of the built network that differ from the closed form are an error, not a number.
    """
    figures = cost.count(arch, images.num_classes)._asdict()
    if broken := constraint.violations(spec.constraints, figures):
        return Outcome("rejected", **figures, violations=broken)
    device = _device(spec)
    known: dict[str, Any] = {**figures, "timings": {}, "environment": _environment(device)}
    work = _measure_and_train if measure else _only_train
    try:
        return work(arch, seed, images, session, spec, device, known)
    except (Diverged, torch.OutOfMemoryError) as error:
        return Outcome("failed", **known, error=_reason(error))
    except Exception:
        if device.type == "cuda" and not _cuda_works():
            os._exit(1)  # this process can never use its GPU again; the scheduler starts another
        raise
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()  # trials may share the GPU


def _measure_and_train(
    arch: Arch,
    seed: int,
    images: ImageSet,
    session: Session,
    spec: Spec,
    device: torch.device,
    known: dict[str, Any],
) -> Outcome:
    """Fills ``known`` as it goes, so that a failure keeps what was found before it."""
    timings, lease = known["timings"], Lease.of_host()
    model = _build(arch, seed, images, spec, device, known)
    if isinstance(model, Outcome):
        return model
    meter = Meter(spec.latency, device, lease)
    with _timed(timings, "latency_s"):
        known["latency"] = meter.measure(model, arch.resolution, session.latency)
    latency = known["latency"]
    broken = constraint.violations(spec.constraints, {"latency_ms": latency.p50_ms})
    # What disturbs a measurement makes calls slower, so that of a flagged one only the fastest call is sure.
    sure = latency.status != "flagged" or constraint.violations(spec.constraints, {"latency_ms": latency.min_ms})
    if broken and sure:
        return Outcome("rejected", **known, violations=broken)

    session.measured(Outcome("stopped", **known))
    found = _train(model, arch, seed, images, session, spec, device, timings)
    if latency.status not in TRUSTED and (broken or meter.is_worth_another(latency)):
        with _timed(timings, "latency_again_s"):
            known["latency"] = meter.again(model, arch.resolution, latency)
    latency = known["latency"]
    if broken := constraint.violations(spec.constraints, found | {"latency_ms": latency.p50_ms}):
        return Outcome("rejected", **known, **found, violations=broken)
    if unknown := [str(limit) for limit in spec.constraints if limit.metric == "latency_ms" and latency.p50_ms is None]:
        return Outcome("failed", **known, **found, error=f"{unknown[0]} not checked: {latency.reasons[0]}")
    return Outcome("ok", **known, **found)


def _only_train(
    arch: Arch,
    seed: int,
    images: ImageSet,
    session: Session,
    spec: Spec,
    device: torch.device,
    known: dict[str, Any],
) -> Outcome:
    """``_measure_and_train`` without latency, for trainings that are compared among themselves."""
    model = _build(arch, seed, images, spec, device, known)
    if isinstance(model, Outcome):
        return model
    session.measured(Outcome("stopped", **known))
    found = _train(model, arch, seed, images, session, spec, device, known["timings"])
    broken = constraint.violations(spec.constraints, found)
    return Outcome("rejected" if broken else "ok", **known, **found, violations=broken)


def _build(
    arch: Arch, seed: int, images: ImageSet, spec: Spec, device: torch.device, known: dict[str, Any]
) -> nn.Module | Outcome:
    """The network on the device; an Outcome where its counts differ from the closed form."""
    knobs = spec.train
    torch.set_num_threads(spec.resources.cpus_per_trial)
    torch.manual_seed(seed)
    with Lease.of_host().sharing():  # building and counting would disturb a measurement, as training would
        model = build_model(arch, images.num_classes, knobs.dropout, knobs.drop_path, knobs.zero_init_residual)
        model = model.to(device).to(memory_format=torch.channels_last)
        with _timed(known["timings"], "fvcore_s"):
            known["macs_fvcore"] = count_fvcore(model, arch.resolution)
    params = sum(parameter.numel() for parameter in model.parameters())
    for name, closed, built in (("MACs", known["macs"], known["macs_fvcore"]), ("parameters", known["params"], params)):
        if closed != built:
            return Outcome("failed", **known, error=f"{name} differ: closed form {closed}, built network {built}")
    return model


def _train(
    model: nn.Module,
    arch: Arch,
    seed: int,
    images: ImageSet,
    session: Session,
    spec: Spec,
    device: torch.device,
    timings: dict[str, float],
) -> dict[str, Any]:
    """The figures of an Outcome that training gives."""
    with _timed(timings, "train_s"), PeakMemory(device, model) as peak:
        saved, lease = Checkpoint(session.checkpoint), Lease.of_host()
        history = train(model, images, spec.train, seed, device, session.epoch, arch.resolution, saved, lease)
    found = {name: history[-1][name] for name in ("top1", "val_loss")}
    found["step_time_s"] = statistics.median(metrics["step_time_s"] for metrics in history)
    found["peak_memory_mb"] = peak.mb
    return found


def _device(spec: Spec) -> torch.device:
    """Never another than the run's, since accuracies and latencies of two kinds must not meet on one front."""
    if not spec.resources.gpus:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise RuntimeError("this worker sees no GPU, but the run is on GPUs")
    return torch.device("cuda")


def _cuda_works() -> bool:
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, Diverged):
        return f"training diverged: {error}"
    return f"out of memory: {str(error).splitlines()[0]}"


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
