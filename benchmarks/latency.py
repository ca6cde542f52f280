"""Can a latency of nas.latency be trusted?

    python benchmarks/latency.py truth          # 10 minutes, no network: a simulated device
    python benchmarks/latency.py aa             # 15 minutes on a quiet machine
    python benchmarks/latency.py stress         # 15 minutes
    python benchmarks/latency.py protect|liveness|cost       # the lease, see benchmarks/lease.py

truth: on a simulated device with drift, interruptions and two modes, the error of the median and how often the 95%
intervals of the median and of the ratio hold the truth. The truth of the median is at the mean drift while it was
measured; that of the ratio is free of drift.
aa: a network against a copy of itself, and twice in sequence against once; beside it the same by two calls of torch's
``adaptive_autorange``. Only results with status ok count; where too few have it, the machine is too noisy to say.
stress: measurements beside two processes that know nothing of the lease (spinning, copying memory, training; always or
now and then). Each is compared with the measurements without load just before and just after it; where something
disturbed these, it does not count, and where too few count, the machine is too noisy to say. Then how many simulated
measurements without any disturbance are flagged.

Exit code 1 where a bar is missed or the machine is too noisy.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from nas import environment
from nas.latency import protocol
from nas.latency.checks import ANOTHER_SPEED
from nas.latency.measure import measure
from nas.latency.simulated import Behaviour, SimulatedDevice
from nas.lease import Lease
from search_spaces import command, load
from search_spaces.build import build_model
from studies.spec import LatencySpec

COMMAND = LatencySpec(precision=0.01, max_s=10.0, warmup_s=0.5, block_ms=20.0, retries=3)  # nas.latency's defaults
SHORT = replace(COMMAND, max_s=3.0, retries=1)  # so that a measurement and the quiet ones around it see one machine
SEARCH = LatencySpec()
SEEDS = 1000
USUAL = Behaviour()
SIMULATED = {
    "command's defaults, 3 ms a call": (COMMAND, USUAL),
    "command's defaults, 25 ms a call": (COMMAND, replace(USUAL, candidate_ms=25.0)),
    "command's defaults, more noise": (COMMAND, replace(USUAL, noise=0.05, slow_share=0.4, interrupted=0.01)),
    "a search's defaults, 3 ms a call": (SEARCH, USUAL),
}
NETWORK, PX = "mobilenet_v2", 96
ENOUGH, MOST = 20, 60  # results with status ok that decide, and attempts at them
STRESSED = 40
MILD = (ANOTHER_SPEED, "interval after")  # reasons that speak against no value of now
AGREE = 0.1  # measurements without load, before and after an attempt
RHYTHMS = ("always", "now and then")
CPU = torch.device("cpu")
SPAWN = multiprocessing.get_context("spawn")


def truth(console: Console, seeds: int = SEEDS) -> bool:
    table = Table("simulated", "error, median", "95%", "interval holds p50", "ratio", "rounds", "status")
    good = True
    for name, (spec, behaviour) in SIMULATED.items():
        ratio, median_ms = behaviour.candidate_ms / behaviour.reference_ms, SimulatedDevice(behaviour, 0).median_ms()
        errors, held, rounds, statuses = [], np.zeros(2), [], Counter[str]()
        for seed in range(seeds):
            device = SimulatedDevice(behaviour, seed)
            found, _ = protocol.measure(device, spec, {}, seed=seed)
            assert found.p50_ms is not None
            true_ms = median_ms * device.mean_drift
            errors.append(abs(found.p50_ms / true_ms - 1))
            held += [_holds(found.ci95_ms, true_ms), _holds(found.ratio_ci95, ratio)]
            rounds.append(found.rounds)
            statuses[found.status] += 1
        error, worst = np.quantile(errors, [0.5, 0.95])
        cover = held / seeds
        good &= bool(error <= 0.01 and (cover >= 0.93).all() and (cover <= 0.97).all())
        said = ", ".join(f"{count} {status}" for status, count in statuses.items())
        shares = (f"{share:.1%}" for share in cover)
        table.add_row(name, f"{error:.2%}", f"{worst:.2%}", *shares, f"{np.median(rounds):.0f}", said)
    console.print(table)
    console.print(f"bars: median error at most 1%, intervals hold the truth 93% to 97% of {seeds} times")
    return good


def _holds(interval: tuple[float, float] | None, value: float) -> bool:
    return interval is not None and interval[0] <= value <= interval[1]


class Twice(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.network(x)
        return self.network(x)


def aa(console: Console, enough: int = ENOUGH) -> bool:
    network = build_model(load(NETWORK))
    table = Table("", "true", "within", "of ok", "median", "90% of ok", "attempts", "adaptive_autorange: 90%")
    good, noisy = True, False
    for name, candidate, true, tolerance in (("itself", network, 1.0, 0.02), ("twice", Twice(network), 2.0, 0.03)):
        ratios, torchs = list[float](), list[float]()
        attempts = 0
        while len(ratios) < enough and attempts < MOST:
            attempts += 1
            found = measure(candidate, PX, COMMAND, CPU, Lease.of_host(), against=(network, PX))
            torchs.append(_autorange(candidate) / _autorange(network))
            if found.status == "ok" and found.ratio is not None:
                ratios.append(found.ratio)
        near = sum(abs(ratio - true) <= tolerance for ratio in ratios)
        noisy |= len(ratios) < enough
        good &= near >= 0.95 * len(ratios)
        cells = (f"{near} of {len(ratios)}", f"{statistics.median(ratios):.4f}" if ratios else "-", _spread(ratios))
        table.add_row(name, f"{true:.2f}", f"±{tolerance:.2f}", *cells, str(attempts), _spread(torchs))
    console.print(f"{NETWORK} at {PX} px, one thread")
    console.print(table)
    if noisy:
        console.print(f"too noisy: fewer than {enough} of {MOST} results are ok")
    else:
        console.print("bar: 95% of ok results within")
    return good and not noisy


def _autorange(network: nn.Module) -> float:
    """torch's own measurement: seconds."""
    from torch.utils.benchmark import Timer

    x = torch.randn(1, 3, PX, PX).contiguous(memory_format=torch.channels_last)
    network = network.eval().to(memory_format=torch.channels_last)
    with torch.inference_mode():
        timer = Timer("network(x)", globals={"network": network, "x": x}, num_threads=1)
        return float(timer.adaptive_autorange(min_run_time=0.1).median)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    low, high = np.quantile(values, [0.05, 0.95])
    return f"{low:.3f} to {high:.3f}"


