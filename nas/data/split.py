"""Seeded choices among labelled images: how many of each class to keep, which of them validate and which test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search_spaces.errors import UserError


def keep_per_class(labels: np.ndarray, limit: int | None, seed: int) -> np.ndarray:
    """Sorted indices of at most ``limit`` images of each class, chosen at random; of all images where it is None."""
    if limit is None:
        return np.arange(len(labels))
    shuffled = np.random.default_rng([seed, 1]).permutation(len(labels))
    kept = [shuffled[labels[shuffled] == label][:limit] for label in np.unique(labels)]
    return np.sort(np.concatenate(kept))


def stratified(labels: np.ndarray, classes: Sequence[str], fraction: float, seed: int) -> np.ndarray:
    """Which images validate: bool (N,). Each class gives ``fraction`` of its images, at least one and never all.

    Counts are rounded along the cumulative sum, so that each class is within one image of its share and, unless that
    minimum applies, the total within half an image of its own. Raises UserError for a class with fewer than two images.
    """
    counts = np.bincount(labels, minlength=len(classes))
    for name, count in zip(classes, counts, strict=True):
        if count < 2:
            raise UserError(
                f"class '{name}': {count} usable image(s), at least 2 are needed to split off a validation set"
            )
    return _chosen(labels, np.clip(_shares(counts, fraction), 1, counts - 1), [seed, 2])


def held_out(labels: np.ndarray, classes: int, fraction: float, seed: int, leave: int) -> np.ndarray:
    """Which images are for the test: bool (N,). Each class gives ``fraction`` of its images, rounded as above, but
    leaves at least ``leave``: a class that is too small gives none."""
    counts = np.bincount(labels, minlength=classes)
    return _chosen(labels, np.clip(_shares(counts, fraction), 0, np.maximum(0, counts - leave)), [seed, 4])


def _shares(counts: np.ndarray, fraction: float) -> np.ndarray:
    return np.diff(np.round(np.cumsum([0, *counts]) * fraction)).astype(int)


def _chosen(labels: np.ndarray, wanted: np.ndarray, seed: list[int]) -> np.ndarray:
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    chosen = np.zeros(len(labels), bool)
    for label, count in enumerate(wanted):
        chosen[shuffled[labels[shuffled] == label][:count]] = True
    return chosen
