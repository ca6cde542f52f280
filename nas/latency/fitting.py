"""Measures what a predictor is fitted on: blocks one by one, and whole networks as the protocol has it.

Blocks take turns, a call each, beside the reference network: drift falls on all alike, and each finds in the caches
what other blocks left there, as in a network. Their times are ratios to the reference's in the same rounds, times its
usual one; so are those of networks.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas import environment
from nas.latency import checks, runtimes
from nas.latency.blocks import Block, blocks_of
from nas.latency.measure import call_of, key_here, measure, reference_of
from nas.latency.modes import RUNTIMES, resolve, without
from nas.latency.predictor import Predictor, Table, fit
from nas.latency.trial import doubt
from nas.latency.watch import CpuWatch, GpuWatch
from nas.lease import NO_LEASE, Deferred, Lease
from search_spaces import Arch, UserError, cost
from search_spaces.build import build_model
from search_spaces.space import SearchSpace
from studies.ledger import TRUSTED, Latency
from studies.spec import LatencySpec

TOGETHER = 32  # blocks that take turns: the weights of as many as a network has
ROUNDS, MOST_ROUNDS = 40, 80  # of a call each; with more than ROUNDS only to replace disturbed ones
ROUNDS_S = 20.0  # when they end anyway
WARM_UP, ATTEMPTS = 3, 3
MOST_BLOCKS = 2000
DRAWN = 2000  # networks whose blocks are looked at

Show = Callable[[str, int, int], None]
"""Told what is measured, how many of them are done, and how many there are."""


@dataclass(frozen=True)
class Asked:
    """What a table is fitted for. networks: how many are measured, evenly over the MACs of the space."""

    space: SearchSpace
    networks: int
    seed: int
    classes: int = 1000

    def archs(self) -> list[Arch]:
        return stratified(self.space, self.networks, self.seed, self.classes)

    def blocks(self) -> list[Block]:
        """Those of the networks, and then the commonest of the space, ``MOST_BLOCKS`` at most; in random order."""
        rng = random.Random(f"blocks {self.seed}")
        own = dict.fromkeys(block for arch in self.archs() for block in blocks_of(arch))
        drawn = Counter(block for _ in range(DRAWN) for block in blocks_of(self.space.sample(rng)))
        found = list(own | dict.fromkeys(block for block, _ in drawn.most_common()))[:MOST_BLOCKS]
        rng.shuffle(found)
        return found


def stratified(space: SearchSpace, networks: int, seed: int, classes: int) -> list[Arch]:
    """Different networks, drawn from equal shares of the space's distribution of MACs; in random order. Fewer where the
    space has no more."""
    rng = random.Random(f"networks {seed}")
    drawn = list({arch.fingerprint: arch for arch in (space.sample(rng) for _ in range(20 * networks))}.values())
    drawn.sort(key=lambda arch: cost.count(arch, classes).macs)
    edges = np.linspace(0, len(drawn), min(networks, len(drawn)) + 1).astype(int)
    found = [drawn[rng.randrange(low, high)] for low, high in pairwise(edges)]
    rng.shuffle(found)
    return found


class Kept:
    """What was measured so far, in a file beside the table's, until that is written: one object a line, the first of
    which says what for. Raises UserError where it was for another table, or cannot be written."""

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self.blocks: list[tuple[Block, float, float]] = []  # ms, and the reference's in the same rounds
        self.networks: dict[str, Latency] = {}
        try:
            lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise UserError(f"--fit-table: {path} cannot be written ({error.strerror})") from None
        found = [data for line in lines if (data := _line(line))]
        if not found:
            self._file.truncate(0)
            self._add(head)
        elif found[0] != json.loads(json.dumps(head)):
            raise UserError(f"--fit-table: {path} was begun with other settings; delete it to begin again")
        elif lines[-1]:
            self._file.write("\n")  # the last line is torn
        for data in found[1:]:
            if "block" in data:
                self.blocks.append((Block(*data["block"]), data["ms"], data["reference_ms"]))
            else:
                self.networks[data["network"]] = Latency.from_dict(data["latency"])

    def add_blocks(self, measured: Sequence[tuple[Block, float, float]]) -> None:
        for block, ms, reference_ms in measured:
            self._add({"block": list(block), "ms": ms, "reference_ms": reference_ms})
        self.blocks += measured

    def add_network(self, arch: Arch, latency: Latency) -> None:
        self._add({"network": arch.id, "latency": asdict(latency)})
        self.networks[arch.id] = latency

    def _add(self, data: dict[str, Any]) -> None:
        self._file.write(json.dumps(data) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _line(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def measure_table(
    asked: Asked, spec: LatencySpec, device: torch.device, kept: Kept, lease: Lease = NO_LEASE, show: Show | None = None
) -> Predictor:
    """Measures all that ``kept`` does not hold yet, and fits. A network whose measurement is flagged or deferred is
    measured once more at the end; then it counts as it is, since the fit bears a few that are wrong."""
    show = show or (lambda what, done, total: None)
    archs, blocks = asked.archs(), asked.blocks()
    have = {block for block, *_ in kept.blocks}
    left = [block for block in blocks if block not in have]
    for start in range(0, len(left), TOGETHER):
        show("blocks", len(kept.blocks), len(blocks))
        kept.add_blocks(_blocks(left[start : start + TOGETHER], asked, spec, device, lease))
    show("blocks", len(blocks), len(blocks))
    begun = [arch for arch in archs if arch.id not in kept.networks]
    for again in (False, True):
        todo = [arch for arch in archs if not _trusted(kept.networks[arch.id])] if again else begun
        for number, arch in enumerate(todo):
            show("flagged networks again" if again else "networks", number, len(todo))
            model = build_model(arch, asked.classes)
            found = measure(model, arch.resolution, spec, device, lease)
            kept.add_network(arch, min(kept.networks[arch.id], found, key=doubt) if again else found)
        show("flagged networks again" if again else "networks", len(todo), len(todo))
    return _fit(asked, spec, device, kept, archs)


def _trusted(latency: Latency) -> bool:
    return latency.status in TRUSTED


def _fit(asked: Asked, spec: LatencySpec, device: torch.device, kept: Kept, archs: Sequence[Arch]) -> Predictor:
    measured = [(arch, found) for arch in archs if (found := kept.networks[arch.id]).p50_ms and found.ratio]
    if not measured:
        raise UserError("networks: none could be measured, since others held the device all the time")
    references = {trusted: list[float]() for trusted in (True, False)}
    for _, found in measured:
        references[_trusted(found)].append(float(found.p50_ms or 0) / float(found.ratio or 1))
    # What disturbs makes calls slower, so that of disturbed ones the fastest is nearest.
    usual_ms = float(np.median(references[True])) if references[True] else min(references[False])
    times = [usual_ms * float(found.ratio or 0) for _, found in measured]
    table = Table(
        table_key(spec, device), asked.classes, {block: usual_ms * ms / own for block, ms, own in kept.blocks}
    )
    about = {
        "space": {"name": asked.space.name, "width": asked.space.width, "resolutions": list(asked.space.resolutions)},
        "made": {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            **environment.describe(int(device.type == "cuda")),
        },
        "reference_ms": usual_ms,
        "networks": [
            {"ms": ms, "p50_ms": found.p50_ms, "status": found.status, "arch": arch.to_dict()}
            for ms, (arch, found) in zip(times, measured, strict=True)
        ],
    }
    return fit(table, [arch for arch, _ in measured], times, about)


def table_key(spec: LatencySpec, device: torch.device) -> dict[str, Any]:
    """A measurement's, without the resolution."""
    return without(key_here(spec, 0, device), "resolution")


