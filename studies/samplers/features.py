"""A network as numbers that a regression can use."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from search_spaces import Arch, cost
from search_spaces.space import SearchSpace

REFERENCE = 300  # random networks, always the same, by which features are standardised
COST_COLUMNS = {name: place - len(cost.Cost._fields) for place, name in enumerate(cost.Cost._fields)}


class Features:
    """Each gene as its value's place in the list of values, or one number per value where it is a name; and the
    logarithms of params, MACs and activations. All with mean 0 and standard deviation 1 over the space."""

    def __init__(self, space: SearchSpace, num_classes: int) -> None:
        self.space, self.num_classes = space, num_classes
        self._numbers = {name: _coded(values) for name, values in space.parameters.items()}
        rng = random.Random(0)
        reference = np.array([self._raw(space.sample(rng)) for _ in range(REFERENCE)])
        self._mean, scale = reference.mean(0), reference.std(0)
        self._scale = np.where(scale > 0, scale, 1.0)

    def row(self, arch: Arch) -> np.ndarray:
        return (np.array(self._raw(arch)) - self._mean) / self._scale

    def _raw(self, arch: Arch) -> list[float]:
        found: list[float] = []
        for name, value in self.space.genes(arch).items():
            found += self._numbers[name][value]
        return found + list(np.log(cost.count(arch, self.num_classes)))


def _coded(values: tuple[Any, ...]) -> dict[Any, list[float]]:
    if all(isinstance(value, (int, float)) for value in values):
        return {value: [float(place)] for place, value in enumerate(sorted(values))}
    return {value: [float(value == other) for other in values[1:]] for value in values}
