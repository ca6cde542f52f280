"""``torchvision:NAME:DIR``: torchvision's classification sets, read by its own classes from files that the user has.

Nothing is downloaded. The test images that come with a set are left for the one final figure; validation images are the
set's own where it has three parts, else they come out of the training ones.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nas.data.decode import ReadFiles, square
from nas.data.listing import Listing, Outline, Part, census
from search_spaces.errors import UserError

TRAIN, TEST = {"train": True}, {"train": False}


@dataclass(frozen=True)
class Entry:
    """One of torchvision's classes. files: what it reads, relative to DIR; the first has to be there.

    train, val, test: arguments that give these images, None where there are none. labels: attribute that holds them;
    None: the class takes a ``loader``, which here returns the path that it is given, so that nothing is decoded.
    """

    files: tuple[str, ...]
    train: dict[str, Any]
    test: dict[str, Any] | None = None
    val: dict[str, Any] | None = None
    labels: str | None = None
    flip: bool = True
    photos: bool = False
    classes: str = "classes"


def _splits(*names: str) -> dict[str, dict[str, Any]]:
    """``train`` and ``test``, and ``val`` between them, by the names that the class has for them."""
    given = [{"split": name} for name in names]
    return {"train": given[0], "test": given[-1]} | ({"val": given[1]} if len(given) == 3 else {})


def _parts(*files: str, **more: Any) -> Entry:
    given: dict[str, Any] = {"train": TRAIN, "test": TEST, "labels": "targets"}
    return Entry(files, **given | more)


def _photos(*files: str, **more: Any) -> Entry:
    given: dict[str, Any] = {"train": {}, "photos": True}
    return Entry(files, **given | more)


ENTRIES: dict[str, Entry] = {
    "CIFAR10": _parts("cifar-10-batches-py"),
    "CIFAR100": _parts("cifar-100-python"),
    "MNIST": _parts("MNIST/raw", flip=False),
    "FashionMNIST": _parts("FashionMNIST/raw"),
    "KMNIST": _parts("KMNIST/raw", flip=False),
    "EMNIST": _parts(
        "EMNIST/raw", train={"split": "balanced", **TRAIN}, test={"split": "balanced", **TEST}, flip=False
    ),
    "USPS": _parts("usps.bz2", "usps.t.bz2", flip=False),
    "SEMEION": _parts("semeion.data", train={"download": False}, test=None, labels="labels", flip=False),
    "SVHN": _parts("train_32x32.mat", "test_32x32.mat", **_splits("train", "test"), labels="labels", flip=False),
    "STL10": _parts("stl10_binary", **_splits("train", "test"), labels="labels", photos=True),
    "GTSRB": _parts("gtsrb", **_splits("train", "test"), labels="_samples", flip=False),
    "OxfordIIITPet": _photos("oxford-iiit-pet", **_splits("trainval", "test"), labels="_labels"),
    "Caltech101": _photos("caltech101/101_ObjectCategories", labels="y", classes="categories"),
    "Caltech256": _photos("caltech256/256_ObjectCategories", labels="y", classes="categories"),
    "EuroSAT": _photos("eurosat/2750"),
    "SUN397": _photos("SUN397"),
    "Food101": _photos("food-101", **_splits("train", "test")),
    "StanfordCars": _photos("stanford_cars", **_splits("train", "test")),
    "Flowers102": _photos("flowers-102", **_splits("train", "val", "test")),
    "FGVCAircraft": _photos("fgvc-aircraft-2013b", **_splits("train", "val", "test")),
    "DTD": _photos("dtd/dtd", **_splits("train", "val", "test")),
    "Country211": _photos("country211", **_splits("train", "valid", "test")),
    "RenderedSST2": _photos("rendered-sst2", **_splits("train", "val", "test"), flip=False),
    # Their published validation images are what everybody reports: the test here.
    "Imagenette": _photos("imagenette2", **_splits("train", "val")),
    "ImageNet": _photos("train", "val", "meta.bin", **_splits("train", "val")),
}


def named(argument: str, seed: int, test_fraction: float) -> TorchvisionSet:
    """``NAME:DIR``. Raises UserError for a set that is not known or not there."""
    name, _, folder = argument.partition(":")
    if name not in ENTRIES:
        raise UserError(f"data 'torchvision:{argument}': unknown set '{name}'; one of {', '.join(ENTRIES)}")
    return TorchvisionSet(name, folder, f"torchvision:{name}").checked()


def shorthand(name: str, argument: str, seed: int, test_fraction: float) -> TorchvisionSet:
    """``cifar10:DIR`` and the like, for ``torchvision:CIFAR10:DIR``. Raises UserError."""
    return TorchvisionSet(name, argument, name.lower()).checked()


def photos(argument: str) -> bool:
    """Whether it is a set of photographs rather than of thumbnails."""
    entry = ENTRIES.get(argument.partition(":")[0])
    return entry is not None and entry.photos


@dataclass(frozen=True)
class TorchvisionSet:
    """A set that torchvision has downloaded into a folder. name: torchvision's class."""

    name: str
    folder: str
    said: str  # how the user named the set
    warnings: tuple[str, ...] = field(default=(), init=False)

    def checked(self) -> TorchvisionSet:
        if not self.folder:
            raise UserError(f"data '{self.said}': needs a folder, as in {self.said}:DIR with {self._first} in DIR")
        if not (Path(self.root) / self._first).exists():
            raise self._missing("")
        return self

    @property
    def entry(self) -> Entry:
        return ENTRIES[self.name]

    @property
    def flip(self) -> bool:
        return self.entry.flip

    @property
    def own_test(self) -> bool:
        return self.entry.test is not None

    @property
    def root(self) -> str:
        return str(Path(self.folder).expanduser())

    @property
    def _first(self) -> str:
        return self.entry.files[0]

    def outline(self) -> Outline:
        listing = self.listing("search")
        return Outline(len(listing.classes), len(listing.labels), self.own_test)

    def identity(self, part: Part) -> Any:
        """Of all files of the set, whichever part they belong to: torchvision alone knows."""
        return ["torchvision", self.name, part, census(Path(self.root), self.entry.files)]

    def listing(self, part: Part) -> Listing:
        entry = self.entry
        if part == "test":
            return self._opened(entry.test or {})
        train = self._opened(entry.train)
        if entry.val is None:
            return train
        val = self._opened(entry.val)
        names = (*train.names, *val.names)
        return Listing(
            train.classes,
            np.concatenate([train.labels, val.labels]),
            names,
            ReadFiles(self.root, names),
            np.arange(len(names)) >= len(train.names),
        )

    def _opened(self, given: dict[str, Any]) -> Listing:
        """Raises UserError where files are missing or not those that torchvision knows."""
        read = ReadItems(self.name, self.root, tuple(given.items()))
        try:
            opened = read.dataset
            if self.entry.labels is None:
                items = sorted((os.path.relpath(path, self.root), int(label)) for path, label in _items(opened))
                names = tuple(path for path, _ in items)
                labels = np.array([label for _, label in items], np.int64)
                return Listing(_classes(opened, self.entry, labels), labels, names, ReadFiles(self.root, names))
        except (RuntimeError, OSError, ValueError, KeyError, EOFError, ImportError) as error:
            raise self._missing(f" ({str(error).partition(chr(10))[0]})") from None
        held = getattr(opened, self.entry.labels)
        labels = np.array([x[1] if isinstance(x, tuple) else int(x) for x in held], np.int64)
        names = tuple(f"{' '.join(map(str, given.values()))} image {i}" for i in range(len(labels)))
        return Listing(_classes(opened, self.entry, labels), labels, names, read)

    def _missing(self, why: str) -> UserError:
        return UserError(
            f"data '{self.said}:{self.folder}': {self._first} is missing, incomplete or corrupt in "
            f"{self.folder}{why}; expected are the files that torchvision.datasets.{self.name} reads, unchanged"
        )


