"""Image sets that trials share: decoded once per host, at one resolution, in splits that never change.

A source is named by a string: ``digits``, ``glyphs``, ``glyphs:classes=32,size=64,n=20000``, ``imagefolder:DIR``,
``torchvision:NAME:DIR``, ``cifar10:DIR`` or ``cifar100:DIR`` for two of these, ``huggingface:DIR``. Nothing is
downloaded. What a search looks at, it fits; therefore test images are kept apart: the source's own where it has them.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial

import numpy as np

from nas.data import store, torchvision_sets
from nas.data.cache import Cache
from nas.data.digits import Digits
from nas.data.folder import ImageFolder
from nas.data.glyphs import Glyphs
from nas.data.huggingface import HuggingFace
from nas.data.imageset import ImageSet, Split, moments
from nas.data.listing import Listing, Outline, Source
from nas.data.pixels import Pixels
from nas.data.split import held_out, keep_per_class, stratified
from nas.data.store import Progress, Request
from search_spaces.errors import UserError
from studies.spec import DataSpec

__all__ = ["ImageSet", "Images", "Outline", "Pixels", "Split", "check", "default_resolution", "detail", "load"]

# name: how it is written, and what finds it, given its argument, the run's seed and the share of test images
SOURCES: dict[str, tuple[str, Callable[[str, int, float], Source]]] = {
    "digits": ("digits", Digits.open),
    "glyphs": ("glyphs[:OPTION=VALUE,...]", Glyphs.open),
    "imagefolder": ("imagefolder:DIR", ImageFolder.open),
    "torchvision": ("torchvision:NAME:DIR", torchvision_sets.named),
    "cifar10": ("cifar10:DIR", partial(torchvision_sets.shorthand, "CIFAR10")),
    "cifar100": ("cifar100:DIR", partial(torchvision_sets.shorthand, "CIFAR100")),
    "huggingface": ("huggingface:DIR", HuggingFace.open),
}
Images = ImageSet | Mapping[int, ImageSet]
"""What trials share: one set, resized for networks of lower resolution, or a set for each resolution."""
MIN_RESOLUTION = 8
LOOKED_AT = 50  # images whose sizes say how much detail a source holds
PHOTO_RESOLUTION, SMALL_RESOLUTION = 64, 32  # pixels, where the user names none
TEST_FRACTION, CACHE_GB = DataSpec.test_fraction, DataSpec.cache_gb


def default_resolution(source: str) -> int:
    """Side in pixels that a source's images are read at where nobody says: larger for photographs."""
    name, argument = _parse(source)
    if name == "glyphs":
        return Glyphs.open(argument, 0, 0).options.side or SMALL_RESOLUTION
    photos = name in ("imagefolder", "huggingface") or (name == "torchvision" and torchvision_sets.photos(argument))
    return PHOTO_RESOLUTION if photos else SMALL_RESOLUTION


def check(source: str) -> Outline:
    """How many classes and images a source has; decodes none.

    Raises UserError for an unknown source, a bad option or a folder that cannot be used.
    """
    found = _open(source, 0, TEST_FRACTION)
    if not source.startswith(("torchvision", "cifar", "huggingface")):
        return found.outline()
    cache, _ = Cache.of_host(CACHE_GB * 1e9)  # to open these takes seconds
    identity = ["outline", source.partition(":")[0], found.identity("search")]
    return Outline(**cache.note(identity, lambda: asdict(found.outline())))


def detail(source: str) -> int | None:
    """The resolution beyond which the images of a source hold no more detail: the median of their shorter sides, of
    some of them; None: there is none, or no image can be read. Raises UserError as ``check`` does."""
    listing = _open(source, 0, TEST_FRACTION).listing("search")
    sides = []
    for i in np.unique(np.linspace(0, len(listing.names) - 1, LOOKED_AT).astype(int)):
        try:
            sides.append(listing.read.side(int(i)))
        except (OSError, ValueError):  # a file that loading will name
            continue
    known = [side for side in sides if side is not None]
    return int(np.median(known)) if known else None


def load(
    source: str,
    resolution: int,
    seed: int,
    val_fraction: float = 0.25,
    max_per_class: int | None = None,
    on_progress: Progress | None = None,
    test_fraction: float = TEST_FRACTION,
    cache_gb: float = CACHE_GB,
) -> ImageSet:
    """The images of a source, decoded once per host. Equal arguments on equal files give equal images.

    seed: decides the splits, the images that ``max_per_class`` keeps and, for glyphs, what is drawn.
    val_fraction: share of each class that validates, once test images are taken out; not used where a source has a
    validation set of its own. test_fraction: share of each class that is for the test, where a source has no test
    images; they are taken out of its training images, but glyphs draw more.
    max_per_class: images of a class in all, but for test images that the source itself has.
    on_progress: called with (images read, images in all), in the caller's thread; not where the cache has them.
    cache_gb: of the host's cache in all; images that would take more are decoded at each read, as they are where the
    disk has no room.
    Raises UserError as ``check`` does, for a value out of range and for a class with too few images.
    """
    _check_arguments(resolution, seed, val_fraction, test_fraction, max_per_class, cache_gb)
    reopen = partial(_open, source, seed, test_fraction)
    found = reopen()
    cache, notes = Cache.of_host(cache_gb * 1e9)
    keep = partial(_keep, limit=max_per_class, val_fraction=val_fraction, seed=seed)
    kept = (["kept", max_per_class, val_fraction, seed], keep) if max_per_class else None
    images, also = store.read(reopen, "search", Request(resolution, kept, on_progress), cache)
    train, val, test = _split(source, images, found.own_test, seed, val_fraction, test_fraction)
    labels = images.labels
    mean, std = moments(images.sums[train], images.squares[train], resolution)
    own = partial(_own_test, source, seed, test_fraction, resolution, images.classes, cache_gb)
    return ImageSet(
        name=source,
        classes=images.classes,
        train=Split(images.pixels, train, labels[train]),
        val=Split(images.pixels, val, labels[val]),
        flip=found.flip,
        mean=mean,
        std=std,
        fingerprint=_fingerprint(images, train, val, test),
        warnings=(*notes, *also, *found.warnings, *images.problems),
        held_out=own if found.own_test else Split(images.pixels, test, labels[test]) if len(test) else None,
    )


