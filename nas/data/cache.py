"""The host's cache of decoded images: a folder for each part of a source at each resolution, made once and then mapped.

An entry is made in a scratch folder under a lock of its own and moved into place by one rename, so that what is found
under its name is whole. The kernel frees the lock of whoever dies; the next who makes an entry removes what the dead
left. Entries that no process has mapped are removed, least recently used first, to make room for another.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from search_spaces.errors import UserError
from studies.home import VARIABLE, cache_root

META, PIXELS = "meta.json", "pixels"
SCRATCH, LOCK = ".scratch", ".lock"
SPARE_BYTES = 500_000_000  # that an entry leaves free on the disk
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NoRoom(Exception):
    """The disk, or the cache's limit, has no room for an entry; says which."""


def key_of(identity: Any) -> str:
    """A name for what is described by JSON."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]


class Cache:
    """limit_bytes: of all entries together, as far as those in use allow."""

    def __init__(self, root: Path, limit_bytes: float) -> None:
        self.root, self.limit_bytes = root, limit_bytes

    @classmethod
    def of_host(cls, limit_bytes: float) -> tuple[Cache, tuple[str, ...]]:
        """The cache in $NAS_CACHE, else $XDG_CACHE_HOME/nas-scaling, else ~/.cache/nas-scaling; and a warning where it
        lies in the temporary directory, since neither of the last two can be written to.

        Raises UserError where $NAS_CACHE cannot.
        """
        usual = cache_root()
        if not (error := _unusable(usual)):
            return cls(usual, limit_bytes), ()
        if named := os.environ.get(VARIABLE):
            raise UserError(f"{VARIABLE}: {named} cannot hold the cache of decoded images: {error}")
        other = Path(tempfile.gettempdir(), f"nas-{os.getuid()}", "cache")
        if also := _unusable(other):
            raise UserError(f"{VARIABLE}: names no folder, and {other} cannot hold decoded images: {also}")
        return cls(other, limit_bytes), (f"{usual}: {error}; decoded images go to {other} (see {VARIABLE})",)

    def find(self, key: str) -> dict[str, Any] | None:
        """The meta data of a whole entry, which counts as used now; None where there is none."""
        try:
            meta: dict[str, Any] = json.loads((self.root / key / META).read_bytes())
            if meta["nbytes"] and os.path.getsize(self.root / key / PIXELS) != meta["nbytes"]:
                return None
            os.utime(self.root / key / META)
            return meta
        except (OSError, ValueError, KeyError):
            return None

    def build(self, key: str, make: Callable[[Path], None]) -> None:
        """Has ``make`` fill an empty folder, which becomes the entry; or waits for another process that is at it."""
        with FileLock(self.root / f"{key}{LOCK}"):
            if self.find(key):
                return
            scratch = self.root / f"{key}{SCRATCH}"
            for left in (scratch, self.root / key):  # by a builder that was killed; an entry that was damaged later
                shutil.rmtree(left, ignore_errors=True)
            self._sweep()
            scratch.mkdir()
            try:
                make(scratch)
                for file in scratch.iterdir():
                    _sync(file)
                _sync(scratch)
                scratch.rename(self.root / key)
                _sync(self.root)
            except BaseException:
                shutil.rmtree(scratch, ignore_errors=True)
                raise

    def allocate(self, path: Path, nbytes: int) -> None:
        """Makes a file whose room on the disk is its own, so that writing to its mapping cannot fail. Raises NoRoom."""
        self._evict(self.limit_bytes - nbytes)
        if shutil.disk_usage(self.root).free < nbytes + SPARE_BYTES:
            raise NoRoom(f"{self.root} has no room for {nbytes / 1e9:.1f} GB")
        with open(path, "wb") as file:
            try:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, nbytes)
                else:
                    file.truncate(nbytes)
            except OSError as error:
                if error.errno in FULL:
                    raise NoRoom(f"{self.root} has no room for {nbytes / 1e9:.1f} GB") from None
                raise

    def note(self, identity: Any, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What ``make`` found earlier for the same identity: something small that takes time to find."""
        path = self.root / f"{key_of(identity)}.json"
        try:
            noted: dict[str, Any] = json.loads(path.read_bytes())
        except (OSError, ValueError):
            noted = make()
            with suppress(OSError), tempfile.NamedTemporaryFile("w", dir=self.root, delete=False) as file:
                json.dump(noted, file)
                file.flush()
                os.replace(file.name, path)
        return noted

    def _sweep(self) -> None:
        """Removes what builders left that were killed; theirs is a lock that nobody holds."""
        for left in self.root.glob(f"*{SCRATCH}"):
            with self._held(left.name.removesuffix(SCRATCH)) as mine:
                if mine:
                    shutil.rmtree(left, ignore_errors=True)

    def _evict(self, most_bytes: float) -> None:
        """Removes entries that nobody uses, until the others take ``most_bytes`` at most."""
        entries = []
        for meta in self.root.glob(f"*/{META}"):
            with suppress(OSError):
                found = meta.stat()
                entries.append((found.st_mtime_ns, meta.parent, _size(meta.parent)))
        total = sum(size for *_, size in entries)
        for _, entry, size in sorted(entries):
            if total <= most_bytes:
                return
            if entry.suffix != SCRATCH and self._remove(entry):
                total -= size

    def _remove(self, entry: Path) -> bool:
        """Whether nobody used it. Who maps it at this moment waits for the lock on its pixels, and finds it gone."""
        gone = self.root / f"{entry.name}{SCRATCH}"
        with self._held(entry.name) as mine, suppress(OSError):
            if mine:
                with open(entry / PIXELS, "rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where it is mapped (nas.data.pixels)
                    entry.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
                return True
        return False

    @contextmanager
    def _held(self, key: str) -> Iterator[bool]:
        """Whether the lock of a key was free, which is then held."""
        lock = FileLock(self.root / f"{key}{LOCK}")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _sync(path: Path) -> None:
    """Waits until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unusable(root: Path) -> str | None:
    """Why nothing can be written there; None where it can."""
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            return None
    except OSError as error:
        return error.strerror or str(error)
