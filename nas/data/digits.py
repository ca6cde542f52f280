"""``digits``: 1,797 real scans of handwritten digits that come with scikit-learn, 8x8 pixels, ten classes."""

from __future__ import annotations

import numpy as np

from nas.data.pool import Outline, Pool, Request, resize_all
from nas.data.split import keep_per_class
from search_spaces.errors import UserError


def check(argument: str) -> Outline:
    if argument:
        raise UserError(f"data 'digits:{argument}': digits takes no options")
    return Outline(classes=10, images=1797)


def load(argument: str, request: Request) -> Pool:
    check(argument)
    from sklearn.datasets import load_digits

    scans = load_digits()
    kept = keep_per_class(scans.target, request.max_per_class, request.seed)
    pixels = np.round(scans.images[kept] * (255 / 16)).astype(np.uint8)  # the scans count ink from 0 to 16
    return Pool(
        classes=tuple(str(name) for name in scans.target_names),
        images=resize_all(pixels, request),
        labels=scans.target[kept].astype(np.int64),
        flip=False,
    )
