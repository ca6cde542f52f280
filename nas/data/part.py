"""A part of an image set to train on, as a cheaper stand-in for the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nas.data import ImageSet


def part_of(images: ImageSet, share: float, seed: int) -> ImageSet:
    """The set with ``share`` of each class's training images, at least one; validation is the same. A smaller share is
    a part of a larger one with the same seed."""
    labels = images.train_labels
    shuffled = np.random.default_rng([seed, 3]).permutation(len(labels))
    kept = []
    for label in np.unique(labels):
        of_class = shuffled[labels[shuffled] == label]
        kept.append(of_class[: max(1, round(share * len(of_class)))])
    rows = np.sort(np.concatenate(kept))
    part = replace(images, train_images=images.train_images[rows], train_labels=labels[rows])
    _ = part.mean  # counted once here, not in every trial
    return part
