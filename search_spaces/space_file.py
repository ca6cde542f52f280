"""Spaces as YAML files: the built-in ones in ``spaces/``, and a user's own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from search_spaces.arch import Arch, Stage
from search_spaces.errors import UserError
from search_spaces.published import load, read_yaml
from search_spaces.scaling import round_width, scale
from search_spaces.space import GENES, SearchSpace

SPACES = Path(__file__).parent / "spaces"
WIDEST = 100.0  # times the channels


def builtin_spaces() -> list[str]:
    """The names that ``load_space`` knows, sorted."""
    return sorted(path.stem for path in SPACES.glob("*.yaml"))


def load_space(
    name_or_path: str, width: float | None = None, resolution: int | None = None, fallback: int | None = None
) -> SearchSpace:
    """A built-in space by its name, or a user's own from a YAML file of the same form (docs/spaces.md).

    width: multiplies all channels, rounded to 8, counted from 1; a file that names its ``width``, as a run's space.yaml
        does, is at that already. None: as the file is.
    resolution: replaces the file's; fallback: where the file names none, instead of the base network's.
    Raises UserError that names the space or the file with the field, its value and what is allowed.
    """
    if width is not None and not 0 < width <= WIDEST:
        raise UserError(f"width: {width!r} is not a number above 0 and at most {WIDEST:g}")
    path = SPACES / f"{name_or_path}.yaml"
    if name_or_path not in builtin_spaces():
        path = Path(name_or_path)
        if path.suffix not in (".yaml", ".yml"):
            known = ", ".join(builtin_spaces())
            raise UserError(f"space: {name_or_path!r} is neither a .yaml file nor one of {known}")
    try:
        return _parse(path.stem, read_yaml(path), width, resolution, fallback)
    except UserError as error:
        message = str(error)
        raise UserError(message if message.startswith(str(path)) else f"{path}: {message}") from None


def _parse(name: str, data: Any, width: float | None, resolution: int | None, fallback: int | None) -> SearchSpace:
    fields = ("name", "description", "base", "choices", "stages", "resolution", "width")
    data = _mapping("space", data, fields)
    applied = data.get("width", 1.0)
    if not isinstance(applied, (int, float)) or not 0 < applied < math.inf:
        raise UserError(f"width: {applied!r} is not a positive number")
    width = applied if width is None else width
    more = width / applied
    base = scale(_base(data.get("base")), width=more)
    common = _mapping("choices", data.get("choices", {}), tuple(_READ))
    special = _mapping("stages", data.get("stages", {}), tuple(range(len(base.stages))))
    choices = []
    for index, stage in enumerate(base.stages):
        own = _mapping(f"stages.{index}", special.get(index, {}), tuple(_READ))
        choices.append(_stage_choices(index, stage, _scaled(common, more), _scaled(own, more)))
        _check_together(base, index, choices[index])
    sides = resolution or data.get("resolution", fallback or base.resolution)
    sides = tuple(dict.fromkeys(_values("resolution", sides)))
    for value in sides:
        replace(base, resolution=value)  # a bad value raises
    name, description = str(data.get("name", name)), str(data.get("description", ""))
    return SearchSpace(name, description, base, tuple(choices), sides, width)


def _scaled(choices: dict[str, Any], width: float) -> dict[str, Any]:
    """The same choices with channels that are given outright multiplied too."""
    if width == 1 or "channels" not in choices:
        return choices
    return choices | {"channels": [round_width(c, width) for c in _values("channels", choices["channels"])]}


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
    return max(1, stage.layers + int(value))


def _scaled_layers(stage: Stage, value: Any) -> int:
    return max(1, round(stage.layers * _positive(value)))


def _scaled_channels(stage: Stage, value: Any) -> int:
    return stage.channels if value == 1 else round_width(stage.channels, _positive(value))


def _positive(value: Any) -> float:
    if not value > 0:
        raise UserError(f"multiplier: {value!r} is not a positive number")
    return float(value)


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
