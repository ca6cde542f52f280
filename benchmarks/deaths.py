"""Parts b and c of ``benchmarks/faults.py``: workers and machines that die under their trials."""

from __future__ import annotations

import argparse
import os
import signal
import time
from pathlib import Path
from typing import Any

from processes import LONG, Search, check_whole, count, events, figures, require

from search_spaces.space_file import load_space
from studies import ledger
from studies.engine import run
from studies.ledger import Ledger, Outcome
from studies.proposer import Proposer
from studies.recorder import Limits, Recorder, WorkerLost
from studies.resources import Resources
from studies.samplers import make
from studies.session import Session


def worker_killed(folder: Path, args: argparse.Namespace) -> str:
    run_dir = folder / "once"
    search = Search.new(run_dir, "--trials", "2", *LONG)
    search.until(lambda: len([*run_dir.glob("checkpoints/*.pt")]) == 2, "checkpoint of each trial")
    os.kill(search.workers()[0], signal.SIGKILL)
    require(search.wait() == 0, search.errors)
    check_whole(run_dir, 2)
    (victim,) = [number for number in (0, 1) if count(run_dir, "started", number) == 2]
    told = [line["metrics"] for line in events(run_dir) if line["event"] == "epoch" and line["trial"] == victim]
    again = [metrics["epoch"] for metrics in told].index(1, 1)
    kept = sum(metrics in told[:again] for metrics in told[again:])  # equal to the last digit of its times
    require(kept > 0, "began anew in spite of its checkpoint")
    whole = Search.new(folder / "whole", "--trials", "2", *LONG)
    require(whole.wait() == 0, whole.errors)
    require(figures(run_dir) == figures(folder / "whole"), "other accuracies than without the kill")
    return f"killed after epoch {again} of {LONG[1]}, went on after epoch {kept}; accuracies those of a whole run"


def worker_always_killed(folder: Path, args: argparse.Namespace) -> str:
    run_dir = folder / "always"
    search = Search.new(run_dir, "--trials", "2", "--cpus", "1", "--epochs", "2")
    killed: set[int] = set()
    for attempt in (1, 2, 3):
        search.until(lambda n=attempt: count(run_dir, "started", 0) == n, f"attempt {attempt}")  # type: ignore[misc]
        pid = search.until(lambda: [*{*search.workers()} - killed], "worker")[0]
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
    require(search.wait() == 0, search.errors)
    check_whole(run_dir, 2)
    first, second = ledger.read(run_dir)
    require((first.status, second.status) == ("failed", "ok"), f"{first.status}, {second.status}")
    require(not search.errors, search.errors)
    return f"killed three times: failed, {first.outcome and first.outcome.error!r}; the next trial is ok"


def hungry(arch: Any, seed: int, payload: Any, session: Session) -> Outcome:
    """Trial 1 takes all memory that it can get."""
    held = []
    while seed == 1:
        held.append(bytearray(100_000_000))
        time.sleep(0.05)
    return Outcome("ok", top1=1.0, macs=1)


def worker_out_of_memory(folder: Path, args: argparse.Namespace) -> str:
    import studies.cluster  # noqa: F401  # isort: skip  (its settings come before Ray)
    import ray

    memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(memory[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    limits = {"memory_usage_threshold": (total - free + 3e9) / total, "memory_monitor_refresh_ms": 200}
    ray.init(
        "local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR", _system_config=limits
    )
    lost: list[str] = []

    def hear(event: Any) -> None:
        if isinstance(event, WorkerLost):
            lost.append(event.reason)

    space = load_space("v2", 0.25)
    try:
        with Ledger(folder) as writer:
            proposer = Proposer(space, make("random", space, ("top1", "macs"), 8), 0, 3)
            run(Recorder(proposer, writer, Limits(4), hear), hungry, None, Resources(1, 0, 2, 0, retries=1))
    finally:
        ray.shutdown()
    check_whole(folder, 4)
    records = ledger.read(folder)
    require([r.status for r in records] == ["ok", "failed", "ok", "ok"], str([r.status for r in records]))
    require(len(lost) == 1 and "memory" in lost[0], f"lost: {lost}")
    return f"killed for memory twice: failed, {records[1].outcome and records[1].outcome.error!r}; the others are ok"


def machine_dies(folder: Path, args: argparse.Namespace) -> str:
    from studies import cluster as _  # noqa: F401  (its settings come before Ray)

    import ray  # isort: skip
    from ray.cluster_utils import Cluster  # isort: skip

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        run_dir = folder / "cluster"
        search = Search.new(run_dir, "--trials", "4", "--epochs", "8", "--address", cluster.address)
        search.until(lambda: count(run_dir, "epoch", 0) and count(run_dir, "epoch", 1), "epochs of two trials")
        cluster.remove_node(second, allow_graceful=False)
        lost = time.monotonic()
        search.until(lambda: count(run_dir, "started", 0) + count(run_dir, "started", 1) == 3, "second attempt")
        noticed = time.monotonic() - lost
        require(search.wait() == 0, search.errors)
        check_whole(run_dir, 4)
        require(all(record.status == "ok" for record in ledger.read(run_dir)), "a trial is not ok")
        (why,) = [line for line in search.output.splitlines() if "starting again" in line]
    finally:
        ray.shutdown()
        cluster.shutdown()
    return f"rescheduled {noticed:.0f} s after the machine died ({why!r}), 4 of 4 trials ok, each finished once"