@dataclass(frozen=True)
class ReadItems:
    """Reads the images of a set through its class, which another process opens anew. given: its arguments."""

    name: str
    root: str
    given: tuple[tuple[str, Any], ...]

    def __call__(self, i: int, resolution: int) -> np.ndarray:
        return square(self.dataset[i][0], resolution).transpose(2, 0, 1)

    def side(self, i: int) -> int:
        return min(self.dataset[i][0].size)

    @cached_property
    def dataset(self) -> Any:
        from torchvision import datasets

        cls, given = getattr(datasets, self.name), dict(self.given)
        if ENTRIES[self.name].labels is None:
            given["loader"] = str
        for unread in ("test_list",) * (given != ENTRIES[self.name].test and hasattr(cls, "test_list")):
            cls = type(self.name, (cls,), {unread: []})  # it then neither needs nor looks at the test images
        return cls(root=self.root, **given)

    def __reduce__(self) -> Any:
        return type(self), (self.name, self.root, self.given)


def _items(dataset: Any) -> Sequence[tuple[str, int]]:
    return [dataset[i] for i in range(len(dataset))]


def _classes(dataset: Any, entry: Entry, labels: np.ndarray) -> tuple[str, ...]:
    """Their names; numbers where the set has none."""
    names = getattr(dataset, entry.classes, None) or range(int(labels.max()) + 1)
    return tuple(name[0] if isinstance(name, tuple) else str(name) for name in names)
