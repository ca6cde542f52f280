"""What a scaling run leaves: the family's files and the record of everything that was found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.scale import family
from nas.scale.base import Base
from nas.scale.settings import PUBLISHED, Settings
from search_spaces import Arch
from search_spaces.compound import COMPOUND, PAPER, Coefficients
from studies import runfolder
from studies.objectives import COUNTED
from studies.scaling_record import Member, Ruled, Scaling, network

if TYPE_CHECKING:
    from nas.scale.study import Design

FAMILY = "family"
Emitted = tuple[list[Member], dict[str, Arch]]


def check(base: Base, settings: Settings) -> None:
    """Raises UserError where it can be seen before anything is made that a member of the family cannot be."""
    if not settings.studied:
        counted = tuple(str(limit) for limit in settings.constraints if limit.metric in COUNTED)
        _family(base, replace(settings, limits=counted, measure=False), settings.given or PAPER)


def emitted(base: Base, settings: Settings, made: Design | None, folder: Path, about: Mapping[str, Any]) -> Scaling:
    """The record; the family's networks are in their files then. Raises UserError where a target or a limit cannot be
    met."""
    found, notes = None, list[str]()
    rules: tuple[Ruled, ...] = ()
    coefficients: Coefficients | None = settings.given or PAPER
    if made:
        from nas.scale.results import found_so_far, ruled
        from nas.scale.results import notes as of_study

        found, notes = found_so_far(made, folder), of_study(made)
        rules, coefficients = ruled(made, found, folder), found.best
    members: list[Member] = []
    if coefficients:
        members, archs = _family(base, settings, coefficients)
        if found:
            mine = [rule for rule in rules if rule.rule == COMPOUND]
            shares = coefficients.shares
            members = [replace(one, predicted=found.predicted(shares, one.counted, mine)) for one in members]
        _write(folder, members, archs)
        notes = [*_of_growth(coefficients, settings), *notes]
    growth = family.growth_of(base, coefficients, settings) if coefficients else None
    return Scaling(
        created=about["created"],
        command=about["command"],
        environment=about["environment"],
        base_name=base.name,
        base_from=base.found,
        base=network(base.arch, family.CLASSES),
        classes=family.CLASSES,
        coefficients=(coefficients.alpha, coefficients.beta, coefficients.gamma) if coefficients else None,
        source="study" if made else PUBLISHED if settings.coefficients == PUBLISHED else "given",
        rounding=settings.rounding,
        max_resolution=settings.max_resolution,
        later=settings.later,
        family=tuple(members),
        implied=family.implied(base, growth) if growth else (),
        study=found.study if found else None,
        rules=rules,
        notes=tuple(notes),
    )


def _family(base: Base, settings: Settings, coefficients: Coefficients) -> Emitted:
    if settings.coefficients == PUBLISHED:
        members, archs = family.published(base, settings.phis)
    else:
        growth = family.growth_of(base, coefficients, settings)
        fits = None
        if any(limit.metric not in COUNTED for limit in settings.constraints):
            from nas.scale.measuring import limits_of

            fits = limits_of(settings.constraints)
        members = family.emit(base, growth, settings, fits)
        archs = {member.name: growth.at(member.phi) for member in members}
    if settings.measure:
        from nas.scale.measuring import latency

        members = [replace(one, latency=asdict(latency(archs[one.name]))) for one in members]
    return members, archs


def _write(folder: Path, members: list[Member], archs: Mapping[str, Arch]) -> None:
    """``family/b1.json``, ...: each loads as ``--base`` and wherever a network's file does."""
    (folder / FAMILY).mkdir(exist_ok=True)
    for path in (folder / FAMILY).glob("*.json"):
        if path.stem not in archs:
            path.unlink()
    for one in members:
        counted = asdict(one.network)
        rest = {name: value for name, value in asdict(one).items() if name not in ("name", "network")}
        content = {"name": one.name, **counted, **rest, "arch": archs[one.name].to_dict()}
        runfolder.write_text(folder / FAMILY / f"{one.name}.json", json.dumps(content, indent=1) + "\n")


def _of_growth(coefficients: Coefficients, settings: Settings) -> list[str]:
    if settings.coefficients == PUBLISHED or abs(coefficients.growth - 2) <= settings.tolerance:
        return []
    return [
        f"warning: coefficients {coefficients} multiply MACs by {coefficients.growth:.3g} with each step of phi, but "
        "for rounding, not by about 2 as in the paper"
    ]
