"""Image sets as arrays that trials share: decoded once, at one resolution, with a validation set that never changes.

A source is named by a string: ``digits``, ``glyphs``, ``glyphs:classes=32,clutter=6``, ``imagefolder:DIR``,
``cifar10:DIR`` or ``cifar100:DIR``. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nas.data import digits, folder, glyphs
from nas.data.cifar import CIFAR10, CIFAR100
from nas.data.pool import Outline, Pool, Request
from nas.data.split import stratified
from search_spaces.errors import UserError

__all__ = ["ImageSet", "check", "default_resolution", "load"]

# name: how it is written, how its argument is checked, how its images are read
SOURCES: dict[str, tuple[str, Callable[[str], Outline], Callable[[str, Request], Pool]]] = {
    "digits": ("digits", digits.check, digits.load),
    "glyphs": ("glyphs[:OPTION=VALUE,...]", glyphs.check, glyphs.load),
    "imagefolder": ("imagefolder:DIR", folder.check, folder.load),
    "cifar10": ("cifar10:DIR", CIFAR10.check, CIFAR10.load),
    "cifar100": ("cifar100:DIR", CIFAR100.check, CIFAR100.load),
}
MIN_RESOLUTION = 8
PHOTO_RESOLUTION, SMALL_RESOLUTION = 64, 32  # pixels, where the user names none


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images uint8 (N, 3, R, R), grey ones with three equal channels; labels int64 (N,), indices into ``classes``.

    name: the data string. flip: whether a mirrored image is still of its class, so that augmentation may flip.
    warnings: one line for each file that was skipped, naming it and saying why.
    """

    name: str
    classes: tuple[str, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    val_images: np.ndarray
    val_labels: np.ndarray
    flip: bool
    warnings: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def resolution(self) -> int:
        return int(self.train_images.shape[-1])

    @property
    def mean(self) -> tuple[float, ...]:
        """Of each channel of the training images, scaled to 0..1."""
        return tuple(float(x) for x in self._levels @ np.linspace(0, 1, 256))

    @property
    def std(self) -> tuple[float, ...]:
        """Of each channel of the training images, scaled to 0..1; over pixels, not over image means."""
        square = self._levels @ np.linspace(0, 1, 256) ** 2
        return tuple(float(x) for x in np.sqrt(np.maximum(0, square - np.square(self.mean))))

    @cached_property
    def _levels(self) -> np.ndarray:
        """(3, 256): how often each channel takes each of its values; exact moments without a copy in floats."""
        counts = np.zeros((3, 256))
        for image in self.train_images:
            counts += [np.bincount(channel.ravel(), minlength=256) for channel in image]
        return counts / counts.sum(axis=1, keepdims=True)


def default_resolution(source: str) -> int:
    return PHOTO_RESOLUTION if source.startswith("imagefolder") else SMALL_RESOLUTION


def check(source: str) -> Outline:
    """How many classes and images a source has; decodes none.

    Raises UserError for an unknown source, a bad option or a folder that cannot be used.
    """
    name, argument = _parse(source)
    return SOURCES[name][1](argument)


def load(
    source: str,
    resolution: int,
    seed: int,
    val_fraction: float = 0.25,
    max_per_class: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ImageSet:
    """Reads a source into memory. Equal arguments on equal files give equal arrays.

    seed: decides the split, the images that ``max_per_class`` keeps and, for glyphs, what is drawn.
    val_fraction: share of each class that validates; not used where ``imagefolder`` finds DIR/val.
    max_per_class: images of a class in training and validation together.
    on_progress: called with (images read, images in all), in the caller's thread.
    Raises UserError as ``check`` does, for a value out of range, for a class with too few images and for images that
    would take more than 40% of the memory.
    """
    name, argument = _parse(source)
    if resolution < MIN_RESOLUTION:
        raise UserError(f"resolution {resolution}: at least {MIN_RESOLUTION} pixels")
    if seed < 0:
        raise UserError(f"seed {seed}: at least 0")
    if not 0 < val_fraction < 1:
        raise UserError(f"val_fraction {val_fraction}: between 0 and 1, both excluded")
    if max_per_class is not None and max_per_class < 2:
        raise UserError(f"max_per_class {max_per_class}: at least 2, one to train on and one to validate")
    pool = SOURCES[name][2](argument, Request(resolution, seed, val_fraction, max_per_class, on_progress))
    is_val = pool.is_val
    if is_val is None:
        is_val = stratified(pool.labels, pool.classes, val_fraction, seed)
    images = ImageSet(
        name=source,
        classes=pool.classes,
        train_images=pool.images[~is_val],
        train_labels=pool.labels[~is_val],
        val_images=pool.images[is_val],
        val_labels=pool.labels[is_val],
        flip=pool.flip,
        warnings=pool.warnings,
    )
    _ = images.mean  # counted once here, not in every trial
    return images


def _parse(source: str) -> tuple[str, str]:
    name, _, argument = source.partition(":")
    if name not in SOURCES:
        raise UserError(f"data '{source}': unknown source '{name}'; one of {', '.join(x[0] for x in SOURCES.values())}")
    return name, argument
