"""Recipes: ways of training as named data, each a YAML file of fields of ``train``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from search_spaces import UserError
from search_spaces.errors import meant
from search_spaces.published import read_yaml

NAMES = ("short", "v1", "v2", "finetune")


def applied(data: Mapping[str, Any], fields: Sequence[str]) -> Mapping[str, Any]:
    """A spec's mapping whose ``train`` has all that its recipe says, but for what it says itself.

    fields: of ``train``; where all are given there is nothing to look up, as in the spec.yaml of a run. Raises
    UserError for an unknown recipe or field.
    """
    train = data.get("train") or {}
    if "recipe" not in train or set(fields) <= train.keys():
        return data
    recipe = load(train["recipe"])
    for name in recipe:
        if name not in fields or name == "recipe":
            hint = meant(name, fields[1:], f"allowed are {', '.join(fields[1:])}")
            raise UserError(f"{train['recipe']}: {name}: unknown field, {hint}")
    return {**data, "train": recipe | train}


def load(name: object) -> dict[str, Any]:
    """The fields of a recipe by its name, or of a file."""
    if name in NAMES:
        file = resources.files("studies") / "recipes" / f"{name}.yaml"
        return read_yaml(Path(str(file))) or {}
    if not (isinstance(name, str) and name.endswith((".yaml", ".yml"))):
        raise UserError(f"train.recipe: {name!r} is none of {', '.join(NAMES)}, nor a .yaml file")
    found = read_yaml(Path(name).expanduser())
    if not isinstance(found, dict):
        raise UserError(f"train.recipe: {name} does not hold a mapping of fields of train")
    return found
