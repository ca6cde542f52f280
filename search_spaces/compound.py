"""Compound scaling (arXiv 1905.11946, section 3.3): depth grows with alpha^phi, width with beta^phi, resolution with
gamma^phi, and the multiply-adds of a network without rounding with (alpha * beta^2 * gamma^2)^phi.

Rounding breaks that promise: B0 at alpha 1.2, beta 1.1, gamma 1.15 costs 2.573 times B0 at phi 1, where the formula
says 1.920. Therefore networks are compared at equal *counted* cost: ``Growth.reach`` follows a direction to the phi at
which its networks cost what is asked for.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from search_spaces import cost
from search_spaces.arch import Arch
from search_spaces.errors import UserError
from search_spaces.scaling import scale

Triple = tuple[float, float, float]
DOUBLE = 2.0  # what a step of phi is to multiply the cost by
FURTHEST = 64.0  # phi; whoever has not reached a cost there never will
MOST = 2000  # points of a grid
LARGEST = 10.0  # coefficient
_PYCLS = re.compile(r"d(?P<d>\d+(?:\.\d+)?)_w(?P<w>\d+(?:\.\d+)?)_r(?P<r>\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Coefficients:
    """Compound scaling (arXiv 1905.11946, equation 3): for each step of phi depth, width and resolution are multiplied
    by these. Raises UserError where one is not from 1 to ``LARGEST``.

    alpha: of depth. beta: of width. gamma: of resolution.
    """

    alpha: float
    beta: float
    gamma: float

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "gamma"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and 1 <= value <= LARGEST):
                raise UserError(f"coefficients: {name} {value!r} is not a number from 1 to {LARGEST:g}")

    def __str__(self) -> str:
        return f"{self.alpha:.4g},{self.beta:.4g},{self.gamma:.4g}"

    @property
    def triple(self) -> Triple:
        """(alpha, beta, gamma)."""
        return self.alpha, self.beta, self.gamma

    @property
    def growth(self) -> float:
        """What multiply-adds grow by for each step of phi, but for rounding."""
        return self.alpha * self.beta**2 * self.gamma**2

    @property
    def shares(self) -> Triple:
        """How much of the growth, in its logarithm, depth, width and resolution have; their sum is 1. Triples of the
        same shares are the same direction: they give the same networks, at other phi."""
        total = math.log(self.growth)
        if not total:
            raise UserError(f"coefficients: {self} do not grow")
        return math.log(self.alpha) / total, 2 * math.log(self.beta) / total, 2 * math.log(self.gamma) / total

    def at(self, phi: float) -> tuple[float, float, float]:
        """The multipliers of depth, width and resolution."""
        return self.alpha**phi, self.beta**phi, self.gamma**phi

    def doubling(self) -> Coefficients:
        """The same direction with a growth of exactly 2."""
        return of_shares(*self.shares)


PAPER = Coefficients(1.2, 1.1, 1.15)


def realised(base: Arch, arch: Arch, num_classes: int = 1000) -> Triple:
    """The shares of depth, width and resolution in what ``arch``, which is ``base`` scaled, costs more, as it was
    rounded: in proportion to the logarithms of what each alone multiplies the counted MACs by."""
    pairs = list(zip(base.stages, arch.stages, strict=True))
    deeper = replace(base, stages=tuple(replace(old, layers=new.layers) for old, new in pairs))
    wider = replace(
        base,
        stages=tuple(replace(old, channels=new.channels) for old, new in pairs),
        stem_channels=arch.stem_channels,
        head_channels=arch.head_channels,
    )
    least = cost.count(base, num_classes).macs
    alone = (deeper, wider, base.at(arch.resolution))
    parts = [max(0.0, math.log(cost.count(each, num_classes).macs / least)) for each in alone]
    if not sum(parts):
        raise UserError("realised: the network is not larger than its base")
    depth, width, resolution = (part / sum(parts) for part in parts)
    return depth, width, resolution


def of_shares(depth: float, width: float, resolution: float) -> Coefficients:
    """The triple whose growth is 2, of which each dimension has a share in proportion to its number (0 or more)."""
    total = depth + width + resolution
    if not total > 0 or min(depth, width, resolution) < 0:
        raise UserError(f"rule: shares {depth:g}, {width:g}, {resolution:g} are not >= 0 with one above 0")
    exponents = depth / total, width / total / 2, resolution / total / 2
    return Coefficients(*(DOUBLE**exponent for exponent in exponents))


# Scaling one dimension, and dWr of Dollar et al. (arXiv 2103.06877), whose activations grow with cost^0.6.
RULES = {
    "depth": of_shares(1, 0, 0),
    "width": of_shares(0, 1, 0),
    "resolution": of_shares(0, 0, 1),
    "dWr": of_shares(1, 8, 1),
}
COMPOUND = "compound"


def rule(text: str) -> Coefficients:
    """A name in ``RULES``, or pycls's notation ``d1_w8_r1``: each dimension's share of the growth. Raises UserError."""
    if text in RULES:
        return RULES[text]
    found = _PYCLS.fullmatch(text)
    if not found:
        known = ", ".join((COMPOUND, *RULES))
        raise UserError(f"rule: {text!r} is not one of {known}, or shares as in d1_w8_r1")
    return of_shares(*(float(found[part]) for part in "dwr"))


class Reached(NamedTuple):
    """A network on the way, at the phi that is shortest to write of those that give it."""

    phi: float
    arch: Arch
    macs: int


@dataclass(frozen=True)
class Growth:
    """How a base network grows: in which direction, rounded how.

    rounding, divisor: as in ``scaling.scale``. max_resolution: in pixels; None: no limit. later: layers are added to
    later stages first, the exponent of alpha rising from 0 at the first stage to 2 at the last; both as EfficientNetV2
    does (arXiv 2104.00298, section 3.3, which gives no formula for the second).
    """

    base: Arch
    coefficients: Coefficients
    rounding: str = "official"
    max_resolution: int | None = None
    later: bool = False
    divisor: int = 8
    num_classes: int = 1000

    def __post_init__(self) -> None:
        if self.max_resolution is not None and self.max_resolution < self.base.resolution:
            raise UserError(f"max_resolution: {self.max_resolution} is less than the base's {self.base.resolution}")

    def at(self, phi: float) -> Arch:
        """The network at ``phi`` (0: the base), its resolution rounded to the nearest pixel."""
        depth, width, resolution = self.coefficients.at(phi)
        side = round(self.base.resolution * resolution)
        depths: float | list[float] = depth
        if self.later and len(self.base.stages) > 1:
            last = len(self.base.stages) - 1
            depths = [depth ** (2 * place / last) for place in range(last + 1)]
        side = side if self.max_resolution is None else min(side, self.max_resolution)
        return scale(self.base, width, depths, side, self.rounding, self.divisor)

    def macs(self, phi: float) -> int:
        """Counted multiply-adds of the network at ``phi``, after rounding."""
        return cost.count(self.at(phi), self.num_classes).macs

    def around(self, macs: float) -> tuple[Reached, Reached]:
        """The two networks next to that cost: the last that costs less, and the first that costs as much or more.

        Raises UserError where the base costs more already, or no network on the way costs as much.
        """
        least = self.macs(0)
        if macs <= least:
            if macs == least:
                return (Reached(0.0, self.base, least),) * 2
            raise UserError(f"target: {macs:.4g} MACs is less than the base's {least:.4g}")
        low, high = 0.0, 1.0
        while self.macs(high) < macs:
            low, high = high, 2 * high
            if high > FURTHEST:
                raise UserError(
                    f"target: {macs:.4g} MACs is never reached with coefficients {self.coefficients}: "
                    f"{self.macs(low):.4g} at phi {low:g}"
                )
        while high - low > 1e-12 * high:
            middle = (low + high) / 2
            low, high = (middle, high) if self.macs(middle) < macs else (low, middle)
        return self._named(low, up=False), self._named(high, up=True)

    def reach(self, macs: float) -> Reached:
        """The network whose counted cost is nearest."""
        return min(self.around(macs), key=lambda found: abs(found.macs / macs - 1))

    def _named(self, phi: float, up: bool) -> Reached:
        """At a phi with as few decimals as give the same network: a little above ``phi``, or below."""
        arch = self.at(phi)
        towards = math.ceil if up else math.floor
        for decimals in range(2, 13):
            short = towards(phi * 10**decimals) / 10**decimals
            if self.at(short) == arch:
                phi = short
                break
        return Reached(phi, arch, cost.count(arch, self.num_classes).macs)


def grid(step: float = 0.05, tolerance: float = 0.1) -> list[Coefficients]:
    """All triples of numbers 1, 1 + step, 1 + 2 step, ... whose growth differs from 2 by ``tolerance`` at most
    (equation 3), counted without the error of floats. Raises UserError where there is none, or more than ``MOST``."""
    for name, value in (("grid_step", step), ("tolerance", tolerance)):
        if not (math.isfinite(value) and value > 0):
            raise UserError(f"{name}: {value!r} is not a number > 0")
    each, within = Fraction(str(step)), Fraction(str(tolerance))
    low, high = 2 - within, 2 + within
    found = list[Coefficients]()
    alpha = Fraction(1)
    while alpha <= high:
        beta = Fraction(1)
        while alpha * beta**2 <= high:
            gamma = Fraction(1)
            while (growth := alpha * beta**2 * gamma**2) <= high:
                if growth >= low:
                    if len(found) == MOST:
                        raise UserError(f"grid_step: {step:g} has more than {MOST} points within {tolerance:g} of 2")
                    found.append(Coefficients(float(alpha), float(beta), float(gamma)))
                gamma += each
            beta += each
        alpha += each
    if not found:
        raise UserError(f"grid_step: {step:g} has no point with alpha * beta^2 * gamma^2 within {tolerance:g} of 2")
    return found
