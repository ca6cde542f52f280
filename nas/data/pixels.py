"""All images of a source at one resolution, wherever they lie: in memory, in a file that is mapped, or undecoded."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nas.data.decode import reason
from nas.data.listing import Read, printable
from nas.environment import cpu_count

STREAMING_THREADS = 4  # that decode a batch; trainings beside each other want theirs


class Pixels(Protocol):
    """uint8 (N, 3, R, R). Pickled for another process of this host, all but plain arrays are a path."""

    @property
    def shape(self) -> tuple[int, int, int, int]: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def resident(self) -> bool:
        """Whether reading is copying; else each read decodes images from the source's files."""

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        """int64 (n,) -> uint8 (n, 3, R, R), a copy that may be written to."""


class ArrayPixels:
    """Images in this process's memory, or read-only in Ray's object store."""

    resident = True

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        self.shape, self.nbytes = array.shape, array.nbytes

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        return self._array[np.asarray(index)]


class MappedPixels:
    """Images in a file of the host's cache, which all processes map: one copy of it in memory, the page cache's.

    The file is locked (shared) for as long as this lives, which tells the cache that it is in use. Raises
    FileNotFoundError where it has been removed.
    """

    resident = True

    def __init__(self, path: Path, shape: tuple[int, int, int, int]) -> None:
        self.path, self.shape, self.nbytes = path, shape, int(np.prod(shape))
        self._file = open(path, "rb")  # noqa: SIM115 (open as long as the lock is to be held)
        fcntl.flock(self._file, fcntl.LOCK_SH)
        if os.fstat(self._file.fileno()).st_ino != os.stat(path).st_ino:  # removed before it was locked
            raise FileNotFoundError(path)
        self._array = np.asarray(np.memmap(self._file, np.uint8, "r", shape=shape))

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        return self._array[np.asarray(index)]

    def __reduce__(self) -> Any:
        return type(self), (self.path, self.shape)


class StreamedPixels:
    """Images that are decoded at each read, since all of them take more room than there is.

    kept: int64 (N,), which images of the listing. Raises RuntimeError that names an image which can no longer be read.
    """

    resident = False

    def __init__(
        self, read: Read, names: Sequence[str], kept: np.ndarray, resolution: int, threads: int = STREAMING_THREADS
    ) -> None:
        self._read, self._names, self._kept, self._resolution, self._threads = read, names, kept, resolution, threads
        self.shape = (len(kept), 3, resolution, resolution)
        self.nbytes = int(np.prod(self.shape))

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        index = np.asarray(index)
        images = np.empty((len(index), *self.shape[1:]), np.uint8)

        def decode(position: int) -> None:
            i = int(self._kept[index[position]])
            try:
                images[position] = self._read(i, self._resolution)
            except Exception as error:
                raise RuntimeError(f"{printable(self._names[i])} can no longer be read: {reason(error)}") from error

        if self._threads == 1:
            for position in range(len(index)):
                decode(position)
        else:
            list(self._pool.map(decode, range(len(index))))
        return images

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(min(self._threads, cpu_count()))

    def __reduce__(self) -> Any:
        return type(self), (self._read, self._names, self._kept, self._resolution, self._threads)
