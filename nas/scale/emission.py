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
from search_spaces import Arch, UserError, cost
from search_spaces.compound import PAPER, Coefficients
from studies import runfolder
from studies.objectives import COUNTED
from studies.scaling_record import Member, Scaling, network

if TYPE_CHECKING:
    from nas.scale.results import Found
    from nas.scale.study import Design

Emitted = tuple[list[Member], dict[str, Arch]]


def check(base: Base, settings: Settings) -> None:
    """Raises UserError where it can be seen before anything is trained that a member of the family cannot be."""
    limits = settings.constraints
    if limits:
        family.check_base(base.arch, _fits(base, settings) or family.counted_limits(limits, base.classes))
    if not settings.studied:
        _family(base, settings.counted, settings.given or PAPER)
        return
    least = cost.count(base.arch, base.classes).macs
    for target in settings.targets:
        if target < least:
            raise UserError(f"--target-macs: {target:g} is less than the base's {least:,}")
    family.growth_of(base, PAPER, settings)


def emitted(base: Base, settings: Settings, made: Design | None, folder: Path, about: Mapping[str, Any]) -> Scaling:
    """The record; the family's networks are in their files then. A study whose family cannot be is recorded without;
    without a study that raises UserError."""
    found: Found | None = None
    coefficients: Coefficients | None = settings.given or PAPER
    if made:
        from nas.scale.results import found_so_far

        found = found_so_far(made, folder)
        coefficients = found.best
    members, archs, notes = list[Member](), dict[str, Arch](), list[str]()
    if coefficients:
        notes += _of_growth(coefficients, settings)
        try:
            members, archs = _family(base, settings, coefficients)
        except UserError as error:
            if not made:
                raise
            notes.append(f"no family: {error}; the same run resumed with other flags for the family gives one")
        _write(folder, members, archs)
    if made and found:
        from nas.scale.study import doubts

        notes += [*found.notes, *doubts(made, found.best)]
        members = _predicted(members, found)
    official = settings.coefficients == PUBLISHED
    growth = family.growth_of(base, coefficients, settings) if coefficients else None
    return Scaling(
        created=about["created"],
        command=about["command"],
        environment=about["environment"],
        base_name=base.name,
        base_from=base.found,
        base=network(base.arch, base.classes),
        classes=base.classes,
        coefficients=coefficients.triple if coefficients else None,
        source="study" if made else PUBLISHED if official else "given",
        rounding=family.rounding_of(base.arch) if official else settings.rounding,
        max_resolution=settings.max_resolution,
        later=settings.later,
        family=tuple(members),
        implied=family.implied(base, growth) if growth else (),
        study=found.study if found else None,
        rules=found.rules if found else (),
        notes=tuple(notes),
    )


def _predicted(members: list[Member], found: Found) -> list[Member]:
    """With the top-1 of the study's network at as many times its base's cost."""
    if found.best is None:
        return members
    from nas.scale.results import of_compound

    shares, rules = found.best.shares, of_compound(found.rules)
    return [replace(one, predicted=found.predicted(shares, one.counted, rules)) for one in members]


def _fits(base: Base, settings: Settings) -> family.Fits | None:
    """Of all limits where one of them is measured."""
    if all(limit.metric in COUNTED for limit in settings.constraints):
        return None
    from nas.scale.measuring import limits_of

    return limits_of(settings.constraints, base.classes)


def _family(base: Base, settings: Settings, coefficients: Coefficients) -> Emitted:
    if settings.coefficients == PUBLISHED:
        members, archs = family.published(base, settings.phis)
    else:
        growth = family.growth_of(base, coefficients, settings)
        members = family.emit(base, growth, settings, _fits(base, settings))
        archs = {member.name: growth.at(member.phi) for member in members}
    if settings.measure:
        from nas.scale.measuring import latency

        members = [replace(one, latency=asdict(latency(archs[one.name], base.classes))) for one in members]
    return members, archs


def _write(folder: Path, members: list[Member], archs: Mapping[str, Arch]) -> None:
    """``family/b1.json``, ...: each loads as ``--base`` and wherever a network's file does."""
    (folder / runfolder.FAMILY).mkdir(exist_ok=True)
    for path in (folder / runfolder.FAMILY).glob("*.json"):
        if path.stem not in archs:
            path.unlink()
    for one in members:
        counted = asdict(one.network)
        rest = {name: value for name, value in asdict(one).items() if name not in ("name", "network")}
        content = {"name": one.name, **counted, **rest, "arch": archs[one.name].to_dict()}
        runfolder.write_text(folder / runfolder.FAMILY / f"{one.name}.json", json.dumps(content, indent=1) + "\n")


def _of_growth(coefficients: Coefficients, settings: Settings) -> list[str]:
    if settings.coefficients == PUBLISHED or abs(coefficients.growth - 2) <= Settings.tolerance:
        return []
    return [
        f"warning: coefficients {coefficients} multiply MACs by {coefficients.growth:.3g} with each step of phi, but "
        "for rounding, not by about 2 as in the paper"
    ]
