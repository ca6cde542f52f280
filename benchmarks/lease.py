"""The lease of a host (nas.lease): does it protect a measurement, can it get stuck, what does it cost?

    python benchmarks/lease.py protect      # 5 minutes
    python benchmarks/lease.py liveness     # 20 minutes
    python benchmarks/lease.py cost         # 15 minutes

protect: the median latency of EfficientNet-B0 on one core: alone, beside two trainings that take the lease, and beside
the same trainings without it, in turn; all on that core, so that two are load enough on any machine. A round counts
where the two quiet medians around it agree within 3%; where too few do, the machine is too noisy to say.
liveness: how long a measurement waits for four trainings, with plain flock's wait beside it; how soon the lease is free
after SIGKILL; what a stopped holder leads to; searches of two trials, one after another, each of which has to end.
cost: training time with the lease over without, in turn; the share of pauses in the README's search.

Exit code 1 where a bar is missed or the machine is too noisy. Linux only.
"""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from liveness import liveness
from processes import Search
from rich.console import Console

from nas import data, environment
from nas.latency.measure import measure
from nas.lease import NO_LEASE, VARIABLE, Lease
from nas.training import train
from search_spaces import command, load
from search_spaces.build import build_model
from search_spaces.space_file import load_space
from studies import ledger
from studies.spec import LatencySpec
from studies.train_spec import TrainSpec

IDLE, LEASED, FREE = range(3)
ROUNDS, ENOUGH = 15, 5  # of protect: at most, and that have to count
CPU = torch.device("cpu")
SPAWN = multiprocessing.get_context("spawn")


class Trainer:
    """A process that trains a small network again and again, with the lease at ``path``, without it, or not at all."""

    def __init__(self, path: Path) -> None:
        self._wanted, self._is = SPAWN.Value("i", IDLE), SPAWN.Value("i", -1)
        self._process = SPAWN.Process(target=_train, args=(path, self._wanted, self._is), daemon=True)
        self._process.start()

    def become(self, mode: int) -> None:
        self._wanted.value = mode
        while self._is.value != mode:
            assert self._process.is_alive()
            time.sleep(0.01)

    def end(self) -> None:
        self._process.kill()
        self._process.join()


def _train(path: Path, wanted: Any, is_now: Any) -> None:
    lease, epoch = Lease(path), _epoch(max_per_class=40)
    while True:
        is_now.value = mode = wanted.value
        if mode == IDLE:
            time.sleep(0.1)
        else:
            epoch(lease if mode == LEASED else NO_LEASE)


def _epoch(max_per_class: int | None) -> Callable[[Lease], None]:
    """A training of one epoch on digits, to be called again and again."""
    torch.set_num_threads(1)
    images = data.load("digits", 16, seed=0, max_per_class=max_per_class)
    model = build_model(load_space("v2", width=0.25, resolution=16).base, images.num_classes)
    model = model.to(memory_format=torch.channels_last)
    spec = TrainSpec(epochs=1)

    def epoch(lease: Lease) -> None:
        train(model, images, spec, 0, CPU, lambda metrics: None, lease=lease)

    return epoch


def protect(console: Console) -> bool:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    torch.set_num_threads(1)
    path = Lease.of_host().path
    assert path, f"{VARIABLE}=off"
    trainers = [Trainer(path) for _ in range(2)]
    model, spec = build_model(load("efficientnet_b0")), LatencySpec(precision=0.02, max_s=3, retries=0)

    def median_ms(mode: int) -> float:
        for trainer in trainers:
            trainer.become(mode)
        found = measure(model, 224, spec, CPU, NO_LEASE if mode == FREE else Lease(path)).p50_ms
        return math.nan if found is None else found  # deferred: the round does not count

    leased: list[float] = []
    free: list[float] = []
    try:
        for _ in range(ROUNDS):
            before, with_lease, without, after = (median_ms(mode) for mode in (IDLE, LEASED, FREE, IDLE))
            quiet = (before + after) / 2
            counts = abs(before - after) <= 0.03 * quiet and not math.isnan(with_lease + without)
            console.print(
                f"quiet {before:.1f} and {after:.1f} ms; with the lease {with_lease / quiet:.3f} and without "
                f"{without / quiet:.2f} times that{'' if counts else '; does not count'}"
            )
            if counts:
                leased.append(with_lease / quiet)
                free.append(without / quiet)
            if len(leased) == ENOUGH:
                break
    finally:
        for trainer in trainers:
            trainer.end()
    if len(leased) < ENOUGH:
        console.print(f"protect: too noisy: {len(leased)} of {ROUNDS} rounds count, {ENOUGH} are needed")
        return False
    ratio, teeth = statistics.median(leased), statistics.median(free)
    console.print(f"protect: with the lease {ratio:.3f} (bar 0.97 to 1.03), without {teeth:.2f} (bar 1.5 or more)")
    return 0.97 <= ratio <= 1.03 and teeth >= 1.5


