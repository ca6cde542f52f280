"""Reads ResNets and kin, of torchvision, timm and ours, into an Arch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.export.reading_parts import Unreadable, check_layers, check_like, convs, plain_conv, settings, stem_of, with_se
from search_spaces import Arch, Stage


def residual(model: nn.Module, side: int) -> Arch | None:
    """None: it is of another family. Raises Unreadable."""
    stem, blocks, end = _parts(model)
    if not blocks:
        return None
    check_layers(model)
    stem_settings = stem_of(stem)
    stages, width = [], stem_settings["stem_channels"]
    for index, layers in enumerate(blocks):
        stages.append(_stage(layers, width, f"stage {index}"))
        width = stages[-1].channels
    heads = convs(nn.Sequential(*end))
    if len(heads) > 1:
        raise Unreadable(f"its head has {len(heads)} convolutions, an Arch's has one or none")
    for head in heads:
        check_like(head, plain_conv(width, head.out_channels), "head")
    layout = "resnet_v2" if stages[0].block == "preact_bottleneck" else "resnet"
    head_channels = heads[0].out_channels if heads else 0
    return Arch(
        tuple(stages), head_channels=head_channels, resolution=side, layout=layout, **stem_settings, **settings(model)
    )


def arrange(model: nn.Module) -> None:
    """Changes, in place and without changing what it computes, what timm's ResNetV2 has in another order or form than
    ours: blocks begin with their shortcut, and the classifier is a convolution of the pooled maps."""
    _, stages, end = _parts(model)
    for block in chain.from_iterable(stages):
        if block._modules.get("downsample") is not None:
            block._modules["downsample"] = block._modules.pop("downsample")
    for part in end if stages else []:
        for name, layer in list(part.named_children()):
            if isinstance(layer, nn.Conv2d) and layer.bias is not None and layer.kernel_size == (1, 1):
                linear = nn.Linear(layer.in_channels, layer.out_channels, device="meta")
                linear.weight = nn.Parameter(layer.weight.detach().flatten(1))
                linear.bias = nn.Parameter(layer.bias.detach())
                setattr(part, name, nn.Sequential(nn.Flatten(), linear))


def _parts(model: nn.Module) -> tuple[list[nn.Module], list[list[nn.Module]], list[nn.Module]]:
    """What comes before the blocks, the blocks of each stage, what comes behind them."""
    parts: list[nn.Module] = []
    for part in model.children():  # timm's ResNetV2 has its stages in one module
        inner = list(part.children())
        parts += inner if inner and all(_blocks(one) for one in inner) else [part]
    found = [index for index, part in enumerate(parts) if _blocks(part)]
    if not found:
        return parts, [], []
    first, last = found[0], found[-1]
    return parts[:first], [_blocks(part) for part in parts[first : last + 1]], parts[last + 1 :]


def _blocks(part: nn.Module) -> list[nn.Module]:
    """Of a stage; empty where it is none."""
    blocks = list(getattr(part, "blocks", part).children())
    return blocks if all(_is_block(block) for block in blocks) else []


def _is_block(module: nn.Module) -> bool:
    return isinstance(getattr(module, "conv1", None), nn.Conv2d) and hasattr(module, "downsample")


def _stage(blocks: Sequence[nn.Module], width: int, place: str) -> Stage:
    if not blocks:
        raise Unreadable(f"{place} is not a row of residual blocks")
    found, cin = [], width
    for block in blocks:
        found.append(_block(block, cin, place))
        cin = found[-1].channels
    first, *others = found
    if any(other != replace(first, stride=1) for other in others):
        raise Unreadable(f"{place}: its layers differ in more than the first one's stride")
    return replace(first, layers=len(found))


def _block(block: Any, cin: int, place: str) -> Stage:
    """A stage of this block alone. Raises Unreadable."""
    own = {name: layer for name, layer in block.named_children() if name != "downsample"}
    body = [layer for layer in own.values() if isinstance(layer, nn.Conv2d)]
    kind = {2: "basic", 3: "bottleneck"}.get(len(body))
    if kind is None:
        raise Unreadable(f"{place}: {type(block).__name__} has {len(body)} convolutions, not two or three")
    if isinstance(next(iter(own.values())), _BatchNorm):  # before the first convolution
        kind = f"preact_{kind}"
    if kind == "preact_basic":
        raise Unreadable(f"{place}: basic blocks with pre-activation, an Arch has bottlenecks only")
    spatial, mid, out = body[0 if kind == "basic" else 1], body[0].out_channels, body[-1].out_channels
    expansion, rest = (1, 0) if kind == "basic" else divmod(out, mid)
    if rest:
        raise Unreadable(f"{place}: bottlenecks of inner width {mid}, in an Arch it divides the stage's width, {out}")
    kernel, stride = spatial.kernel_size[0], spatial.stride[0]
    stage = Stage(kind, kernel, stride, expansion, out, 1, groups=spatial.groups)
    if kind == "basic":
        wanted = [plain_conv(cin, out, kernel, stride), plain_conv(out, out, kernel)]
    else:
        wanted = [plain_conv(cin, mid), plain_conv(mid, mid, kernel, stride, spatial.groups), plain_conv(mid, out)]
    for layer, like in zip(body, wanted, strict=True):
        check_like(layer, like, place)
    shortcut = convs(block.downsample) if block.downsample is not None else []
    if len(shortcut) != int(stride > 1 or cin != out):
        raise Unreadable(f"{place}: {len(shortcut)} convolutions in the shortcut from {cin} to {out} channels")
    for layer in shortcut:
        check_like(layer, plain_conv(cin, out, 1, stride), f"{place}, shortcut")
    return _with_se(stage, own, cin, place)


def _with_se(stage: Stage, layers: dict[str, nn.Module], cin: int, place: str) -> Stage:
    """By the layers of the block that are neither convolution nor norm: squeeze-and-excitation has two of the
    former."""
    found = [layer for part in layers.values() if not isinstance(part, nn.Conv2d) for layer in convs(part)]
    if not found:
        return stage
    if stage.block != "bottleneck":
        raise Unreadable(f"{place}: {stage.block} blocks with attention, an Arch has it in bottlenecks")
    if len(found) != 2 or any(layer.bias is None for layer in found):
        raise Unreadable(f"{place}: attention other than squeeze-and-excitation")
    return with_se(stage, cin, [found[0].out_channels], place)
