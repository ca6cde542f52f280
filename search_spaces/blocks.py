"""The torch modules of every block, on ``torchvision.ops`` and with torchvision's module layout and names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation, StochasticDepth
from torchvision.ops.misc import ConvNormActivation

from search_spaces.arch import Arch, Stage

_ACTIVATIONS = {"silu": nn.SiLU, "relu": nn.ReLU, "relu6": nn.ReLU6, "hardswish": nn.Hardswish}


class Conv2dSame(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: at even sizes with stride 2 the odd pixel goes bottom and right."""

    def forward(self, input: Tensor) -> Tensor:
        pads: list[int] = []
        for axis in (1, 0):  # F.pad takes the last axis first
            size, kernel, stride = input.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(input, pads), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class ConvNorm(ConvNormActivation):
    """torchvision's Conv2dNormActivation with a choice of convolution class."""


class Maker:
    """Makes the layers of one network: its norm, activation and padding settings applied."""

    def __init__(self, arch: Arch) -> None:
        self.norm = partial(nn.BatchNorm2d, eps=arch.norm_eps, momentum=arch.norm_momentum)
        self.activation = _ACTIVATIONS[arch.activation]
        self._conv = nn.Conv2d if arch.padding == "symmetric" else Conv2dSame

    def conv(self, cin: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: bool = True) -> ConvNorm:
        """Convolution, norm and (with ``act``) activation."""
        activation = self.activation if act else None
        return ConvNorm(
            cin,
            out,
            kernel,
            stride,
            groups=groups,
            norm_layer=self.norm,
            activation_layer=activation,
            conv_layer=self._conv,
        )

    def squeeze_excitation(self, channels: int, squeeze: int) -> SqueezeExcitation:
        """On ``channels``, squeezed to ``squeeze``, with torchvision's sigmoid gate."""
        return SqueezeExcitation(channels, squeeze, activation=partial(self.activation, inplace=True))


def _mbconv(make: Maker, stage: Stage, cin: int, stride: int) -> list[nn.Module]:
    mid = cin * stage.expansion
    layers: list[nn.Module] = [make.conv(cin, mid)] if mid != cin else []
    layers.append(make.conv(mid, mid, stage.kernel, stride, groups=mid))
    if stage.se_ratio:
        layers.append(make.squeeze_excitation(mid, stage.squeeze(cin)))
    return [*layers, make.conv(mid, stage.channels, act=False)]


def _fused_mbconv(make: Maker, stage: Stage, cin: int, stride: int) -> list[nn.Module]:
    """Without expansion one k x k convolution, with SE (if any) before it, as in google/automl's FusedMBConvBlock."""
    mid = cin * stage.expansion
    se = [make.squeeze_excitation(mid, stage.squeeze(cin))] if stage.se_ratio else []
    if mid == cin:
        return [*se, make.conv(cin, stage.channels, stage.kernel, stride)]
    return [make.conv(cin, mid, stage.kernel, stride), *se, make.conv(mid, stage.channels, act=False)]


def _separable(make: Maker, stage: Stage, cin: int, stride: int) -> list[nn.Module]:
    return [make.conv(cin, cin, stage.kernel, stride, groups=cin), make.conv(cin, stage.channels)]


_LAYERS: dict[str, Callable[[Maker, Stage, int, int], list[nn.Module]]] = {
    "mbconv": _mbconv,
    "fused_mbconv": _fused_mbconv,
    "separable": _separable,
}


