"""The training loop: epochs of steps, each epoch validated, told and saved."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.checkpoint import NOWHERE, Checkpoint, Stateful
from nas.data import ImageSet, Split
from nas.lease import NO_LEASE, Lease, Share
from nas.training import schedule
from nas.training.augment import Augmentation, normaliser, resized
from nas.training.feed import ON_CARD, Feed
from nas.training.optim import Diverged, Optimizer, averaged
from nas.training.weights import train_mode
from studies.train_spec import TrainSpec

Metrics = dict[str, Any]


def train(
    model: nn.Module,
    images: ImageSet,
    spec: TrainSpec,
    seed: int,
    device: torch.device,
    on_epoch: Callable[[Metrics], None],
    resolution: int | None = None,
    checkpoint: Checkpoint = NOWHERE,
    lease: Lease = NO_LEASE,
    room: float = ON_CARD,
    test: Split | None = None,
) -> list[Metrics]:
    """Trains ``model`` in place and returns each epoch's metrics. ``resolution``: the images' own where None.

    Metrics of an epoch: ``epoch``, ``train_loss``, ``val_loss`` (cross-entropy, nats), ``top1`` (percent),
    ``step_time_s`` (mean time of a training step), ``time_s`` (with validation) and ``paused_s`` (waiting for
    measurements under ``lease``, in addition to these times); of the last also ``test_top1``, where ``test`` is given.
    With ``spec.ema`` they are those of the averaged weights, which the model has in the end. ``spec.seconds`` ends a
    training whose epochs took longer, in the middle of one if need be; the schedule is shortened to that.

    A training that was broken off goes on from ``checkpoint`` to the same end, and tells the earlier epochs again.
    Equal seeds give equal results on CPU with one thread, unless ``spec.seconds`` cuts it. room: share of a GPU's free
    memory for images. Raises Diverged that names the step.
    """
    run = _Training(model, images, spec, seed, device, resolution or images.resolution, lease, room)
    history: list[Metrics] = checkpoint.resume(run.parts, run.draw, device)
    for metrics in history:
        on_epoch(metrics)
    run.begin(history)
    try:
        while not run.over:
            with lease.sharing(run.settle) as share:
                metrics = {"epoch": len(history) + 1} | run.epoch(share)
                if run.over and test is not None:
                    metrics["test_top1"] = run.validated(test, share)[1]
                history.append(metrics)
                if not run.over:  # what is taken up again trains at least once, or its memory could not be measured
                    checkpoint.save(run.parts, run.draw, device, history)
            on_epoch(metrics)
    finally:
        run.close()
    run.finish()
    return history


@dataclass
class _Training:
    """A training that is under way."""

    model: nn.Module
    images: ImageSet
    spec: TrainSpec
    seed: int
    device: torch.device
    side: int
    lease: Lease
    room: float
    parts: dict[str, Stateful] = field(init=False)

    def __post_init__(self) -> None:
        spec, device = self.spec, self.device
        self.draw = torch.Generator(device).manual_seed(self.seed)
        torch.manual_seed(self.seed)  # dropout, drop path and torchvision's transforms
        self.stages = schedule.stages(spec, self.side)
        self.normalise = normaliser(self.images, device)
        self.augment = Augmentation(spec, self.images, self.draw)
        self.optimizer = Optimizer(self.model, spec, device)
        self.parts = {"model": self.model, "optimizer": self.optimizer}
        self.ema = averaged(self.model, spec.ema) if spec.ema else None
        if self.ema:
            self.parts["ema"] = self.ema
        with self.lease.sharing() as share:
            self.train_feed = Feed(self.images.train, device, share, self.room)
            self.val_feed = Feed(self.images.val, device, share, self.room)
        n = len(self.train_feed)
        # Batch norm has no variance of one image, so a last batch of one is left out.
        self.per_epoch = n // spec.batch_size + (n % spec.batch_size > 1)
        self.steps, self.step, self.spent_s = spec.epochs * self.per_epoch, 0, 0.0
        self.call: Callable[[Tensor], Tensor] = torch.compile(self.model) if spec.compile else self.model

    def begin(self, history: list[Metrics]) -> None:
        """After the epochs of ``history``."""
        self.step = len(history) * self.per_epoch
        self.spent_s = sum(metrics["time_s"] for metrics in history)

    @property
    def over(self) -> bool:
        return self.step >= self.steps or self.spent_s >= (self.spec.seconds or math.inf)

    def epoch(self, share: Share) -> Metrics:
        """Trains for one epoch, or until the time is up, and validates."""
        start, before_s, losses = time.perf_counter(), self.spent_s, []
        train_mode(self.model, self.spec.norm)
        order = torch.randperm(len(self.train_feed), generator=self.draw, device=self.device)
        for x, y in self.train_feed.batches(list(order.split(self.spec.batch_size)[: self.per_epoch])):
            losses.append(self._train_step(x, y))
            share.step()
            self.spent_s = before_s + time.perf_counter() - start - share.paused_s
            if self.over:
                break
        self.optimizer.check()  # waits for the GPU
        step_time_s = (time.perf_counter() - start - share.paused_s) / len(losses)
        val_loss, top1 = self.validated(self.val_feed, share)
        if not math.isfinite(val_loss):
            raise Diverged(f"validation loss became {val_loss} after step {self.step}")
        found = torch.stack(losses)
        train_loss = found[found.isfinite()].mean().item()  # float16 skips steps
        time_s = time.perf_counter() - start - share.paused_s
        self.spent_s = before_s + time_s
        metrics = {"train_loss": train_loss, "val_loss": val_loss, "top1": top1}
        return metrics | {"step_time_s": step_time_s, "time_s": time_s, "paused_s": share.paused_s}

    def _train_step(self, x: Tensor, y: Tensor) -> Tensor:
        spec, done = self.spec, float(self.step)
        if spec.seconds:
            done = max(done, self.spent_s / spec.seconds * self.steps)
        stage = self.stages[schedule.stage_at(len(self.stages), done, self.steps)]
        if len(self.stages) > 1:
            _set_dropout(self.model, stage.dropout)
        self.step += 1
        x, target = self.augment(x, y, stage)
        with self.optimizer.autocast():
            loss = F.cross_entropy(self.call(x), target, label_smoothing=spec.label_smoothing)
        self.optimizer.step(loss, schedule.learning_rate(spec, done, self.steps, self.per_epoch), self.step)
        if self.ema:
            self.ema.update_parameters(self.model)
        return loss.detach()

    @torch.inference_mode()
    def validated(self, on: Feed | Split, share: Share) -> tuple[float, float]:
        """Mean cross-entropy in nats, and top-1 in percent."""
        feed = Feed(on, self.device, share, self.room) if isinstance(on, Split) else on
        model = self.ema.module if self.ema else self.model
        model.eval()
        # Four times the batch still takes less memory than a training step, whose peak is to be measured.
        batches = torch.arange(len(feed), device=self.device).split(4 * self.spec.batch_size)
        loss = correct = 0.0
        for x, y in feed.batches(list(batches)):
            with self.optimizer.autocast():
                logits = model(self.normalise(resized(x, self.side))).float()
            loss += F.cross_entropy(logits, y, reduction="sum").item()
            correct += (logits.argmax(1) == y).sum().item()
            share.step()
        if feed is not on:
            feed.close()
        return loss / len(feed), 100.0 * correct / len(feed)

    def settle(self) -> None:
        """Nothing of this training runs on after it."""
        self.train_feed.settle()
        self.val_feed.settle()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def close(self) -> None:
        self.train_feed.close()
        self.val_feed.close()

    def finish(self) -> None:
        if self.ema:
            self.model.load_state_dict(self.ema.module.state_dict())


def _set_dropout(model: nn.Module, rate: float) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
