"""Width, depth and resolution scaling with the official rounding of EfficientNet and EfficientNetV2."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from search_spaces.arch import Arch, Stage
from search_spaces.errors import UserError

# official: depths up; widths to 8, but never down by more than 10 %, as EfficientNet, MnasNet, MobileNetV2 and
# torchvision do. unguarded: the code of EfficientNetV2 (and Keras') has no such guard: 16 * 1.2 gives 24 in B3 but 16
# in V2-B3. nearest: depths to the nearest, too.
ROUNDINGS = ("official", "unguarded", "nearest")


def round_width(channels: int, multiplier: float, rounding: str = "official", divisor: int = 8) -> int:
    """``channels * multiplier`` to the nearest multiple of ``divisor``, ties up, at least ``divisor``.

    The product is a float as in the official code, whose ties can therefore fall either way (400 * 1.13).
    """
    scaled = channels * multiplier
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    if rounding == "official" and rounded < 0.9 * scaled:
        rounded += divisor
    return rounded


def round_depth(layers: int, multiplier: float, rounding: str = "official") -> int:
    """``ceil(layers * multiplier)``, in floats as in the official code (25 * 2.2 gives 56); ``nearest``: half up, at
    least 1."""
    scaled = layers * multiplier
    return max(1, math.floor(scaled + 0.5)) if rounding == "nearest" else math.ceil(scaled)


def scale(
    arch: Arch,
    width: float = 1.0,
    depth: float | Sequence[float] = 1.0,
    resolution: int | None = None,
    rounding: str = "official",
    divisor: int = 8,
) -> Arch:
    """The network with its widths and depths multiplied; stem and head are scaled with the stages (arXiv 1905.11946,
    section 3.3, rounded as in the official code).

    width: multiplies channels. depth: multiplies layers of all stages, or one number a stage. resolution: side in
    pixels; None: as it is. rounding: ``official``, ``unguarded`` or ``nearest``. divisor: of what widths are multiples.

    The head follows each family's official code: MnasNet's is fixed, MobileNetV2's never shrinks. A multiplier of 1
    changes nothing. Raises UserError on a multiplier that is not positive.
    """
    depths = (depth,) * len(arch.stages) if isinstance(depth, (int, float, str)) else tuple(depth)
    for name, value in (("width", width), *(("depth", each) for each in depths)):
        if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
            raise UserError(f"{name}: {value!r} is not a positive number")
    if rounding not in ROUNDINGS:
        raise UserError(f"rounding: {rounding!r} is not one of {', '.join(ROUNDINGS)}")
    stem, head, stages = arch.stem_channels, arch.head_channels, arch.stages
    stages = tuple(
        stage if each == 1 else replace(stage, layers=round_depth(stage.layers, each, rounding))
        for stage, each in zip(stages, depths, strict=True)
    )
    if width != 1:
        stages = tuple(replace(stage, channels=_stage_width(stage, width, rounding, divisor)) for stage in stages)
        stem = round_width(stem, width, rounding, divisor)
        if head and arch.layout != "mnasnet":
            head = round_width(head, max(1.0, width) if arch.layout == "mobilenet_v2" else width, rounding, divisor)
    side = arch.resolution if resolution is None else resolution
    return replace(arch, stages=stages, stem_channels=stem, head_channels=head, resolution=side)


def _stage_width(stage: Stage, width: float, rounding: str, divisor: int) -> int:
    if stage.kind.narrows:  # the inner width is what is rounded
        inner = math.lcm(divisor, stage.groups)
        return round_width(stage.channels // stage.expansion, width, rounding, inner) * stage.expansion
    return round_width(stage.channels, width, rounding, divisor)
