"""What the readers of all families share: what may stand in a network, and how its parts are compared with ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from search_spaces import Stage

RATIOS = (0.25, 0.5, 0.125, 0.0625, 1 / 3, 1 / 6, 0.75, 1.0)  # of squeeze-and-excitation, tried before others
ACTIVATIONS = {"SiLU": "silu", "Swish": "silu", "ReLU": "relu", "ReLU6": "relu6", "Hardswish": "hardswish"}
ACTIVATIONS |= {"HardSwish": "hardswish"}
LAYERS = {"Conv2d", "Linear", "MaxPool2d", "AdaptiveAvgPool2d", "Sigmoid", *ACTIVATIONS}
LAYERS |= {"BatchNorm2d", "BatchNormAct2d"}  # the latter timm's, with an activation of its own
LAYERS |= {"Dropout", "DropPath", "StochasticDepth", "Identity", "Flatten"}  # nothing in eval mode


class Unreadable(ValueError):
    """What of a network is not in an Arch."""


def check_layers(model: nn.Module, *more: str) -> None:
    """Raises Unreadable with the first layer that is of another kind than ``LAYERS`` or ``more``."""
    for name, module in model.named_modules():
        layer = not list(module.children()) or list(module.parameters(recurse=False))
        kind = type(module).__name__
        if layer and kind not in LAYERS and kind not in more:
            raise Unreadable(f"{name} is {kind}, which an Arch does not have")


def check_like(found: nn.Module, wanted: nn.Module, place: str) -> None:
    """By what modules say of themselves: their kind and all their settings. Raises Unreadable."""
    if repr(found) != repr(wanted):
        raise Unreadable(f"{place}: {found}, an Arch has {wanted}")


def plain_conv(cin: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """To compare with; it takes no memory."""
    return nn.Conv2d(cin, out, kernel, stride, kernel // 2, groups=groups, bias=False, device="meta")


def stem_of(parts: Sequence[nn.Module]) -> dict[str, Any]:
    """An Arch's settings of a stem of one convolution and perhaps a max pool. Raises Unreadable."""
    stem = nn.Sequential(*parts)
    found = convs(stem)
    if len(found) != 1:
        raise Unreadable(f"its stem has {len(found)} convolutions, an Arch's has one")
    out, kernel, stride = found[0].out_channels, found[0].kernel_size[0], found[0].stride[0]
    check_like(found[0], plain_conv(3, out, kernel, stride), "stem")
    pools = [module for module in stem.modules() if isinstance(module, nn.MaxPool2d)]
    for pool in pools:
        check_like(pool, nn.MaxPool2d(3, 2, 1), "stem")
    return {"stem_channels": out, "stem_kernel": kernel, "stem_stride": stride, "stem_pool": bool(pools)}


def settings(model: nn.Module) -> dict[str, Any]:
    """Activation and batch norm of an Arch. Raises Unreadable."""
    norms = {(norm.eps, norm.momentum) for norm in model.modules() if isinstance(norm, _BatchNorm)}
    if len(norms) != 1:
        found = ", ".join(f"eps {eps} and momentum {momentum}" for eps, momentum in sorted(norms, key=str))
        raise Unreadable(f"its batch norms are of {found}" if norms else "it has no batch norm")
    eps, momentum = norms.pop()
    return {"activation": _activation(model), "norm_eps": eps, "norm_momentum": momentum or 0.1}


def _activation(model: nn.Module) -> str:
    names = {type(module).__name__ for module in model.modules()}
    found = {ACTIVATIONS[name] for name in names if name in ACTIVATIONS}
    if len(found) != 1:
        raise Unreadable(f"activations: {', '.join(sorted(found)) or 'none'}; an Arch has one of them")
    return found.pop()


def with_se(stage: Stage, width: int, squeezes: Sequence[int], place: str) -> Stage:
    """``stage``, into which ``width`` channels come, with the se_ratio that leads to these squeeze widths of its
    layers. Raises Unreadable where there is none."""
    if not any(squeezes):
        return stage
    widths = [width] + [stage.channels] * (stage.layers - 1)
    of = [stage.channels] * stage.layers if stage.block == "bottleneck" else widths
    exact = [squeeze / channels for squeeze, channels in zip(squeezes, of, strict=True)]
    for ratio in (*RATIOS, *exact, *(one + 1e-9 for one in exact)):
        if 0 < ratio <= 1:
            candidate = replace(stage, se_ratio=ratio)
            if [candidate.squeeze(cin) for cin in widths] == list(squeezes):
                return candidate
    raise Unreadable(
        f"{place}: squeeze widths {sorted(set(squeezes))} are no one share of the widths {sorted(set(of))}"
    )


def convs(module: nn.Module) -> list[nn.Conv2d]:
    """All convolutions in the module, in order."""
    return [one for one in module.modules() if isinstance(one, nn.Conv2d)]