def stress(console: Console, attempts: int = STRESSED, seeds: int = SEEDS) -> bool:
    return all([_stressed(console, attempts), _false_flags(console, seeds)])


def _stressed(console: Console, attempts: int) -> bool:
    """Each attempt lies between two measurements without load, and is off where it is 5% beyond both: the machine may
    have another speed from one minute to the next."""
    network = build_model(load(NETWORK))
    found: dict[str, list[tuple[str, float]]] = {f"{kind}, {rhythm}": [] for rhythm in RHYTHMS for kind in LOADS}
    quiet = [_quiet(network)]
    judged, tried = 0, 0
    while judged < attempts and tried < 2 * attempts:
        name = list(found)[judged % len(found)]
        tried += 1
        with _two(*name.split(", ")):
            loaded = measure(network, PX, SHORT, CPU, Lease.of_host())
        quiet.append(_quiet(network))
        before, after = quiet[-2:]
        if before and after and abs(after / before - 1) <= AGREE and loaded.p50_ms:
            judged += 1
            nearest = min(max(loaded.p50_ms, min(before, after)), max(before, after))
            found[name].append((loaded.status, loaded.p50_ms / nearest))
            console.print(f"[dim]{judged} of {attempts}: {name}: {loaded.status}, {found[name][-1][1]:.2f}[/dim]")
    table = Table("two processes", "attempts", "ok", "ok and off by more than 5%", "p50 / quiet p50")
    wrong = 0
    for name, results in found.items():
        ok = [ratio for status, ratio in results if status == "ok"]
        off = sum(abs(ratio - 1) > 0.05 for ratio in ok)
        wrong += off
        values = [ratio for _, ratio in results]
        spread = f"{min(values):.2f} to {max(values):.2f}" if values else "-"
        table.add_row(name, str(len(values)), str(len(ok)), str(off), spread)
    known = [value for value in quiet if value]
    if known:
        console.print(
            f"{NETWORK} at {PX} px without load: {min(known):.3f} to {max(known):.3f} ms in {len(quiet)} tries"
        )
    console.print(table)
    if judged < attempts:
        console.print(f"stress: too noisy: only {judged} of {tried} lie between two quiet measurements that agree")
    console.print(f"{wrong} of {judged} results are ok and off by more than 5% (bar: none of {attempts})")
    return wrong == 0 and judged == attempts


