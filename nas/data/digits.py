"""``digits``: 1,797 real scans of handwritten digits that come with scikit-learn, 8x8 pixels, ten classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from nas.data.decode import square
from nas.data.listing import Listing, Outline, Part
from search_spaces.errors import UserError


@dataclass(frozen=True)
class Digits:
    """scikit-learn's 1,797 scans of digits, 8 x 8 px."""

    flip = False
    own_test = False
    root = ""
    warnings = ()

    @classmethod
    def open(cls, argument: str, seed: int, test_fraction: float) -> Digits:
        if argument:
            raise UserError(f"data 'digits:{argument}': digits takes no options")
        return cls()

    def outline(self) -> Outline:
        return Outline(classes=10, images=1797)

    def identity(self, part: Part) -> Any:
        return "digits"

    def listing(self, part: Part) -> Listing:
        from sklearn.datasets import load_digits

        scans = load_digits()
        classes = tuple(str(name) for name in scans.target_names)
        names = [f"digit {i}" for i in range(len(scans.target))]
        return Listing(classes, scans.target.astype(np.int64), names, ReadScans(), parallel=False)


class ReadScans:
    """All scans are read at once, and again where this was sent to another process."""

    def __call__(self, i: int, resolution: int) -> np.ndarray:
        return square(Image.fromarray(self._scans[i]), resolution).transpose(2, 0, 1)

    def side(self, i: int) -> int:
        return min(self._scans[i].shape)

    @cached_property
    def _scans(self) -> np.ndarray:
        from sklearn.datasets import load_digits

        return np.round(load_digits().images * (255 / 16)).astype(np.uint8)  # they count ink from 0 to 16

    def __reduce__(self) -> Any:
        return type(self), ()
