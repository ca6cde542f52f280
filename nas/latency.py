"""Latency of one forward pass on the device at hand: warm-up, many timed calls, median and spread."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nas.environment import device_name
from studies.ledger import Latency
from studies.spec import LatencySpec

NOISY = 0.10  # interquartile range over median above which a measurement is flagged


def measure(
    model: nn.Module, resolution: int, spec: LatencySpec, device: torch.device, shared: bool = False
) -> Latency:
    """Times ``model`` (left in eval mode) on an input of (batch, 3, resolution, resolution), float32, channels_last.

    CPU: wall time of a call with ``spec.threads`` threads. CUDA: time between two events around a call, eager.
    The status is ``flagged`` where the spread says that the median cannot be trusted, or where other trials use the
    same GPU (``shared``).
    """
    model.eval()
    x = torch.randn(spec.batch_size, 3, resolution, resolution, device=device).contiguous(
        memory_format=torch.channels_last
    )
    threads = torch.get_num_threads()
    collecting = gc.isenabled()
    torch.set_num_threads(spec.threads)
    gc.disable()
    try:
        with torch.inference_mode():
            times = _sample(lambda: model(x), spec, _cuda_timer if device.type == "cuda" else _wall_timer)
    finally:
        torch.set_num_threads(threads)
        if collecting:
            gc.enable()
    q1, median, q3 = statistics.quantiles(times, n=4)
    reasons = [f"IQR above {NOISY:.0%} of the median"] if q3 - q1 > NOISY * median else []
    reasons += ["GPU shared with other trials"] if shared else []
    key: dict[str, Any] = {
        "device": device_name(device),
        "runtime": "torch eager",
        "dtype": "float32",
        "batch": spec.batch_size,
        "resolution": resolution,
        "threads": spec.threads if device.type == "cpu" else None,
        "memory_format": "channels_last",
    }
    if device.type == "cuda":
        key |= {"tf32": torch.backends.cudnn.allow_tf32, "cuda": torch.version.cuda}
    status = "flagged" if reasons else "ok"
    return Latency(key, median, q3 - q1, min(times), len(times), status, tuple(reasons))


def _sample(call: Callable[[], Any], spec: LatencySpec, timer: Callable[[Callable[[], Any]], float]) -> list[float]:
    start, calls = time.perf_counter(), 0
    while calls < 10 or time.perf_counter() - start < spec.warmup_s:
        timer(call)
        calls += 1
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < spec.min_calls or time.perf_counter() - start < spec.sample_s:
        times.append(timer(call))
    return times


def _wall_timer(call: Callable[[], Any]) -> float:
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1e6


def _cuda_timer(call: Callable[[], Any]) -> float:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)
