"""Expected hypervolume improvement in closed form, for any number of objectives of which any may be known exactly.

What no known point dominates is cut into boxes. Of a box from l to u a new point Y takes the product over objectives of
u - max(l, Y), where that is positive. For independent normal Y the mean of the product is the product of the means:
psi(u) - psi(l) with psi(a) = E max(0, a - Y), which an objective known exactly enters with standard deviation 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

Point = tuple[float, ...]


def expected_improvement(mean: np.ndarray, std: np.ndarray, front: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """By how much each candidate is expected to enlarge the volume between ``front`` and ``reference``.

    mean, std: (candidates, objectives); front: (points, objectives); less is better in every objective.
    """
    lower, upper = np.array(boxes(front.tolist(), reference.tolist())).transpose(1, 0, 2)
    gain = np.ones((len(mean), len(lower)))
    for axis in range(len(reference)):
        corners, places = np.unique(np.concatenate([lower[:, axis], upper[:, axis]]), return_inverse=True)
        psi = _psi(corners, mean[:, axis, None], std[:, axis, None])
        gain *= psi[:, places[len(lower) :]] - psi[:, places[: len(lower)]]
    total: np.ndarray = gain.sum(1)
    return total


def _psi(corners: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """E max(0, corner - Y) for Y normal: 0 for a corner of minus infinity."""
    finite = np.isfinite(corners)
    gap = np.where(finite, corners, 0.0) - mean
    z = gap / np.where(std > 0, std, 1.0)
    normal = gap * ndtr(z) + std * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return np.where(finite, np.where(std > 0, normal, np.maximum(gap, 0.0)), 0.0)


def boxes(front: Sequence[Sequence[float]], reference: Sequence[float]) -> list[tuple[Point, Point]]:
    """Lower and upper corners of disjoint boxes that fill what ``reference`` dominates and no point of ``front`` does:
    slices along the last objective, each cut in the others by the points that begin below it."""
    rest, last = reference[:-1], reference[-1]
    if not rest:
        return [((-math.inf,), (min((last, *(point[0] for point in front))),))]
    found: list[tuple[Point, Point]] = []
    start, below = -math.inf, list[Sequence[float]]()
    for point in sorted(front, key=lambda point: point[-1]):
        others, level = point[:-1], point[-1]
        if level >= last or any(all(a <= b for a, b in zip(known, others, strict=True)) for known in below):
            continue
        if level > start:
            found += _slice(boxes(below, rest), start, level)
            start = level
        below.append(others)
    return found + _slice(boxes(below, rest), start, last)


def _slice(across: Sequence[tuple[Point, Point]], start: float, end: float) -> list[tuple[Point, Point]]:
    return [((*lower, start), (*upper, end)) for lower, upper in across]
