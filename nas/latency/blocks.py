"""The parts that a mobile network's latency is made of: stem, blocks and head, each as it can be timed alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from search_spaces import Arch, Stage, UserError, cost
from search_spaces.arch import MOBILE_BLOCKS
from search_spaces.cost import Cost

if TYPE_CHECKING:
    from torch import nn


class Block(NamedTuple):
    """All that decides a part's latency under one key; equal parts of different networks are one.

    block: a stage's; ``stem``, or ``stem_pool`` with the max pool; ``head``: what follows the last stage, whose number
        of classes is the same for a whole table (out 0: without its 1x1 convolution). side: of the input in pixels.
    squeeze: width of the squeeze-and-excitation; 0: none. skip: whether there is a residual connection.
    """

    block: str
    expansion: int
    kernel: int
    stride: int
    cin: int
    out: int
    side: int
    squeeze: int
    skip: bool
    activation: str
    padding: str

    def cost(self, classes: int) -> Cost:
        if self.block.startswith("stem"):
            return Cost(*cost.of_stem(self._arch)[:3])
        if self.block == "head":
            return Cost(*cost.of_head(self._arch, self.cin, self.side, classes))
        return Cost(*cost.of_stage(self._arch.stages[0], self.cin, self.side)[:3])

    def build(self, classes: int) -> nn.Module:
        """Freshly initialised; it takes (N, cin, side, side)."""
        from torch import nn

        from search_spaces.build import MobileNetwork, build_model

        model = build_model(self._arch, classes)
        assert isinstance(model, MobileNetwork)
        stem = 2 if self._arch.stem_pool else 1
        if self.block.startswith("stem"):
            part: nn.Module = model.features[:stem]
        elif self.block == "head":
            part = nn.Sequential(*model.features[stem + 1 :], model.avgpool, nn.Flatten(), model.classifier)
        else:
            part = next(model.features[stem].children())
        return part

    @property
    def _arch(self) -> Arch:
        """The smallest network that has this part."""
        stem, head = self.block.startswith("stem"), self.block == "head"
        if stem or head:
            stage = Stage("mbconv", 1, 1, 1, self.out if stem else self.cin, 1)
        else:
            ratio = min(1.0, (self.squeeze + 0.5) / self.cin) if self.squeeze else 0.0  # whole again, rounded down
            stage = Stage(self.block, self.kernel, self.stride, self.expansion, self.out, 1, ratio, skip=self.skip)
        return Arch(
            stages=(stage,),
            stem_channels=self.out if stem else self.cin,
            head_channels=self.out if head else 0,
            resolution=self.side,
            stem_stride=self.stride if stem else 1,
            stem_kernel=self.kernel if stem else 1,
            stem_pool=self.block == "stem_pool",
            activation=self.activation,
            padding=self.padding,
        )


def blocks_of(arch: Arch) -> Iterator[Block]:
    """From stem to head, each as often as the network has it. Raises UserError on a block that is no mobile one."""
    how = arch.activation, arch.padding
    stem = "stem_pool" if arch.stem_pool else "stem"
    yield Block(stem, 1, arch.stem_kernel, arch.stem_stride, 3, arch.stem_channels, arch.resolution, 0, False, *how)
    channels, side = cost.of_stem(arch)[3:]
    for stage in arch.stages:
        if stage.block not in MOBILE_BLOCKS:
            raise UserError(f"block: {stage.block!r} has no latency table, allowed are {', '.join(MOBILE_BLOCKS)}")
        shape = stage.block, stage.expansion, stage.kernel
        for layer in range(stage.layers):
            stride, out = stage.stride if layer == 0 else 1, stage.channels
            skip = stage.is_residual(channels, stride)
            yield Block(*shape, stride, channels, out, side, stage.squeeze(channels), skip, *how)
            channels, side = out, -(-side // stride)
    yield Block("head", 1, 1, 1, channels, arch.head_channels, side, 0, False, *how)
