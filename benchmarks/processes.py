"""Searches as real processes, to be watched and killed: what ``benchmarks/faults.py`` works with. Linux only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studies import ledger
from studies.ledger import LEDGER

CHEAP = ["--space=v2", "--width=0.25", "--data=digits", "--gpus=0", "--objective=top1", "--objective=macs"]
for _setting in ("data.max_per_class=40", "latency.warmup_s=0", "latency.max_s=0.02", "latency.retries=0"):
    CHEAP += ["--set", _setting]
LONG = ("--epochs", "60")  # long enough for a checkpoint, see nas.checkpoint.EVERY_S


class BarMissed(Exception):
    """A measured figure is not what it has to be."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise BarMissed(what)


class Search:
    """``python -m nas.search FLAGS`` in a session of its own, its output in a file in ``log`` (or beside the run)."""

    def __init__(self, run_dir: Path, *flags: str, log: Path | None = None) -> None:
        self._out = (log or run_dir.parent) / f"{run_dir.name}.{time.monotonic_ns()}.out"
        command = [sys.executable, "-m", "nas.search", *flags]
        variables = os.environ | {"OMP_NUM_THREADS": "1"}
        self.started = time.monotonic()
        with open(self._out, "w") as out, open(self._out.with_suffix(".err"), "w") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env=variables, start_new_session=True)

    @classmethod
    def new(cls, run_dir: Path, *flags: str, log: Path | None = None) -> Search:
        return cls(run_dir, *CHEAP, "--out", str(run_dir), *flags, log=log)

    @classmethod
    def resume(cls, run_dir: Path, *flags: str, log: Path | None = None) -> Search:
        return cls(run_dir, "--resume", str(run_dir), *flags, log=log)

    @property
    def output(self) -> str:
        return self._out.read_text()

    @property
    def errors(self) -> str:
        return self._out.with_suffix(".err").read_text()

    def wait(self, timeout_s: float = 600) -> int:
        """Its exit code."""
        return self.process.wait(timeout_s)

    def until(self, happened: Callable[[], Any], what: str, timeout_s: float = 300) -> Any:
        """Waits for something to be true, and returns it; BarMissed where the search ends before."""
        end = time.monotonic() + timeout_s
        while not (found := happened()):
            require(self.process.poll() is None, f"search ended ({self.process.returncode}) before {what}")
            require(time.monotonic() < end, f"no {what} within {timeout_s:.0f} s")
            time.sleep(0.05)
        return found

    def workers(self) -> list[int]:
        """Processes that run a trial."""
        return [pid for pid in self._session() if _title(pid).startswith("ray::ImplicitFunc")]

    def kill(self) -> None:
        """SIGKILL to the driver alone: Ray's processes are left to notice."""
        self.process.kill()
        self.process.wait()

    def sweep(self) -> int:
        """Kills what is left of its session, as a machine that dies does; how many processes that were."""
        left = self._session()
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                left.remove(pid)
        return len(left)

    def _session(self) -> list[int]:
        return [pid for pid in _processes() if pid != self.process.pid and _session_of(pid) == self.process.pid]


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def events(run_dir: Path) -> list[dict[str, Any]]:
    """All whole lines of the ledger, raw."""
    path = run_dir / LEDGER
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def count(run_dir: Path, event: str, trial: int | None = None) -> int:
    return sum(line["event"] == event and trial in (None, line["trial"]) for line in events(run_dir))


def check_whole(run_dir: Path, trials: int) -> None:
    """Every trial asked for is finished once, none was started again after that, and no network was tried twice."""
    finished: Counter[int] = Counter()
    for line in events(run_dir):
        require(line["event"] != "started" or not finished[line["trial"]], f"trial {line['trial']} ran again")
        finished[line["trial"]] += line["event"] == "finished"
    numbers = {number: n for number, n in finished.items() if n}
    require(numbers == dict.fromkeys(range(trials), 1), f"finished lines of {trials} trials: {numbers}")
    records = ledger.read(run_dir)
    require(len({record.arch.fingerprint for record in records}) == trials, "a network was proposed twice")


def figures(run_dir: Path) -> list[tuple[Any, ...]]:
    """What two runs of the same trials must have in common."""
    return [
        (record.number, record.arch.id, record.status, record.metric("top1"), record.metric("val_loss"))
        for record in ledger.read(run_dir)
    ]
