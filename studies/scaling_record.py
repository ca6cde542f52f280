"""What a scaling run found, as a value and as ``scaling.json``: the family, and where coefficients were studied, the
grid, the surface fitted to it and the rules compared. Accuracies are top-1 in percent on the study's validation images.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search_spaces import Arch, UserError, cost
from search_spaces.compound import Triple

SCALING = "scaling.json"
SCHEMA = 1
Seeds = tuple[float | None, ...]
"""Top-1 of a network by seed; None: no figure (yet)."""


@dataclass(frozen=True)
class Network:
    """Costs are counted with as many classes as the whole record says."""

    id: str
    text: str
    resolution: int
    params: int
    macs: int
    activations: int


def network(arch: Arch, num_classes: int) -> Network:
    """The record of a network, counted with ``num_classes``."""
    return Network(arch.id, arch.text, arch.resolution, *cost.count(arch, num_classes))


@dataclass(frozen=True)
class Interval:
    """low, high: ends of the 95% interval; None: too little to tell."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Point:
    """A point of the grid, or several that round to one network (each is in the record). phi: the effective one, at
    which its network's counted MACs are nearest to twice the base's. excess: MACs over that, less 1. shares: of depth,
    width and resolution in the growth of the network as it was rounded. fitted: of the surface there. like_best: the
    data cannot tell it from the best."""

    coefficients: Triple
    phi: float
    network: Network
    excess: float
    shares: Triple
    top1: Seeds
    fitted: float | None = None
    like_best: bool = False


@dataclass(frozen=True)
class Place:
    """A point of a regular mesh over the constraint surface. shares: of depth, width and resolution in the growth
    (their sum is 1). inside: of the 95% region of the best."""

    shares: Triple
    coefficients: Triple
    fitted: float
    inside: bool


@dataclass(frozen=True)
class Surface:
    """The response surface: top-1 quadratic in log alpha and log beta where alpha * beta^2 * gamma^2 = 2, over the
    directions that the networks have as they were rounded.

    best: of it, with ``top1`` as fitted there. low, high: of each coefficient in the 95% region. region_share: of the
    constraint surface that is in the region. seed_std: of one seed, in points, ``None`` with a single seed. rest_std:
    of what the surface leaves of the points' means, in points. flat_p: the p-value of a surface without any shape.
    enough: whether the data tell directions from each other; ``verdict`` says it in a sentence or two.
    """

    best: Triple
    top1: Interval
    low: Triple
    high: Triple
    region_share: float
    seed_std: float | None
    rest_std: float
    flat_p: float
    enough: bool
    verdict: str
    mesh: tuple[Place, ...]


@dataclass(frozen=True)
class Study:
    """base: the network that the study scales, maybe narrower and for smaller images than that of the family; proxy:
    how it differs, in words, empty where it does not. rounding: of its networks. missing: trainings, of the rules too,
    that have ended without a figure. complete: no training is still to be made."""

    base: Network
    base_top1: Seeds
    proxy: str
    classes: int
    seeds: tuple[int, ...]
    grid_step: float
    tolerance: float
    rounding: str
    points: tuple[Point, ...]
    surface: Surface | None
    data: dict[str, Any]
    train: dict[str, Any]
    missing: int
    complete: bool


@dataclass(frozen=True)
class Ruled:
    """A rule's network at a multiple of the study base's counted MACs. rule: ``compound``, ``depth``, ``width``,
    ``resolution``, ``dWr``, or pycls's notation. phi: the effective one of the direction whose growth is 2. shares: as
    of a Point. top1: of seeds that the grid was not trained with. predicted: of their mean, from the grid alone; None
    where it has no surface."""

    rule: str
    coefficients: Triple
    multiple: float
    phi: float
    network: Network
    excess: float
    shares: Triple
    top1: Seeds
    predicted: Interval | None = None


@dataclass(frozen=True)
class Member:
    """A network of the family. name: ``b1``. depth, width, resolution: its multipliers. promised: what these would
    multiply the base's MACs by without rounding; counted: what they do. targets: MACs that were asked for; nearest:
    those of the two networks next to a target that is missed. limits: constraints by which its phi was chosen.
    predicted: top-1 of the study's network at as many times its base's cost. published_top1: percent on ImageNet.
    dropout, drop_path: to train it with. latency: of nas.latency, measured here.
    """

    name: str
    phi: float
    depth: float
    width: float
    resolution: float
    network: Network
    promised: float
    counted: float
    dropout: float
    drop_path: float
    targets: tuple[float, ...] = ()
    nearest: tuple[int, ...] = ()
    limits: tuple[str, ...] = ()
    predicted: Interval | None = None
    published_top1: float | None = None
    latency: dict[str, Any] | None = None


@dataclass(frozen=True)
class Implied:
    """A published network of the base's family, with the phi that each of its multipliers implies for ``coefficients``
    of the record; beside it what the formula gives at ``index``. resolution: in pixels."""

    name: str
    index: int
    depth: float
    width: float
    resolution: int
    phi_depth: float | None
    phi_width: float | None
    phi_resolution: float | None
    macs: int
    formula_depth: float
    formula_width: float
    formula_resolution: int
    formula_macs: int


@dataclass(frozen=True)
class Scaling:
    """base: of the family. base_from: where it was found, in words. source: ``study``, ``given`` or ``published``:
    where ``coefficients`` are from (None: not yet). rounding: with max_resolution and later as in
    search_spaces.compound. implied: empty where the base has no published family. notes: what a reader must know, a
    sentence each."""

    created: str
    command: str
    environment: dict[str, Any]
    base_name: str
    base_from: str
    base: Network
    classes: int
    coefficients: Triple | None
    source: str
    rounding: str
    max_resolution: int | None
    later: bool
    family: tuple[Member, ...]
    implied: tuple[Implied, ...] = ()
    study: Study | None = None
    rules: tuple[Ruled, ...] = ()
    notes: tuple[str, ...] = ()
    schema: int = SCHEMA

    def to_json(self) -> str:
        """The text of ``scaling.json``."""
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"


def read(path: Path) -> Scaling:
    """Raises UserError where the file holds no record of this version."""
    from pydantic import TypeAdapter, ValidationError

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise UserError(f"{path}: schema {data['schema']!r} is not {SCHEMA}, the version that this program reads")
        return TypeAdapter(Scaling).validate_python(data)
    except (OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        reason = "damaged" if isinstance(error, ValidationError) else str(error)
        raise UserError(f"{path}: holds no scaling run ({reason})") from None


def known(top1: Sequence[float | None]) -> list[float]:
    """The figures that there are."""
    return [value for value in top1 if value is not None]
