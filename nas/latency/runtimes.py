"""A network as something to call again and again, and how long each call takes: torch eagerly, compiled or as a CUDA
graph, or ONNX Runtime."""

from __future__ import annotations

import copy
import gc
import importlib
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from nas.latency.modes import RUNTIMES
from search_spaces import UserError


class NotExported(UserError):
    """What the ONNX exporter cannot write; trying again does not help, other versions may."""


Call = Callable[[], Any]
Timer = Callable[[Call, int], Sequence[float]]
CAPTURE_WARM_UP = 3  # calls before a graph is captured, as torch's notes on CUDA graphs ask for


def prepare(model: nn.Module, x: torch.Tensor, mode: str, threads: int) -> Call:
    """One forward pass of a copy of ``model`` in eval mode on ``x``, with its device and dtype, both in channels_last.

    x: of shape (batch, 3, resolution, resolution). To be called within ``settings``.
    """
    with torch.inference_mode(False):  # or the copy's tensors could not be exported
        model = copy.deepcopy(model).eval().to(x.device, x.dtype)
        model = model.to(memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last)
    module, _, function = RUNTIMES[mode].place.partition(":")
    call: Call = getattr(importlib.import_module(module), function)(model, x, threads)
    return call


def timer(device: torch.device, mode: str) -> Timer:
    """CPU: wall time. CUDA graph: between events around each replay, with replays waiting in line, so that the launch
    does not count. Other modes on CUDA: between events around each call, one at a time, so that launches do count."""
    if device.type != "cuda":
        return _wall_times
    return _queued_times if RUNTIMES[mode].queued else _single_times


@contextmanager
def settings(threads: int) -> Iterator[None]:
    """No gradients, no garbage collection, so many threads, denormal numbers as zero; then as it was before."""
    before, collecting = torch.get_num_threads(), gc.isenabled()
    gc.collect()
    gc.disable()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)
        if collecting:
            gc.enable()


def eager(model: nn.Module, x: torch.Tensor, threads: int) -> Call:
    """As it is."""
    return lambda: model(x)


def compiled(model: nn.Module, x: torch.Tensor, threads: int) -> Call:
    """Compiled here and now. torch stops compiling after some networks of one class and runs the next eagerly, without
    a word; the limit is lifted, and would be an error. Raises UserError where nothing can be compiled."""
    fast = torch.compile(model, fullgraph=True, dynamic=False)
    try:
        with torch._dynamo.config.patch(recompile_limit=100_000, accumulated_recompile_limit=100_000):
            fast(x)
    except torch._dynamo.exc.BackendCompilerFailed as error:
        raise UserError(f"latency.mode: 'compile' does not work here: {str(error).splitlines()[0]}") from None
    return lambda: fast(x)


def graph(model: nn.Module, x: torch.Tensor, threads: int) -> Call:
    """Captured as a CUDA graph, whose replay costs the CPU next to nothing."""
    side = torch.cuda.Stream(x.device)
    side.wait_stream(torch.cuda.current_stream(x.device))
    with torch.cuda.stream(side):
        for _ in range(CAPTURE_WARM_UP):
            model(x)
    torch.cuda.current_stream(x.device).wait_stream(side)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        output = model(x)

    def replay(held: Any = (model, x, output)) -> None:  # the graph reads and writes their memory
        captured.replay()

    return replay


class OnnxModel(nn.Module):
    """A network that is an ONNX file already; nothing else can run it. content: of the file."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content


def to_onnx(model: nn.Module, shape: Sequence[int], free_batch: bool = False) -> bytes:
    """``model``, in eval mode and float32 on the CPU, for inputs of ``shape``; free_batch: of any number of images.
    Raises NotExported where the exporter fails, as some versions of torch and onnxscript do together."""
    if isinstance(model, OnnxModel):
        return model.content
    names: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"]} if free_batch else {}
    if free_batch:
        names["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    with TemporaryDirectory() as folder, torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        example = (torch.zeros(*shape),)
        try:
            torch.onnx.export(model, example, path, dynamo=True, external_data=False, verbose=False, **names)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # of any kind: what its passes raise has no common class
            found = f"torch {torch.__version__} with onnxscript {version('onnxscript')}"
            raise NotExported(f"onnx: {found} cannot write this network ({_root(error)})") from error
        return path.read_bytes()


def _root(error: BaseException) -> str:
    """What began it, in a line."""
    while error.__cause__:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


def onnx_session(model: nn.Module, x: torch.Tensor, threads: int) -> Any:
    """An ``onnxruntime.InferenceSession`` on the CPU for inputs of the shape of ``x``."""
    return onnx_inference(to_onnx(model, x.shape), threads)


def onnx_inference(content: bytes | str, threads: int) -> Any:
    """An ``onnxruntime.InferenceSession`` on the CPU for a model, or for the file of one."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.set_denormal_as_zero", "1")  # as ``settings`` has it for torch
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def onnx(model: nn.Module, x: torch.Tensor, threads: int) -> Call:
    """In onnxruntime, with input and output bound once."""
    session = onnx_session(model, x, threads)
    binding = session.io_binding()
    binding.bind_cpu_input(session.get_inputs()[0].name, x.contiguous().numpy())
    binding.bind_output(session.get_outputs()[0].name)
    return lambda: session.run_with_iobinding(binding)


def _wall_times(call: Call, calls: int) -> list[float]:
    times = []
    for _ in range(calls):
        start = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - start) / 1e6)
    return times


def _single_times(call: Call, calls: int) -> list[float]:
    return [_queued_times(call, 1)[0] for _ in range(calls)]


def _queued_times(call: Call, calls: int) -> list[float]:
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(calls)]
    for start, end in events:
        start.record()
        call()
        end.record()
    torch.cuda.synchronize()
    return [start.elapsed_time(end) for start, end in events]
