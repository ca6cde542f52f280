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

MISSED = 0.02  # share by which a cost that was asked for may be missed before the two next to it are named
FINE = 0.01  # phi, to which a measured limit is followed
# arXiv 1905.11946, section 5.2: dropout grows along the family from 0.2 to 0.5, in the official code in these steps,
# and drop path (stochastic depth) stays at 0.2. For other coefficients both grow along a line, drop path to 0.3.
OFFICIAL_DROPOUT = (0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.5)
DROPOUT, DROP_PATH, LAST_PHI = (0.2, 0.5), (0.2, 0.3), 7.0
Fits = Callable[[Arch], dict[str, float]]
"""By how much a network breaks each limit; empty where it keeps them all."""


def growth_of(base: Base, coefficients: Coefficients, settings: Settings) -> Growth:
    """How the settings let the base grow."""
    return Growth(
        base.arch,
        coefficients,
        settings.rounding,
        settings.max_resolution,
        settings.later,
        num_classes=base.classes,
    )


def emit(base: Base, growth: Growth, settings: Settings, fits: Fits | None = None) -> list[Member]:
    """Ordered by cost, each phi once. fits: of all limits, measured ones included, where there are any. Raises
    UserError where a target or a limit cannot be met."""
    found = {phi: member(base, growth, phi) for phi in settings.phis}
    for target in settings.targets:
        below, above = growth.around(target)
        reached = growth.reach(target)
        nearest = (below.macs, above.macs) if abs(reached.macs / target - 1) > MISSED else ()
        one = found.get(reached.phi) or member(base, growth, reached.phi)
        found[reached.phi] = replace(one, targets=(*one.targets, target), nearest=nearest or one.nearest)
    if settings.limits:
        phi = largest(growth, settings.constraints, fits)
        found[phi] = replace(found.get(phi) or member(base, growth, phi), limits=settings.limits)
    return [found[phi] for phi in sorted(found)]


def member(base: Base, growth: Growth, phi: float) -> Member:
    """The member at ``phi``."""
    arch, least = growth.at(phi), growth.macs(0)
    depth, width, _ = growth.coefficients.at(phi)
    share = min(1.0, phi / LAST_PHI)
    return Member(
        name=_name(phi),
        phi=phi,
        depth=depth,
        width=width,
        resolution=arch.resolution / base.arch.resolution,
        network=network(arch, base.classes),
        promised=growth.coefficients.growth**phi,
        counted=cost.count(arch, base.classes).macs / least,
        dropout=_between(DROPOUT, share),
        drop_path=_between(DROP_PATH, share),
    )


def published(base: Base, phis: Sequence[float]) -> tuple[list[Member], dict[str, Arch]]:
    """The official networks that are the base scaled, by their place in the family, and the networks by member. Raises
    UserError where the base has no such family or the family no such place."""
    family = published_family(base.arch)
    if not family:
        known = sorted({str(one.scaled["base"]) for one in catalogue().values() if one.scaled})
        raise UserError(f"--coefficients: published, but {base.name} has no published family; {', '.join(known)} have")
    least, members, archs = cost.count(base.arch, base.classes).macs, [], {}
    for phi in phis:
        if phi > len(family):
            raise UserError(f"--phi: {phi:g}, but the published family of {base.name} ends at {len(family)}")
        found = family[int(phi) - 1] if phi else None
        arch, scaled = (found.arch, found.scaled) if found else (base.arch, {})
        depth, width = scaled.get("depth", 1.0), scaled.get("width", 1.0)
        resolution, counted = arch.resolution / base.arch.resolution, network(arch, base.classes)
        one = Member(
            name=_name(phi),
            phi=phi,
            depth=depth,
            width=width,
            resolution=resolution,
            network=counted,
            promised=depth * width**2 * resolution**2,
            counted=counted.macs / least,
            dropout=OFFICIAL_DROPOUT[int(phi)],
            drop_path=DROP_PATH[0],
            published_top1=found.top1 if found else None,
        )
        members.append(one)
        archs[one.name] = arch
    return members, archs


def implied(base: Base, growth: Growth) -> tuple[Implied, ...]:
    """For each official network of the base's family, the phi that each of its multipliers implies."""
    found = []
    for index, official in enumerate(published_family(base.arch), 1):
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
                macs=cost.count(official.arch, base.classes).macs,
                formula_depth=depth,
                formula_width=width,
                formula_resolution=arch.resolution,
                formula_macs=cost.count(arch, base.classes).macs,
            )
        )
    return tuple(found)


def published_family(base: Arch) -> list[Published]:
    """The published networks that are this one scaled, whatever its file is called."""
    names = [one.name for one in catalogue().values() if one.arch == base]
    return [one for one in catalogue().values() if one.scaled.get("base") in names]


def rounding_of(base: Arch) -> str:
    """With which the published family of the base was rounded."""
    return str(next(iter(published_family(base))).scaled.get("rounding", "official"))


def counted_limits(limits: Sequence[Constraint], num_classes: int) -> Fits:
    """Of those limits that are counted."""
    counted = [limit for limit in limits if limit.metric in COUNTED]
    return lambda arch: violations(counted, cost.count(arch, num_classes)._asdict())


def check_base(base: Arch, fits: Fits) -> None:
    """Raises UserError where the base itself breaks a limit."""
    for text in fits(base):
        raise UserError(f"--constraint: the base itself breaks {text}")


def largest(growth: Growth, limits: Sequence[Constraint], fits: Fits | None = None) -> float:
    """The largest phi, to two decimals where a limit is measured, at which all limits are kept, as costs grow with phi.

    Raises UserError where the base breaks one, or no network on the way does.
    """
    counted = counted_limits(limits, growth.num_classes)

    def breaks(arch: Arch) -> bool:
        return bool(counted(arch) or (fits and fits(arch)))

    check_base(growth.base, fits or counted)
    growing = max(growth.coefficients.growth, 1.01)
    step = math.log(2) / math.log(growing)  # twice the cost at most, so that no network is tried that is far too large
    low, high = 0.0, step
    while not breaks(growth.at(high)):
        low, high = high, high + step
        if high > FURTHEST:
            raise UserError(f"--constraint: {', '.join(map(str, limits))} is kept by every network up to phi {low:g}")
    fine = FINE if fits else 1e-9
    while high - low > fine:
        middle = (low + high) / 2
        low, high = (low, middle) if breaks(growth.at(middle)) else (middle, high)
    return _shortest(low, growth, 2 if fits else 4)


def _shortest(phi: float, growth: Growth, decimals: int) -> float:
    """Rounded down, to as few decimals as give the same network, at least so many."""
    for places in range(decimals, 13):
        short = int(phi * 10**places) / 10**places
        if growth.at(short) == growth.at(phi):
            return short
    return phi


def _name(phi: float) -> str:
    return f"b{phi:.12g}"


def _between(ends: tuple[float, float], share: float) -> float:
    return round(ends[0] + share * (ends[1] - ends[0]), 3)


def _exponent(multiplier: float, coefficient: float) -> float | None:
    return math.log(multiplier) / math.log(coefficient) if coefficient > 1 else None
