"""Memory of training: measured on this machine, and estimated in closed form before a network is built."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from pathlib import Path
from types import TracebackType

import torch
from torch import nn

from search_spaces.cost import Cost
from studies.train_spec import TrainSpec

# Tensors of the size of an activation that a training step holds for each: a convolution's output (which its norm needs
# to go back), the norm's (which SiLU needs) and SiLU's (which the next convolution needs), and what is on its way back.
HELD = 4
KERNELS_MB = 50  # code and scratch memory of the CPU's kernels, which any training needs
_MOMENTS = {"adamw": 2, "sgd": 0, "rmsprop": 1}  # beside momentum, which the last two may have
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def training_mb(cost: Cost, spec: TrainSpec, on_gpu: bool = False) -> float:
    """Estimates the most memory of a training step, in MB (1e6 bytes), without building the network.

    Parameters times weight, gradient, the optimizer's moments and averaged weights, and activations times batch times
    ``HELD``, in float32; half of the latter in mixed precision on a GPU. Against ``PeakMemory`` of 19 networks on CPU
    (spaces v1 and v2 at three widths and resolutions, EfficientNet-B0, MobileNetV2, ResNet-50; batch 16 or 32, AdamW):
    0.87 to 1.15 times the measured for 16 of them; 1.22 and 1.40 times for two below 140 MB, whose measurements vary;
    1.23 times for ResNet-50, whose ReLUs work in place. Not checked on a GPU. Validation in larger batches may take
    more.
    """
    with_momentum = spec.optimizer != "adamw" and spec.momentum > 0
    copies = 2 + _MOMENTS[spec.optimizer] + with_momentum + (spec.ema > 0)
    bytes_each = 2 if on_gpu and spec.amp else 4
    held = 4 * copies * cost.params + bytes_each * HELD * spec.batch_size * cost.activations
    return held / 1e6 + (0 if on_gpu else KERNELS_MB)


class PeakMemory:
    """Measures the most memory that its block takes beyond what was there when it began: ``mb``, in MB (1e6 bytes).

    model: what the block trains; its parameters and buffers, which are there already, are added. CUDA: tensors that
    torch allocates on ``device``. CPU (Linux): resident memory of this process, from the kernel's high-water mark,
    which is reset first; the first training of a process also loads the kernels' code, some 40 MB. ``mb`` is None where
    that is not possible (another system, /proc not writable).
    """

    def __init__(self, device: torch.device, model: nn.Module | None = None) -> None:
        self.mb: float | None = None
        self._device = device
        tensors = [*model.parameters(), *model.buffers()] if model else []
        self._own = sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def __enter__(self) -> PeakMemory:
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            self._start: int | None = torch.cuda.memory_allocated(self._device)
        else:
            self._start = _resident() if _reset_peak() else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        peak = torch.cuda.max_memory_allocated(self._device) if self._device.type == "cuda" else _resident("VmHWM")
        if self._start is not None and peak is not None:
            self.mb = (peak - self._start + self._own) / 1e6


def _reset_peak() -> bool:
    """Sets the high-water mark of resident memory to its present size; whether that was possible.

    Memory that was freed but is held for reuse goes back to the system first: what an earlier trial left in this
    process would otherwise hide a part of what this one takes.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
    try:
        _RESET.write_text("5")  # man 5 proc
    except OSError:
        return False
    return True


def _resident(field: str = "VmRSS") -> int | None:
    """Bytes: ``VmRSS``, resident now, or ``VmHWM``, the most since the mark was reset."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(kilobytes[0]) * 1024 if kilobytes else None
