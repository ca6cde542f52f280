"""How a network can be run on what, and the key under which its latency is comparable with others."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from nas.environment import cpu_count
from search_spaces import UserError
from studies.spec import LatencySpec

MODES = {"cpu": ("eager", "compile", "onnxruntime"), "cuda": ("cuda_graph", "eager", "compile")}  # the default first
DTYPES = {"cpu": ("float32",), "cuda": ("float16", "float32", "bfloat16")}
TO_ONNX = ("onnx", "onnxscript")  # packages that export a network
ONNX = (*TO_ONNX, "onnxruntime")  # and run it here


def resolve(spec: LatencySpec, kind: str, needed: tuple[str, ...] = ONNX) -> tuple[str, str]:
    """Mode and dtype on a device of ``kind``, ``cpu`` or ``cuda``. Raises UserError where it cannot do what is asked
    for, or a package that ``onnxruntime`` as mode needs is missing."""
    mode, dtype = spec.mode or MODES[kind][0], spec.dtype or DTYPES[kind][0]
    if mode not in MODES[kind]:
        raise UserError(f"latency.mode: {mode!r} does not run on {kind}, allowed are {', '.join(MODES[kind])}")
    if dtype not in DTYPES[kind]:
        raise UserError(f"latency.dtype: {dtype!r} is not measured on {kind}, allowed are {', '.join(DTYPES[kind])}")
    if mode == "onnxruntime":
        check_packages(needed)
    return mode, dtype


def check_packages(needed: tuple[str, ...]) -> None:
    """Raises UserError where one of these is not installed, which ``onnxruntime`` as mode needs."""
    if missing := [name for name in needed if find_spec(name) is None]:
        how = "install the extra: pip install 'nas-scaling[onnx]'"
        raise UserError(f"latency.mode: 'onnxruntime' needs {', '.join(missing)}, {how}")


def here(device: str | None, spec: LatencySpec) -> str:
    """The kind of device of this machine that measures: ``device``, or by default the GPU where there is one. Raises
    UserError where it is not one of MODES, is not there, or cannot do what ``spec`` asks for."""
    if device:
        if device not in MODES:
            raise UserError(f"--device: {device!r} is not one of cpu, cuda or an address such as ssh:HOST")
        resolve(spec, device)
    if device != "cuda" and spec.threads > cpu_count():
        raise UserError(f"--threads: {spec.threads} is more than the {cpu_count()} cores that this process may use")
    import torch

    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError("--device: 'cuda' asked for, but torch sees no GPU here; allowed is cpu")
    resolve(spec, kind)
    return kind


def without(key: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """What is left of a key when ``names`` may differ, as the resolution of a run's networks does."""
    return {name: value for name, value in key.items() if name not in names}


def key_of(spec: LatencySpec, resolution: int, device: str, kind: str) -> dict[str, Any]:
    """device: its name, as ``nas.environment.device_name`` gives it."""
    mode, dtype = resolve(spec, kind)
    return {
        "device": device,
        "runtime": mode if mode == "onnxruntime" else f"torch {mode}",
        "dtype": dtype,
        "batch": spec.batch_size,
        "resolution": resolution,
        "threads": spec.threads if kind == "cpu" else None,
        "memory_format": "contiguous" if mode == "onnxruntime" else "channels_last",
    }
