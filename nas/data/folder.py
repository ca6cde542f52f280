"""``imagefolder:DIR``: photographs in one folder a class, with or without a validation set of their own."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nas.data.decode import SUFFIXES, decode_all
from nas.data.pool import Outline, Pool, Request
from nas.data.split import keep_per_class
from search_spaces.errors import UserError

LAYOUT = "DIR/CLASS/*.jpg, or DIR/train/CLASS/*.jpg with DIR/val/CLASS/*.jpg"
IGNORED = {"thumbs.db", "desktop.ini", "__macosx"}  # left by desktops and archivers, as are names with a leading dot


@dataclass(frozen=True)
class Listing:
    """The image files of one folder of class folders, as yet undecoded. warnings: one line for each other file."""

    root: Path
    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: np.ndarray
    warnings: tuple[str, ...]


def check(argument: str) -> Outline:
    listings = list_folder(argument)
    return Outline(len(listings[0].classes), sum(len(listing.paths) for listing in listings))


def load(argument: str, request: Request) -> Pool:
    """Decodes what is listed. Where DIR/val exists, it gets ``val_fraction`` of ``max_per_class``, as in a split.

    Raises UserError as ``list_folder`` does, and for a class of which no image could be decoded.
    """
    listings = list_folder(argument)
    limits = [request.max_per_class] * len(listings)
    if request.max_per_class is not None and len(listings) == 2:
        val_limit = max(1, round(request.max_per_class * request.val_fraction))
        limits = [max(1, request.max_per_class - val_limit), val_limit]
    kept = [keep_per_class(x.labels, limit, request.seed) for x, limit in zip(listings, limits, strict=True)]
    paths = [x.paths[i] for x, indices in zip(listings, kept, strict=True) for i in indices]
    labels = np.concatenate([x.labels[indices] for x, indices in zip(listings, kept, strict=True)])
    part = np.repeat(np.arange(len(listings)), [len(indices) for indices in kept])

    images, usable, problems = decode_all(paths, request)
    for number, listing in enumerate(listings):
        found = np.bincount(labels[usable & (part == number)], minlength=len(listing.classes))
        for name, count in zip(listing.classes, found, strict=True):
            if count == 0:
                first = next(line for line in problems if line.startswith(f"{listing.root / name}{os.sep}"))
                raise UserError(f"{listing.root / name}: no usable image in this class folder; the first, {first}")
    if problems:
        images, labels, part = images[usable], labels[usable], part[usable]
    warnings = [line for listing in listings for line in listing.warnings] + problems
    is_val = part == 1 if len(listings) == 2 else None
    return Pool(listings[0].classes, images, labels, flip=True, is_val=is_val, warnings=tuple(warnings))


def list_folder(argument: str) -> list[Listing]:
    """The listing of DIR, of DIR/train, or of DIR/train and DIR/val, whichever of them hold the class folders.

    Raises UserError, naming the folder: it is missing, unreadable or without class folders; there are fewer than two
    classes; a class has no image file, or is in only one of train and val.
    """
    if not argument:
        raise UserError(f"data 'imagefolder': needs a folder, as in imagefolder:DIR with {LAYOUT}")
    root = Path(argument).expanduser()
    try:
        if not stat.S_ISDIR(root.stat().st_mode):
            raise FileNotFoundError
        names = {path.name for path in _folders(root)}
        if {"train", "val"} <= names:
            train, val = list_classes(root / "train"), list_classes(root / "val")
            if different := sorted(set(train.classes) ^ set(val.classes)):
                here, there = ("train", "val") if different[0] in train.classes else ("val", "train")
                raise UserError(f"{root / here / different[0]}: this class is in {here} but not in {there}")
            return [train, val]
        if "train" in names and _folders(root / "train"):
            train = list_classes(root / "train")
            others = [
                f"{root / name}: skipped, only train and val are read" for name in sorted(names - {"train", "test"})
            ]
            return [replace(train, warnings=(*others, *train.warnings))]
        return [list_classes(root)]
    except FileNotFoundError:
        raise UserError(f"data 'imagefolder:{argument}': no such folder; expected is {LAYOUT}") from None
    except OSError as error:
        raise UserError(f"data 'imagefolder:{argument}': cannot read {error.filename}: {error.strerror}") from None


def list_classes(root: Path) -> Listing:
    """The class folders in root, sorted by name as torchvision does, and the image files at any depth below each."""
    folders = _folders(root)
    if not folders:
        raise UserError(f"{root}: holds no class folders; expected is {LAYOUT}")
    if len(folders) == 1:
        raise UserError(f"{root}: holds one class folder ('{folders[0].name}'), at least 2 are needed; {LAYOUT}")
    warnings = [f"{x.path}: skipped, not in a class folder" for x in _visible(root) if not x.is_dir()]
    paths: list[Path] = []
    labels: list[int] = []
    for label, folder in enumerate(folders):
        files = _files(folder)
        images = [path for path in files if path.suffix.lower() in SUFFIXES]
        if not images:
            raise UserError(f"{folder}: no image in this class folder; allowed are {', '.join(SUFFIXES)}")
        warnings += [
            f"{path}: skipped, not an image ({', '.join(SUFFIXES)})" for path in sorted(set(files) - set(images))
        ]
        paths += images
        labels += [label] * len(images)
    return Listing(root, tuple(x.name for x in folders), tuple(paths), np.array(labels, np.int64), tuple(warnings))


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        seen = [x for x in entries if not x.name.startswith(".") and x.name.lower() not in IGNORED]
    return sorted(seen, key=lambda entry: entry.name)


def _folders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _visible(folder) if entry.is_dir()]


def _files(folder: Path) -> list[Path]:
    """Visible files at any depth, in an order that does not depend on the file system."""
    files: list[Path] = []
    for entry in _visible(folder):
        files += _files(Path(entry.path)) if entry.is_dir() else [Path(entry.path)]
    return files
