"""Short training of one network: one plain loop over images that lie on the device."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms.v2.functional import resize

from nas.checkpoint import NOWHERE, Checkpoint, Stateful
from nas.data import ImageSet, Split
from nas.lease import NO_LEASE, Lease, Share
from studies.spec import TrainSpec

RESIZED = 256  # images at a time, so that a measurement need not wait for all


class Diverged(RuntimeError):
    """The loss became NaN or infinite."""


def train(
    model: nn.Module,
    images: ImageSet,
    spec: TrainSpec,
    seed: int,
    device: torch.device,
    on_epoch: Callable[[dict[str, Any]], None],
    resolution: int | None = None,
    checkpoint: Checkpoint = NOWHERE,
    lease: Lease = NO_LEASE,
) -> list[dict[str, Any]]:
    """Trains ``model`` in place and returns each epoch's metrics. ``resolution``: the images' own where None.

    Metrics of an epoch: ``epoch``, ``train_loss``, ``val_loss`` (cross-entropy, nats), ``top1`` (percent),
    ``step_time_s`` (mean time of a training step), ``time_s`` (with validation) and ``paused_s`` (waiting for
    measurements under ``lease``, in addition to these times). A training that was broken off goes on from
    ``checkpoint`` to the same end, and tells the earlier epochs again. Equal seeds give equal results on CPU with one
    thread. Raises Diverged that names the step.
    """
    side = resolution or images.resolution
    settle = partial(torch.cuda.synchronize, device) if device.type == "cuda" else lambda: None
    with lease.sharing(settle) as share:
        train_x, train_y = _on_device(images.train, side, device, share)
        val_x, val_y = _on_device(images.val, side, device, share)
    draw = torch.Generator(device).manual_seed(seed)
    torch.manual_seed(seed)  # dropout and drop path
    normalise = _normaliser(images, device)
    optimizer = _optimizer(model, spec, device)
    # Batch norm has no variance of one image, so a last batch of one is left out.
    steps_per_epoch = len(train_x) // spec.batch_size + (len(train_x) % spec.batch_size > 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warmup_cosine(spec, spec.epochs * steps_per_epoch))
    autocast, scaler = _mixed_precision(spec.amp, device)
    check_every = 16 if device.type == "cuda" else 1  # reading the loss waits for the GPU
    parts: dict[str, Stateful] = {"model": model, "optimizer": optimizer, "schedule": schedule, "scaler": scaler}
    history = checkpoint.resume(parts, draw, device)
    for metrics in history:
        on_epoch(metrics)
    step = len(history) * steps_per_epoch
    for epoch in range(len(history) + 1, spec.epochs + 1):
        start, losses = time.perf_counter(), []
        with lease.sharing(settle) as share:
            model.train()
            order = torch.randperm(len(train_x), generator=draw, device=device)
            for index in order.split(spec.batch_size)[:steps_per_epoch]:
                step += 1
                x = normalise(train_x[index])
                if spec.augment:
                    x = _augment(x, images.flip, draw)
                with autocast():
                    loss = F.cross_entropy(model(x), train_y[index], label_smoothing=spec.label_smoothing)
                optimizer.zero_grad(set_to_none=True)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                schedule.step()
                losses.append(loss.detach())
                if step % check_every == 0:
                    _check_finite(losses[-check_every:], step)
                share.step()
            _check_finite(losses[-check_every:], step)  # waits for the GPU
            step_time_s = (time.perf_counter() - start - share.paused_s) / len(losses)
            # Four times the batch still takes less memory than a training step, whose peak is to be measured.
            val_loss, top1 = validate(model, val_x, val_y, normalise, autocast, 4 * spec.batch_size, share)
            if not math.isfinite(val_loss):
                raise Diverged(f"validation loss became {val_loss} after step {step}")
            train_loss, time_s = torch.stack(losses).mean().item(), time.perf_counter() - start - share.paused_s
            metrics = {"epoch": epoch, "train_loss": train_loss, "val_loss": val_loss, "top1": top1}
            metrics |= {"step_time_s": step_time_s, "time_s": time_s, "paused_s": share.paused_s}
            history.append(metrics)
            if epoch < spec.epochs:  # what is taken up again trains at least once, or its memory could not be measured
                checkpoint.save(parts, draw, device, history)
        on_epoch(metrics)
    return history


@torch.inference_mode()
def validate(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    normalise: Callable[[Tensor], Tensor],
    autocast: Callable[[], AbstractContextManager[Any]],
    batch_size: int,
    share: Share,
) -> tuple[float, float]:
    """Mean cross-entropy in nats, and top-1 in percent."""
    model.eval()
    loss = correct = 0.0
    for images, labels in zip(x.split(batch_size), y.split(batch_size), strict=True):
        with autocast():
            logits = model(normalise(images)).float()
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        correct += (logits.argmax(1) == labels).sum().item()
        share.step()
    return loss / len(y), 100.0 * correct / len(y)


def _on_device(split: Split, side: int, device: torch.device, share: Share) -> tuple[Tensor, Tensor]:
    images, labels = split.batch(np.arange(len(split))), np.array(split.labels)  # labels may lie in shared memory
    x, y = torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)
    if x.shape[-1] == side:
        return x, y
    resized = x.new_empty(*x.shape[:2], side, side)
    for part, into in zip(x.split(RESIZED), resized.split(RESIZED), strict=True):
        into.copy_(resize(part, [side, side], antialias=True))
        share.step()
    return resized, y


def _normaliser(images: ImageSet, device: torch.device) -> Callable[[Tensor], Tensor]:
    mean = torch.tensor(images.mean, device=device).view(1, -1, 1, 1) * 255
    scale = 1 / (torch.tensor(images.std, device=device).view(1, -1, 1, 1) * 255)
    return lambda x: ((x.float() - mean) * scale).contiguous(memory_format=torch.channels_last)


def _augment(x: Tensor, flip: bool, draw: torch.Generator) -> Tensor:
    """Each image shifted by up to an eighth of its side (edges reflected) and, if ``flip``, mirrored half the time."""
    n, _, side, _ = x.shape
    reach = side // 8
    padded = F.pad(x, (reach,) * 4, mode="reflect")
    top, left = torch.randint(0, 2 * reach + 1, (2, n, 1), generator=draw, device=x.device)
    line = torch.arange(side, device=x.device)
    columns = left + line
    if flip:
        mirrored = torch.rand(n, 1, generator=draw, device=x.device) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    image = torch.arange(n, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, (top + line)[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _optimizer(model: nn.Module, spec: TrainSpec, device: torch.device) -> torch.optim.Optimizer:
    """Norm scales, shifts and biases are not decayed."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    groups = [
        {"params": decayed, "weight_decay": spec.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if spec.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=spec.learning_rate, fused=True)
    if spec.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=spec.learning_rate, momentum=spec.momentum, nesterov=spec.momentum > 0, fused=True
        )
    # decay 0.9 as in the papers; their epsilon of 0.001 stands inside the root, which is about 0.03 outside it
    return torch.optim.RMSprop(groups, lr=spec.learning_rate, alpha=0.9, eps=0.03, momentum=spec.momentum, foreach=True)


def _warmup_cosine(spec: TrainSpec, steps: int) -> Callable[[int], float]:
    warmup = max(1, round(spec.warmup * steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return factor


def _mixed_precision(
    wanted: bool, device: torch.device
) -> tuple[Callable[[], AbstractContextManager[Any]], torch.amp.GradScaler]:
    """bf16 where the GPU has it, else fp16 with loss scaling; float32 on CPU."""
    if not wanted or device.type != "cuda":
        return nullcontext, torch.amp.GradScaler(device.type, enabled=False)
    half = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return (lambda: torch.autocast("cuda", half)), torch.amp.GradScaler("cuda", enabled=half is torch.float16)


def _check_finite(losses: list[Tensor], step: int) -> None:
    values = torch.stack(losses)
    bad = (~torch.isfinite(values)).nonzero()
    if len(bad):
        first = int(bad[0])
        raise Diverged(f"loss became {values[first].item()} at step {step - len(losses) + 1 + first}")
