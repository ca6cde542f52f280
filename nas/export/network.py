"""What is exported: a network with its weights and how its images are prepared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from search_spaces import Arch, UserError, cost
from search_spaces.build import build_model

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Network:
    """weights: by the names of ``build_model``; None: freshly initialised. origin: where they come from.

    classes: names, in the order of the outputs; empty: unknown. mean, std: of each channel of images scaled to 0..1,
    which the weights expect to be subtracted and divided by.
    """

    name: str
    arch: Arch
    num_classes: int = 1000
    weights: Mapping[str, Tensor] | None = None
    origin: str = "freshly initialised"
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    @property
    def figures(self) -> cost.Cost:
        return cost.count(self.arch, self.num_classes)

    def model(self) -> nn.Module:
        """In eval mode. Raises UserError where the weights are of another network."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = build_model(self.arch, self.num_classes)
        if self.weights is not None:
            own = model.state_dict()
            for name in (*own, *self.weights):
                ours, theirs = own.get(name), self.weights.get(name)
                if ours is None or theirs is None:
                    if name.endswith("num_batches_tracked"):
                        continue
                    if name.endswith("running_mean") and name.replace("running_mean", "weight") in self.weights:
                        raise UserError(f"weights: {self.origin} were trained with group norm, which no target has")
                    lacks = "they lack" if theirs is None else "here is no"
                    raise UserError(f"weights: {self.origin} are of another network: {lacks} {name}")
                if ours.shape != theirs.shape:
                    shapes = f"{tuple(theirs.shape)}, here {tuple(ours.shape)}"
                    raise UserError(f"weights: {self.origin} are of another network: {name} is {shapes}")
            model.load_state_dict(dict(self.weights), strict=False)
        return model.eval()