def _quiet(network: nn.Module) -> float | None:
    """None where something disturbed; another speed of the machine than before is none."""
    found = measure(network, PX, SHORT, CPU, Lease.of_host())
    return found.p50_ms if all(reason.startswith(MILD) for reason in found.failed) else None


def _false_flags(console: Console, seeds: int) -> bool:
    good = True
    for name, (spec, behaviour) in SIMULATED.items():
        found = [protocol.measure(SimulatedDevice(behaviour, seed), spec, {}, seed=seed)[0] for seed in range(seeds)]
        flagged = sum(one.status == "flagged" for one in found) / seeds
        console.print(f"undisturbed, simulated, {name}: {flagged:.1%} of {seeds} are flagged (bar 5%)")
        good &= flagged <= 0.05
    return good


def _load(kind: str, rhythm: str, seed: int, ready: Any) -> None:
    """Works until it is killed, or the benchmark is; now and then: 0.05 to 1 s at a time."""
    torch.set_num_threads(1)
    parent = os.getppid()
    rng, step = random.Random(seed), LOADS[kind]()
    step()
    ready.release()
    while os.getppid() == parent:
        end = time.monotonic() + (rng.uniform(0.05, 1.0) if rhythm == "now and then" else 5.0)
        while time.monotonic() < end:
            step()
        if rhythm == "now and then":
            time.sleep(rng.uniform(0.05, 1.0))


def _spinning() -> Callable[[], Any]:
    return lambda: sum(range(1000))


def _copying() -> Callable[[], Any]:
    source, target = np.ones(16_000_000), np.empty(16_000_000)
    return lambda: np.copyto(target, source)


def _training() -> Callable[[], Any]:
    network = build_model(load(NETWORK), 10)
    x = torch.randn(8, 3, 64, 64)
    return lambda: network(x).sum().backward()


LOADS: dict[str, Callable[[], Callable[[], Any]]] = {"spinning": _spinning, "copying": _copying, "training": _training}


@contextmanager
def _two(kind: str, rhythm: str) -> Iterator[None]:
    ready = SPAWN.Semaphore(0)
    processes = [SPAWN.Process(target=_load, args=(kind, rhythm, seed, ready), daemon=True) for seed in range(2)]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def main(argv: Sequence[str]) -> None:
    from lease import PARTS
    from remote import remote

    parts: dict[str, Callable[..., bool]] = {"truth": truth, "aa": aa, "stress": stress, **PARTS, "remote": remote}
    parser = command.Parser("python benchmarks/latency.py", description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=parts)
    parser.add_argument("--seeds", type=command.positive_int, default=SEEDS, help="of truth and stress (default 1000)")
    args = parser.parse_args(argv)
    console = Console(width=140)
    made = environment.describe(0)
    console.print(f"machine: {made['cpu']}, {made['cpus']} cores; torch {made['torch']}, Python {made['python']}")
    extra = {"seeds": args.seeds} if args.part in ("truth", "stress") else {}
    if not parts[args.part](console, **extra):
        sys.exit(1)


if __name__ == "__main__":
    command.run(main)
