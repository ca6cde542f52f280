"""Reads DenseNets of torchvision and timm, which are built alike, into an Arch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from nas.export.reading_parts import Unreadable, check_layers, check_like, convs, plain_conv, settings, stem_of
from search_spaces import Arch, Stage


def dense(model: nn.Module, side: int) -> Arch | None:
    """None: it is of another family. Raises Unreadable."""
    features = getattr(model, "features", None)
    parts = list(features.children()) if isinstance(features, nn.Sequential) else []
    found = [index for index, part in enumerate(parts) if _layers(part)]
    if not found:
        return None
    check_layers(model, "AvgPool2d")  # of transitions
    stem_settings = stem_of(parts[: found[0]])
    stages: list[Stage] = []
    width = stem_settings["stem_channels"]
    for before, index in zip([None, *found], found, strict=False):
        place = f"stage {len(stages)}"
        between = [] if before is None else parts[before + 1 : index]
        width = _transition(between, width, place)
        stage = _stage(_layers(parts[index]), width, 2 if between else 1, place)
        stages.append(stage)
        width += stage.layers * stage.channels
    if convs(nn.Sequential(*parts[found[-1] + 1 :])):
        raise Unreadable("it has convolutions after the last dense block")
    return Arch(tuple(stages), head_channels=0, resolution=side, layout="densenet", **stem_settings, **settings(model))


def _layers(part: nn.Module) -> list[nn.Module]:
    """Of a dense block; empty where it is none."""
    layers = list(part.children())
    return layers if all(hasattr(layer, "norm2") and hasattr(layer, "conv2") for layer in layers) else []


def _transition(parts: Sequence[nn.Module], width: int, place: str) -> int:
    """The width behind it."""
    if not parts:
        return width
    layers = [layer for layer in nn.Sequential(*parts).modules() if isinstance(layer, (nn.Conv2d, nn.AvgPool2d))]
    if len(layers) != 2:
        raise Unreadable(f"{place}: a transition of {len(layers)} layers, not of a convolution and an average pool")
    for layer, wanted in zip(layers, (plain_conv(width, width // 2), nn.AvgPool2d(2, 2)), strict=True):
        check_like(layer, wanted, f"{place}, transition")
    return width // 2


def _stage(layers: Sequence[Any], width: int, stride: int, place: str) -> Stage:
    inner, growth, kernel = layers[0].conv1.out_channels, layers[0].conv2.out_channels, layers[0].conv2.kernel_size[0]
    if inner % growth:
        raise Unreadable(f"{place}: inner width {inner} is not a multiple of the growth rate {growth}")
    for layer in layers:
        check_like(layer.conv1, plain_conv(width, inner), place)
        check_like(layer.conv2, plain_conv(inner, growth, kernel), place)
        width += growth
    return Stage("dense", kernel, stride, inner // growth, growth, len(layers))
