"""From an Arch to a torch module.

Where torchvision has the network, the module's state-dict keys are torchvision's, its pretrained weights load with
``strict=True``, and outputs and initialisation are equal (tests/test_torchvision.py).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torchvision.models import DenseNet

from search_spaces.arch import Arch
from search_spaces.blocks import Maker, MobileBlock, PreActBottleneck, ResidualBlock, flat
from search_spaces.errors import UserError


def build_model(
    arch: Arch,
    num_classes: int = 1000,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    zero_init_residual: bool = False,
) -> nn.Module:
    """The network, freshly initialised; it maps images (N, 3, H, W) to logits (N, num_classes) for any H and W.
    Raises UserError where ``arch`` is of the layout ``densenet`` and not as torchvision's can be.

    dropout: before the classifier. drop_path: the rate that stochastic depth rises to; block i of N drops with
    drop_path * i / N, counting blocks without a skip too (arXiv 1905.11946 code). zero_init_residual: residual branches
    start at zero (arXiv 1706.02677, section 5.1), which deep and narrow networks need to learn in a few hundred steps.
    """
    if arch.layout == "densenet":
        return _densenet(arch, num_classes, dropout)
    network = ResNet if arch.layout in ("resnet", "resnet_v2") else MobileNetwork
    model = network(arch, num_classes, dropout, drop_path)
    _initialise(model, arch.layout)
    if zero_init_residual:
        for block in model.modules():
            if isinstance(block, (MobileBlock, ResidualBlock)) and block.last_norm is not None:
                nn.init.zeros_(block.last_norm.weight)
    return model


class _Blocks:
    """Hands out a network's blocks stage by stage with the right widths, strides and drop-path rates."""

    def __init__(self, arch: Arch, drop_path: float) -> None:
        self.arch, self.make, self.rate = arch, Maker(arch), drop_path
        self.total = sum(stage.layers for stage in arch.stages)
        self.done, self.channels = 0, arch.stem_channels

    def stage(self, index: int) -> list[nn.Module]:
        stage, blocks = self.arch.stages[index], []
        for layer in range(stage.layers):
            stride = stage.stride if layer == 0 else 1
            blocks.append(self._block(index, stride, self.rate * self.done / self.total))
            self.done, self.channels = self.done + 1, stage.channels
        return blocks

    def _block(self, index: int, stride: int, drop_path: float) -> nn.Module:
        stage = self.arch.stages[index]
        if stage.block in ("basic", "bottleneck"):
            return ResidualBlock(self.make, stage, self.channels, stride, drop_path)
        if stage.block == "preact_bottleneck":
            return PreActBottleneck(self.make, stage, self.channels, stride, drop_path)
        return MobileBlock(self.make, stage, self.channels, stride, drop_path, self.arch.layout)


