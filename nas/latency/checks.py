"""When a timing is not to be trusted: limits on what the system counted while it was made.

Two kinds of check. Of one round, by evidence that does not look at the times themselves (waiting for a core, time
stolen by the hypervisor, a GPU that slows down): such a round is left out and made again, which favours neither fast
nor slow calls. Of a whole attempt, by all that was seen: it is made again as a whole, or the value keeps a flag.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nas.latency.stats import Times, iqr

RUN_DELAY = 0.02  # of a round: time that a measuring thread was ready to run and did not
IDLE = 0.02  # of a round on one thread: time that it did not run, for whatever reason
STEAL = 0.01  # of a round: time that the hypervisor gave to others, from each measuring thread
DISTURBED = 0.25  # of an attempt's rounds: beyond it, what disturbed them may have disturbed the others unseen
OTHERS, OTHERS_CORES = 0.10, 1.0  # of the machine's cores, and how many at most: used by other processes, which share
# its caches, memory and clocks
DRIFT = 0.03  # of the reference network, from the first half of an attempt to the second, or from earlier measurements
SPREAD = 0.10  # interquartile range of the candidate over its median
CLOCKS = 0.05  # of a GPU: lowest below highest
WORKING = 0.05  # a thread that ran for less of a round took no part in the work
# How reasons begin that speak of the state that the machine is in, which lasts: it is as a whole faster or slower than
# before, or calls vary more than they should while nothing that is counted disturbs them.
ANOTHER_SPEED, BROAD = LASTING = "reference took", "IQR is"
TICK_S = 0.01  # in which /proc/stat counts


@dataclass(frozen=True)
class Gpu:
    """clock_mhz: of the multiprocessors. slowdown: thermal or power brake. foreign: other processes at work."""

    clock_mhz: float | None = None
    slowdown: bool = False
    foreign: int = 0


@dataclass(frozen=True)
class Counters:
    """What the system has counted up to a moment; None: it does not say.

    cpu_s: of the measuring thread; None where it need not run all the time. threads: (run, waited to run) in seconds
    by thread. steal_s, others_s: stolen, used by other processes, in core seconds over all ``cores``.
    """

    wall_s: float
    cpu_s: float | None = None
    threads: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    steal_s: float | None = None
    others_s: float | None = None
    cores: int = 1
    gpu: Gpu | None = None


def of_round(before: Counters, after: Counters) -> dict[str, str]:
    """What disturbed the round between the two moments: a kind, and how much of it with the limit."""
    wall_s = after.wall_s - before.wall_s
    found = {}
    waits = [_wait(before, after, thread, wall_s) for thread in after.threads]
    if (delay := max(waits, default=0.0)) > RUN_DELAY:
        found["run delay"] = delay, RUN_DELAY
    elif before.cpu_s is not None and after.cpu_s is not None:
        idle = 1 - (after.cpu_s - before.cpu_s) / wall_s
        if idle > IDLE:
            found["not running"] = idle, IDLE
    if before.steal_s is not None and after.steal_s is not None:
        # A core without work loses none to the hypervisor, and trainings pause: it was all taken from these threads.
        working = sum(_ran(before, after, thread) > WORKING * wall_s for thread in after.threads)
        steal = (after.steal_s - before.steal_s) / wall_s / max(1, working)
        if steal > STEAL:
            found["stolen time"] = steal, STEAL
    texts = {kind: f"{share:.0%} of the time (limit {limit:.0%})" for kind, (share, limit) in found.items()}
    if after.gpu and after.gpu.slowdown:
        texts["GPU slowdown"] = "by heat or power brake"
    if after.gpu and after.gpu.foreign:
        texts["foreign processes on the GPU"] = f"{after.gpu.foreign}"
    return texts


def _wait(before: Counters, after: Counters, thread: int, wall_s: float) -> float:
    if len(after.threads) > 1 and _ran(before, after, thread) <= WORKING * wall_s:
        return 0.0
    return (after.threads[thread][1] - before.threads.get(thread, (0.0, 0.0))[1]) / wall_s


def _ran(before: Counters, after: Counters, thread: int) -> float:
    return after.threads[thread][0] - before.threads.get(thread, (0.0, 0.0))[0]


def of_attempt(
    counted: Sequence[Counters],
    disturbed: Sequence[Mapping[str, str]],
    rounds: int,
    candidate: Times,
    reference: Times,
    baseline_ms: float | None,
) -> list[str]:
    """Why the attempt as a whole is not to be trusted; empty: nothing speaks against it.

    counted: before the first round and after each. disturbed: what ``of_round`` found in those of ``rounds`` where it
    found any. candidate, reference: times in ms, of shape (rounds, calls). baseline_ms: the reference's median in
    earlier measurements.
    """
    reasons = []
    if len(disturbed) > DISTURBED * rounds:
        worst = {kind: text for found in disturbed for kind, text in found.items()}
        for kind, times in Counter(kind for found in disturbed for kind in found).most_common():
            reasons.append(f"{kind} in {times} of {rounds} rounds, in the last {worst[kind]}")
    first, last = counted[0], counted[-1]
    if first.others_s is not None and last.others_s is not None:
        others = (last.others_s - first.others_s - 2 * TICK_S) / (last.wall_s - first.wall_s)
        if others > (limit := min(OTHERS * last.cores, OTHERS_CORES)):
            reasons.append(f"other processes used {others:.2g} of {last.cores} cores (limit {limit:.2g})")
    reasons += _drift(reference, baseline_ms)
    if (spread := iqr(candidate) / float(np.median(candidate))) > SPREAD:
        reasons.append(f"{BROAD} {spread:.0%} of the median (limit {SPREAD:.0%})")
    clocks = [moment.gpu.clock_mhz for moment in counted[1:] if moment.gpu and moment.gpu.clock_mhz]
    if clocks and min(clocks) < (1 - CLOCKS) * max(clocks):
        reasons.append(f"GPU clock between {min(clocks):.0f} and {max(clocks):.0f} MHz (limit {CLOCKS:.0%})")
    return reasons


def _drift(reference: Times, baseline_ms: float | None) -> list[str]:
    half = len(reference) // 2
    reasons = []
    if half:
        early, late = float(np.median(reference[:half])), float(np.median(reference[-half:]))
        if abs(late / early - 1) > DRIFT:
            reasons.append(f"reference went from {early:.3f} to {late:.3f} ms meanwhile (limit {DRIFT:.0%})")
    now = float(np.median(reference))
    if baseline_ms is not None and abs(now / baseline_ms - 1) > DRIFT:
        reasons.append(f"{ANOTHER_SPEED} {now:.3f} ms, {baseline_ms:.3f} in earlier measurements (limit {DRIFT:.0%})")
    return reasons
