"""The kinds of blocks: what each is called, where it may stand, which fields of a ``Stage`` it takes, what it costs.

How one is built is in ``blocks``, which needs torch; docs/extending.md adds one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search_spaces.arch import Stage

Counts = tuple[int, int, int]
"""Params, MACs, activations (see ``cost``)."""


@dataclass(frozen=True)
class Kind:
    """layouts: of networks that it may stand in (see ``arch.LAYOUTS``).
    prefix: of its block string; bare: the same where its expansion is 1 and timm has another, which then leaves the
        expansion out.
    label: what the papers' stage tables call it; ``{}`` is the expansion.
    count: of one block: (stage, width of its input, its own stride, side of its input). None: a stage is counted whole.
    expands: whether it takes an expansion above 1. narrows: its inner width is the output's divided by the expansion.
    squeezes: whether it takes an se_ratio; groups: a number of groups.
    residual: whether a mobile block has a residual connection where input and output are of one shape.
    """

    layouts: tuple[str, ...]
    prefix: str
    label: str
    count: Callable[[Stage, int, int, int], Counts] | None
    bare: str = ""
    expands: bool = True
    narrows: bool = False
    squeezes: bool = False
    groups: bool = False
    residual: bool = True


def squeeze_excitation(channels: int, squeeze: int) -> Counts:
    """Two biased 1x1 convolutions on the pooled map."""
    weights = 2 * channels * squeeze
    return weights + squeeze + channels, weights, squeeze + channels


def mbconv(stage: Stage, cin: int, stride: int, side: int) -> Counts:
    """Expansion, depthwise and projection (arXiv 1801.04381), with squeeze-and-excitation in between."""
    out, mid, taps = stage.channels, cin * stage.expansion, stage.kernel * stage.kernel
    before = side * side
    after = before if stride == 1 else (-(-side // stride)) ** 2
    params = (taps + out + 2) * mid + 2 * out  # depthwise, its norm, projection, its norm
    macs = after * mid * (taps + out)
    activations = after * (mid + out)
    if mid != cin:  # expansion
        params += (cin + 2) * mid
        macs += before * cin * mid
        activations += before * mid
    if stage.se_ratio:
        p, m, a = squeeze_excitation(mid, stage.squeeze(cin))
        params, macs, activations = params + p, macs + m, activations + a
    return params, macs, activations


def fused_mbconv(stage: Stage, cin: int, stride: int, side: int) -> Counts:
    """A full k x k convolution for expansion and depthwise (arXiv 2104.00298, figure 2)."""
    out, mid, taps = stage.channels, cin * stage.expansion, stage.kernel * stage.kernel
    after = side * side if stride == 1 else (-(-side // stride)) ** 2
    if mid == cin:  # one k x k convolution
        params = (taps * cin + 2) * out
        macs = after * taps * cin * out
        activations = after * out
    else:
        params = (taps * cin + 2 + out) * mid + 2 * out
        macs = after * mid * (taps * cin + out)
        activations = after * (mid + out)
    if stage.se_ratio:
        p, m, a = squeeze_excitation(mid, stage.squeeze(cin))
        params, macs, activations = params + p, macs + m, activations + a
    return params, macs, activations


def separable(stage: Stage, cin: int, stride: int, side: int) -> Counts:
    """Depthwise and projection (arXiv 1704.04861)."""
    out, taps, after = stage.channels, stage.kernel**2, (-(-side // stride)) ** 2
    return (taps + 2 + out) * cin + 2 * out, after * cin * (taps + out), after * (cin + out)


def basic(stage: Stage, cin: int, stride: int, side: int) -> Counts:
    """ResNet's two k x k convolutions (arXiv 1512.03385, figure 5), with a projection where shapes differ."""
    out, taps, after = stage.channels, stage.kernel**2, (-(-side // stride)) ** 2
    weights = taps * out * (cin + out)
    p, m, a = projection(cin, out, stride, after)
    return weights + 4 * out + p, weights * after + m, 2 * out * after + a


def bottleneck(stage: Stage, cin: int, stride: int, side: int) -> Counts:
    """ResNet's and ResNeXt's (arXiv 1611.05431): 1x1, k x k in groups, 1x1, with a projection where shapes differ."""
    out, mid = stage.channels, stage.channels // stage.expansion
    before, after = side * side, (-(-side // stride)) ** 2
    spatial = stage.kernel**2 * mid * mid // stage.groups
    params = cin * mid + spatial + mid * out + 4 * mid + 2 * out
    macs = before * cin * mid + after * (spatial + mid * out)
    activations = before * mid + after * (mid + out)
    if stage.se_ratio:
        p, m, a = squeeze_excitation(out, stage.squeeze(cin))
        params, macs, activations = params + p, macs + m, activations + a
    p, m, a = projection(cin, out, stride, after)
    return params + p, macs + m, activations + a


def projection(cin: int, out: int, stride: int, after: int) -> Counts:
    """The 1x1 convolution with its norm on the shortcut of a residual block, which it needs where shapes differ."""
    if stride == 1 and cin == out:
        return 0, 0, 0
    return cin * out + 2 * out, cin * out * after, out * after


def preact_bottleneck(stage: Stage, cin: int, stride: int, side: int) -> Counts:
    """The same convolutions as a bottleneck; norms stand before them (on cin, not out) and none on the shortcut."""
    params, macs, activations = bottleneck(stage, cin, stride, side)
    out = stage.channels
    shortcut_norm = 2 * out if stride > 1 or cin != out else 0
    return params - 2 * out - shortcut_norm + 2 * cin, macs, activations


MOBILE = "efficientnet"  # the layout of mobile blocks of any kind
KINDS = {
    "mbconv": Kind((MOBILE, "mobilenet_v2", "mnasnet"), "ir", "MBConv{}", mbconv, bare="ds", squeezes=True),
    "fused_mbconv": Kind((MOBILE,), "er", "Fused-MBConv{}", fused_mbconv, bare="cn", squeezes=True),
    "separable": Kind((MOBILE,), "dsa", "separable", separable, bare="dsa", expands=False, residual=False),
    "basic": Kind(("resnet",), "basic", "basic", basic, expands=False),
    "bottleneck": Kind(("resnet",), "bottle", "bottleneck", bottleneck, narrows=True, squeezes=True, groups=True),
    "preact_bottleneck": Kind(("resnet_v2",), "preact", "preact_bottleneck", preact_bottleneck, narrows=True),
    "dense": Kind(("densenet",), "dense", "dense", None),
}
