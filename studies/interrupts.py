"""Ctrl-C and SIGTERM: the first asks a run to come to its end in order, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Interrupts:
    """``received``: the name of the signal that came, empty before."""

    received: str = ""


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Within it a first SIGINT or SIGTERM is noted, so that no event is half recorded; a second raises
    KeyboardInterrupt. Outside the main thread, where Python allows no handlers, nothing is noted."""
    signals = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return

    def handle(number: int, frame: Any) -> None:
        if signals.received:
            raise KeyboardInterrupt
        signals.received = signal.Signals(number).name

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
