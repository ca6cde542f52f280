"""How a network can be run on what, and the key under which its latency is comparable with others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from nas.environment import cpu_count
from search_spaces import UserError
from studies.spec import LatencySpec

TO_ONNX = ("onnx", "onnxscript")  # packages that export a network
ONNX = (*TO_ONNX, "onnxruntime")  # and run it here


@dataclass(frozen=True)
class Runtime:
    """place: MODULE:FUNCTION, (model, x, threads) -> Call, see ``nas.latency.runtimes.prepare``. kinds: of devices.
    name, memory_format: in a key. needs: packages that have to be installed, which the extra of this project brings.
    queued: calls wait in line on the device, so that their launches are not timed.
    """

    place: str
    kinds: tuple[str, ...]
    name: str
    needs: tuple[str, ...] = ()
    extra: str = ""
    memory_format: str = "channels_last"
    queued: bool = False


# The runtimes by mode (which ``studies.spec.LatencySpec`` checks); what one needs is imported when it is asked for.
RUNTIMES = {
    "eager": Runtime("nas.latency.runtimes:eager", ("cpu", "cuda"), "torch eager"),
    "compile": Runtime("nas.latency.runtimes:compiled", ("cpu", "cuda"), "torch compile"),
    "cuda_graph": Runtime("nas.latency.runtimes:graph", ("cuda",), "torch cuda_graph", queued=True),
    "onnxruntime": Runtime("nas.latency.runtimes:onnx", ("cpu",), "onnxruntime", ONNX, "onnx", "contiguous"),
}
DEFAULTS = {"cpu": "eager", "cuda": "cuda_graph"}
MODES = {  # by kind of device, the default first
    kind: (first, *(mode for mode, runtime in RUNTIMES.items() if kind in runtime.kinds and mode != first))
    for kind, first in DEFAULTS.items()
}
DTYPES = {"cpu": ("float32",), "cuda": ("float16", "float32", "bfloat16")}


def described() -> str:
    """The modes for ``--help``."""
    notes = {name: [f"default on {kind}" for kind, first in DEFAULTS.items() if first == name] for name in RUNTIMES}
    for name, runtime in RUNTIMES.items():
        notes[name] += [f"needs the extra {runtime.extra}"] if runtime.extra else []
    return ", ".join(f"{name} ({'; '.join(about)})" if about else name for name, about in notes.items())


def resolve(spec: LatencySpec, kind: str, needed: tuple[str, ...] | None = None) -> tuple[str, str]:
    """Mode and dtype on a device of ``kind``, ``cpu`` or ``cuda``.

    needed: packages; None: those that the mode needs to run the network here. Raises UserError where one is missing, or
    where the device cannot do what is asked for.
    """
    mode, dtype = spec.mode or MODES[kind][0], spec.dtype or DTYPES[kind][0]
    if mode not in MODES[kind]:
        raise UserError(f"latency.mode: {mode!r} does not run on {kind}, allowed are {', '.join(MODES[kind])}")
    if dtype not in DTYPES[kind]:
        raise UserError(f"latency.dtype: {dtype!r} is not measured on {kind}, allowed are {', '.join(DTYPES[kind])}")
    check_packages(mode, RUNTIMES[mode].needs if needed is None else needed)
    return mode, dtype


def check_packages(mode: str, needed: tuple[str, ...]) -> None:
    """Raises UserError where one of these is not installed, which the mode needs."""
    if missing := [name for name in needed if find_spec(name) is None]:
        extra = RUNTIMES[mode].extra
        how = f"install the extra: pip install 'nas-scaling[{extra}]'" if extra else "not installed here"
        raise UserError(f"latency.mode: {mode!r} needs {', '.join(missing)}, {how}")


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
        "runtime": RUNTIMES[mode].name,
        "dtype": dtype,
        "batch": spec.batch_size,
        "resolution": resolution,
        "threads": spec.threads if kind == "cpu" else None,
        "memory_format": RUNTIMES[mode].memory_format,
    }
