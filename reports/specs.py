"""What a report needs of a ``spec.yaml``, which may be of another version or edited since: a value, or a line that
names the file and the field; and how values are written for a reader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from search_spaces import UserError

T = TypeVar("T")
NAMES: Mapping[type, str] = {int: "an integer", str: "text", list: "a list", dict: "a mapping"}


def field(path: Path, spec: Any, name: str, kind: type[T], otherwise: T | None = None) -> T:
    """The value at a dotted ``name``. otherwise: where it is not there, or nothing; None: it is needed. Raises
    UserError where it is missing or no ``kind``."""
    *sections, last = name.split(".")
    for section in sections:
        spec = spec.get(section) if isinstance(spec, Mapping) else None
    value = spec.get(last) if isinstance(spec, Mapping) else None
    value = otherwise if value is None else value
    if value is None:
        raise UserError(f"{path}: {name}: missing, {NAMES[kind]} is needed")
    if type(value) is not kind:  # yes and no are no integers here
        raise UserError(f"{path}: {name}: {value!r} is not {NAMES[kind]}")
    return value


def texts(path: Path, spec: Any, name: str, otherwise: list[str] | None = None) -> list[str]:
    """The same of a list of texts."""
    found: list[Any] = field(path, spec, name, list, otherwise)
    for value in found:
        if not isinstance(value, str):
            raise UserError(f"{path}: {name}: {value!r} in it is not text")
    return found


def recorded(path: Path, spec: Any) -> None:
    """Raises UserError where a run's ``spec.yaml`` lacks what every command writes there first."""
    for name, kind in (("command", str), ("created", str), ("environment", dict)):
        field(path, spec, name, kind)


def plain(value: Any) -> str:
    """A value of a spec as a reader writes it: lists with commas, nothing as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and abs(value) >= 100_000:
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value) or "-"
    return str(value)