def _blocks(
    blocks: Sequence[Block], asked: Asked, spec: LatencySpec, device: torch.device, lease: Lease
) -> list[tuple[Block, float, float]]:
    """Each with its median ms, and the reference's; made again where something disturbed most of it."""
    mode, dtype = resolve(spec, device.type)
    watch = GpuWatch(device, launches=not RUNTIMES[mode].queued) if device.type == "cuda" else CpuWatch(spec.threads)
    times: np.ndarray | None = None
    with runtimes.settings(spec.threads):
        with lease.sharing():
            calls = [_call(block, asked.classes, spec, device) for block in blocks]
            calls.append(reference_of(mode, dtype, spec.threads, device).call)
        for _ in range(ATTEMPTS):
            try:
                with lease.measuring():
                    times, undisturbed = _in_turn(calls, runtimes.timer(device, mode), watch.read)
            except Deferred as error:
                reason = str(error)
            else:
                if undisturbed:
                    break
    if times is None:
        raise UserError(f"the device could not be had: {reason}")
    medians = np.median(times, axis=0)
    return [(block, float(ms), float(medians[-1])) for block, ms in zip(blocks, medians[:-1], strict=True)]


def _in_turn(
    calls: Sequence[runtimes.Call], timer: runtimes.Timer, counters: Callable[[], checks.Counters]
) -> tuple[np.ndarray, bool]:
    """Times in ms of shape (rounds, calls), and whether they leave out rounds that something disturbed; not so where
    most are disturbed."""
    rng = random.Random(0)
    order, start = list(range(len(calls))), time.monotonic()
    clean, everything = list[list[float]](), list[list[float]]()
    while len(clean) < ROUNDS + WARM_UP and len(everything) < MOST_ROUNDS and time.monotonic() - start < ROUNDS_S:
        rng.shuffle(order)
        times, before = [0.0] * len(calls), counters()
        for index in order:
            times[index] = timer(calls[index], 1)[0]
        everything.append(times)
        if not checks.of_round(before, counters()):
            clean.append(times)
    undisturbed = len(clean) > max(WARM_UP, len(everything) / 2)
    used = clean if undisturbed else everything
    return np.array(used[WARM_UP:] or used), undisturbed


def _call(block: Block, classes: int, spec: LatencySpec, device: torch.device) -> runtimes.Call:
    with torch.inference_mode(False):
        model = block.build(classes)
    return call_of(model, block.side, spec, device, block.cin)
