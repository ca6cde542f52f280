"""The images of a run: training and validation, and test images that nobody reads before they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nas.data.pixels import ArrayPixels, Pixels
from nas.environment import memory_bytes
from search_spaces.errors import UserError

MEMORY_SHARE = 0.4  # of the memory, for images that are sent to other hosts; they are copied once on their way


@dataclass(frozen=True, eq=False)
class Split:
    """Some of the images of ``pixels``. index: int64 (n,), which; labels: int64 (n,), indices into the classes."""

    pixels: Pixels
    index: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, positions: np.ndarray) -> np.ndarray:
        """int64 (n,) positions in this split -> uint8 (n, 3, R, R), a copy that may be written to."""
        return self.pixels[self.index[positions]]

    def in_memory(self) -> Split:
        """The same images as a plain array."""
        return Split(ArrayPixels(self.batch(np.arange(len(self)))), np.arange(len(self)), self.labels)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images uint8 (N, 3, R, R), grey ones with three equal channels.

    name: the data string. flip: whether a mirrored image is still of its class, so that augmentation may flip.
    mean, std: of each channel of the training images, scaled to 0..1; std over pixels, not over image means.
    warnings: one line for each file that was skipped, naming it and saying why. fingerprint: equal for equal images in
    equal splits, whatever the host; test images that come with the source are read later and are no part of it.
    held_out: the test images, or what reads them.
    Pickled for another process of this host it takes some bytes an image, wherever the pixels lie in a cache's file.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    flip: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    warnings: tuple[str, ...] = ()
    held_out: Split | Callable[[], Split] | None = None

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def resolution(self) -> int:
        return self.train.pixels.shape[-1]

    @cached_property
    def test(self) -> Split | None:
        """For the one final figure; None where none are held out. The source's own are decoded here, on first use."""
        return self.held_out() if callable(self.held_out) else self.held_out

    def portable(self, test: bool = False) -> ImageSet:
        """The same with arrays in the place of this host's files, for hosts that do not have them; streamed images
        stay in files that all hosts have to see. test: whether test images go along.

        Raises UserError for images that would take more than 40% of the memory.
        """
        splits = [self.train, self.val, *([self.test] if test and self.test else [])]
        held = sum(len(split) * split.pixels.nbytes // max(1, split.pixels.shape[0]) for split in splits)
        if not self.train.pixels.resident:
            return self
        if held > (limit := MEMORY_SHARE * memory_bytes()):
            raise UserError(
                f"data.resolution: {self.resolution}: the images that go to the cluster's hosts take {held / 1e9:.1f} "
                f"GB, at most {limit / 1e9:.1f} GB ({MEMORY_SHARE:.0%} of memory) are allowed; use a smaller "
                "resolution or data.max_per_class"
            )
        moved = replace(self, train=self.train.in_memory(), val=self.val.in_memory())
        return replace(moved, held_out=self.test.in_memory()) if test and self.test else moved

    @classmethod
    def of_arrays(
        cls,
        name: str,
        classes: Sequence[str],
        train: tuple[np.ndarray, np.ndarray],
        val: tuple[np.ndarray, np.ndarray],
        flip: bool = True,
        test: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> ImageSet:
        """A set from images uint8 (N, 3, R, R) and labels int64 (N,) in memory."""
        digest = hashlib.sha256()
        for array in (*train, *val, *(test or ())):
            digest.update(np.ascontiguousarray(array).data)
        sums, squares = np.stack([sums_of(image) for image in train[0]], axis=1)
        mean, std = moments(sums, squares, side=train[0].shape[-1])
        held_out = _of_arrays(*test) if test else None
        splits = _of_arrays(*train), _of_arrays(*val)
        return cls(name, tuple(classes), *splits, flip, mean, std, digest.hexdigest(), held_out=held_out)


def sums_of(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a uint8 (3, R, R) image: each channel's sum of values and of their squares, uint64 (3,)."""
    squares = np.square(image, dtype=np.uint16)  # 255^2 fits
    return image.sum(axis=(1, 2), dtype=np.uint64), squares.sum(axis=(1, 2), dtype=np.uint64)


def moments(sums: np.ndarray, squares: np.ndarray, side: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, scaled to 0..1, from images' sums, uint64 (N, 3)."""
    count = len(sums) * side**2
    mean = sums.sum(axis=0) / count
    variance = squares.sum(axis=0) / count - mean**2
    return tuple(map(float, mean / 255)), tuple(map(float, np.sqrt(np.maximum(0, variance)) / 255))


def _of_arrays(images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(ArrayPixels(images), np.arange(len(labels)), labels)