def _split(
    source: str, images: store.Images, own_test: bool, seed: int, val_fraction: float, test_fraction: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which images train, validate and test: sorted indices. Those that are not usable are in none."""
    usable = np.flatnonzero(images.usable)
    labels, number = images.labels[usable], len(images.classes)
    is_val = np.zeros(len(usable), bool) if images.is_val is None else images.is_val[usable]
    _check_classes(source, images)
    is_test = np.zeros(len(usable), bool)
    if not own_test and test_fraction:
        own_val = images.is_val is not None
        is_test[~is_val] = held_out(labels[~is_val], number, test_fraction, seed, leave=1 if own_val else 2)
    if images.is_val is None:
        is_val[~is_test] = stratified(labels[~is_test], images.classes, val_fraction, seed)
    return usable[~is_val & ~is_test], usable[is_val], usable[is_test]


def _fingerprint(images: store.Images, *splits: np.ndarray) -> str:
    """Of the decoded pixels, labels and splits; names and times of files are no part of it."""
    digest = hashlib.sha256(repr(images.classes).encode())
    for split in splits:
        for array in (images.checksums, images.labels):
            digest.update(np.ascontiguousarray(array[split]).data)
        digest.update(b"|")
    return digest.hexdigest()[:32]


def _check_classes(source: str, images: store.Images) -> None:
    """Raises UserError for a class that has lost all its images, naming the first."""
    for part in [np.ones(len(images.labels), bool)] if images.is_val is None else [~images.is_val, images.is_val]:
        left = np.bincount(images.labels[part & images.usable], minlength=len(images.classes))
        for label, name in enumerate(images.classes):
            if left[label] == 0:
                lost = np.flatnonzero(part & ~images.usable & (images.labels == label))
                place = np.flatnonzero(~images.usable).searchsorted(lost)
                first = f"; the first, {images.problems[place[0]]}" if len(lost) else ""
                raise UserError(f"data '{source}': class '{name}' has no usable image{first}")


def _keep(listing: Listing, limit: int | None, val_fraction: float, seed: int) -> np.ndarray:
    """A validation set that comes with the source gets its share of the limit, as in a split."""
    if listing.is_val is None or limit is None:
        return keep_per_class(listing.labels, limit, seed)
    val_limit = max(1, round(limit * val_fraction))
    parts = (np.flatnonzero(~listing.is_val), max(1, limit - val_limit)), (np.flatnonzero(listing.is_val), val_limit)
    return np.concatenate([part[keep_per_class(listing.labels[part], most, seed)] for part, most in parts])


def _own_test(
    source: str, seed: int, test_fraction: float, resolution: int, classes: tuple[str, ...], cache_gb: float
) -> Split:
    """The test images that come with a source, read now."""
    cache, _ = Cache.of_host(cache_gb * 1e9)
    images, notes = store.read(partial(_open, source, seed, test_fraction), "test", Request(resolution), cache)
    for line in (*notes, *images.problems):
        logging.getLogger("nas").warning("test images: %s", line)
    if images.classes != classes:
        raise UserError(f"data '{source}': the classes of its test images are not those of its training images")
    usable = np.flatnonzero(images.usable)
    return Split(images.pixels, usable, images.labels[usable])


def _open(source: str, seed: int, test_fraction: float) -> Source:
    name, argument = _parse(source)
    return SOURCES[name][1](argument, seed, test_fraction)


def _parse(source: str) -> tuple[str, str]:
    name, _, argument = source.partition(":")
    if name not in SOURCES:
        raise UserError(f"data '{source}': unknown source '{name}'; one of {', '.join(x[0] for x in SOURCES.values())}")
    return name, argument


def _check_arguments(
    resolution: int, seed: int, val_fraction: float, test_fraction: float, most: int | None, cache_gb: float
) -> None:
    if resolution < MIN_RESOLUTION:
        raise UserError(f"resolution {resolution}: at least {MIN_RESOLUTION} pixels")
    if seed < 0:
        raise UserError(f"seed {seed}: at least 0")
    if not 0 < val_fraction < 1:
        raise UserError(f"val_fraction {val_fraction}: between 0 and 1, both excluded")
    if not 0 <= test_fraction < 1:
        raise UserError(f"test_fraction {test_fraction}: at least 0 and less than 1")
    if most is not None and most < 2:
        raise UserError(f"max_per_class {most}: at least 2, one to train on and one to validate")
    if cache_gb < 0:
        raise UserError(f"cache_gb {cache_gb}: at least 0")
