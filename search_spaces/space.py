"""Search spaces: which values each field of each stage may take, around a base network."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, Protocol

from search_spaces.arch import Arch, Stage
from search_spaces.errors import UserError

GENES = ("block", "kernel", "expansion", "se_ratio", "layers", "channels")


class Suggester(Protocol):
    """What ``SearchSpace.suggest`` needs of an Optuna trial."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of ``choices``."""


@dataclass(frozen=True)
class SearchSpace:
    """Every network that differs from ``base`` in the genes' values only.

    choices: for each stage the allowed values of each field in GENES; the base's own value where it is not searched.
    resolutions: allowed input sides in pixels. width: what the channels of the space's file were multiplied by.
    Made by ``search_spaces.space_file.load_space``; iterating yields every network (see ``size`` first).
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
        return math.prod(len(values) for values in self.parameters.values())

    @cached_property
    def parameters(self) -> Mapping[str, tuple[Any, ...]]:
        """The values of each gene that has a choice, by its name: ``s0.kernel``, ..., ``resolution``."""
        genes = {name: values for stage in self._genes for name, _, values in stage}
        return {name: values for name, values in (genes | {"resolution": self.resolutions}).items() if len(values) > 1}

    def to_dict(self) -> dict[str, Any]:
        """The space as a file holds it, with nothing left to look up; ``load_space`` reads it."""
        stages = {
            index: {gene: list(values) for gene, values in stage.items()} for index, stage in enumerate(self.choices)
        }
        about = {"name": self.name, "description": self.description, "base": self.base.to_dict()}
        return about | {"stages": stages, "resolution": list(self.resolutions), "width": self.width}

    def genes(self, arch: Arch) -> dict[str, Any]:
        """The network's value of each of ``parameters``, in their order."""
        found = {
            name: getattr(stage, gene)
            for stage, genes in zip(arch.stages, self._genes, strict=True)
            for name, gene, values in genes
            if len(values) > 1
        }
        return found | {"resolution": arch.resolution} if len(self.resolutions) > 1 else found

    def from_genes(self, genes: Mapping[str, Any]) -> Arch:
        """The network with these values, the inverse of ``genes``; a gene left out has its first value."""
        stages = tuple(
            self._stage(index, tuple([genes.get(name, values[0]) for name, _, values in stage]))
            for index, stage in enumerate(self._genes)
        )
        return replace(self.base, stages=stages, resolution=genes.get("resolution", self.resolutions[0]))

    def sample(self, rng: random.Random) -> Arch:
        """A network with every gene drawn uniformly and independently."""
        return self.from_genes({name: rng.choice(values) for name, values in self.parameters.items()})

    def suggest(self, trial: Suggester) -> Arch:
        """A network whose genes an Optuna trial proposes as categorical parameters; genes without a choice are not."""
        return self.from_genes(
            {name: trial.suggest_categorical(name, values) for name, values in self.parameters.items()}
        )

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """The network with one gene, drawn uniformly, changed to another of its values (arXiv 1802.01548).

        Raises UserError where ``arch`` is not in the space or the space holds only one network.
        """
        if not self.contains(arch):
            raise UserError(f"network: {arch.id} is not in space {self.name}")
        if not self.parameters:
            raise UserError(f"space: {self.name} holds one network, which cannot be mutated")
        genes, changed = self.genes(arch), rng.choice(list(self.parameters))
        other = rng.choice([value for value in self.parameters[changed] if value != genes[changed]])
        return self.from_genes(genes | {changed: other})

    def contains(self, arch: Arch) -> bool:
        """Whether the network can be had from the space: everything that is no gene equals the base."""
        if len(arch.stages) != len(self.choices):
            return False
        genes = self.genes(arch)
        return all(genes[name] in values for name, values in self.parameters.items()) and arch == self.from_genes(genes)

    def __iter__(self) -> Iterator[Arch]:
        """Every network, the last parameter changing fastest; see ``size`` first."""
        for values in product(*self.parameters.values()):
            yield self.from_genes(dict(zip(self.parameters, values, strict=True)))

    @cached_property
    def _genes(self) -> tuple[tuple[tuple[str, str, tuple[Any, ...]], ...], ...]:
        """For each stage its genes: name, field and values."""
        return tuple(
            tuple((f"s{index}.{gene}", gene, stage[gene]) for gene in GENES) for index, stage in enumerate(self.choices)
        )

    @cached_property
    def _built(self) -> dict[tuple[int, tuple[Any, ...]], Stage]:
        return {}

    def _stage(self, index: int, values: tuple[Any, ...]) -> Stage:
        """The stage with the values of GENES; kept, since a search asks for the same few over and over."""
        key = index, values
        if key not in self._built:
            self._built[key] = replace(self.base.stages[index], **dict(zip(GENES, values, strict=True)))
        return self._built[key]
