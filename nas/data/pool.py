"""What a source of images is asked for and what it hands back, before the split into training and validation."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search_spaces.errors import UserError

MEMORY_SHARE = 0.4  # the split copies the images once, so the peak is twice this share of the memory


@dataclass(frozen=True)
class Request:
    """How to read a source. resolution: pixels. max_per_class: images, training and validation together."""

    resolution: int
    seed: int
    val_fraction: float = 0.25
    max_per_class: int | None = None
    on_progress: Callable[[int, int], None] | None = None

    def progress(self, done: int, total: int) -> None:
        if self.on_progress is not None:
            self.on_progress(done, total)


@dataclass(frozen=True)
class Outline:
    """What can be said of a source without decoding an image of it. images: training and validation together."""

    classes: int
    images: int


@dataclass(frozen=True)
class Pool:
    """The images of a source. images: uint8 (N, 3, R, R); labels: int64 (N,), indices into classes.

    is_val: bool (N,), where the source comes with a validation set of its own; else None.
    """

    classes: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray
    flip: bool
    is_val: np.ndarray | None = None
    warnings: tuple[str, ...] = ()


def empty_images(n: int, resolution: int) -> np.ndarray:
    """Room for n decoded images. Raises UserError where they would not fit in memory, before the first is decoded."""
    size, limit = n * 3 * resolution**2, MEMORY_SHARE * memory_bytes()
    if size > limit:
        raise UserError(
            f"resolution {resolution}: {n} images decode to {size / 1e9:.1f} GB, at most {limit / 1e9:.1f} GB "
            f"({MEMORY_SHARE:.0%} of memory) are allowed; use a smaller resolution or max_per_class"
        )
    return np.empty((n, 3, resolution, resolution), np.uint8)


def memory_bytes() -> int:
    """Physical memory, or the container's limit where that is lower."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(physical, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no cgroup, or "max"
        return physical


def resize_all(pixels: np.ndarray, request: Request) -> np.ndarray:
    """uint8 (N, H, W) grey or (N, H, W, 3) colour, to uint8 (N, 3, R, R); bicubic with antialiasing."""
    from PIL import Image

    side = request.resolution
    images = empty_images(len(pixels), side)
    for i, image in enumerate(pixels):
        if image.shape[:2] != (side, side):
            image = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
        images[i] = image if image.ndim == 2 else image.transpose(2, 0, 1)
        request.progress(i + 1, len(pixels))
    return images
