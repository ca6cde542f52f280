"""What a network costs, in closed form: integer arithmetic, so that a candidate is judged before a tensor exists.

Conventions (those of the EfficientNet papers' "FLOPs" and of fvcore, see docs/concepts.md):
``params``: learnable parameters (batch norm's scale and shift included, its running statistics not).
``macs``: multiply-adds of convolutions and linear layers, batch 1; one multiply-add counts once.
``activations``: output elements of convolutions and linear layers, batch 1 (arXiv 2103.06877).
"""

from __future__ import annotations

from typing import NamedTuple

from search_spaces.arch import Arch, Stage
from search_spaces.kinds import Counts


class Cost(NamedTuple):
    """Of one image. params: learnable ones. macs: multiply-adds of convolutions and linear layers. activations: their
    output elements (pycls's definition)."""

    params: int
    macs: int
    activations: int


class Row(NamedTuple):
    """One line of a stage table; as in the papers (arXiv 1905.11946, Table 1), ``resolution`` is the input's side in
    pixels and ``channels`` are the output's. operator: as the papers write it, ``MBConv6, k5x5, SE0.25``."""

    operator: str
    resolution: int
    stride: int
    channels: int
    layers: int
    cost: Cost


def count(arch: Arch, num_classes: int = 1000) -> Cost:
    """The cost of the network with its classifier for one image of ``arch.resolution``: what fvcore counts on the built
    module, tens of thousands of times as fast (benchmarks/cost.py). num_classes: outputs of the classifier."""
    params, macs, activations, channels, side = of_stem(arch)
    for stage in arch.stages:
        p, m, a, channels, side = of_stage(stage, channels, side)
        params += p
        macs += m
        activations += a
    p, m, a = of_head(arch, channels, side, num_classes)
    return Cost(params + p, macs + m, activations + a)


def table(arch: Arch, num_classes: int = 1000) -> list[Row]:
    """The stage table as the papers print it (arXiv 1905.11946, Table 1; 2104.00298, Table 4), with each line's cost;
    the lines sum to ``count``."""
    params, macs, activations, channels, side = of_stem(arch)
    pool = ", maxpool" if arch.stem_pool else ""
    stem = f"Conv, k{arch.stem_kernel}x{arch.stem_kernel}{pool}"
    stride = arch.stem_stride * (2 if arch.stem_pool else 1)
    rows = [Row(stem, arch.resolution, stride, channels, 1, Cost(params, macs, activations))]
    for stage in arch.stages:
        p, m, a, out, after = of_stage(stage, channels, side)
        rows.append(Row(_operator(stage), side, stage.stride, out, stage.layers, Cost(p, m, a)))
        channels, side = out, after
    head = "Conv, k1x1, pool, fc" if arch.head_channels else "pool, fc"
    cost = Cost(*of_head(arch, channels, side, num_classes))
    return [*rows, Row(head, side, 1, arch.head_channels or channels, 1, cost)]


def _operator(stage: Stage) -> str:
    """``MBConv6, k5x5, SE0.25``, as the papers write it."""
    groups = f", g{stage.groups}" if stage.groups > 1 else ""
    se = f", SE{stage.se_ratio:g}" if stage.se_ratio else ""
    return f"{stage.kind.label.format(stage.expansion)}, k{stage.kernel}x{stage.kernel}{groups}{se}"


def of_stem(arch: Arch) -> tuple[int, int, int, int, int]:
    """Params, MACs, activations, and the width and side of what comes out."""
    k, c = arch.stem_kernel, arch.stem_channels
    side = -(-arch.resolution // arch.stem_stride)
    weights, outputs = 3 * c * k * k, side * side * c
    params = weights if arch.layout == "resnet_v2" else weights + 2 * c  # pre-activation: no norm after the stem
    return params, weights * side * side, outputs, c, -(-side // 2) if arch.stem_pool else side


def of_head(arch: Arch, channels: int, side: int, num_classes: int) -> Counts:
    """What follows the last stage, whose output has so many channels and such a side, with the classifier."""
    params = macs = activations = 0
    if arch.layout in ("resnet_v2", "densenet"):  # a norm after the last block
        params = 2 * channels
    if arch.head_channels:
        weights = channels * arch.head_channels
        params, macs = weights + 2 * arch.head_channels, weights * side * side
        activations, channels = arch.head_channels * side * side, arch.head_channels
    weights = channels * num_classes
    return params + weights + num_classes, macs + weights, activations + num_classes


def of_stage(stage: Stage, channels: int, side: int) -> tuple[int, int, int, int, int]:
    """As ``of_stem``, for an input of so many channels and such a side."""
    block, out = stage.kind.count, stage.channels
    if block is None:
        return _dense_stage(stage, channels, side)
    params, macs, activations = block(stage, channels, stage.stride, side)
    side = -(-side // stage.stride)
    if (more := stage.layers - 1) > 0:
        p, m, a = block(stage, out, 1, side)
        params, macs, activations = params + more * p, macs + more * m, activations + more * a
    return params, macs, activations, out, side


def _dense_stage(stage: Stage, channels: int, side: int) -> tuple[int, int, int, int, int]:
    params = macs = activations = 0
    if stage.stride == 2:  # transition; its 2x2 average pool rounds down
        half = channels // 2
        params, macs, activations = 2 * channels + channels * half, side * side * channels * half, side * side * half
        channels, side = half, side // 2
    growth, mid, area = stage.channels, stage.channels * stage.expansion, side * side
    for _ in range(stage.layers):
        weights = channels * mid + stage.kernel**2 * mid * growth
        params += 2 * channels + 2 * mid + weights
        macs += area * weights
        activations += area * (mid + growth)
        channels += growth
    return params, macs, activations, channels, side
