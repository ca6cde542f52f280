"""The catalogue of published networks, read from ``catalogue/*.yaml``; and ``load``, which takes a name or a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from search_spaces.arch import Arch
from search_spaces.errors import UserError, found_in, meant
from search_spaces.scaling import scale

CATALOGUE = Path(__file__).parent / "catalogue"


@dataclass(frozen=True)
class Published:
    """A network from the literature. ``top1``: percent on ImageNet as ``source`` gives it; None where it gives none.

    scaled: where it is another one scaled, that one's name as ``base`` and what ``scaling.scale`` was told.
    """

    name: str
    arch: Arch
    top1: float | None
    source: str
    scaled: Mapping[str, Any] = field(default_factory=dict)


@cache
def catalogue() -> Mapping[str, Published]:
    """Every published network by name, in the order of the files."""
    found: dict[str, Published] = {}
    for path in sorted(CATALOGUE.glob("*.yaml")):
        for name, entry in read_yaml(path).items():
            content = entry.get("arch", {})
            if "scaled" in entry:
                settings = {**entry["scaled"]}
                base = scale(found[settings.pop("base")].arch, **settings)
                content = base.to_dict() | content
            arch, scaled = Arch.from_dict(content), entry.get("scaled", {})
            found[name] = Published(name, arch, entry.get("top1"), entry["source"], scaled)
    return found


def load(name_or_path: str | Path) -> Arch:
    """A published network by its name (``search_spaces list``), or one from a ``.json`` or ``.yaml`` file.

    The file holds an Arch's mapping, or a mapping whose ``arch`` is one (as ``show --json`` and run folders write).
    Raises UserError that lists the names, or names the file and the field that is wrong.
    """
    name, path = str(name_or_path), Path(name_or_path)
    if name in catalogue():
        return catalogue()[name].arch
    if path.suffix not in (".json", ".yaml", ".yml"):
        hint = meant(name, catalogue(), "'python -m search_spaces list' shows what that holds")
        raise UserError(f"network: {name!r} is neither a .json or .yaml file nor in the catalogue; {hint}")
    data = read_yaml(path)
    if isinstance(data, list):  # show NAME --json > FILE.json
        if len(data) != 1:
            raise UserError(f"{path}: holds {len(data)} networks, one is needed")
        data = data[0]
    with found_in(path):
        return Arch.from_dict(data["arch"] if isinstance(data, dict) and "arch" in data else data)


def read_yaml(path: Path) -> Any:
    """The content of a YAML or JSON file. Raises UserError naming the file, and the line where it does not parse."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise UserError(f"{path}: cannot be read ({reason})") from None
    try:
        return json.loads(text) if path.suffix == ".json" else yaml.load(text, _Loader)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        raise UserError(f"{path}: not valid YAML ({place}{getattr(error, 'problem', error)})") from None


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
