"""Search spaces: which values each field of each stage may take, around a base network."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from search_spaces.arch import Arch
from search_spaces.errors import UserError

GENES = ("block", "kernel", "expansion", "se_ratio", "layers", "channels")


class Suggester(Protocol):
    """What ``SearchSpace.suggest`` needs of an Optuna trial."""

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


@dataclass(frozen=True)
class SearchSpace:
    """Every network that differs from ``base`` in the genes' values only.

    choices: for each stage the allowed values of each field in GENES; the base's own value where it is not searched.
    resolutions: allowed input sides in pixels. width: what the channels of the space's file were multiplied by.
    """

    name: str
    description: str
    base: Arch
    choices: tuple[Mapping[str, tuple[Any, ...]], ...]
    resolutions: tuple[int, ...]
    width: float = 1.0

    @property
    def size(self) -> int:
        """How many networks the space holds (different genes; some may compute the same function)."""
        return len(self.resolutions) * math.prod(len(values) for stage in self.choices for values in stage.values())

    def to_dict(self) -> dict[str, Any]:
        """The space as a file holds it, with nothing left to look up; ``load_space`` reads it."""
        stages = {
            index: {gene: list(values) for gene, values in stage.items()} for index, stage in enumerate(self.choices)
        }
        about = {"name": self.name, "description": self.description, "base": self.base.to_dict()}
        return about | {"stages": stages, "resolution": list(self.resolutions), "width": self.width}

    def sample(self, rng: random.Random) -> Arch:
        """A network with every gene drawn uniformly and independently."""
        return self._decide(lambda name, values: rng.choice(values))

    def suggest(self, trial: Suggester) -> Arch:
        """A network whose genes an Optuna trial proposes as categorical parameters; genes without a choice are not."""
        return self._decide(lambda name, values: trial.suggest_categorical(name, values))

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """The network with one gene, drawn uniformly, changed to another of its values (arXiv 1802.01548).

        Raises UserError where ``arch`` is not in the space or the space holds only one network.
        """
        if not self.contains(arch):
            raise UserError(f"network: {arch.id} is not in space {self.name}")
        names = [f"s{i}.{gene}" for i, stage in enumerate(self.choices) for gene in GENES if len(stage[gene]) > 1]
        names += ["resolution"] if len(self.resolutions) > 1 else []
        if not names:
            raise UserError(f"space: {self.name} holds one network, which cannot be mutated")
        changed, genes = rng.choice(names), self._genes(arch)

        def pick(name: str, values: tuple[Any, ...]) -> Any:
            return rng.choice([v for v in values if v != genes[name]]) if name == changed else genes[name]

        return self._decide(pick)

    def contains(self, arch: Arch) -> bool:
        """Whether the network can be had from the space: everything that is no gene equals the base."""
        if len(arch.stages) != len(self.choices) or arch.resolution not in self.resolutions:
            return False
        genes = self._genes(arch)
        values = {f"s{i}.{gene}": stage[gene] for i, stage in enumerate(self.choices) for gene in GENES}
        return all(genes[name] in values[name] for name in values) and arch == self._decide(lambda n, v: genes[n])

    def _decide(self, pick: Callable[[str, tuple[Any, ...]], Any]) -> Arch:
        def one(name: str, values: tuple[Any, ...]) -> Any:
            return values[0] if len(values) == 1 else pick(name, values)

        stages = tuple(
            replace(base, **{gene: one(f"s{index}.{gene}", values[gene]) for gene in GENES})
            for index, (base, values) in enumerate(zip(self.base.stages, self.choices, strict=True))
        )
        return replace(self.base, stages=stages, resolution=one("resolution", self.resolutions))

    @staticmethod
    def _genes(arch: Arch) -> dict[str, Any]:
        genes = {f"s{i}.{gene}": getattr(stage, gene) for i, stage in enumerate(arch.stages) for gene in GENES}
        return genes | {"resolution": arch.resolution}
