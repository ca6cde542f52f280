"""The response surface of a coefficient study: which direction of growth gives the most accurate network at a cost.

A direction is a triple with alpha * beta^2 * gamma^2 = 2; two of its logarithms are free. Top-1 is a quadratic of them,
fitted to the means over seeds by least squares. How sure its best point is, a bootstrap says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import optimize, stats

from search_spaces.compound import Triple, of_shares
from studies.scaling_record import Interval, Place, Surface

DRAWS = 2000  # of the bootstrap
MESH = 40  # steps along each side of the constraint surface, a triangle
LEVEL = 0.95
FEWEST = 9  # networks: six numbers are fitted
LEAST_ERROR = 0.01  # percent, whose logarithm there is
TINY = 1e-12
EDGE = 1e-9  # a share as small is none
OUTWARD = np.array([[-1.0, 0.0], [0.0, -1.0], [1.0, 1.0]])  # in depth and width, where a share is none
FLAT = 0.005  # a p-value of no shape at all from which the surface says nothing
WIDE = 0.5  # share of the surface: a region as large as that tells nothing


@dataclass(frozen=True)
class Observation:
    """A network: the shares of depth, width and resolution in its growth (compound.realised), and its top-1 by seed."""

    shares: Triple
    top1: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Response:
    """coefficients: (6,) of the surface; draws: (DRAWS, 6), the same of the bootstrap. rest_std: of the means about the
    surface; seed_std: None with single seeds; flat_p: of no shape at all."""

    coefficients: np.ndarray
    draws: np.ndarray
    rest_std: float
    seed_std: float | None
    flat_p: float
    networks: int

    def at(self, shares: Sequence[float]) -> Interval:
        """Top-1 of the surface in a direction with these shares, with its 95% interval."""
        terms = _terms(np.array([shares], float))[0]
        low, high = np.percentile(self.draws @ terms, [2.5, 97.5])
        return Interval(float(self.coefficients @ terms), float(low), float(high))

    def drawn(self, shares: Sequence[float]) -> np.ndarray:
        """(1 + DRAWS,): the surface there, and in each bootstrap."""
        terms = _terms(np.array([shares], float))[0]
        return np.concatenate([[self.coefficients @ terms], self.draws @ terms])

    @cached_property
    def mesh(self) -> np.ndarray:
        """(places, 3): shares of depth, width and resolution."""
        return mesh(MESH)

    @cached_property
    def fitted(self) -> np.ndarray:
        """(places,): top-1 of the surface in percent."""
        return _terms(self.mesh) @ self.coefficients

    @property
    def best(self) -> Triple:
        """Shares of the best place."""
        return _three(self.mesh[self.fitted.argmax()])

    def like_best(self, shares: Sequence[float]) -> bool:
        """Whether the data cannot tell this direction from the best: it is in the 95% region.

        There the surface is no steeper than noise makes it at the true best, as in a stationary point's region by Box
        and Hunter (Biometrika, 1954); on an edge of the constraint surface, steepness that leads out of it is what a
        best has. And it is not so far below the best that noise cannot explain it, which excludes other stationary
        points; near the best the first implies the second.
        """
        return bool(self._like_best(np.array([shares], float))[0])

    @cached_property
    def inside(self) -> np.ndarray:
        """(places,): the 95% region."""
        return self._like_best(self.mesh)

    def _like_best(self, places: np.ndarray) -> np.ndarray:
        steepness, free = self._steepness(places)
        return (steepness <= self._bounds[free]) & (self._depth(places) <= self._bounds[2])

    def _steepness(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The slope there, but for what leads out of the surface, in units of its bootstrap covariance, squared; and in
        how many directions it is free to err."""
        slopes = np.stack([_slopes(*place[:2]) for place in places])
        roots = np.linalg.cholesky(np.linalg.inv(np.swapaxes(slopes, 1, 2) @ self._covariance @ slopes))
        steep = np.einsum("pij,pki,k->pj", roots, slopes, self.coefficients)
        squares, free = (steep**2).sum(1), np.full(len(places), 2)
        for place in np.flatnonzero((places < EDGE).any(1)):
            outwards = roots[place].T @ OUTWARD[places[place] < EDGE].T
            led_out, rest = optimize.nnls(outwards, steep[place])
            squares[place], free[place] = rest**2, 2 - (led_out > 0).sum()
        return squares, free

    def _depth(self, places: np.ndarray) -> np.ndarray:
        """How far the surface is below its best there, in units of that difference's bootstrap deviation, squared."""
        apart = _terms(np.array([self.best])) - _terms(places)
        below = np.maximum(apart @ self.coefficients, 0.0)
        return below**2 / (np.einsum("pi,ij,pj->p", apart, self._covariance, apart) + TINY)

    @cached_property
    def _covariance(self) -> np.ndarray:
        """With a little on the diagonal, so that it has an inverse without noise, too."""
        return np.cov(self.draws, rowvar=False) + TINY * np.eye(self.draws.shape[1])

    @cached_property
    def _bounds(self) -> np.ndarray:
        """What noise alone makes of a slope's steepness in 95% of the bootstraps, in no, one and two directions."""
        slopes = _slopes(*self.best[:2])
        root = np.linalg.cholesky(np.linalg.inv(slopes.T @ self._covariance @ slopes))
        squares = ((self.draws - self.coefficients) @ slopes @ root) ** 2
        one, two = np.quantile(squares[:, 0], LEVEL), np.quantile(squares.sum(1), LEVEL)
        return np.array([EDGE, one, two])


