"""What a fidelity study found, as a value and as ``fidelity.json``; and the copies by which searches find it.

A search finds the study one of whose proxies is what it does itself: the same space, data and training (``key_of``).
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from search_spaces.space import SearchSpace
from studies.fidelity import Agreement, Spread
from studies.home import cache_root
from studies.runfolder import write_text
from studies.spec import DataSpec, Spec
from studies.train_spec import TrainSpec

FIDELITY = "fidelity.json"
SCHEMA = 1
COMMAND = "python -m nas.fidelity"
UNKNOWN_TO_KEY = ("name", "description", "width")  # of a space: what changes no network
DECIDES_NOTHING = ("cache_gb", "recipe")  # of data: where images lie; of training: the name of what the others say


@dataclass(frozen=True)
class Network:
    """Costs at the long training's resolution and width."""

    id: str
    text: str
    resolution: int
    params: int
    macs: int


@dataclass(frozen=True)
class Failure:
    """A training without a figure. status: ``failed``, or ``running`` where it has not ended."""

    network: str
    seed: int
    status: str
    reason: str


@dataclass(frozen=True)
class Training:
    """All networks trained in one way. top1: percent by network and seed, None: no figure. seconds: of training one
    network, mean; None: unknown. spread: None with a single seed."""

    epochs: int
    resolution: int
    width: float
    share: float
    seeds: tuple[int, ...]
    top1: tuple[tuple[float | None, ...], ...]
    seconds: float | None
    missing: tuple[Failure, ...]
    spread: Spread | None


@dataclass(frozen=True)
class Proxy:
    """A cheaper training. key: of the searches that train so. command: how a search is told to. cost: share of the long
    training's seconds, of the networks that both trained."""

    name: str
    key: str
    command: str
    training: Training
    agreement: Agreement
    cost: float | None


@dataclass(frozen=True)
class Study:
    """One study. proxies: the first is the search's own setting. chosen: the name of the cheapest proxy whose tau is
    at least ``threshold``, None: there is none. complete: no training is still to be made. own: in a search's folder,
    the name of the proxy that is its training."""

    created: str
    command: str
    space: dict[str, Any]
    data: dict[str, Any]
    train: dict[str, Any]
    environment: dict[str, Any]
    networks: tuple[Network, ...]
    long: Training
    ceiling: Agreement
    by_cost: dict[str, Agreement]
    proxies: tuple[Proxy, ...]
    threshold: float
    top: int
    chosen: str | None
    complete: bool
    own: str | None = None
    schema: int = SCHEMA

    def proxy(self, name: str | None) -> Proxy | None:
        """The proxy of this name, if there is one."""
        return next((proxy for proxy in self.proxies if proxy.name == name), None)

    def to_json(self) -> str:
        """The text of ``fidelity.json``."""
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"


def cheapest(proxies: Sequence[Proxy], threshold: float) -> Proxy | None:
    """The one of least cost whose tau is ``threshold`` or more."""
    good = [proxy for proxy in proxies if (tau := proxy.agreement.tau) and tau.value >= threshold]
    return min(good, key=lambda proxy: float("inf") if proxy.cost is None else proxy.cost, default=None)


def read(path: Path) -> Study | None:
    """None where there is no study, or one of another schema or damaged, which no search can use."""
    from pydantic import TypeAdapter, ValidationError

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(Study).validate_python(data) if data["schema"] == SCHEMA else None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def key_of(space: SearchSpace, spec: Spec) -> str:
    """Equal for searches whose networks, images and training are the same; names, seeds and devices do not enter."""
    content = {name: value for name, value in space.to_dict().items() if name not in UNKNOWN_TO_KEY}
    data = asdict(spec.data) | {"source": _anywhere(spec.data.source), "resolution": None}  # the space holds it
    whole = {"space": content, "data": _deciding(data), "train": _deciding(asdict(spec.train))}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def publish(study: Study) -> list[Path]:
    """Where searches look: a copy for each proxy. Raises OSError where they cannot be written."""
    paths = [_path(proxy.key) for proxy in study.proxies]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, study.to_json())
    return paths


def carry(run_dir: Path, space: SearchSpace, spec: Spec) -> Study | None:
    """What is known of the training of a search, from now on in its folder; what lies there already stays."""
    if known := read(run_dir / FIDELITY):
        return known
    key = key_of(space, spec)
    study = read(_path(key))
    own = study and next((proxy for proxy in study.proxies if proxy.key == key), None)
    if not study or not own:
        return None
    study = replace(study, own=own.name)
    write_text(run_dir / FIDELITY, study.to_json())
    return study


def flags(spec: Mapping[str, Any]) -> str:
    """The command-line flags for what decides a search's figures, where it differs from the defaults; ``spec``: the
    mapping of a ``Spec``."""
    named = {
        "space": {"name": "--space", "width": "--width"},
        "data": {"source": "--data", "resolution": "--resolution"},
        "train": {"epochs": "--epochs"},
    }
    parts: list[str] = []
    usual = {"space": {"name": None, "width": 1.0}, "data": _of(DataSpec), "train": _of(TrainSpec)}
    for section, defaults in usual.items():
        given = spec.get(section)
        for field, default in defaults.items():
            value = given.get(field) if isinstance(given, Mapping) else None
            if value is not None and value != default and field not in DECIDES_NOTHING:
                flag = named[section].get(field)
                parts += [flag, str(value)] if flag else ["--set", f"{section}.{field}={_plain(value)}"]
    return shlex.join(parts)


def _of(section: type) -> dict[str, Any]:
    return {field.name: field.default for field in fields(section) if field.default is not MISSING}


def _deciding(section: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in section.items() if name not in DECIDES_NOTHING}


def _plain(value: Any) -> str:
    """As YAML reads it."""
    return json.dumps(value) if isinstance(value, (bool, list, tuple)) else str(value)


def _anywhere(source: str) -> str:
    """The source with a path in it made absolute: another folder of the same name holds other images."""
    name, colon, argument = source.partition(":")
    path = Path(argument).expanduser()
    return f"{name}:{path.resolve()}" if colon and path.exists() else source


def _path(key: str) -> Path:
    return cache_root() / "fidelity" / f"{key}.json"
