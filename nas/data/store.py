"""One part of a source at one resolution: out of the host's cache, where it is put first, or streamed from files."""

from __future__ import annotations

import errno
import json
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nas.data import decode
from nas.data.cache import META, PIXELS, Cache, NoRoom, key_of
from nas.data.imageset import sums_of
from nas.data.listing import Listing, Part, Source, printable
from nas.data.pixels import STREAMING_THREADS, MappedPixels, Pixels, StreamedPixels
from nas.environment import cpu_count
from search_spaces.errors import UserError

FORMAT = 2  # of an entry; another is made anew
ARRAYS = "arrays.npz"
BLOCK = 4096  # images that wait for a thread at a time
# What reading a file says that stays so until the file changes. All else (a disk that fails, too many open files) must
# not be kept as a property of the image.
LASTING = (None, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ELOOP, errno.EISDIR)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """How to read a part. kept: what chooses among its images: a name for the choice, and the choice; None: all."""

    resolution: int
    kept: tuple[Any, Callable[[Listing], np.ndarray]] | None = None
    on_progress: Progress | None = None


@dataclass(frozen=True, eq=False)
class Images:
    """A part as it was read. Arrays have a row for each image that was asked for, usable or not: labels int64 (N,),
    is_val and usable bool (N,), sums and squares uint64 (N, 3) over the pixels of each channel, checksums uint32 (N,)
    of the pixels.

    problems: a line for each image that is not usable.
    """

    pixels: Pixels
    classes: tuple[str, ...]
    labels: np.ndarray
    is_val: np.ndarray | None
    usable: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    checksums: np.ndarray
    problems: tuple[str, ...]


def read(reopen: Callable[[], Source], part: Part, request: Request, cache: Cache) -> tuple[Images, tuple[str, ...]]:
    """The images, and warnings of the cache. ``reopen``: finds the source's files as they are at the moment.

    Raises UserError where files change while they are read, or cannot be read for a reason that is not theirs.
    """
    source = reopen()
    identity = [FORMAT, decode.VERSION, source.identity(part), request.resolution, request.kept and request.kept[0]]
    mapped, streamed = key_of([*identity, "mapped"]), key_of([*identity, "streamed"])
    for _ in range(10):  # another process may remove an entry between two steps
        try:
            if meta := cache.find(mapped):
                return _open(source, cache.root / mapped, meta, None), ()
            return _make(reopen, source, part, request, cache, mapped, streamed)
        except FileNotFoundError:
            continue
    raise UserError(f"NAS_CACHE: entries of {cache.root} vanish as soon as they are made; is data.cache_gb too small?")


def _make(
    reopen: Callable[[], Source], source: Source, part: Part, request: Request, cache: Cache, mapped: str, streamed: str
) -> tuple[Images, tuple[str, ...]]:
    listing = source.listing(part)
    kept = request.kept[1](listing) if request.kept else np.arange(len(listing.labels))
    nbytes = len(kept) * 3 * request.resolution**2
    before = source.identity(part)

    def fill(folder: Path, into: np.ndarray | None) -> None:
        _write(folder, listing, kept, request, into)
        if reopen().identity(part) != before:
            raise UserError(f"{source.root}: files changed while they were read; start again once they no longer do")

    def with_pixels(folder: Path) -> None:
        cache.allocate(folder / PIXELS, nbytes)
        shape = (len(kept), 3, request.resolution, request.resolution)
        into = np.memmap(folder / PIXELS, np.uint8, "r+", shape=shape)
        fill(folder, into)
        into.flush()

    warning = f"data.cache_gb: {nbytes / 1e9:.1f} GB of decoded images are more than {cache.limit_bytes / 1e9:g}"
    if nbytes <= cache.limit_bytes:
        try:
            cache.build(mapped, with_pixels)
            return _open(source, cache.root / mapped, _found(cache, mapped), None), ()
        except NoRoom as error:
            warning = str(error)
    cache.build(streamed, lambda folder: fill(folder, None))
    threads = STREAMING_THREADS if listing.parallel else 1
    pixels = StreamedPixels(listing.read, listing.names, kept, request.resolution, threads)
    images = _open(source, cache.root / streamed, _found(cache, streamed), pixels)
    return images, (f"{warning}; they are decoded again in every epoch",)


def _found(cache: Cache, key: str) -> dict[str, Any]:
    if meta := cache.find(key):
        return meta
    raise FileNotFoundError(key)


def _open(source: Source, folder: Path, meta: dict[str, Any], pixels: Pixels | None) -> Images:
    pixels = pixels or MappedPixels(folder / PIXELS, tuple(meta["shape"]))
    with np.load(folder / ARRAYS) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    problems = tuple(
        f"{printable(str(Path(source.root, name)))}: skipped, {printable(why)}" for name, why in meta["problems"]
    )
    is_val = found.pop("is_val", None)
    return Images(pixels, tuple(meta["classes"]), is_val=is_val, problems=problems, **found)


def _write(folder: Path, listing: Listing, kept: np.ndarray, request: Request, into: np.ndarray | None) -> None:
    """Reads the kept images, into the array if there is one, and writes all else that an entry holds."""
    sums, squares = np.zeros((2, len(kept), 3), np.uint64)
    checksums = np.zeros(len(kept), np.uint32)
    usable = np.ones(len(kept), bool)
    problems: list[tuple[str, str]] = []

    def one(position: int) -> str | None:
        i = int(kept[position])
        try:
            image = listing.read(i, request.resolution)
        except Exception as error:  # decoders raise a dozen kinds on damaged files
            if isinstance(error, OSError) and error.errno not in LASTING:
                raise UserError(f"{printable(listing.names[i])}: cannot be read: {error.strerror}") from None
            return decode.reason(error)
        sums[position], squares[position] = sums_of(image)
        checksums[position] = zlib.crc32(np.ascontiguousarray(image).data)
        if into is not None:
            into[position] = image
        return None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # decode.py has a limit of its own
        for position, problem in enumerate(_each(one, len(kept), listing.parallel)):
            if problem is not None:
                usable[position] = False
                problems.append((listing.names[int(kept[position])], problem))
            if request.on_progress:
                request.on_progress(position + 1, len(kept))
    arrays = {"labels": listing.labels[kept].astype(np.int64), "usable": usable, "sums": sums, "squares": squares}
    arrays["checksums"] = checksums
    if listing.is_val is not None:
        arrays["is_val"] = listing.is_val[kept]
    np.savez(folder / ARRAYS, **arrays)
    shape = (len(kept), 3, request.resolution, request.resolution)
    meta = {
        "classes": listing.classes,
        "problems": problems,
        "shape": shape,
        "nbytes": 0 if into is None else into.size,
    }
    (folder / META).write_text(json.dumps(meta))


def _each(one: Callable[[int], str | None], count: int, parallel: bool) -> Iterator[str | None]:
    """``one`` of 0, 1, ... in turn; decoding and resizing release the GIL, drawing does not."""
    if not parallel:
        yield from map(one, range(count))
        return
    with ThreadPoolExecutor(cpu_count()) as pool:
        for start in range(0, count, BLOCK):
            yield from pool.map(one, range(start, min(start + BLOCK, count)))
