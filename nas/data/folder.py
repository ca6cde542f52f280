"""``imagefolder:DIR``: photographs in one folder a class, with or without validation and test images of their own."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas.data.decode import SUFFIXES, ReadFiles
from nas.data.listing import Listing, Outline, Part, Stamp, printable, stamp
from search_spaces.errors import UserError

LAYOUT = "DIR/CLASS/*.jpg, or DIR/train/CLASS/*.jpg with DIR/val/CLASS/*.jpg and DIR/test/CLASS/*.jpg"
IGNORED = {"thumbs.db", "desktop.ini", "__macosx"}  # left by desktops and archivers, as are names with a leading dot


@dataclass(frozen=True)
class ClassFolders:
    """The image files of one folder of class folders. files: names relative to the source's root, with their stamps."""

    classes: tuple[str, ...]
    files: tuple[tuple[str, Stamp], ...]
    labels: tuple[int, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class ImageFolder:
    """searched: DIR, DIR/train, or DIR/train and DIR/val, whichever of them hold the class folders."""

    argument: str
    root: str
    searched: tuple[ClassFolders, ...]
    own_test: bool
    warnings: tuple[str, ...]
    flip = True

    @classmethod
    def open(cls, argument: str, seed: int, test_fraction: float) -> ImageFolder:
        """Raises UserError, naming the folder: it is missing, unreadable or without class folders; there are fewer
        than two classes; a class has no image file, or is in only one of train and val."""
        if not argument:
            raise UserError(f"data 'imagefolder': needs a folder, as in imagefolder:DIR with {LAYOUT}")
        root = Path(argument).expanduser()
        try:
            if not stat.S_ISDIR(root.stat().st_mode):
                raise FileNotFoundError
            return cls._of(argument, root)
        except FileNotFoundError:
            raise UserError(f"data 'imagefolder:{argument}': no such folder; expected is {LAYOUT}") from None
        except OSError as error:
            raise UserError(f"data 'imagefolder:{argument}': cannot read {error.filename}: {error.strerror}") from None

    @classmethod
    def _of(cls, argument: str, root: Path) -> ImageFolder:
        names = {entry.name for entry in _folders(root)}
        if "train" not in names or not ("val" in names or _folders(root / "train")):
            only = list_classes(root, "")
            return cls(argument, str(root), (only,), False, only.warnings)
        parts = [list_classes(root, "train")]
        if "val" in names:
            parts.append(list_classes(root, "val"))
            _check_same(root, *parts)
        own_test = "test" in names and bool(_folders(root / "test"))
        warnings = [f"{root / x}: skipped, only train, val and test are read" for x in sorted(names - READ)]
        if "test" in names and not own_test:
            warnings.append(f"{root / 'test'}: skipped, it holds no class folders")
        warnings += [line for part in parts for line in part.warnings]
        return cls(argument, str(root), tuple(parts), own_test, tuple(printable(line) for line in warnings))

    def outline(self) -> Outline:
        return Outline(len(self.searched[0].classes), sum(len(part.files) for part in self.searched), self.own_test)

    def identity(self, part: Part) -> Any:
        return ["files", [x.files for x in self._folders(part)]]

    def listing(self, part: Part) -> Listing:
        folders = self._folders(part)
        names = tuple(name for x in folders for name, _ in x.files)
        labels = np.concatenate([np.array(x.labels, np.int64) for x in folders])
        is_val = np.arange(len(names)) >= len(folders[0].files) if len(folders) == 2 else None
        return Listing(self.searched[0].classes, labels, names, ReadFiles(self.root, names), is_val)

    def _folders(self, part: Part) -> tuple[ClassFolders, ...]:
        """DIR/test is listed when it is asked for; it may lack classes, but has no others."""
        if part == "search":
            return self.searched
        classes = self.searched[0].classes
        tested = list_classes(Path(self.root), "test", classes)
        return (tested,)


READ = {"train", "val", "test"}


def list_classes(root: Path, below: str, classes: tuple[str, ...] | None = None) -> ClassFolders:
    """The class folders in root / below, sorted by name as torchvision does, and the image files at any depth in each.

    classes: those that there may be, some of which may be missing; None: whatever is there, at least two.
    """
    here = root / below
    folders = _folders(here)
    if not folders:
        raise UserError(f"{here}: holds no class folders; expected is {LAYOUT}")
    if len(folders) == 1 and classes is None:
        raise UserError(f"{here}: holds one class folder ('{folders[0].name}'), at least 2 are needed; {LAYOUT}")
    names = classes or tuple(entry.name for entry in folders)
    warnings = [f"{x.path}: skipped, not in a class folder" for x in _visible(here) if not x.is_dir()]
    found: list[tuple[str, Stamp]] = []
    labels: list[int] = []
    for folder in folders:
        if folder.name not in names:
            raise UserError(f"{folder.path}: this class is in {below} but not in train")
        images, others = _files(folder.path)
        if not images and classes is None:
            raise UserError(f"{folder.path}: no image in this class folder; allowed are {', '.join(SUFFIXES)}")
        warnings += [f"{path}: skipped, not an image ({', '.join(SUFFIXES)})" for path in others]
        found += [(os.path.relpath(entry.path, root), stamp(entry)) for entry in images]
        labels += [names.index(folder.name)] * len(images)
    return ClassFolders(names, tuple(found), tuple(labels), tuple(printable(line) for line in warnings))


def _check_same(root: Path, train: ClassFolders, val: ClassFolders) -> None:
    if different := sorted(set(train.classes) ^ set(val.classes)):
        here, there = ("train", "val") if different[0] in train.classes else ("val", "train")
        raise UserError(f"{root / here / different[0]}: this class is in {here} but not in {there}")


def _visible(folder: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        seen = [x for x in entries if not x.name.startswith(".") and x.name.lower() not in IGNORED]
    return sorted(seen, key=lambda entry: entry.name)


def _folders(folder: str | Path) -> list[os.DirEntry[str]]:
    return [entry for entry in _visible(folder) if entry.is_dir()]


def _files(folder: str) -> tuple[list[os.DirEntry[str]], list[str]]:
    """Images, and the paths of other visible files, at any depth; in an order that no file system decides."""
    images: list[os.DirEntry[str]] = []
    others: list[str] = []
    for entry in _visible(folder):
        if entry.is_dir():
            below, more = _files(entry.path)
            images, others = images + below, others + more
        elif entry.name.lower().endswith(SUFFIXES):
            images.append(entry)
        else:
            others.append(entry.path)
    return images, others