class MobileNetwork(nn.Module):
    """EfficientNet, EfficientNetV2, MobileNet and MnasNet: stem, stages of mobile blocks, 1x1 head, classifier."""

    def __init__(self, arch: Arch, num_classes: int, dropout: float, drop_path: float) -> None:
        super().__init__()
        blocks = _Blocks(arch, drop_path)
        make = blocks.make
        parts: list[nn.Module] = [make.conv(3, arch.stem_channels, arch.stem_kernel, arch.stem_stride)]
        if arch.stem_pool:
            parts.append(nn.MaxPool2d(3, 2, 1))
        for index in range(len(arch.stages)):
            stage = blocks.stage(index)
            if arch.layout == "mobilenet_v2" or (arch.layout == "mnasnet" and index == 0 and _is_bare(stage)):
                parts += stage
            else:
                parts.append(nn.Sequential(*stage))
        if arch.head_channels:
            parts.append(make.conv(blocks.channels, arch.head_channels))
        if arch.layout == "mnasnet":  # torchvision writes stem, first block and head out flat
            parts = [layer for part in parts for layer in (part.layers if isinstance(part, MobileBlock) else [part])]
            self.layers = nn.Sequential(*flat(parts))
        else:
            self.features = nn.Sequential(*parts)
        self.body = "layers" if arch.layout == "mnasnet" else "features"
        self.avgpool = nn.Identity() if arch.layout == "mnasnet" else nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout, inplace=True), nn.Linear(arch.head_channels or blocks.channels, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = getattr(self, self.body)(x)
        x = x.mean([2, 3]) if self.body == "layers" else torch.flatten(self.avgpool(x), 1)
        logits: Tensor = self.classifier(x)
        return logits


def _is_bare(stage: list[nn.Module]) -> bool:
    """One block without expansion and residual, which torchvision's MNASNet writes out flat as a separable conv."""
    block = stage[0]
    return len(stage) == 1 and isinstance(block, MobileBlock) and not block.residual and len(block.layers) == 5


class ResNet(nn.Module):
    """ResNet, ResNeXt and SE-ResNet; with pre-activation blocks the norm after the stem moves behind the last block."""

    def __init__(self, arch: Arch, num_classes: int, dropout: float, drop_path: float) -> None:
        super().__init__()
        blocks = _Blocks(arch, drop_path)
        make, pre = blocks.make, arch.layout == "resnet_v2"
        kernel, width = arch.stem_kernel, arch.stem_channels
        self.conv1 = nn.Conv2d(3, width, kernel, arch.stem_stride, kernel // 2, bias=False)
        self.bn1 = nn.Identity() if pre else make.norm(width)
        self.relu = nn.Identity() if pre else make.activation(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if arch.stem_pool else nn.Identity()
        self.stages = [f"layer{index + 1}" for index in range(len(arch.stages))]
        for index, name in enumerate(self.stages):
            self.add_module(name, nn.Sequential(*blocks.stage(index)))
        self.norm = nn.Sequential(make.norm(blocks.channels), make.activation(inplace=True)) if pre else nn.Identity()
        self.head = make.conv(blocks.channels, arch.head_channels) if arch.head_channels else nn.Identity()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(arch.head_channels or blocks.channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name in self.stages:
            x = getattr(self, name)(x)
        x = self.avgpool(self.head(self.norm(x)))
        logits: Tensor = self.fc(self.dropout(torch.flatten(x, 1)))
        return logits


def _densenet(arch: Arch, num_classes: int, dropout: float) -> nn.Module:
    first = arch.stages[0]
    shape = {(stage.channels, stage.expansion, stage.kernel) for stage in arch.stages}
    strides = [stage.stride for stage in arch.stages]
    if len(shape) > 1 or first.kernel != 3 or strides != [1] + [2] * (len(strides) - 1):
        raise UserError("stages: a densenet needs kernel 3, one growth rate and expansion, and strides 1, 2, 2, ...")
    if not arch.stem_pool or (arch.stem_kernel, arch.stem_stride, arch.head_channels) != (7, 2, 0):
        raise UserError("stem: a densenet needs stem_kernel 7, stem_stride 2, stem_pool and no head")
    if arch.activation != "relu":
        raise UserError(f"activation: {arch.activation!r} but a densenet takes only 'relu'")
    layers = tuple(stage.layers for stage in arch.stages)
    model = DenseNet(
        first.channels, layers, arch.stem_channels, bn_size=first.expansion, drop_rate=dropout, num_classes=num_classes
    )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = arch.norm_eps, arch.norm_momentum
    return model


def _initialise(model: nn.Module, layout: str) -> None:
    """torchvision's initialisation of each family; weights are drawn in the order of ``model.modules()``."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear) and layout not in ("resnet", "resnet_v2"):
            if layout == "mobilenet_v2":
                nn.init.normal_(module.weight, 0, 0.01)
            elif layout == "mnasnet":
                nn.init.kaiming_uniform_(module.weight, mode="fan_out", nonlinearity="sigmoid")
            else:
                bound = 1.0 / math.sqrt(module.out_features)
                nn.init.uniform_(module.weight, -bound, bound)
            nn.init.zeros_(module.bias)