def fit(observations: Sequence[Observation], seed: int = 0) -> Response | None:
    """None where there are fewer than ``FEWEST`` networks, or all in a line.

    The bootstrap adds to the surface, at each network, the residual of a network drawn at random; residuals hold both
    what seeds do and what rounding does to the networks, which a surface cannot follow. They are widened by what the
    fit took from them, and all of a bootstrap's together by how well so many residuals tell their own spread.
    """
    if len(observations) < FEWEST:
        return None
    terms = _terms(np.array([each.shares for each in observations], float))
    if np.linalg.matrix_rank(terms) < terms.shape[1]:
        return None
    means = np.array([np.mean(each.top1) for each in observations])
    solve = np.linalg.pinv(terms)
    coefficients = solve @ means
    rest = means - terms @ coefficients
    spare = len(means) - terms.shape[1]
    leverage = np.einsum("ij,ji->i", terms, solve)
    widened = rest / np.sqrt(np.maximum(1 - leverage, 0.05))
    rng = np.random.default_rng(seed)
    noise = rng.choice(widened - widened.mean(), (DRAWS, len(means)))
    noise *= np.sqrt(spare / rng.chisquare(spare, (DRAWS, 1)))
    return Response(
        coefficients=coefficients,
        draws=coefficients + noise @ solve.T,
        rest_std=float(np.sqrt((rest**2).sum() / spare)),
        seed_std=_seed_std(observations),
        flat_p=_flat_p(means, rest, spare),
        networks=len(means),
    )


def surface(found: Response) -> Surface:
    """What a reader is told of it."""
    inside, places = found.inside, [of_shares(*shares) for shares in found.mesh]
    kept = np.array([place.triple for place, keep in zip(places, inside, strict=True) if keep])
    share = float(inside.mean())
    best = of_shares(*found.best)
    enough = found.flat_p < FLAT and share <= WIDE
    return Surface(
        best=best.triple,
        top1=found.at(found.best),
        low=_three(kept.min(0)),
        high=_three(kept.max(0)),
        region_share=share,
        seed_std=found.seed_std,
        rest_std=found.rest_std,
        flat_p=found.flat_p,
        enough=enough,
        verdict=_verdict(found, enough, share),
        mesh=tuple(
            Place(_three(shares), place.triple, float(value), bool(within))
            for shares, place, value, within in zip(found.mesh, places, found.fitted, inside, strict=True)
        ),
    )


def mesh(steps: int) -> np.ndarray:
    """(places, 3): shares all over the constraint surface, so many steps along each side."""
    places = [(d, w, steps - d - w) for d in range(steps + 1) for w in range(steps + 1 - d)]
    return np.array(places, float) / steps


def power_law(levels: Mapping[float, np.ndarray], multiple: float, noise: float = 0.0) -> Interval:
    """Top-1 at a multiple of the base's cost, if the error goes on falling as a power of the cost: a line through the
    logarithms. levels: for each multiple draws of what was found there, the first the estimate itself. noise: standard
    deviation of what will be measured about the truth, in points."""
    cost = np.log(np.array(list(levels), float))
    errors = np.log(np.maximum(100 - np.stack(list(levels.values())), LEAST_ERROR))  # (multiples, draws)
    slope, level = np.polyfit(cost, errors, 1)
    found = 100 - np.exp(level + slope * np.log(multiple))
    drawn = found[1:] + np.random.default_rng(0).normal(0, noise, len(found) - 1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(float(found[0]), float(low), min(100.0, float(high)))


def _three(values: np.ndarray) -> Triple:
    first, second, third = map(float, values)
    return first, second, third


def _terms(shares: np.ndarray) -> np.ndarray:
    """(N, 6): a quadratic in the shares of depth and width, which are proportional to log alpha and log beta."""
    depth, width = shares[:, 0], shares[:, 1]
    return np.stack([np.ones_like(depth), depth, width, depth**2, depth * width, width**2], axis=1)


def _slopes(depth: float, width: float) -> np.ndarray:
    """(6, 2): what coefficients make of the slopes in depth and width there."""
    return np.array([[0, 0], [1, 0], [0, 1], [2 * depth, 0], [width, depth], [0, 2 * width]], float)


def _seed_std(observations: Sequence[Observation]) -> float | None:
    """Pooled over networks."""
    repeated = [np.array(each.top1) for each in observations if len(each.top1) > 1]
    if not repeated:
        return None
    squares = sum(float(((top1 - top1.mean()) ** 2).sum()) for top1 in repeated)
    return float(np.sqrt(squares / sum(len(top1) - 1 for top1 in repeated)))


def _flat_p(means: np.ndarray, rest: np.ndarray, spare: int) -> float:
    """The F test of the surface against a constant."""
    total, left = float(((means - means.mean()) ** 2).sum()), float((rest**2).sum())
    terms = len(means) - spare - 1
    if left == 0:
        return 0.0 if total > 0 else 1.0
    return float(stats.f.sf((total - left) / terms / (left / spare), terms, spare))


def _verdict(found: Response, enough: bool, share: float) -> str:
    if enough:
        return f"{share:.0%} of the directions could still be the best"
    why = f"the 95% region covers {share:.0%} of the directions"
    if found.flat_p >= FLAT:
        why += f", and a surface without any shape is not ruled out (p {found.flat_p:.2g}, limit {FLAT:g})"
    return f"the study is too small to tell directions apart: {why}; more seeds, longer training or more points would"
