"""The family that coefficients give: a network for each phi, for each cost that is asked for, and the largest within
limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from nas.scale.base import Base
from nas.scale.settings import Settings
from search_spaces import Arch, UserError, cost
from search_spaces.compound import FURTHEST, Coefficients, Growth
from search_spaces.constraint import Constraint, violations
from search_spaces.published import Published, catalogue
from studies.objectives import COUNTED
from studies.scaling_record import Implied, Member, network

CLASSES = 1000  # of the family's costs, as in the literature
MISSED = 0.02  # share by which a cost that was asked for may be missed before the two next to it are named
FINE = 0.01  # phi, to which a measured limit is followed
# arXiv 1905.11946, section 5.2: dropout grows along the family from 0.2 to 0.5, in the official code in these steps,
# and drop path (stochastic depth) stays at 0.2. For other coefficients both grow along a line, drop path to 0.3.
OFFICIAL_DROPOUT = (0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.5)
DROPOUT, DROP_PATH, LAST_PHI = (0.2, 0.5), (0.2, 0.3), 7.0
Fits = Callable[[Arch], dict[str, float]]
"""By how much a network breaks each limit; empty where it keeps them all."""


def growth_of(base: Base, coefficients: Coefficients, settings: Settings) -> Growth:
    return Growth(base.arch, coefficients, settings.rounding, settings.max_resolution, settings.later)


def emit(base: Base, growth: Growth, settings: Settings, fits: Fits | None = None) -> list[Member]:
    """Ordered by cost. fits: of all limits, measured ones included, where there are any. Raises UserError where a
    target or a limit cannot be met."""
    members = [member(base, growth, phi) for phi in settings.phis]
    for target in settings.targets:
        below, above = growth.around(target)
        reached = growth.reach(target)
        far = abs(reached.macs / target - 1) > MISSED
        nearest = (below.macs, above.macs) if far else ()
        members.append(replace(member(base, growth, reached.phi), target=target, nearest=nearest))
    if settings.limits:
        phi = largest(growth, settings.constraints, fits)
        members.append(replace(member(base, growth, phi), limits=settings.limits))
    return sorted(members, key=lambda one: one.phi)


def member(base: Base, growth: Growth, phi: float) -> Member:
    arch, least = growth.at(phi), growth.macs(0)
    depth, width, _ = growth.coefficients.at(phi)
    share = min(1.0, phi / LAST_PHI)
    return Member(
        name=f"b{phi:g}",
        phi=phi,
        depth=depth,
        width=width,
        resolution=arch.resolution / base.arch.resolution,
        network=network(arch, CLASSES),
        formula=growth.coefficients.growth**phi,
        counted=cost.count(arch, CLASSES).macs / least,
        dropout=_between(DROPOUT, share),
        drop_path=_between(DROP_PATH, share),
    )


def published(base: Base, phis: Sequence[float]) -> tuple[list[Member], dict[str, Arch]]:
    """The official networks that are the base scaled, by their place in the family, and the networks by member. Raises
    UserError where the base has no such family or the family no such place."""
    family = published_family(base.name)
    if not family:
        known = sorted({str(one.scaled["base"]) for one in catalogue().values() if one.scaled})
        raise UserError(f"--coefficients: published, but {base.name} has no published family; {', '.join(known)} have")
    least, members, archs = cost.count(base.arch, CLASSES).macs, [], {}
    for phi in phis:
        if phi > len(family):
            raise UserError(f"--phi: {phi:g}, but the published family of {base.name} ends at {len(family)}")
        found = family[int(phi) - 1] if phi else catalogue()[base.name]
        depth, width = found.scaled.get("depth", 1.0), found.scaled.get("width", 1.0)
        counted = network(found.arch, CLASSES)
        resolution = found.arch.resolution / base.arch.resolution
        one = Member(
            name=f"b{phi:g}",
            phi=phi,
            depth=depth,
            width=width,
            resolution=resolution,
            network=counted,
            formula=depth * width**2 * resolution**2,
            counted=counted.macs / least,
            dropout=OFFICIAL_DROPOUT[int(phi)],
            drop_path=DROP_PATH[0],
            published_top1=found.top1,
        )
        members.append(one)
        archs[one.name] = found.arch
    return members, archs


def implied(base: Base, growth: Growth) -> tuple[Implied, ...]:
    """For each official network of the base's family, the phi that each of its multipliers implies."""
    found = []
    for index, official in enumerate(published_family(base.name), 1):
        arch, (depth, width, _) = growth.at(index), growth.coefficients.at(index)
        own = {name: float(official.scaled.get(name, 1.0)) for name in ("depth", "width")}
        ratio = official.arch.resolution / base.arch.resolution
        found.append(
            Implied(
                name=official.name,
                index=index,
                depth=own["depth"],
                width=own["width"],
                resolution=official.arch.resolution,
                phi_depth=_exponent(own["depth"], growth.coefficients.alpha),
                phi_width=_exponent(own["width"], growth.coefficients.beta),
                phi_resolution=_exponent(ratio, growth.coefficients.gamma),
                macs=cost.count(official.arch, CLASSES).macs,
                formula_depth=depth,
                formula_width=width,
                formula_resolution=arch.resolution,
                formula_macs=cost.count(arch, CLASSES).macs,
            )
        )
    return tuple(found)


def published_family(name: str) -> list[Published]:
    return [one for one in catalogue().values() if one.scaled.get("base") == name]


def counted_limits(limits: Sequence[Constraint]) -> Fits:
    """Of those limits that are counted."""
    counted = [limit for limit in limits if limit.metric in COUNTED]
    return lambda arch: violations(counted, cost.count(arch, CLASSES)._asdict())


def largest(growth: Growth, limits: Sequence[Constraint], fits: Fits | None = None) -> float:
    """The largest phi, to two decimals where a limit is measured, at which all limits are kept, as costs grow with phi.

    Raises UserError where the base breaks one, or no network on the way does.
    """
    counted = counted_limits(limits)
    if broken := counted(growth.base) or (fits(growth.base) if fits else {}):
        text, amount = next(iter(broken.items()))
        raise UserError(f"--constraint: the base itself breaks {text}, by {amount:.1%}")
    low, high = 0.0, 1.0

    def breaks(phi: float) -> bool:
        return bool(counted(growth.at(phi)) or (fits and fits(growth.at(phi))))

    while not breaks(high):
        low, high = high, 2 * high
        if high > FURTHEST:
            raise UserError(f"--constraint: {', '.join(map(str, limits))} is kept by every network up to phi {low:g}")
    fine = FINE if fits else 1e-9
    while high - low > fine:
        middle = (low + high) / 2
        low, high = (low, middle) if breaks(middle) else (middle, high)
    return _shortest(low, growth, 2 if fits else 4)


def _shortest(phi: float, growth: Growth, decimals: int) -> float:
    """Rounded down, to as few decimals as give the same network, at least so many."""
    for places in range(decimals, 13):
        short = int(phi * 10**places) / 10**places
        if growth.at(short) == growth.at(phi):
            return short
    return phi


def _between(ends: tuple[float, float], share: float) -> float:
    return round(ends[0] + share * (ends[1] - ends[0]), 3)


def _exponent(multiplier: float, coefficient: float) -> float | None:
    return math.log(multiplier) / math.log(coefficient) if coefficient > 1 else None
