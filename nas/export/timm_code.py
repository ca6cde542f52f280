"""To timm: an ``arch_def`` and the keyword arguments of its EfficientNet (timm/models/_efficientnet_builder.py)."""

from __future__ import annotations

import math
from importlib.metadata import version
from pathlib import Path

from torch import nn

from nas.export import code
from nas.export.network import Network
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
from search_spaces.arch import MOBILE_LAYOUTS, Stage

BLOCKS = ("mbconv", "fused_mbconv", "separable")  # whose block strings mean the same to timm
SQUEEZE = '''

def squeeze(width):
    """Rounds squeeze widths down, where timm's default would round some of these up."""
    return max(1, int(width + 1e-6))
'''
BEFORE = '''

def add_squeezes(model):
    """timm's ConvBnAct, a Fused-MBConv without expansion, has no squeeze-and-excitation; here it comes before the
    convolution, as in google/automl. SQUEEZES: stage, then the squeeze width of its first layer and of the others."""
    for stage, first, others in SQUEEZES:
        for layer, block in enumerate(model.blocks[stage]):
            squeeze_excite = SqueezeExcite(
                block.conv.in_channels, rd_channels=others if layer else first, act_layer=nn.$activation
            )
            block.conv = nn.Sequential(squeeze_excite, block.conv)
'''


class Timm(Target):
    """A page of Python with an ``arch_def`` for timm's EfficientNet, and weights by timm's names."""

    packages, tolerance, batches = ("timm",), 1e-5, (1, 2)

    def obstacle(self, arch: Arch) -> str | None:
        if arch.layout not in MOBILE_LAYOUTS:
            return f"layout is {arch.layout!r}, timm's EfficientNet has {', '.join(MOBILE_LAYOUTS)}"
        if arch.stem_stride != 2:
            return f"stem_stride is {arch.stem_stride}, timm's EfficientNet has 2"
        if arch.stem_pool:
            return "stem_pool: timm's EfficientNet has no pooling after the stem"
        if unknown := unknown_block(arch, BLOCKS):
            return unknown
        width = arch.stem_channels
        for index, stage in enumerate(arch.stages):
            for cin in [width, stage.channels][: stage.layers]:
                if rounded := _rounded(stage, cin):
                    inner = cin * stage.expansion
                    return f"{stage_name(index, arch)}: expanded width {inner}, which timm rounds to {rounded}"
            width = stage.channels
        return None

    def write(self, network: Network, model: nn.Module, folder: Path) -> None:
        (folder / CODE).write_text(_source(network), encoding="utf-8")
        save_in_order(model, folder)

    def load(self, network: Network, folder: Path) -> Loaded:
        return torch_loaded(run_code(folder).build(folder / WEIGHTS), network.arch.resolution)


def _rounded(stage: Stage, cin: int) -> int | None:
    """The expanded width that timm makes of the stage's, where it differs: a multiple of 8, not below 90%
    (timm.layers.make_divisible)."""
    inner = cin * stage.expansion
    if stage.expansion == 1 or inner % 8 == 0:
        return None
    near = max(8, (inner + 4) // 8 * 8)
    return near + 8 if near < 0.9 * inner else near


def _source(network: Network) -> str:
    arch, rounds_up, before, width = network.arch, False, list[tuple[int, int, int]](), network.arch.stem_channels
    for index, stage in enumerate(arch.stages):
        widths = [width, stage.channels][: stage.layers]
        bare = stage.block == "fused_mbconv" and stage.expansion == 1
        if stage.se_ratio and bare:
            before.append((index, stage.squeeze(width), stage.squeeze(stage.channels)))
        elif stage.se_ratio:
            asked = [cin * stage.expansion * (stage.se_ratio / stage.expansion) for cin in widths]
            rounds_up |= [round(one) for one in asked] != [stage.squeeze(cin) for cin in widths]
        width = stage.channels
    functions = SQUEEZE if rounds_up else ""
    if before:
        functions += f"\n\nSQUEEZES = {code.literal(before)}\n" if rounds_up else f"SQUEEZES = {code.literal(before)}\n"
        functions += BEFORE.replace("$activation", code.ACTIVATIONS[arch.activation])
    return code.generated(
        "timm",
        network,
        version=version("timm"),
        stages="\n".join(f"    {code.literal([stage.text])}," for stage in arch.stages),
        functions=functions,
        head=str(arch.head_channels),
        stem_width=str(arch.stem_channels),
        stem_kernel=str(arch.stem_kernel),
        stride=str(max(32, arch.stem_stride * math.prod(stage.stride for stage in arch.stages))),
        padding=repr("same" if arch.padding == "same" else ""),
        activation=code.ACTIVATIONS[arch.activation],
        norm=code.norm(arch),
        squeeze="partial(SqueezeExcite, rd_round_fn=squeeze)" if rounds_up else "SqueezeExcite",
        after="\n    add_squeezes(model)" if before else "",
    )
