"""What a network is: ``Stage`` and ``Arch``, frozen values with an identity computed from their content.

Nothing here knows torch. ``Arch.to_dict``/``from_dict`` are the JSON form that run folders and exports share.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, dataclass, fields, replace
from functools import cached_property
from typing import Any

from search_spaces.errors import UserError
from search_spaces.kinds import KINDS, MOBILE, Kind

SCHEMA = 1

BLOCKS = tuple(KINDS)
# Which blocks may stand in which layout. The layout decides how the built modules are named and how the network starts
# and ends, so that torchvision's pretrained weights load (see build.py).
LAYOUTS = {
    layout: tuple(name for name, kind in KINDS.items() if layout in kind.layouts)
    for layout in dict.fromkeys(layout for kind in KINDS.values() for layout in kind.layouts)
}
MOBILE_BLOCKS = LAYOUTS[MOBILE]
MOBILE_LAYOUTS = tuple(name for name, blocks in LAYOUTS.items() if set(blocks) <= set(MOBILE_BLOCKS))
ACTIVATIONS = ("silu", "relu", "relu6", "hardswish")
PADDINGS = ("symmetric", "same")
SE_BLOCKS = tuple(name for name, kind in KINDS.items() if kind.squeezes)


@dataclass(frozen=True)
class Stage:
    """``layers`` blocks in a row; the first one changes the width to ``channels`` and strides, the others do neither.
    Raises UserError that names the field, its value and what is allowed.

    block: one of ``BLOCKS``, as far as the network's layout has it. kernel: side of the spatial convolution, odd.
    expansion: for ``mbconv`` and ``fused_mbconv`` the inner width is expansion * input width (1: no expansion conv);
        for ``bottleneck`` the inner width is channels / expansion; for ``dense`` it is the bottleneck factor.
    channels: output width of the stage; for ``dense`` the growth rate (every layer adds so many channels).
    stride: for ``dense``, 2 means that a transition (1x1 conv halving the width, 2x2 average pool) comes first.
    se_ratio: squeeze width as a fraction of the *block input* width, before expansion (arXiv 1905.11946 code); for
        ``bottleneck`` of its output width (arXiv 1709.01507). 0: no squeeze-and-excitation.
    groups: of the spatial convolution; more than 1 in ``bottleneck`` only (ResNeXt, arXiv 1611.05431).
    skip: whether blocks with equal input and output shape have a residual connection (MnasNet's first stage has none).
    """

    block: str
    kernel: int
    stride: int
    expansion: int
    channels: int
    layers: int
    se_ratio: float = 0.0
    groups: int = 1
    skip: bool = True

    def __post_init__(self) -> None:
        if self.block not in BLOCKS:
            raise UserError(f"block: {self.block!r} is not one of {', '.join(BLOCKS)}")
        if not _is_int(self.kernel) or self.kernel < 1 or self.kernel % 2 == 0:
            raise UserError(f"kernel: {self.kernel!r} is not an odd number >= 1")
        if not _is_int(self.stride) or self.stride not in (1, 2):
            raise UserError(f"stride: {self.stride!r} is not 1 or 2")
        for name in ("expansion", "channels", "layers", "groups"):
            value = getattr(self, name)
            if not _is_int(value) or value < 1:
                raise UserError(f"{name}: {value!r} is not an integer >= 1")
        if not isinstance(self.skip, bool):
            raise UserError(f"skip: {self.skip!r} is not true or false")
        if not _is_number(self.se_ratio) or not 0 <= self.se_ratio <= 1:
            raise UserError(f"se_ratio: {self.se_ratio!r} is not a number from 0 to 1")
        if self.se_ratio and not self.kind.squeezes:
            raise UserError(f"se_ratio: {self.se_ratio} but block {self.block!r} has none; blocks with it: {SE_BLOCKS}")
        if self.groups > 1 and (not self.kind.groups or self.channels // self.expansion % self.groups):
            raise UserError(f"groups: {self.groups} needs block 'bottleneck' with channels/expansion divisible by it")
        if not self.kind.expands and self.expansion != 1:
            raise UserError(f"expansion: {self.expansion} but block {self.block!r} takes only 1")
        if self.kind.narrows and self.channels % self.expansion:
            raise UserError(f"channels: {self.channels} is not a multiple of expansion {self.expansion}")
        object.__setattr__(self, "se_ratio", float(self.se_ratio))

    @property
    def kind(self) -> Kind:
        """What is known of its block."""
        return KINDS[self.block]

    def is_residual(self, channels: int, stride: int) -> bool:
        """Whether a mobile block of this stage, with so many input channels and such a stride, adds its input."""
        return self.skip and self.kind.residual and stride == 1 and channels == self.channels

    def squeeze(self, channels: int) -> int:
        """The squeeze width of a block with so many input channels; 0: no squeeze-and-excitation."""
        squeezed_from = self.channels if self.kind.narrows else channels
        return int(squeezed_from * self.se_ratio) or 1 if self.se_ratio else 0

    @property
    def text(self) -> str:
        """timm's block string where timm has the block, its style elsewhere: ``ir_r2_k3_s2_e6_c24_se0.25``."""
        prefix = (self.expansion == 1 and self.kind.bare) or self.kind.prefix
        parts = [prefix, f"r{self.layers}", f"k{self.kernel}", f"s{self.stride}", f"e{self.expansion}"]
        parts.append(f"c{self.channels}")
        if self.groups > 1:
            parts.append(f"g{self.groups}")
        if self.se_ratio:
            parts.append(f"se{_number(self.se_ratio)}")
        if not self.skip:
            parts.append("noskip")
        elif prefix == "cn":  # timm's ConvBnAct has no residual unless it is asked for
            parts.append("skip")
        return "_".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Stage:
        """Raises UserError that names the field on anything missing, unknown or out of range."""
        return cls(**_checked_keys(cls, data))


@dataclass(frozen=True)
class Arch:
    """A whole network up to its classifier; the number of classes and training knobs (dropout) are not part of it.
    Raises UserError that names the field, its value and what is allowed.

    stem_channels, stem_stride, stem_kernel: of the first convolution. stem_pool: whether 3x3 max pooling of stride 2
        follows it.
    head_channels: width of the final 1x1 convolution; 0: none.
    resolution: side of the square input image in pixels. activation: one of ``ACTIVATIONS``.
    norm_eps, norm_momentum: of batch normalisation, in PyTorch's convention (TensorFlow's momentum is 1 - this).
    padding: ``symmetric`` (PyTorch), or ``same`` (TensorFlow's SAME, which pads bottom and right only at even sizes).
    layout: which family's module names, initialisation, start and end the network has, one of ``LAYOUTS``.
    """

    stages: tuple[Stage, ...]
    stem_channels: int
    head_channels: int
    resolution: int
    stem_stride: int = 2
    stem_kernel: int = 3
    stem_pool: bool = False
    activation: str = "silu"
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1
    padding: str = "symmetric"
    layout: str = "efficientnet"

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        if not self.stages:
            raise UserError("stages: empty, at least one stage is needed")
        _one_of("layout", self.layout, tuple(LAYOUTS))
        _one_of("activation", self.activation, ACTIVATIONS)
        _one_of("padding", self.padding, PADDINGS)
        for name, least in (("stem_channels", 1), ("head_channels", 0), ("resolution", 1), ("stem_kernel", 1)):
            value = getattr(self, name)
            if not _is_int(value) or value < least:
                raise UserError(f"{name}: {value!r} is not an integer >= {least}")
        if not _is_int(self.stem_stride) or self.stem_stride not in (1, 2):
            raise UserError(f"stem_stride: {self.stem_stride!r} is not 1 or 2")
        if self.stem_kernel % 2 == 0:
            raise UserError(f"stem_kernel: {self.stem_kernel} is not odd")
        if not isinstance(self.stem_pool, bool):
            raise UserError(f"stem_pool: {self.stem_pool!r} is not true or false")
        for name in ("norm_eps", "norm_momentum"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 < value < 1:
                raise UserError(f"{name}: {value!r} is not a number between 0 and 1")
        for index, stage in enumerate(self.stages):
            if stage.block not in LAYOUTS[self.layout]:
                allowed = ", ".join(LAYOUTS[self.layout])
                raise UserError(
                    f"stages[{index}].block: {stage.block!r} is not one of {allowed} (layout {self.layout})"
                )
        if self.padding == "same" and self.layout != "efficientnet":
            raise UserError("padding: 'same' needs layout 'efficientnet'")

    @cached_property
    def id(self) -> str:
        """12 hexadecimal digits of the SHA-256 of the content; fields at their default do not enter, so that a field
        added later keeps the identity of networks that do not use it."""
        content = _without_defaults(self) | {"stages": [_without_defaults(stage) for stage in self.stages]}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    @cached_property
    def fingerprint(self) -> tuple[Any, ...]:
        """Equal for networks of different ``id`` that compute the same function of the same parameters: their
        se_ratios lead to the same squeeze widths. (No other field of a stage that a space searches lacks an effect.)"""
        stages, channels = [], self.stem_channels
        for stage in self.stages:
            squeezes = stage.squeeze(channels), stage.squeeze(stage.channels) if stage.layers > 1 else 0
            stages.append((*(getattr(stage, name) for name in _BUT_SE_RATIO), *squeezes))
            channels = stage.channels
        return *stages, *(getattr(self, name) for name in _BUT_STAGES)

    @property
    def text(self) -> str:
        """The stages' block strings in one line."""
        return " ".join(stage.text for stage in self.stages)

    def at(self, resolution: int) -> Arch:
        """The same network for square images of another side."""
        return replace(self, resolution=resolution)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, which ``from_dict`` reads: the fields by name and the schema's version."""
        data = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"schema": SCHEMA} | data | {"stages": [stage.to_dict() for stage in self.stages]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Arch:
        """The inverse of ``to_dict``. Raises UserError with the path of the field that is wrong."""
        if not isinstance(data, dict):
            raise UserError(f"arch: {data!r} is not a mapping")
        if data.get("schema", SCHEMA) != SCHEMA:
            raise UserError(f"schema: {data['schema']!r} is not {SCHEMA}, the version that this program reads")
        known = _checked_keys(cls, {key: value for key, value in data.items() if key != "schema"})
        if not isinstance(known["stages"], (list, tuple)):
            raise UserError(f"stages: {known['stages']!r} is not a list")
        stages = []
        for index, stage in enumerate(known["stages"]):
            if not isinstance(stage, dict):
                raise UserError(f"stages[{index}]: {stage!r} is not a mapping")
            try:
                stages.append(Stage.from_dict(stage))
            except UserError as error:
                raise UserError(f"stages[{index}].{error}") from None
        return cls(**known | {"stages": tuple(stages)})


_BUT_SE_RATIO = tuple(field.name for field in fields(Stage) if field.name != "se_ratio")
_BUT_STAGES = tuple(field.name for field in fields(Arch) if field.name != "stages")


def _number(value: float) -> str:
    """As short as it can be without loss."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _without_defaults(value: Stage | Arch) -> dict[str, Any]:
    return {f.name: v for f in fields(value) if (v := getattr(value, f.name)) != f.default}


def _checked_keys(cls: type[Stage] | type[Arch], data: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise UserError(f"{cls.__name__.lower()}: {data!r} is not a mapping")
    names = [field.name for field in fields(cls)]
    for key in data:
        if key not in names:
            raise UserError(f"{key}: unknown field, allowed are {', '.join(names)}")
    for field in fields(cls):
        if field.default is MISSING and field.name not in data:
            raise UserError(f"{field.name}: missing")
    return dict(data)


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UserError(f"{name}: {value!r} is not one of {', '.join(allowed)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
