"""One latency measurement at a time on a host, while trainings pause: a reader-writer lock on its local disk.

Trainings share the lease for a block of steps, let go of it and ask for it again; a measurement holds it alone. The
lock is filelock's ``ReadWriteLock`` (SQLite's file locks, which are POSIX record locks): one that waits to measure bars
new blocks, so that trainings cannot starve it, and the kernel frees what a process held as soon as it dies, whatever
children it leaves. It costs 0.03 to 0.5 ms a block, by version of filelock (``benchmarks/lease.py cost``).

Covered: all that uses nas on one host, as one user, with one temporary directory. Not covered, unless ``NAS_LEASE``
names a file that they share: other users, containers with a /tmp of their own, jobs with a TMPDIR of their own. Not
covered at all: programs that know nothing of the lease, and what a search does beside its trials (Ray, the sampler).
For these there are the checks of a measurement itself.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import ReadWriteLock, Timeout

from search_spaces import UserError

VARIABLE = "NAS_LEASE"  # the lock's file instead of the default one; "off": none
BLOCK_S = 0.1  # of training between two chances to measure; a step that takes longer is a block of its own
PAUSE_S = 60.0  # for trainings to come to the end of a block; one that does not has been stopped
HOLD_S = 60.0  # of one measurement; one that takes longer hangs, or has been stopped
TURN_S = 0.2  # after a measurement in which trainings go on before the next, so that these cannot starve them
QUEUE_S = 600.0  # for the measurements before one's own; and for a training until it no longer waits for any


class Deferred(RuntimeError):
    """The host could not be had for a measurement, or not for all of it; says why."""


class Lease:
    """path: the lock's file, on a local disk; None: nothing is locked, and measurements do not exclude anything.

    A process may have several, whose holders exclude each other as those of other processes do; each is for one thread.
    Raises UserError where the file cannot be.
    """

    def __init__(self, path: Path | None) -> None:
        self.path, self._patient = path, True
        if path is None:
            return
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._host = ReadWriteLock(path, is_singleton=False)
            self._queue = ReadWriteLock(f"{path}.queue", is_singleton=False)
        except (OSError, ValueError) as error:
            raise UserError(f"{VARIABLE}: {path} cannot be a lock file: {error}") from None

    @classmethod
    def of_host(cls) -> Lease:
        """The lease that all runs of this user on this host share, or what ``NAS_LEASE`` says."""
        named = os.environ.get(VARIABLE)
        if named == "off":
            return cls(None)
        return cls(Path(named) if named else Path(tempfile.gettempdir(), f"nas-{_user()}", "lease"))

    @contextmanager
    def measuring(self, pause_s: float = PAUSE_S, hold_s: float = HOLD_S, queue_s: float = QUEUE_S) -> Iterator[float]:
        """The host for one measurement, while nobody else who uses the lease measures or trains; seconds waited for it.

        Not to be asked for while the same thread shares the lease. Raises Deferred where trainings do not pause within
        ``pause_s`` or other measurements do not end within ``queue_s``; and at the end of the block where it took
        longer than ``hold_s``, after which others no longer had to wait for it.
        """
        if self.path is None:
            yield 0.0
            return
        asked = time.monotonic()
        with ExitStack() as held:
            # Those who measure line up apart, where they bar no training.
            _sleep_out_turn(self.path)  # nor do those who measure again and again starve others in the line
            if not _got(self._queue.acquire_write, queue_s):
                raise Deferred(f"other measurements did not end within {queue_s:g} s")
            held.callback(self._queue.release, force=True)
            _sleep_out_turn(self.path)
            if not _got(self._host.acquire_write, pause_s):
                raise Deferred(f"a training did not pause within {pause_s:g} s; is its process stopped?")
            held.callback(self._host.release, force=True)
            held.callback(self.path.touch)
            watchdog = threading.Timer(hold_s, self._let_go)
            watchdog.daemon = True
            watchdog.start()
            held.callback(watchdog.join)
            held.callback(watchdog.cancel)
            start = time.monotonic()
            yield start - asked
            if (took := time.monotonic() - start) > hold_s:
                raise Deferred(f"the measurement took {took:.0f} s, others wait for {hold_s:g} s")

    def _let_go(self) -> None:
        self._host.release(force=True)
        self._queue.release(force=True)

    @contextmanager
    def sharing(
        self, settle: Callable[[], object] = lambda: None, block_s: float = BLOCK_S, queue_s: float = QUEUE_S
    ) -> Iterator[Share]:
        """The host for work that would disturb a measurement, such as training, for as long as nobody measures.

        settle: called before the lease is let go; on a GPU it waits for what was started there.
        """
        share = Share(self, settle, block_s, queue_s)
        share._acquire()
        try:
            yield share
        finally:
            share._release()


class Share:
    """paused_s: seconds spent so far in waiting for measurements, and in asking whether there are any."""

    def __init__(self, lease: Lease, settle: Callable[[], object], block_s: float, queue_s: float) -> None:
        self._lease, self._settle, self._block_s, self._queue_s = lease, settle, block_s, queue_s
        self._held, self._begun = False, 0.0
        self.paused_s = 0.0

    def step(self) -> None:
        """To be called after every step: gives way to a measurement that waits once the block is over."""
        if time.monotonic() - self._begun >= self._block_s:
            self._release()
            self._acquire()

    def _acquire(self) -> None:
        """After ``queue_s`` it goes on without, since whoever measures has been stopped, and waits no more until it has
        had the lease again; the measurement is deferred when it goes on."""
        asked = time.monotonic()
        if self._lease.path:
            self._held = _got(self._lease._host.acquire_read, self._queue_s if self._lease._patient else 0)
            self._lease._patient = self._held
            self.paused_s += time.monotonic() - asked
        self._begun = time.monotonic()

    def _release(self) -> None:
        if self._held:
            try:
                self._settle()
            finally:
                self._held = False
                self._lease._host.release()


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0  # Windows has a temporary directory for each user


def _sleep_out_turn(path: Path) -> None:
    """The turn of those who waited while the last measurement ran; it touched the file at its end."""
    ago_s = time.time() - path.stat().st_mtime
    time.sleep(min(TURN_S, max(0.0, TURN_S - ago_s)))


def _got(acquire: Callable[[float], object], timeout_s: float) -> bool:
    """Whether it was acquired in time. Waits a second at a time, since SQLite's wait hears no Ctrl-C."""
    end = time.monotonic() + timeout_s
    while True:
        left = end - time.monotonic()
        try:
            acquire(min(1.0, max(0.0, left)))
            return True
        except Timeout:
            if left <= 1:
                return False


NO_LEASE = Lease(None)
