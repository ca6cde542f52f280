"""Batches of a split on the device that trains: from the card itself, from memory, or read ahead by a thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from nas.data import Split
from nas.lease import Share

AHEAD = 2  # batches that are read while the device works on another
ON_CARD = 0.4  # of the GPU's free memory that images may take, of which a fraction of a GPU has its share
CHUNK = 1024  # images at a time on their way to the card, so that a measurement need not wait for all


class Feed:
    """``split`` in batches on ``device``. A set lies on the GPU where it fits; else batches are read ahead into pinned
    memory. On CPU they are read from the pages that all trials on the host share.

    room: share of the GPU's free memory that images may take.
    """

    def __init__(self, split: Split, device: torch.device, share: Share, room: float = ON_CARD) -> None:
        self._split, self._device = split, device
        self._labels = torch.from_numpy(np.ascontiguousarray(split.labels, np.int64)).to(device)
        self._pending: deque[Future[Tensor]] = deque()
        self._card = self._on_card(share) if device.type == "cuda" and self._fits(room) else None
        ahead = self._card is None and (device.type == "cuda" or not split.pixels.resident)
        self._reader = ThreadPoolExecutor(1, "feed") if ahead else None

    def __len__(self) -> int:
        return len(self._split)

    def batches(self, batches: list[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """x uint8 (n, 3, R, R) and y int64 (n,), both on the device, for each tensor of positions in the split."""
        if self._card is not None:
            for positions in batches:
                yield self._card[positions], self._labels[positions]
        elif self._reader is None:
            for positions in batches:
                yield self._read(positions), self._labels[positions]
        else:
            yield from self._read_ahead(self._reader, batches)

    def settle(self) -> None:
        """Waits for what is being read, so that nothing of it runs beside a measurement."""
        for future in list(self._pending):
            future.exception()

    def close(self) -> None:
        if self._reader:
            self._reader.shutdown(cancel_futures=True)

    def _read(self, positions: Tensor) -> Tensor:
        batch = torch.from_numpy(self._split.batch(positions.cpu().numpy()))
        return batch if self._device.type == "cpu" else batch.pin_memory()

    def _read_ahead(self, reader: ThreadPoolExecutor, batches: list[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        on_host = [positions.cpu() for positions in batches]
        self._pending = deque(reader.submit(self._read, positions) for positions in on_host[:AHEAD])
        try:
            for number, positions in enumerate(batches):
                x = self._pending.popleft().result()
                if number + AHEAD < len(batches):
                    self._pending.append(reader.submit(self._read, on_host[number + AHEAD]))
                yield x.to(self._device, non_blocking=True), self._labels[positions]
        finally:
            for future in self._pending:
                future.cancel()
            self._pending.clear()

    def _fits(self, room: float) -> bool:
        free, _ = torch.cuda.mem_get_info(self._device)
        return len(self._split) * self._image_bytes() <= room * free

    def _image_bytes(self) -> int:
        return int(np.prod(self._split.pixels.shape[1:]))

    def _on_card(self, share: Share) -> Tensor:
        card = torch.empty((len(self._split), *self._split.pixels.shape[1:]), dtype=torch.uint8, device=self._device)
        for start in range(0, len(card), CHUNK):
            positions = np.arange(start, min(start + CHUNK, len(card)))
            card[start : start + len(positions)] = torch.from_numpy(self._split.batch(positions)).to(self._device)
            share.step()
        return card
