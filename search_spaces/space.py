"""Search spaces: which values each field of each stage may take, around a base network; built-in ones are YAML."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from search_spaces.arch import Arch, Stage
from search_spaces.errors import UserError
from search_spaces.published import load, read_yaml
from search_spaces.scaling import round_width, scale

SPACES = Path(__file__).parent / "spaces"
GENES = ("block", "kernel", "expansion", "se_ratio", "layers", "channels")


class Suggester(Protocol):
    """What ``SearchSpace.suggest`` needs of an Optuna trial."""

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


@dataclass(frozen=True)
class SearchSpace:
    """Every network that differs from ``base`` in the genes' values only.

    choices: for each stage the allowed values of each field in GENES; the base's own value where it is not searched.
    resolutions: allowed input sides in pixels.
    """

    name: str
    description: str
    base: Arch
    choices: tuple[Mapping[str, tuple[Any, ...]], ...]
    resolutions: tuple[int, ...]

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
        return about | {"stages": stages, "resolution": list(self.resolutions)}

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


def builtin_spaces() -> list[str]:
    return sorted(path.stem for path in SPACES.glob("*.yaml"))


def load_space(name_or_path: str, width: float = 1.0, resolution: int | None = None) -> SearchSpace:
    """A built-in space by its name, or a user's own from a YAML file of the same form (see README).

    width: multiplies the base's channels (rounded to 8) before choices are made of them.
    resolution: replaces the space's resolutions.
    Raises UserError that names the space or the file with the field, its value and what is allowed.
    """
    path = SPACES / f"{name_or_path}.yaml"
    if name_or_path not in builtin_spaces():
        path = Path(name_or_path)
        if path.suffix not in (".yaml", ".yml"):
            known = ", ".join(builtin_spaces())
            raise UserError(f"space: {name_or_path!r} is neither a .yaml file nor one of {known}")
    try:
        return _parse(path.stem, read_yaml(path), width, resolution)
    except UserError as error:
        message = str(error)
        raise UserError(message if message.startswith(str(path)) else f"{path}: {message}") from None


def _parse(name: str, data: Any, width: float, resolution: int | None) -> SearchSpace:
    data = _mapping("space", data, ("name", "description", "base", "choices", "stages", "resolution"))
    base = scale(_base(data.get("base")), width=width)
    common = _mapping("choices", data.get("choices", {}), tuple(_READ))
    special = _mapping("stages", data.get("stages", {}), tuple(range(len(base.stages))))
    choices = []
    for index, stage in enumerate(base.stages):
        own = _mapping(f"stages.{index}", special.get(index, {}), tuple(_READ))
        choices.append(_stage_choices(index, stage, common, own))
        _check_together(base, index, choices[index])
    resolutions = _values("resolution", data.get("resolution", base.resolution))
    for value in (resolutions := (resolution,) if resolution else resolutions):
        replace(base, resolution=value)  # a bad value raises
    name, description = str(data.get("name", name)), str(data.get("description", ""))
    return SearchSpace(name, description, base, tuple(choices), resolutions)


def _base(given: Any) -> Arch:
    if given is None:
        raise UserError("base: missing, a network's name or its mapping is needed")
    try:
        base = Arch.from_dict(given) if isinstance(given, dict) else load(str(given))
    except UserError as error:
        raise UserError(f"base{'.' if isinstance(given, dict) else ': '}{error}") from None
    if base.layout == "densenet":
        raise UserError("base: a densenet is a baseline, which cannot be searched")
    return base


def _check_together(base: Arch, index: int, choices: Mapping[str, tuple[Any, ...]]) -> None:
    """Values that are right one by one may not go together, such as an se_ratio and a block that has none."""
    joint = ("block", "expansion", "se_ratio", "channels")
    for values in itertools.product(*(choices[gene] for gene in joint)):
        try:
            stage = replace(base.stages[index], **dict(zip(joint, values, strict=True)))
        except UserError as error:
            raise UserError(f"stages[{index}].{error}") from None
        replace(base, stages=(*base.stages[:index], stage))  # checks what the layout allows


def _stage_choices(index: int, stage: Stage, common: dict[str, Any], own: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {gene: (getattr(stage, gene),) for gene in GENES}
    for where, given in (("choices", common), (f"stages.{index}", own)):
        if twice := [key for key in given if [_READ[other][0] for other in given].count(_READ[key][0]) > 1]:
            raise UserError(f"{where}: {' and '.join(twice)} both set the stage's {_READ[twice[0]][0]}, give one")
        for key, values in given.items():
            gene, read = _READ[key]
            found[gene] = tuple(dict.fromkeys(_read(f"{where}.{key}", stage, gene, read, values)))
    return found


def _read(where: str, stage: Stage, gene: str, read: Callable[[Stage, Any], Any], given: Any) -> list[Any]:
    values = []
    for value in _values(where, given):
        try:
            values.append(getattr(replace(stage, **{gene: read(stage, value)}), gene))
        except UserError as error:  # the stage's own check, which names the gene
            raise UserError(f"{where}: {str(error).split(': ', 1)[-1]}") from None
        except (TypeError, ValueError, OverflowError):
            raise UserError(f"{where}: {value!r} is not a number") from None
    return values


def _added_layers(stage: Stage, value: Any) -> int:
    if not isinstance(value, int):
        raise UserError(f"layers_added: {value!r} is not an integer")
    return max(1, stage.layers + value)


def _scaled_layers(stage: Stage, value: Any) -> int:
    return max(1, round(stage.layers * _positive(value)))


def _scaled_channels(stage: Stage, value: Any) -> int:
    return stage.channels if value == 1 else round_width(stage.channels, _positive(value))


def _positive(value: Any) -> Any:
    if not value > 0:
        raise UserError(f"multiplier: {value!r} is not a positive number")
    return value


# How a space file's keys become genes; those that name no field of a stage are relative to the base network's stage.
_READ: dict[str, tuple[str, Callable[[Stage, Any], Any]]] = {
    "block": ("block", lambda stage, value: value),
    "kernel": ("kernel", lambda stage, value: value),
    "expansion": ("expansion", lambda stage, value: value),
    "se_ratio": ("se_ratio", lambda stage, value: value),
    "layers": ("layers", lambda stage, value: value),
    "layers_added": ("layers", _added_layers),
    "depth": ("layers", _scaled_layers),
    "channels": ("channels", lambda stage, value: value),
    "width": ("channels", _scaled_channels),
}


def _mapping(name: str, data: Any, allowed: tuple[Any, ...]) -> dict[Any, Any]:
    if not isinstance(data, dict):
        raise UserError(f"{name}: {data!r} is not a mapping")
    for key in data:
        if key not in allowed:
            raise UserError(f"{name}: unknown field {key!r}, allowed are {', '.join(map(str, allowed))}")
    return data


def _values(name: str, given: Any) -> tuple[Any, ...]:
    values = tuple(given) if isinstance(given, list) else (given,)
    if not values:
        raise UserError(f"{name}: an empty list, at least one value is needed")
    return values
