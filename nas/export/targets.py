"""The targets by name; what one needs is imported when it is asked for."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from search_spaces import UserError

if TYPE_CHECKING:
    from nas.export.target import Target


@dataclass(frozen=True)
class Entry:
    """place: MODULE:CLASS. description: for ``--help``, after "writes". modules: what has to be importable; extra: the
    extra of this project that brings them."""

    place: str
    description: str
    modules: tuple[str, ...] = ()
    extra: str = ""


TARGETS = {
    "torchvision": Entry(
        "nas.export.torchvision_code:Torchvision",
        "a page of Python that needs torch and torchvision only, and weights",
    ),
    "timm": Entry(
        "nas.export.timm_code:Timm",
        "a page of Python with an arch_def for timm's EfficientNet, and weights",
        ("timm",),
        "timm",
    ),
    "keras": Entry(
        "nas.export.keras_code:Keras",
        "a page of Python for Keras 3, any backend, and weights",
        ("keras",),
        "keras",
    ),
    "onnx": Entry(
        "nas.export.onnx_file:Onnx",
        "an ONNX file with a free batch size",
        ("onnx", "onnxscript", "onnxruntime"),
        "onnx",
    ),
    "executorch": Entry(
        "nas.export.executorch_file:ExecuTorch",
        "a program for phones, by XNNPACK, for one image a call",
        ("executorch",),
        "executorch",
    ),
    "json": Entry(
        "nas.export.arch_file:Json",
        'the network itself as JSON, and weights: nas.load("network.json") in Python',
    ),
    "yaml": Entry("nas.export.arch_file:Yaml", "the same as YAML"),
}
BACKENDS = ("torch", "jax", "tensorflow", "openvino")  # of Keras


def names(text: str) -> list[str]:
    """Of ``--to``: names with commas between. Raises UserError."""
    found = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in found:
        if name not in TARGETS:
            raise UserError(f"--to: {name!r} is not one of {', '.join(TARGETS)}")
    return found


def check(wanted: Sequence[str]) -> None:
    """Raises UserError where a package is not installed."""
    for name in wanted:
        entry = TARGETS[name]
        if missing := [module for module in entry.modules if find_spec(module) is None]:
            what = f"{', '.join(missing)}, not installed here"
            raise UserError(f"--to: {name} needs {what}: pip install 'nas-scaling[{entry.extra}]'")
    backend = os.environ.get("KERAS_BACKEND", "torch")
    if "keras" in wanted and (backend not in BACKENDS or find_spec(backend) is None):
        raise UserError(f"KERAS_BACKEND: {backend!r} is not installed here, or not one of {', '.join(BACKENDS)}")


def target(name: str) -> Target:
    """By its name in ``TARGETS``; imports what it needs."""
    module, _, attribute = TARGETS[name].place.partition(":")
    made: Target = getattr(importlib.import_module(module), attribute)()
    return made
