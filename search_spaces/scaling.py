"""Width, depth and resolution scaling with the official rounding of EfficientNet and EfficientNetV2."""

from __future__ import annotations

import math
from dataclasses import replace

from search_spaces.arch import Arch, Stage
from search_spaces.errors import UserError

# EfficientNet, MnasNet, MobileNetV2 and torchvision never round a width down by more than 10 %; the code of
# EfficientNetV2 (and Keras') has no such guard: 16 * 1.2 gives 24 in B3 but 16 in V2-B3.
ROUNDINGS = ("guarded", "unguarded")


def round_width(channels: int, multiplier: float, rounding: str = "guarded", divisor: int = 8) -> int:
    """``channels * multiplier`` to the nearest multiple of ``divisor``, ties up, at least ``divisor``.

    The product is a float as in the official code, whose ties can therefore fall either way (400 * 1.13).
    """
    scaled = channels * multiplier
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    if rounding == "guarded" and rounded < 0.9 * scaled:
        rounded += divisor
    return rounded


def round_depth(layers: int, multiplier: float) -> int:
    """``ceil(layers * multiplier)``, in floats as in the official code (25 * 2.2 gives 56)."""
    return math.ceil(layers * multiplier)


def scale(
    arch: Arch, width: float = 1.0, depth: float = 1.0, resolution: int | None = None, rounding: str = "guarded"
) -> Arch:
    """The network with its widths and depths multiplied; stem and head are scaled with the stages.

    The head follows each family's official code: MnasNet's is fixed, MobileNetV2's never shrinks. A multiplier of 1
    changes nothing. Raises UserError on a multiplier that is not positive.
    """
    for name, value in (("width", width), ("depth", depth)):
        if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
            raise UserError(f"{name}: {value!r} is not a positive number")
    if rounding not in ROUNDINGS:
        raise UserError(f"rounding: {rounding!r} is not one of {', '.join(ROUNDINGS)}")
    stem, head, stages = arch.stem_channels, arch.head_channels, arch.stages
    if depth != 1:
        stages = tuple(replace(stage, layers=round_depth(stage.layers, depth)) for stage in stages)
    if width != 1:
        stages = tuple(replace(stage, channels=_stage_width(stage, width, rounding)) for stage in stages)
        stem = round_width(stem, width, rounding)
        if head and arch.layout != "mnasnet":
            head = round_width(head, max(1.0, width) if arch.layout == "mobilenet_v2" else width, rounding)
    side = arch.resolution if resolution is None else resolution
    return replace(arch, stages=stages, stem_channels=stem, head_channels=head, resolution=side)


def _stage_width(stage: Stage, width: float, rounding: str) -> int:
    if stage.block in ("bottleneck", "preact_bottleneck"):  # the inner width is what is rounded
        divisor = math.lcm(8, stage.groups)
        return round_width(stage.channels // stage.expansion, width, rounding, divisor) * stage.expansion
    return round_width(stage.channels, width, rounding)
