"""To torchvision: its own builders where they have the network, else a page of code on ``torchvision.ops``."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from nas.export import code
from nas.export.network import Network
from nas.export.residual_code import residual
from nas.export.target import (
    CODE,
    WEIGHTS,
    Loaded,
    Target,
    run_code,
    save_in_order,
    stage_name,
    torch_loaded,
    unknown_block,
)
from search_spaces import Arch
from search_spaces.arch import MOBILE_LAYOUTS

MOBILE = ("mbconv", "fused_mbconv", "separable")  # blocks that templates/torchvision_mobile.txt has
CONFIGS = {"mbconv": "MBConvConfig", "fused_mbconv": "FusedMBConvConfig"}
CONV_SAME = '''class ConvSame(nn.Conv2d):
    """TensorFlow's SAME padding: at even sizes with stride 2 the odd pixel goes bottom and right."""

    def forward(self, x):
        pads = []
        for axis in (1, 0):  # F.pad takes the last axis first
            size, kernel, stride = x.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, None, self.stride, groups=self.groups)


'''


class Torchvision(Target):
    """A page of Python that needs torch and torchvision only, and weights."""

    packages, tolerance, batches = ("torch", "torchvision"), 1e-5, (1, 2)

    def obstacle(self, arch: Arch) -> str | None:
        return unknown_block(arch, MOBILE) if arch.layout in MOBILE_LAYOUTS else None

    def write(self, network: Network, model: nn.Module, folder: Path) -> None:
        text = _source(network)
        (folder / CODE).write_text(text, encoding="utf-8")
        save_in_order(model, folder)

    def load(self, network: Network, folder: Path) -> Loaded:
        return torch_loaded(run_code(folder).build(folder / WEIGHTS), network.arch.resolution)


def _source(network: Network) -> str:
    layout = network.arch.layout
    if layout in ("resnet", "resnet_v2"):
        return residual(network)
    if layout == "densenet":
        return _densenet(network)
    why = beyond_efficientnet(network.arch)
    return _mobile(network, why) if why else _efficientnet(network)


def beyond_efficientnet(arch: Arch) -> str | None:
    """Why torchvision's EfficientNet cannot express the network (torchvision/models/efficientnet.py): its configs have
    no field for it, or round it."""
    fixed = {"layout": "efficientnet", "activation": "silu", "padding": "symmetric", "stem_stride": 2, "stem_kernel": 3}
    for name, value in {**fixed, "stem_pool": False}.items():
        if getattr(arch, name) != value:
            return f"{name} is {getattr(arch, name)!r}"
    if not arch.head_channels:
        return "head_channels is 0"
    width = arch.stem_channels
    for index, stage in enumerate(arch.stages):
        squeezes = [stage.squeeze(width), stage.squeeze(stage.channels)][: stage.layers]
        quarter = [max(1, width // 4), max(1, stage.channels // 4)][: stage.layers]
        why = None
        if stage.block not in CONFIGS:
            why = f"block {stage.block!r}"
        elif stage.block == "mbconv" and squeezes != quarter:
            why = f"squeeze width {squeezes[0]} where it has {quarter[0]}, a quarter of the input's"
        elif stage.block == "fused_mbconv" and stage.se_ratio:
            why = "Fused-MBConv with squeeze-and-excitation"
        elif not stage.skip:
            why = "no residual connections"
        elif width % 8 or stage.channels % 8:
            why = f"width {width if width % 8 else stage.channels}, which it would round to a multiple of 8"
        if why:
            return f"{stage_name(index, arch)}: {why}"
        width = stage.channels
    return None


def _efficientnet(network: Network) -> str:
    arch, stages, width = network.arch, [], network.arch.stem_channels
    for stage in arch.stages:
        numbers = (stage.expansion, stage.kernel, stage.stride, width, stage.channels, stage.layers)
        stages.append(f"        {code.call(CONFIGS[stage.block], *numbers)},")
        width = stage.channels
    imports = ["EfficientNet", *sorted({CONFIGS[stage.block] for stage in arch.stages})]
    return code.generated(
        "torchvision_efficientnet",
        network,
        imports=", ".join(imports),
        stages="\n".join(stages),
        norm=code.norm(arch),
        head=str(arch.head_channels),
    )


def rows(arch: Arch) -> str:
    """A line of literals for each stage of mobile blocks: what ``Stage`` has, with squeeze widths for the SE ratio."""
    lines, width = [], arch.stem_channels
    for s in arch.stages:
        squeezes = s.squeeze(width), s.squeeze(s.channels)
        row = (s.block, s.kernel, s.stride, s.expansion, s.channels, s.layers, *squeezes, s.skip)
        lines.append(f"    {code.literal(row)},")
        width = s.channels
    return "\n".join(lines)


def _mobile(network: Network, why: str) -> str:
    arch = network.arch
    same = arch.padding == "same"
    padding = "" if same else ", kernel // 2"
    groups = "groups=groups, bias=False"
    head = f"\n        parts.append(conv(width, {arch.head_channels}))\n        width = {arch.head_channels}"
    return code.generated(
        "torchvision_mobile",
        network,
        why=code.why("EfficientNet", why),
        functional="\nimport torch.nn.functional as F" if same else "",
        stages=rows(arch),
        norm=code.norm(arch),
        activation=code.ACTIVATIONS[arch.activation],
        conv_class=CONV_SAME if same else "",
        conv=f"{'ConvSame' if same else 'nn.Conv2d'}(cin, cout, kernel, stride{padding}, {groups})",
        stem_width=str(arch.stem_channels),
        stem_kernel=str(arch.stem_kernel),
        stem_stride=str(arch.stem_stride),
        stem_pool=", nn.MaxPool2d(3, 2, 1)" if arch.stem_pool else "",
        head=head if arch.head_channels else "",
    )


def _densenet(network: Network) -> str:
    arch, first = network.arch, network.arch.stages[0]
    return code.generated(
        "torchvision_densenet",
        network,
        growth=str(first.channels),
        layers=str(tuple(stage.layers for stage in arch.stages)),
        stem_width=str(arch.stem_channels),
        expansion=str(first.expansion),
        eps=repr(arch.norm_eps),
        momentum=repr(arch.norm_momentum),
    )
