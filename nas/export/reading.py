"""The reverse of an export: networks of timm and torchvision, read into an Arch and proven to be the same.

A network is read from what its modules are, not from its name: stem, blocks by their convolutions, head.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch
from torch import nn

from nas.export.network import Network
from nas.export.target import in_order, torch_loaded
from nas.export.verify import difference, randomised
from search_spaces import Arch, Stage, UserError
from search_spaces.build import build_model

RATIOS = (0.25, 0.5, 0.125, 0.0625, 1 / 3, 1 / 6, 0.75, 1.0)  # of squeeze-and-excitation, tried before others
ACTIVATIONS = {"SiLU": "silu", "Swish": "silu", "ReLU": "relu", "ReLU6": "relu6", "Hardswish": "hardswish"}
ACTIVATIONS |= {"HardSwish": "hardswish"}
TOLERANCE = 1e-5
PLAIN = re.compile(r"[A-Za-z0-9_.]+")
RESIDUAL = ("has_skip", "use_res_connect", "apply_residual", "residual")  # what builders call it


class Unreadable(ValueError):
    """What of a network is not in an Arch."""


def read(text: str) -> Network:
    """The network of ``timm:NAME`` or ``torchvision:NAME``, freshly initialised. Raises UserError where there is none,
    or where an Arch cannot express it."""
    builder, _, name = text.partition(":")
    if builder not in BUILDERS or not name:
        raise UserError(f"--from: {text!r} is not of the form {' or '.join(f'{one}:NAME' for one in BUILDERS)}")
    model, side = BUILDERS[builder](name)
    try:
        arch = arch_of(model, side)
    except Unreadable as error:
        raise UserError(f"--from: {name}: {error}") from None
    classes = [module for module in model.modules() if isinstance(module, nn.Linear)][-1].out_features
    _check_same(name, arch, model, classes)
    return Network(name, arch, classes)


def _timm(name: str) -> tuple[nn.Module, int]:
    if importlib.util.find_spec("timm") is None:
        raise UserError("--from: timm is not installed here: pip install 'nas-scaling[timm]'")
    import timm

    if not PLAIN.fullmatch(name) or not timm.is_model(name.partition(".")[0]):  # others would be looked for elsewhere
        raise UserError(f"--from: timm has no network {name!r}")
    model = timm.create_model(name, pretrained=False)
    about = model.pretrained_cfg
    return model, int((about.get("test_input_size") or about["input_size"])[-1])


def _torchvision(name: str) -> tuple[nn.Module, int]:
    from torchvision import models
    from torchvision.models import get_model, get_model_weights, list_models

    if name not in list_models(module=models):  # those of segmentation and detection would load a backbone
        raise UserError(f"--from: torchvision has no network {name!r}")
    try:
        crop = get_model_weights(name).DEFAULT.transforms().crop_size
        side = crop[0] if isinstance(crop, Sequence) else crop
    except (ValueError, AttributeError):
        side = 224
    return get_model(name, weights=None), int(side)


BUILDERS: dict[str, Callable[[str], tuple[nn.Module, int]]] = {"timm": _timm, "torchvision": _torchvision}


def _check_same(name: str, arch: Arch, model: nn.Module, classes: int) -> None:
    ours = build_model(arch, classes).eval()
    side = min(arch.resolution, 2 * 64)  # enough for all strides, and quick
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    try:
        disguised = randomised(model, x)
        ours.load_state_dict(in_order(disguised.state_dict(), ours.state_dict()))
        off, rounding, _ = difference(ours, torch_loaded(disguised, side), x, (2,), TOLERANCE)
    except ValueError as error:
        raise UserError(f"--from: {name}: {error}; an Arch does not have it") from None
    if not off <= max(TOLERANCE, 2 * rounding):
        raise UserError(f"--from: {name}: outputs differ by {off:.1e}; it has something that an Arch does not")


def arch_of(model: nn.Module, side: int) -> Arch:
    """Raises Unreadable."""
    stem, stages, head, layout = _mobile_parts(model)
    conv = _convs(stem)[0]
    _check_conv(conv, "stem")
    norm = next((m for m in model.modules() if isinstance(m, nn.BatchNorm2d)), None)
    if norm is None:
        raise Unreadable("it has no batch norm")
    head_convs = _convs(head)
    if len(head_convs) > 1 or any(one.kernel_size != (1, 1) for one in head_convs):
        raise Unreadable("its head is not one 1x1 convolution")
    found, width = [], conv.out_channels
    for index, blocks in enumerate(stages):
        stage = _stage([_block(block) for block in blocks], width, f"stage {index}")
        found.append(stage)
        width = stage.channels
    return Arch(
        stages=tuple(found),
        stem_channels=conv.out_channels,
        head_channels=head_convs[0].out_channels if head_convs else 0,
        resolution=side,
        stem_stride=conv.stride[0],
        stem_kernel=conv.kernel_size[0],
        stem_pool=any(isinstance(m, nn.MaxPool2d) for m in stem.modules()),
        activation=_activation(model),
        norm_eps=norm.eps,
        norm_momentum=norm.momentum or 0.1,
        padding="same" if any(_is_same(m) for m in model.modules()) else "symmetric",
        layout=layout,
    )


def _mobile_parts(model: Any) -> tuple[nn.Module, list[list[nn.Module]], nn.Module, str]:
    """Stem, the blocks of each stage, head, layout. timm: by its names; torchvision, and our builders: ``features``."""
    if all(hasattr(model, name) for name in ("conv_stem", "blocks", "conv_head")):
        stem, head = nn.Sequential(model.conv_stem), nn.Sequential(model.conv_head)
        return stem, [list(stage) for stage in model.blocks], head, "efficientnet"
    features = getattr(model, "features", None)
    if not isinstance(features, nn.Sequential) or hasattr(features, "denseblock1"):
        raise Unreadable(f"{type(model).__name__} is of a family that is not read (EfficientNet and MobileNetV2 are)")
    parts = list(features)
    blocks = [index for index, part in enumerate(parts) if index and _is_stage(part)]
    if not blocks:
        raise Unreadable("it has no stages")
    first, last = blocks[0], blocks[-1]
    stages = [list(part) if isinstance(part, nn.Sequential) else [part] for part in parts[first : last + 1]]
    layout = "mobilenet_v2" if all(hasattr(block, "conv") for stage in stages for block in stage) else "efficientnet"
    return nn.Sequential(*parts[:first]), _grouped(stages), nn.Sequential(*parts[last + 1 :]), layout


def _is_stage(part: nn.Module) -> bool:
    """A block, or several in a row; not a convolution with its norm and activation."""
    return len(_convs(part)) > 1 or any(hasattr(module, name) for module in part.modules() for name in RESIDUAL)


def _grouped(stages: list[list[nn.Module]]) -> list[list[nn.Module]]:
    """MobileNetV2's blocks stand one by one: a new stage begins where shape or expansion change."""
    if any(len(stage) > 1 for stage in stages):
        return stages
    found: list[list[nn.Module]] = []
    for block in chain.from_iterable(stages):
        now = _block(block)
        before = _block(found[-1][-1]) if found else None
        same = before and now.stride == 1 and (now.cin, now.out) == (before.out, before.out)
        if same and before and now.shape == before.shape:
            found[-1].append(block)
        else:
            found.append([block])
    return found