class MobileBlock(nn.Module):
    """MBConv, Fused-MBConv or depthwise separable block: ``x + drop_path(body(x))`` where shapes allow and skip is on.

    ``layout`` names the body as torchvision does: nested under ``block`` (EfficientNet), under ``conv`` with the last
    convolution unpacked (MobileNetV2), or under ``layers`` with all of them unpacked (MnasNet).
    """

    def __init__(self, make: Maker, stage: Stage, cin: int, stride: int, drop_path: float, layout: str) -> None:
        super().__init__()
        parts = _LAYERS[stage.block](make, stage, cin, stride)
        if layout == "mobilenet_v2":
            self.conv = nn.Sequential(*parts[:-1], *parts[-1].children())
        elif layout == "mnasnet":
            self.layers = nn.Sequential(*flat(parts))
        else:
            self.block = nn.Sequential(*parts)
        self.body = {"mobilenet_v2": "conv", "mnasnet": "layers"}.get(layout, "block")
        self.residual = stage.is_residual(cin, stride)
        self.stochastic_depth = StochasticDepth(drop_path, "row")

    @property
    def last_norm(self) -> nn.BatchNorm2d | None:
        """The norm that ends the residual branch; None without a residual, or where a ReLU follows (Fused-MBConv
        without expansion): at zero that would pass no gradient, ever."""
        layers = list(getattr(self, self.body).modules())
        if not self.residual or isinstance(layers[-1], (nn.ReLU, nn.ReLU6)):
            return None
        return [layer for layer in layers if isinstance(layer, nn.BatchNorm2d)][-1]

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = getattr(self, self.body)(x)
        return x + self.stochastic_depth(y) if self.residual else y


def flat(parts: list[nn.Module]) -> list[nn.Module]:
    """The parts with every ConvNorm replaced by its layers."""
    return [layer for part in parts for layer in (part.children() if isinstance(part, ConvNorm) else [part])]


def _plain_conv(cin: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(cin, out, kernel, stride, kernel // 2, groups=groups, bias=False)


class ResidualBlock(nn.Module):
    """ResNet's basic block or bottleneck (arXiv 1512.03385, stride on the k x k convolution), with optional SE."""

    def __init__(self, make: Maker, stage: Stage, cin: int, stride: int, drop_path: float) -> None:
        super().__init__()
        out, mid = stage.channels, stage.channels // stage.expansion
        widths = [(cin, out), (out, out)] if stage.block == "basic" else [(cin, mid), (mid, mid), (mid, out)]
        spatial = {1: stride, 2: 1} if stage.block == "basic" else {2: stride}
        for index, (a, b) in enumerate(widths, start=1):
            kernel = stage.kernel if index in spatial else 1
            groups = stage.groups if index in spatial else 1
            self.add_module(f"conv{index}", _plain_conv(a, b, kernel, spatial.get(index, 1), groups))
            self.add_module(f"bn{index}", make.norm(b))
        self.depth = len(widths)
        self.relu = make.activation(inplace=True)
        self.se = make.squeeze_excitation(out, stage.squeeze(cin)) if stage.se_ratio else nn.Identity()
        needs_projection = stride > 1 or cin != out
        self.downsample = nn.Sequential(_plain_conv(cin, out, 1, stride), make.norm(out)) if needs_projection else None
        self.stochastic_depth = StochasticDepth(drop_path, "row")

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The norm that ends the residual branch."""
        norm: nn.BatchNorm2d = getattr(self, f"bn{self.depth}")
        return norm

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for index in range(1, self.depth + 1):
            y = getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(y))
            if index < self.depth:
                y = self.relu(y)
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.stochastic_depth(self.se(y)) + shortcut)


class PreActBottleneck(nn.Module):
    """Bottleneck with norm and activation before each convolution (arXiv 1603.05027)."""

    def __init__(self, make: Maker, stage: Stage, cin: int, stride: int, drop_path: float) -> None:
        super().__init__()
        out, mid = stage.channels, stage.channels // stage.expansion
        self.norm1, self.conv1 = make.norm(cin), _plain_conv(cin, mid)
        self.norm2, self.conv2 = make.norm(mid), _plain_conv(mid, mid, stage.kernel, stride)
        self.norm3, self.conv3 = make.norm(mid), _plain_conv(mid, out)
        self.relu = make.activation(inplace=True)
        self.downsample = _plain_conv(cin, out, 1, stride) if stride > 1 or cin != out else None
        self.stochastic_depth = StochasticDepth(drop_path, "row")

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(x))
        shortcut = x if self.downsample is None else self.downsample(y)
        y = self.conv2(self.relu(self.norm2(self.conv1(y))))
        y = self.conv3(self.relu(self.norm3(y)))
        return self.stochastic_depth(y) + shortcut
