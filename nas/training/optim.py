"""What turns gradients into weights: optimizer, mixed precision, averaged weights, and a watch over numbers that are
no longer finite."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from studies.train_spec import TrainSpec

LOWEST_SCALE = 1.0  # of the loss in float16; it begins at 65,536 and halves with every step that is skipped


class Diverged(RuntimeError):
    """A loss or a gradient became NaN or infinite."""


class Optimizer:
    """One step from losses to weights, in the precision that ``spec.amp`` names.

    Under float16 a step with a non-finite gradient is skipped and the loss scaled down (torch's GradScaler). Any other
    non-finite loss or, under mixed precision or clipping, gradient raises Diverged that names the step: at once on CPU,
    within ``check_every`` steps on a GPU, since to look waits for it.
    """

    def __init__(self, model: nn.Module, spec: TrainSpec, device: torch.device) -> None:
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._torch = _optimizer(self._parameters, spec)
        self.autocast, half = mixed_precision(spec.amp, device)
        self._scaler = torch.amp.GradScaler(device.type, enabled=half is torch.float16)
        self._clip, self._watches_gradients = spec.clip_norm, half is not None or spec.clip_norm > 0
        self._check_every = 16 if device.type == "cuda" else 1
        self._unread: list[tuple[int, Tensor, Tensor | None]] = []  # step, loss, norm of the gradient

    def step(self, loss: Tensor, learning_rate: float, number: int) -> None:
        """number: of the step, from 1. Raises Diverged."""
        for group in self._torch.param_groups:
            group["lr"] = learning_rate
        self._torch.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        norm = None
        if self._watches_gradients:
            self._scaler.unscale_(self._torch)
            norm = self._gradient_norm()
        self._unread.append((number, loss.detach(), norm))
        if not self._scaler.is_enabled() and len(self._unread) >= self._check_every:
            self.check()
        self._scaler.step(self._torch)
        self._scaler.update()
        if self._scaler.is_enabled() and len(self._unread) >= self._check_every:
            self.check()

    def _gradient_norm(self) -> Tensor:
        """Before it is clipped."""
        if self._clip:
            return nn.utils.clip_grad_norm_(self._parameters, self._clip)
        return nn.utils.get_total_norm([p.grad for p in self._parameters if p.grad is not None])

    def check(self) -> None:
        """Reads what came of the last steps. Raises Diverged."""
        unread, self._unread = self._unread, []
        if not unread:
            return
        if self._scaler.is_enabled():
            if (scale := self._scaler.get_scale()) < LOWEST_SCALE:
                raise Diverged(f"gradients not finite at step {unread[-1][0]} even with the loss scaled by {scale:g}")
            return
        for what, values in (("loss", [x[1] for x in unread]), ("gradient's norm", [x[2] for x in unread])):
            if values[0] is None:
                continue
            read = torch.stack([value.float() for value in values if value is not None])
            bad = (~torch.isfinite(read)).nonzero()
            if len(bad):
                first = int(bad[0])
                raise Diverged(f"{what} became {read[first].item()} at step {unread[first][0]}")

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self._torch.state_dict(), "scaler": self._scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._torch.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])


def _optimizer(parameters: list[nn.Parameter], spec: TrainSpec) -> torch.optim.Optimizer:
    """Norm scales, shifts and biases are not decayed."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": spec.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if spec.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=spec.learning_rate, fused=True)
    if spec.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=spec.learning_rate, momentum=spec.momentum, nesterov=spec.momentum > 0, fused=True
        )
    # decay 0.9 as in the papers; their epsilon of 0.001 stands inside the root, which is about 0.03 outside it
    return torch.optim.RMSprop(groups, lr=spec.learning_rate, alpha=0.9, eps=0.03, momentum=spec.momentum, foreach=True)


def mixed_precision(
    wanted: bool | str, device: torch.device
) -> tuple[Callable[[], AbstractContextManager[Any]], torch.dtype | None]:
    """The context of a forward pass and the half precision in it, None: none. ``True``: bfloat16 where the GPU has it,
    else float16; float32 on CPU, where neither is faster. A named one is taken on either."""
    if wanted is True and device.type == "cuda":
        half = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    elif isinstance(wanted, str):
        half = getattr(torch, wanted)
    else:
        return nullcontext, None
    return (lambda: torch.autocast(device.type, half)), half


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of weights and statistics (torch's). It begins quickly, as TensorFlow's does: its
    decay is (1 + n) / (10 + n) in step n until that exceeds ``decay``."""

    @torch.no_grad()
    def average(means: Any, values: Any, seen: Tensor | int) -> None:
        keep = min(decay, (1 + int(seen)) / (10 + int(seen)))
        if torch.is_floating_point(means[0]):
            torch._foreach_lerp_(means, values, 1 - keep)
        else:
            torch._foreach_copy_(means, values)

    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)
