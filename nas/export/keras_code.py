"""To Keras 3: a functional model by a page of code, weights in its own format."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nas.export import code
from nas.export.network import Network
from nas.export.target import CODE, Loaded, Target, run_code, unknown_block
from nas.export.torchvision_code import rows
from search_spaces import Arch
from search_spaces.arch import MOBILE_LAYOUTS, Stage

BLOCKS = ("mbconv", "fused_mbconv", "separable")  # that templates/keras.txt has
WEIGHTS = "model.weights.h5"
ACTIVATIONS = {"silu": "silu", "relu": "relu", "relu6": "relu6", "hardswish": "hard_silu"}
SYMMETRIC = '''    pad = "same"
    if stride > 1 and kernel > 1:  # equally on all sides, where "same" pads bottom and right first
        x, pad = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x), "valid"'''
SAME = '''    pad = "same"'''


class Keras(Target):
    """A page of Python with a functional model for Keras 3, any backend, and weights."""

    packages, tolerance, batches = ("keras", "numpy"), 1e-5, (1, 2)

    def __init__(self) -> None:
        os.environ.setdefault("KERAS_BACKEND", "torch")

    def obstacle(self, arch: Arch) -> str | None:
        if arch.layout not in MOBILE_LAYOUTS:
            return f"layout is {arch.layout!r}, the export to Keras has {', '.join(MOBILE_LAYOUTS)}"
        if arch.stem_pool:
            return "stem_pool: the export to Keras has no pooling after the stem"
        return unknown_block(arch, BLOCKS)

    def write(self, network: Network, model: nn.Module, folder: Path) -> None:
        (folder / CODE).write_text(_source(network), encoding="utf-8")
        made = run_code(folder).build()
        own = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
        for module, name in zip(own, _names(network.arch), strict=True):
            made.get_layer(name).set_weights(_arrays(module))
        made.save_weights(folder / WEIGHTS)

    def load(self, network: Network, folder: Path) -> Loaded:
        model = run_code(folder).build(folder / WEIGHTS)

        def run(x: Tensor) -> Tensor:
            with torch.inference_mode():
                logits = model(x.permute(0, 2, 3, 1).numpy(), training=False)
            return torch.as_tensor(np.asarray(logits))

        return Loaded(lambda: _counted(model), run)


def _names(arch: Arch) -> Iterator[str]:
    """Of the layers with weights, in the order of ``build_model``'s modules."""
    yield from ("stem_conv", "stem_norm")
    for index, stage in enumerate(arch.stages):
        for number in range(stage.layers):
            for part in _parts(stage):
                yield f"stage{index}_{number}_{part}"
    if arch.head_channels:
        yield from ("head_conv", "head_norm")
    yield "classifier"


def _parts(stage: Stage) -> list[str]:
    expand = ["expand_conv", "expand_norm"] if stage.expansion > 1 else []
    depthwise = ["depthwise_conv", "depthwise_norm"] if stage.block != "fused_mbconv" else []
    squeeze = ["squeeze", "excite"] if stage.se_ratio else []
    return [*expand, *depthwise, *squeeze, "project_conv", "project_norm"]


def _arrays(module: nn.Module) -> list[np.ndarray]:
    """A module's weights as Keras has them."""
    if isinstance(module, nn.BatchNorm2d):
        return [_array(getattr(module, name)) for name in ("weight", "bias", "running_mean", "running_var")]
    weight = _array(module.weight)
    if isinstance(module, nn.Conv2d):
        depthwise = module.groups > 1
        weight = weight.transpose(2, 3, 0, 1) if depthwise else weight.transpose(2, 3, 1, 0)
    else:
        weight = weight.T
    return [weight] if module.bias is None else [weight, _array(module.bias)]


def _array(tensor: Any) -> np.ndarray:
    found: np.ndarray = tensor.detach().numpy()
    return found


def _counted(model: Any) -> tuple[int, int]:
    """Trained parameters, and multiply-adds of convolutions and dense layers: a kernel's weights for each position."""
    macs = 0
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            positions = np.prod(layer.output.shape[1:-1], dtype=int)
            macs += int(positions * np.prod(layer.kernel.shape, dtype=int))
    return sum(int(np.prod(weight.shape, dtype=int)) for weight in model.trainable_weights), macs


def _source(network: Network) -> str:
    arch = network.arch
    head = f'    x = conv(x, "head", {arch.head_channels})' if arch.head_channels else ""
    return code.generated(
        "keras",
        network,
        stages=rows(arch),
        activation=ACTIVATIONS[arch.activation],
        padding=SAME if arch.padding == "same" else SYMMETRIC,
        momentum=repr(1 - arch.norm_momentum),
        eps=repr(arch.norm_eps),
        stem_width=str(arch.stem_channels),
        stem_kernel=str(arch.stem_kernel),
        stem_stride=str(arch.stem_stride),
        head=head,
    )
