"""Whether anything can get stuck at the lease of a host: the part ``liveness`` of ``benchmarks/lease.py``."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np
from processes import Search
from rich.console import Console

from nas.lease import VARIABLE, Deferred, Lease
from studies import ledger

SPAWN = multiprocessing.get_context("spawn")


def liveness(console: Console, searches: int = 50) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lease"
        holds = [_waits(path, console), _deaths(path, console), _stopped(path, console)]
        return all(holds) and _searches(path, searches, console)


def _step() -> None:
    """A block of 50 ms."""
    end = time.monotonic() + 0.05
    while time.monotonic() < end:
        pass


def _share(path: Path, ready: Any) -> None:
    with Lease(path).sharing() as share:
        ready.release()
        while True:
            _step()
            share.step()


def _flock(path: Path, ready: Any) -> None:
    with open(f"{path}.flock", "a") as file:
        ready.release()
        while True:
            fcntl.flock(file, fcntl.LOCK_SH)
            _step()
            fcntl.flock(file, fcntl.LOCK_UN)


def _four(holder: Callable[[Path, Any], None], path: Path) -> list[SpawnProcess]:
    ready = SPAWN.Semaphore(0)
    processes = [SPAWN.Process(target=holder, args=(path, ready), daemon=True) for _ in range(4)]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    time.sleep(0.5)
    return processes


def _end(processes: Sequence[SpawnProcess]) -> None:
    for process in processes:
        process.kill()
        process.join()


def _waits(path: Path, console: Console) -> bool:
    rng, lease, waits = np.random.default_rng(0), Lease(path), []
    busy = os.getloadavg()[0]
    processes = _four(_share, path)
    for _ in range(100):
        with lease.measuring() as waited_s:
            waits.append(1e3 * waited_s)
            time.sleep(0.01)
        time.sleep(rng.uniform(0.2, 0.3))  # away from the last measurement, after which trainings get a turn
    _end(processes)
    plain, got = _four(_flock, path), 0
    with open(f"{path}.flock", "a") as file:
        end = time.monotonic() + 10
        while time.monotonic() < end and got < 100:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(file, fcntl.LOCK_UN)
                got += 1
            except BlockingIOError:
                time.sleep(0.0005)
    _end(plain)
    p50, p99 = np.percentile(waits, [50, 99])
    console.print(
        f"wait for four trainings: median {p50:.0f}, p99 {p99:.0f}, most {max(waits):.0f} ms of 100 (bar: p99 200); "
        f"plain flock: {got} acquisitions in 10 s"
    )
    if p99 > 200 and busy > 1:
        console.print(f"liveness: too noisy: a load of {busy:.1f} before")
    return bool(p99 <= 200)


# Holds a lock in a process with a child that outlives it: argv is the path, and how.
HOLDER = """
import fcntl, os, sys
from pathlib import Path
from nas.lease import Lease

path, how = sys.argv[1:]
if how == "flock":
    file = open(f"{path}.flock", "a")
    fcntl.flock(file, fcntl.LOCK_EX)
else:
    lease = Lease(Path(path))
    held = lease.measuring() if how == "measuring" else lease.sharing()
    held.__enter__()
if not os.fork():
    print(flush=True)
sys.stdin.read()
"""


def _holder(path: Path, how: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    process.stdout.readline()
    return process


def _deaths(path: Path, console: Console) -> bool:
    """Five holders of each kind are killed; their children live on."""
    lease, times = Lease(path), []
    for how in ("sharing", "measuring") * 5:
        process = _holder(path, how)
        process.kill()
        start = time.monotonic()
        with lease.measuring(pause_s=10, queue_s=10):
            times.append(time.monotonic() - start)
        process.communicate()
    plain = _holder(path, "flock")
    plain.kill()
    with open(f"{path}.flock", "a") as file:
        time.sleep(2)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            kept = "is free"
        except BlockingIOError:
            kept = "is still held"
    plain.communicate()
    console.print(
        f"after SIGKILL of a holder with a live child: free within {1e3 * max(times):.0f} ms, 10 times (bar 1000); "
        f"plain flock {kept} after 2 s"
    )
    return max(times) <= 1


def _stopped(path: Path, console: Console) -> bool:
    lease, found = Lease(path), {}
    for how in ("sharing", "measuring"):
        process = _holder(path, how)
        process.send_signal(signal.SIGSTOP)
        try:
            with lease.measuring(pause_s=2, queue_s=2):
                found[how] = "measured"
        except Deferred as reason:
            found[how] = f"deferred ({reason})"
        process.kill()
        process.communicate()
    for how, what in found.items():
        console.print(f"beside a stopped process that was {how}: {what}")
    return all(what.startswith("deferred") for what in found.values())


def _searches(path: Path, count: int, console: Console) -> bool:
    """Searches of two trials at a time, so that one trains while the other measures."""
    flags = ["--trials=2", "--epochs=2", "--set", "resources.cpus=2"]
    os.environ[VARIABLE] = str(path)
    times, statuses = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            search = Search.new(Path(folder) / str(number), *flags, "--seed", str(number))
            try:
                if code := search.wait(300):
                    console.print(f"search {number} ended with {code}: {search.errors[-500:]}", markup=False)
                    return False
            except subprocess.TimeoutExpired:
                search.kill()
                console.print(f"search {number} did not end within 300 s")
                return False
            finally:
                search.sweep()
            times.append(time.monotonic() - search.started)
            records = ledger.read(Path(folder) / str(number))
            statuses += [r.outcome.latency.status for r in records if r.outcome and r.outcome.latency]
    tally = ", ".join(f"{statuses.count(status)} {status}" for status in sorted(set(statuses)))
    console.print(f"{count} searches of 2 trials ended, {statistics.median(times):.0f} s each; latencies: {tally}")
    return True
