"""One trial: cost, then latency, then short training; the cheapest question first, so that rejection is cheap."""

from __future__ import annotations

import os
import statistics
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nas.checkpoint import Checkpoint
from nas.data import Images, ImageSet
from nas.environment import device_name
from nas.latency.trial import Meter
from nas.lease import Lease
from nas.memory import PeakMemory
from nas.training import Diverged, train
from nas.training.feed import ON_CARD
from nas.training.weights import prepare, save
from search_spaces import Arch, constraint, cost
from search_spaces.build import build_model
from studies.ledger import TRUSTED, Outcome
from studies.runfolder import weights_file
from studies.session import Session
from studies.spec import Spec


def evaluate(
    arch: Arch,
    seed: int,
    images: Images,
    session: Session,
    *,
    spec: Spec,
    measure: bool = True,
    final: bool = False,
    keep: Path | None = None,
) -> Outcome:
    """Costs, measures and trains ``arch`` on the device that the scheduler gave; ``session`` hears how it goes.

    measure: latency too, or no limit on it is looked at. final: the trained network is tried on the test images, too,
    which no search may look at. keep: run folder that the trained weights are written to.

    A network that breaks a constraint comes back ``rejected`` before anything dearer is done to it; one whose loss is
    no longer finite or that does not fit in memory, ``failed`` with what is known (it is not tried again at the same
    batch size). Counts of the built network that differ from the closed form are an error, not a number.
    """
    images = images if isinstance(images, ImageSet) else images[arch.resolution]
    figures = cost.count(arch, images.num_classes)._asdict()
    if broken := constraint.violations(spec.constraints, figures):
        return Outcome("rejected", **figures, violations=broken)
    device = _device(spec)
    torch.set_num_threads(spec.resources.cpus_per_trial)
    known: dict[str, Any] = {**figures, "timings": {}, "environment": _environment(device)}
    trial = _Trial(arch, seed, images, session, spec, device, known, final, keep)
    try:
        return trial.measured_and_trained() if measure else trial.trained()
    except (Diverged, Differs, torch.OutOfMemoryError) as error:
        return Outcome("failed", **known, error=_reason(error))
    except Exception:
        if device.type == "cuda" and not _cuda_works():
            os._exit(1)  # this process can never use its GPU again; the scheduler starts another
        raise
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()  # trials may share the GPU


class Differs(RuntimeError):
    """The built network is not the one that was counted in closed form."""


@dataclass(frozen=True)
class _Trial:
    """known: what an Outcome is made of, filled as it is found, so that a failure keeps what was found before it."""

    arch: Arch
    seed: int
    images: ImageSet
    session: Session
    spec: Spec
    device: torch.device
    known: dict[str, Any]
    final: bool
    keep: Path | None
    lease: Lease = field(default_factory=Lease.of_host)

    def measured_and_trained(self) -> Outcome:
        spec, known = self.spec, self.known
        model, meter = self._build(), Meter(spec.latency, self.device, self.lease)
        with _timed(known["timings"], "latency_s"):
            latency = known["latency"] = meter.measure(model, self.arch.resolution, self.session.latency)
        broken = constraint.violations(spec.constraints, {"latency_ms": latency.p50_ms})
        # What disturbs a measurement makes calls slower, so that of a flagged one only the fastest call is sure.
        sure = latency.status != "flagged" or constraint.violations(spec.constraints, {"latency_ms": latency.min_ms})
        if broken and sure:
            return Outcome("rejected", **known, violations=broken)

        found = self._train(model)
        timings = known["timings"]
        if latency.status not in TRUSTED and (
            broken or meter.is_worth_another(latency, timings["latency_s"], timings["train_s"])
        ):
            with _timed(timings, "latency_again_s"):
                latency = known["latency"] = meter.again(model, self.arch.resolution, latency)
        if broken := constraint.violations(spec.constraints, found | {"latency_ms": latency.p50_ms}):
            return Outcome("rejected", **known, **found, violations=broken)
        limits = [str(limit) for limit in spec.constraints if limit.metric == "latency_ms"]
        if limits and latency.p50_ms is None:
            return Outcome("failed", **known, **found, error=f"{limits[0]} not checked: {latency.reasons[0]}")
        return Outcome("ok", **known, **found)

    def trained(self) -> Outcome:
        """Without latency, for trainings that are compared among themselves."""
        found = self._train(self._build())
        broken = constraint.violations(self.spec.constraints, found)
        return Outcome("rejected" if broken else "ok", **self.known, **found, violations=broken)

    def _build(self) -> nn.Module:
        """The network on the device. Raises Differs."""
        known, knobs, classes = self.known, self.spec.train, self.images.num_classes
        torch.manual_seed(self.seed)
        with self.lease.sharing():  # building and counting would disturb a measurement, as training would
            model = build_model(self.arch, classes, knobs.dropout, knobs.drop_path, knobs.zero_init_residual)
            if (taken := prepare(model, knobs)) is not None:
                known["environment"]["weights_taken"] = round(taken, 3)
            model = model.to(self.device).to(memory_format=torch.channels_last)
            with _timed(known["timings"], "fvcore_s"):
                known["macs_fvcore"] = count_fvcore(model, self.arch.resolution)
        params = sum(parameter.numel() for parameter in model.parameters())
        counts = (("MACs", known["macs"], known["macs_fvcore"]), ("parameters", known["params"], params))
        for name, closed, built in counts:
            if closed != built:
                raise Differs(f"{name} differ: closed form {closed}, built network {built}")
        return model

    def _train(self, model: nn.Module) -> dict[str, Any]:
        """The figures of an Outcome that training gives."""
        self.session.measured(Outcome("stopped", **self.known))
        with _timed(self.known["timings"], "train_s"), PeakMemory(self.device, model) as peak:
            history = train(
                model,
                self.images,
                self.spec.train,
                self.seed,
                self.device,
                self.session.epoch,
                self.arch.resolution,
                Checkpoint(self.session.checkpoint),
                self.lease,
                ON_CARD * min(1.0, self.spec.resources.gpus_per_trial),
                self.images.test if self.final else None,
            )
        if self.keep:
            save(weights_file(self.keep, self.arch.id, self.seed), model, self.images)
        found: dict[str, Any] = {
            name: history[-1][name] for name in ("top1", "val_loss", "test_top1") if name in history[-1]
        }
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
    if isinstance(error, Differs):
        return str(error)
    return f"out of memory: {str(error).splitlines()[0]}"


def count_fvcore(model: nn.Module, resolution: int) -> int:
    """Conv + linear multiply-adds of the built model on one image, counted by fvcore on its trace."""
    device = next(model.parameters()).device
    model.eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis  # warns, too

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
