"""One latency measurement at a time on a host, while trainings pause: a reader-writer lock on its local disk.

Trainings share the lease; a measurement holds it alone. Who waits to measure touches the lock's file; a training looks
at that after every step (some microseconds), lets go and asks again. Everyone asks through a gate, which is shut from
the moment that somebody waits to measure, so that trainings cannot starve a measurement. Lock and gate are filelock's
``ReadWriteLock`` (SQLite's file locks, which are POSIX record locks): the kernel frees what a process held as soon as
it dies, whatever children it leaves. To let go and ask takes up to a millisecond, too long to do it after every step.

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
from studies.ledger import UNCHECKED

VARIABLE = "NAS_LEASE"  # the lock's file instead of the default one; "off": none
PAUSE_S = 60.0  # for trainings to come to the end of a step; one that does not has been stopped
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
            self._gate = ReadWriteLock(f"{path}.gate", is_singleton=False)
        except (OSError, ValueError) as error:
            raise UserError(f"{VARIABLE}: {path} cannot be a lock file: {error}") from None

    @classmethod
    def of_host(cls) -> Lease:
        """The lease that all runs of this user on this host share, or what ``NAS_LEASE`` says."""
        named = os.environ.get(VARIABLE)
        if named == "off":
            return cls(None)
        return cls(Path(named) if named else Path(tempfile.gettempdir(), f"nas-{_user()}", "lease"))

    @property
    def unchecked(self) -> tuple[str, ...]:
        """What a measurement has to say where nothing is locked."""
        return () if self.path else (f"{UNCHECKED}: whether trainings beside it pause ({VARIABLE} is off)",)

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
            if not self._got(self._shut_gate, queue_s):
                raise Deferred(f"other measurements did not end within {queue_s:g} s")
            held.callback(self._gate.release, force=True)
            if not self._clear(pause_s):
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

    def _shut_gate(self) -> None:
        """Not in the turn of those who waited while the last measurement ran; it touched the file at its end."""
        ago_s = time.time() - self._touched() / 1e9
        time.sleep(min(TURN_S, max(0.0, TURN_S - ago_s)))
        self._gate.acquire_write(0)

    def _clear(self, pause_s: float) -> bool:
        """Whether all who share let go in time."""
        assert self.path
        end = time.monotonic() + pause_s
        while True:
            self.path.touch()
            try:
                self._host.acquire_write(0.05)
                return True
            except Timeout:
                if time.monotonic() >= end:
                    return False

    def _let_go(self) -> None:
        self._host.release(force=True)
        self._gate.release(force=True)

    def _pass_gate(self) -> None:
        with self._gate.read_lock(0):
            self._host.acquire_read(0)

    def _got(self, attempt: Callable[[], object], timeout_s: float) -> bool:
        """Whether an attempt succeeded in time. In between it only looks whether the file was touched, ten times a
        second, since an attempt takes a while from who measures; and tries twice a second, lest that one has died."""
        end = time.monotonic() + timeout_s
        while True:
            touched = self._touched()
            try:
                attempt()
                return True
            except Timeout:
                failed = time.monotonic()
            if failed >= end:
                return False
            while self._touched() == touched and time.monotonic() < min(failed + 0.5, end):
                time.sleep(0.1)

    def _touched(self) -> int:
        """When the file was touched last, in ns; 0: there is none, until somebody asks for the lease."""
        try:
            return self.path.stat().st_mtime_ns if self.path else 0
        except FileNotFoundError:
            return 0

    @contextmanager
    def sharing(self, settle: Callable[[], object] = lambda: None, queue_s: float = QUEUE_S) -> Iterator[Share]:
        """The host for work that would disturb a measurement, such as training, for as long as nobody measures.

        settle: called before the lease is let go; on a GPU it waits for what was started there.
        """
        share = Share(self, settle, queue_s)
        share._acquire()
        try:
            yield share
        finally:
            share._release()


class Share:
    """paused_s: seconds spent so far in waiting for measurements, and in asking whether there are any."""

    def __init__(self, lease: Lease, settle: Callable[[], object], queue_s: float) -> None:
        self._lease, self._settle, self._queue_s = lease, settle, queue_s
        self._held, self._seen = False, 0
        self.paused_s = 0.0

    def step(self) -> None:
        """To be called after every step: gives way where somebody waits to measure."""
        if self._lease.path and not (self._held and self._lease._touched() == self._seen):
            self._release()
            self._acquire()

    def _acquire(self) -> None:
        """After ``queue_s`` it goes on without, since whoever measures has been stopped, and waits no more until it has
        had the lease again; the measurement is deferred when it goes on."""
        if not self._lease.path:
            return
        asked, self._seen = time.monotonic(), self._lease._touched()
        self._held = self._lease._got(self._lease._pass_gate, self._queue_s if self._lease._patient else 0)
        self._lease._patient = self._held
        self.paused_s += time.monotonic() - asked

    def _release(self) -> None:
        if self._held:
            try:
                self._settle()
            finally:
                self._held = False
                self._lease._host.release()


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0  # Windows has a temporary directory for each user


NO_LEASE = Lease(None)
