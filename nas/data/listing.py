"""What a source of images says of them before any is decoded: that much is the same for a folder and for a font."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

Part = Literal["search", "test"]  # training and validation; the source's own test images
Stamp = tuple[int, int, int]  # size in bytes, mtime_ns, ctime_ns


@dataclass(frozen=True)
class Outline:
    """What can be said of a source without decoding an image of it.

    images: those of training and validation, from which test images are yet to be taken unless ``own_test``.
    """

    classes: int
    images: int
    own_test: bool = False


class Read(Protocol):
    """Reads image i at a resolution: uint8 (3, R, R). Picklable, for several threads at a time unless the listing
    says otherwise; raises whatever its decoder raises."""

    def __call__(self, i: int, resolution: int) -> np.ndarray: ...

    def side(self, i: int) -> int | None:
        """The shorter side of image i as it lies there, in pixels; None: it has detail at any resolution."""


@dataclass(frozen=True, eq=False)
class Listing:
    """The images of a part of a source. labels: int64 (N,), indices into classes; names: what a warning calls each,
    relative to the source's root.

    is_val: bool (N,), where the source has a validation set of its own. parallel: whether threads pay and are allowed.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    names: Sequence[str]
    read: Read
    is_val: np.ndarray | None = None
    parallel: bool = True


class Source(Protocol):
    """A source that was named and found; nothing of its images has been read. All methods raise UserError."""

    @property
    def flip(self) -> bool:
        """Whether a mirrored image is still of its class, so that augmentation may flip."""

    @property
    def own_test(self) -> bool:
        """Whether test images come with the source, so that none are taken out of its others."""

    @property
    def root(self) -> str:
        """Folder that names are relative to; empty where there is none."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each file that will not be read."""

    def outline(self) -> Outline: ...

    def identity(self, part: Part) -> Any:
        """What decides the content of a part, as JSON: names, sizes and times of files, or options and a seed."""

    def listing(self, part: Part) -> Listing: ...


def stamp(path: str | os.DirEntry[str]) -> Stamp:
    """What changes when a file does. Zeros for one that is not there, such as the target of a broken link."""
    try:
        found = path.stat() if isinstance(path, os.DirEntry) else os.stat(path)
    except OSError:
        return 0, 0, 0
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def census(root: Path, names: Sequence[str]) -> list[tuple[str, Stamp]]:
    """Name, relative to root, and stamp of each file in ``names``, and of each file at any depth in their folders."""
    found: list[tuple[str, Stamp]] = []
    for name in names:
        if not (root / name).is_dir():
            found.append((name, stamp(str(root / name))))
        for folder, folders, files in os.walk(root / name):
            folders.sort()
            paths = [os.path.join(folder, file) for file in sorted(files)]
            found += [(os.path.relpath(path, root), stamp(path)) for path in paths]
    return found


def printable(path: str) -> str:
    """A path for a line of text: one line, and whatever its bytes are, it can be written as UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace").replace("\n", "\\n").replace("\r", "\\r")