def cost(console: Console, trials: int = 16) -> bool:
    holds = [_overhead(console), _pauses(trials, console)]
    return all(holds)


def _overhead(console: Console, most: int = 60) -> bool:
    """Epochs with and without the lease in turn, until the interval of the median ratio says more than 1% or not."""
    epoch, rng = _epoch(max_per_class=None), np.random.default_rng(0)
    walls: list[float] = []
    cpus: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        lease = Lease(Path(folder) / "lease")
        take_us = _microseconds(partial(_take, lease), 500)
        with lease.sharing() as share:
            step_us = _microseconds(share.step, 10_000)
        epoch(lease)
        while len(walls) < most:
            took = {}
            for used in rng.permutation([0, 1]):
                start, cpu = time.perf_counter(), time.process_time()
                epoch(lease if used else NO_LEASE)
                took[int(used)] = time.perf_counter() - start, time.process_time() - cpu
            walls.append(took[1][0] / took[0][0])
            cpus.append(took[1][1] / took[0][1])
            low, high = np.percentile(np.median(rng.choice(walls, (1000, len(walls))), axis=1), [2.5, 97.5])
            if len(walls) >= 10 and (high <= 1.01 or low > 1.01):
                break
    console.print(
        f"training with the lease / without: {np.median(walls):.4f} of wall time (95% {low:.4f} to {high:.4f}, "
        f"{len(walls)} pairs of epochs; bar 1.01), {np.median(cpus):.4f} of CPU time; "
        f"{step_us:.1f} us a step, {take_us:.0f} us to take the lease and let go, once an epoch and once a measurement"
    )
    if low <= 1.01 < high:
        console.print("cost: too noisy")
    return bool(high <= 1.01)


def _take(lease: Lease) -> None:
    with lease.sharing():
        pass


def _microseconds(call: Callable[[], Any], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return 1e6 * (time.perf_counter() - start) / times


def _pauses(trials: int, console: Console) -> bool:
    """The README's search."""
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder) / "run"
        flags = ["--space=v2", "--width=0.25", f"--trials={trials}", "--gpus=0", f"--out={run_dir}"]
        search = Search(run_dir, *flags)
        if code := search.wait(3600):
            console.print(f"the search ended with {code}: {search.errors[-500:]}", markup=False)
            return False
        records = ledger.read(run_dir)
    epochs = list(itertools.chain.from_iterable(record.epochs for record in records))
    paused_s = sum(epoch["paused_s"] for epoch in epochs)
    share = paused_s / (paused_s + sum(epoch["time_s"] for epoch in epochs))
    found = [(record.arch.fingerprint, record.outcome.latency) for record in records if record.outcome]
    measured = [(name, tuple(latency.key.items())) for name, latency in found if latency]
    networks = len(set(measured))
    console.print(
        f"search of {trials} trials: training paused {share:.1%} of its time (bar 10%); "
        f"{len(measured)} measurements of {networks} networks (bar: each once)"
    )
    return share <= 0.1 and networks == len(measured)


PARTS: dict[str, Callable[[Console], bool]] = {"protect": protect, "liveness": liveness, "cost": cost}


def main(argv: Sequence[str]) -> None:
    parser = command.Parser("python benchmarks/lease.py", description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--searches", type=command.positive_int, default=50, help="of liveness (default 50)")
    parser.add_argument("--trials", type=command.positive_int, default=16, help="of cost's search (default 16)")
    args = parser.parse_args(argv)
    console = Console()
    made = environment.describe(0)
    console.print(f"machine: {made['cpu']}, {made['cpus']} cores; torch {made['torch']}, Python {made['python']}")
    extra = {"liveness": {"searches": args.searches}, "cost": {"trials": args.trials}}.get(args.part, {})
    if not PARTS[args.part](console, **extra):
        sys.exit(1)


if __name__ == "__main__":
    command.run(main)