@dataclass(frozen=True)
class _Block:
    block: str
    kernel: int
    stride: int
    expansion: int
    cin: int
    out: int
    squeeze: int
    residual: bool

    @property
    def shape(self) -> tuple[Any, ...]:
        """What all layers of a stage have in common."""
        return self.block, self.kernel, self.expansion, self.out


def _block(module: nn.Module) -> _Block:
    """By its convolutions; those of squeeze-and-excitation have biases. Raises Unreadable."""
    convs, name = _convs(module), type(module).__name__
    body = [conv for conv in convs if conv.bias is None]
    squeeze = [conv.out_channels for conv in convs if conv.bias is not None][:1] or [0]
    for conv in body:
        _check_conv(conv, name)
    if not body:
        raise Unreadable(f"{name} has no convolution without bias")
    cin, out = body[0].in_channels, body[-1].out_channels
    depthwise = [conv for conv in body if conv.groups == conv.in_channels > 1]
    wide = body[0].out_channels
    if len(body) == 3 and depthwise == [body[1]] and body[0].kernel_size == (1, 1):
        kind, spatial, inner = "mbconv", body[1], wide
    elif len(body) == 2 and depthwise == [body[0]]:
        kind, spatial, inner = "separable" if _ends_active(module) else "mbconv", body[0], cin
    elif len(body) == 2 and not depthwise:
        kind, spatial, inner = "fused_mbconv", body[0], wide
    elif len(body) == 1 and not depthwise:
        kind, spatial, inner = "fused_mbconv", body[0], cin
    else:
        raise Unreadable(f"{name} is not MBConv, Fused-MBConv or a depthwise separable block")
    if inner % cin:
        raise Unreadable(f"{name}: expanded width {inner} is not a multiple of {cin}")
    if any(conv.kernel_size != (1, 1) or conv.groups > 1 for conv in body if conv is not spatial):
        raise Unreadable(f"{name} has a pointwise convolution that is none")
    residual = any(getattr(module, attribute, False) for attribute in RESIDUAL)
    return _Block(kind, spatial.kernel_size[0], spatial.stride[0], inner // cin, cin, out, squeeze[0], residual)


def _stage(blocks: Sequence[_Block], width: int, place: str) -> Stage:
    first, *others = blocks
    if first.cin != width:
        raise Unreadable(f"{place} takes {first.cin} channels, {width} come in")
    for other in others:
        if other.shape != first.shape or other.stride != 1:
            raise Unreadable(f"{place}: its layers differ in more than stride")
    can = [block for block in blocks if block.stride == 1 and block.cin == block.out]
    if first.block == "separable":
        skip = True
        if any(block.residual for block in can):
            raise Unreadable(f"{place}: depthwise separable blocks with residual connections")
    else:
        skip = any(block.residual for block in can) or not can
        if any(block.residual != skip for block in can):
            raise Unreadable(f"{place}: some layers have residual connections, some do not")
    stage = Stage(first.block, first.kernel, first.stride, first.expansion, first.out, len(blocks), skip=skip)
    return _with_se(stage, width, [block.squeeze for block in blocks], place)


def _with_se(stage: Stage, width: int, squeezes: Sequence[int], place: str) -> Stage:
    if not any(squeezes):
        return stage
    widths = [width] + [stage.channels] * (stage.layers - 1)
    exact = [squeeze / cin for squeeze, cin in zip(squeezes, widths, strict=True)]
    for ratio in (*RATIOS, *exact, *(one + 1e-9 for one in exact)):
        if 0 < ratio <= 1:
            candidate = replace(stage, se_ratio=ratio)
            if [candidate.squeeze(cin) for cin in widths] == list(squeezes):
                return candidate
    raise Unreadable(f"{place}: squeeze widths {sorted(set(squeezes))} are no one share of the input widths")


def _convs(module: nn.Module) -> list[nn.Conv2d]:
    return [one for one in module.modules() if isinstance(one, nn.Conv2d)]


def _check_conv(conv: nn.Conv2d, place: str) -> None:
    square = conv.kernel_size[0] == conv.kernel_size[1] and conv.stride[0] == conv.stride[1]
    if not square or conv.dilation != (1, 1):
        raise Unreadable(f"{place}: a convolution of kernel {conv.kernel_size} and dilation {conv.dilation}")


def _is_same(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and type(module).__name__ in ("Conv2dSame", "ConvSame")


def _activation(model: nn.Module) -> str:
    names = {type(module).__name__ for module in model.modules()}
    found = {ACTIVATIONS[name] for name in names if name in ACTIVATIONS}
    if len(found) != 1:
        raise Unreadable(f"activations: {', '.join(sorted(found)) or 'none'}; an Arch has one of them")
    return found.pop()


def _ends_active(module: nn.Module) -> bool:
    """Whether an activation comes last, as in MobileNetV1's depthwise separable blocks."""
    if hasattr(module, "has_pw_act"):  # timm
        return bool(module.has_pw_act)
    leaves = [
        leaf for leaf in module.modules() if not list(leaf.children()) and "Stochastic" not in type(leaf).__name__
    ]
    return type(leaves[-1]).__name__ in ACTIVATIONS
