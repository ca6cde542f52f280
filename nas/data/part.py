"""A part of an image set to train on, as a cheaper stand-in for the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nas.data.imageset import ImageSet, Split


def part_of(images: ImageSet, share: float, seed: int) -> ImageSet:
    """The set with ``share`` of each class's training images, at least one; validation, test and what images are
    normalised by are the same. A smaller share is a part of a larger one with the same seed."""
    whole = images.train
    shuffled = np.random.default_rng([seed, 3]).permutation(len(whole))
    kept = []
    for label in np.unique(whole.labels):
        of_class = shuffled[whole.labels[shuffled] == label]
        kept.append(of_class[: max(1, round(share * len(of_class)))])
    rows = np.sort(np.concatenate(kept))
    part = Split(whole.pixels, whole.index[rows], whole.labels[rows])
    return replace(images, train=part, fingerprint=f"{images.fingerprint}:{share:g}")
