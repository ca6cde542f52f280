"""How long a search will take: a few training steps timed on this machine, times what the spec asks for."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from nas.data import ImageSet
from nas.lease import Lease
from nas.training import Diverged, train
from search_spaces import Arch
from search_spaces.build import build_model
from studies.spec import LatencySpec, Spec
from studies.train_spec import TrainSpec

PATIENCE_S = 1.0  # of timing one network; the step that runs then is finished
RAY_START_S = 10.0  # until the first trial runs: Ray's processes, then torch in each worker
BUILD_S = 1.0  # of a trial before its latency is measured: building the network, counting it with fvcore


@dataclass(frozen=True)
class Workload:
    """What one trial has to do. images: in training and in validation."""

    train_images: int
    val_images: int
    train: TrainSpec
    latency: LatencySpec

    def seconds(self, step_s: float, epochs: int | None = None) -> float:
        """Of a trial whose training step takes ``step_s``. An image of validation counts as a third of one of training,
        since only the forward pass is made."""
        passes = (self.train_images + self.val_images / 3) / self.train.batch_size
        measuring = BUILD_S + self.latency.warmup_s + self.latency.max_s
        training = (epochs or self.train.epochs) * passes * step_s
        return min(training, self.train.seconds or math.inf) + measuring


class _Enough(Exception):
    """Ends a training that is only timed."""


def step_time_s(arch: Arch, num_classes: int, spec: Spec, device: torch.device) -> float:
    """Median time of a training step on random images, after a first one that warms up; that one where it alone takes
    longer than ``PATIENCE_S``. Nothing else is measured meanwhile, so trials that share the machine take longer."""
    steps = 8 if device.type == "cuda" else 1  # an epoch; its end waits for the GPU, which training seldom does
    knobs = replace(spec.train, epochs=1000, seconds=None, stages=1, from_size=1.0)  # the dearest stage
    images = _noise(steps * knobs.batch_size, arch.resolution, num_classes)
    found: list[float] = []
    start = time.perf_counter()

    def on_epoch(metrics: dict[str, Any]) -> None:
        found.append(metrics["step_time_s"])
        if time.perf_counter() - start > PATIENCE_S:
            raise _Enough

    threads = torch.get_num_threads()
    torch.set_num_threads(spec.resources.cpus_per_trial)
    try:
        model = build_model(arch, num_classes, knobs.dropout, knobs.drop_path, knobs.zero_init_residual)
        model = model.to(device).to(memory_format=torch.channels_last)
        train(model, images, knobs, spec.seed, device, on_epoch, lease=Lease.of_host())
    except (_Enough, Diverged):  # a step takes as long, whatever the loss
        pass
    finally:
        torch.set_num_threads(threads)
    return statistics.median(found[1:] or found)


def _noise(count: int, resolution: int, num_classes: int) -> ImageSet:
    """Random images to train on, and two to validate."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count + 2, 3, resolution, resolution), dtype=np.uint8)
    labels = rng.integers(0, num_classes, count + 2)
    classes = tuple(map(str, range(num_classes)))
    return ImageSet.of_arrays("noise", classes, (pixels[2:], labels[2:]), (pixels[:2], labels[:2]))
