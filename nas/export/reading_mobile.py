"""Reads EfficientNets, MobileNetV2, MnasNets and kin, of torchvision, timm and ours, into an Arch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from torch import nn

from nas.export.reading_parts import ACTIVATIONS, Unreadable, convs, settings, with_se
from search_spaces import Arch, Stage

RESIDUAL = ("has_skip", "use_res_connect", "apply_residual", "residual")  # what builders call it


def mobile(model: nn.Module, side: int) -> Arch | None:
    """None: it is of another family. Raises Unreadable."""
    parts = _parts(model)
    if parts is None:
        return None
    stem, stages, head, layout = parts
    conv = convs(stem)[0]
    _check_conv(conv, "stem")
    head_convs = convs(head)
    if len(head_convs) > 1 or any(one.kernel_size != (1, 1) for one in head_convs):
        raise Unreadable("its head is not one 1x1 convolution")
    found, width = [], conv.out_channels
    for index, blocks in enumerate(stages):
        stage = _stage([_block(block) for block in blocks], width, f"stage {index}", layout)
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
        padding="same" if any(_is_same(m) for m in model.modules()) else "symmetric",
        layout=layout,
        **settings(model),
    )


def _parts(model: Any) -> tuple[nn.Module, list[list[nn.Module]], nn.Module, str] | None:
    """Stem, the blocks of each stage, head, layout. timm: by its names; torchvision, and our builders: ``features``,
    of MnasNets ``layers``."""
    if all(hasattr(model, name) for name in ("conv_stem", "blocks", "conv_head")):
        stem, head = nn.Sequential(model.conv_stem), nn.Sequential(model.conv_head)
        return stem, [list(stage) for stage in model.blocks], head, "efficientnet"
    layers = getattr(model, "layers", None)
    flat = isinstance(layers, nn.Sequential) and isinstance(next(iter(layers), None), nn.Conv2d)
    features = layers if flat else getattr(model, "features", None)
    if not isinstance(features, nn.Sequential):
        return None
    parts = _unflattened(features) if flat else list(features)
    blocks = [index for index, part in enumerate(parts) if index and _is_stage(part)]
    if not blocks:
        raise Unreadable("it has no stages")
    first, last = blocks[0], blocks[-1]
    stages = [list(part) if isinstance(part, nn.Sequential) else [part] for part in parts[first : last + 1]]
    stem, head = nn.Sequential(*parts[:first]), nn.Sequential(*parts[last + 1 :])
    if flat:
        return stem, stages, head, "mnasnet"
    layout = "mobilenet_v2" if all(hasattr(block, "conv") for stage in stages for block in stage) else "efficientnet"
    return stem, _grouped(stages), head, layout


def _unflattened(layers: nn.Sequential) -> list[nn.Module]:
    """MnasNets have stem, first block and head written out: here as convolutions with what follows them, and the first
    block as a stage."""
    groups: list[list[nn.Module]] = []
    for layer in layers:
        if not groups or isinstance(layer, (nn.Conv2d, nn.Sequential, nn.MaxPool2d)):
            groups.append([])
        groups[-1].append(layer)
    parts: list[nn.Module] = []
    rest = iter(groups)
    for group in rest:
        if isinstance(group[0], nn.Conv2d) and group[0].groups > 1:  # depthwise, with the pointwise one behind it
            parts.append(nn.Sequential(nn.Sequential(*group, *next(rest, []))))
        else:
            parts += [nn.Sequential(*group)] if isinstance(group[0], nn.Conv2d) else group
    return parts


def _is_stage(part: nn.Module) -> bool:
    """A block, or several in a row; not a convolution with its norm and activation."""
    return len(convs(part)) > 1 or any(hasattr(module, name) for module in part.modules() for name in RESIDUAL)


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
    layers, name = convs(module), type(module).__name__
    body = [conv for conv in layers if conv.bias is None]
    squeeze = [conv.out_channels for conv in layers if conv.bias is not None][:1] or [0]
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


def _stage(blocks: Sequence[_Block], width: int, place: str, layout: str) -> Stage:
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
        skip = any(block.residual for block in can) or (not can and layout != "mnasnet")  # as the catalogue has it
        if any(block.residual != skip for block in can):
            raise Unreadable(f"{place}: some layers have residual connections, some do not")
    stage = Stage(first.block, first.kernel, first.stride, first.expansion, first.out, len(blocks), skip=skip)
    return with_se(stage, width, [block.squeeze for block in blocks], place)


def _check_conv(conv: nn.Conv2d, place: str) -> None:
    square = conv.kernel_size[0] == conv.kernel_size[1] and conv.stride[0] == conv.stride[1]
    if not square or conv.dilation != (1, 1):
        raise Unreadable(f"{place}: a convolution of kernel {conv.kernel_size} and dilation {conv.dilation}")


def _is_same(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and type(module).__name__ in ("Conv2dSame", "ConvSame")


def _ends_active(module: nn.Module) -> bool:
    """Whether an activation comes last, as in MobileNetV1's depthwise separable blocks."""
    if hasattr(module, "has_pw_act"):  # timm
        return bool(module.has_pw_act)
    leaves = [
        leaf for leaf in module.modules() if not list(leaf.children()) and "Stochastic" not in type(leaf).__name__
    ]
    return type(leaves[-1]).__name__ in ACTIVATIONS
