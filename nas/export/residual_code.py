"""ResNets to torchvision: its own builder where it has the network, else a page of code on ``torchvision.ops``."""

from __future__ import annotations

from nas.export import code
from nas.export.network import Network
from nas.export.target import stage_name
from search_spaces import Arch

WIDTHS = (64, 128, 256, 512)


def residual(network: Network) -> str:
    """The page of Python of a residual network: torchvision's ResNet where it can be, else blocks of its own."""
    why = beyond_resnet(network.arch)
    return _own(network, why) if why else _resnet(network)


def beyond_resnet(arch: Arch) -> str | None:
    """What torchvision's ResNet does not have, in words; None: it has the network."""
    fixed = {"layout": "resnet", "activation": "relu", "stem_channels": 64, "stem_kernel": 7, "stem_stride": 2}
    for name, value in {**fixed, "stem_pool": True, "head_channels": 0}.items():
        if getattr(arch, name) != value:
            return f"{name} is {getattr(arch, name)!r}, torchvision's ResNet has {value!r}"
    shape = [(s.block, s.groups, s.stride, s.channels) for s in arch.stages]
    first = arch.stages[0]
    per = 1 if first.block == "basic" else 4
    strides, widths = (1, 2, 2, 2), [width * per for width in WIDTHS]
    usual = [(first.block, first.groups, *pair) for pair in zip(strides, widths, strict=True)]
    if shape != usual or len({stage.expansion for stage in arch.stages}) > 1:
        return f"stages: torchvision's ResNet has four, of strides {strides} and widths {tuple(widths)}"
    for index, stage in enumerate(arch.stages):
        if stage.se_ratio:
            return f"{stage_name(index, arch)}: torchvision's ResNet has no squeeze-and-excitation"
        if stage.kernel != 3 or not stage.skip:
            return f"{stage_name(index, arch)}: torchvision's ResNet has kernel 3 and residual connections"
    return None


def _resnet(network: Network) -> str:
    first = network.arch.stages[0]
    # Inner width: int(planes * width_per_group / 64) * groups, with planes 64 in the first stage.
    inner = first.channels // first.expansion
    return code.generated(
        "torchvision_resnet",
        network,
        block="BasicBlock" if first.block == "basic" else "Bottleneck",
        layers=str([stage.layers for stage in network.arch.stages]),
        groups=str(first.groups),
        width=str(inner // first.groups),
        norm=code.norm(network.arch),
    )


def _own(network: Network, why: str) -> str:
    arch, lines = network.arch, []
    preact = arch.layout == "resnet_v2"
    for s in arch.stages:
        mid = 0 if s.block == "basic" else s.channels // s.expansion
        row = (s.channels, mid, s.layers, s.kernel, s.stride, s.groups, s.squeeze(s.channels))
        lines.append(f"    {code.literal(row)},")
    stem = [] if preact else ["NORM(width)", "ACTIVATION()"]
    pool = ["nn.MaxPool2d(3, 2, 1)"] if arch.stem_pool else []
    end = ["parts += [NORM(width), ACTIVATION()]"] if preact else []
    if head := arch.head_channels:
        end += [f"parts += [conv(width, {head}), NORM({head}), ACTIVATION()]", f"width = {head}"]
    return code.generated(
        "torchvision_residual",
        network,
        why=code.why("ResNet", why),
        stages="\n".join(lines),
        norm=code.norm(arch),
        activation=code.ACTIVATIONS[arch.activation],
        ops="StochasticDepth" if preact else "SqueezeExcitation, StochasticDepth",
        block_class=code.template("preact_block" if preact else "basic_block").rstrip(),
        stem_width=str(arch.stem_channels),
        stem_kernel=str(arch.stem_kernel),
        stem_stride=str(arch.stem_stride),
        stem_end="".join(f", {one}" for one in [*stem, *pool]),
        end="".join(f"\n        {line}" for line in end),
    )
