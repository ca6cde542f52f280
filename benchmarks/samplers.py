"""How many trials each sampler needs, and how many epochs early stopping saves, on a space whose truth is known.

    python benchmarks/samplers.py                        # samplers, then MO-ASHA; 100 seeds
    python benchmarks/samplers.py --part stopping --seeds 50

benchmarks/table.py has trained every network of the space three times. A trial here is a look into that table: the
sampler is told the top-1 of one of the three seeds, drawn at random, and the exact MACs. A search is judged by the true
values (top-1 averaged over the seeds) of the networks it has tried: their hypervolume in log MACs and top-1, from the
worst values of the space, as a share of the whole space's. Searches repeat with other seeds; intervals are 95%
bootstrap intervals over them. "bare" is Optuna as it comes: its defaults on the same categorical parameters, told both
objectives, repeats and all. Trials come one after another. Beside MO-ASHA there are rules that know how a trial will
end: what stopping could save at most.
"""

from __future__ import annotations

import csv
import itertools
import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import moocore
import numpy as np
import optuna
from rich.console import Console
from rich.table import Table

from nas import environment
from search_spaces import Arch, command
from search_spaces.space import SearchSpace
from search_spaces.space_file import load_space
from studies.asha import Asha, values_at
from studies.ledger import Outcome
from studies.proposer import Proposer
from studies.samplers import SAMPLERS, make, population_for

DATA = Path(__file__).parent / "data"
OBJECTIVES = ("top1", "macs")
BARE = ("bare tpe", "bare nsga2")
CLASSES = 20  # of benchmarks/table.py's images
SHARE = 0.95  # of the whole space's hypervolume


@dataclass(frozen=True)
class Known:
    """macs: by network. curves: top1 in percent, by network: (seeds, epochs)."""

    space: SearchSpace
    macs: dict[str, int]
    curves: dict[str, np.ndarray]

    def outcome(self, arch: Arch, seed: int) -> Outcome:
        return Outcome("ok", top1=float(self.curves[arch.id][seed, -1]), macs=self.macs[arch.id])

    def curve(self, arch: Arch, seed: int) -> list[dict[str, float]]:
        return [{"epoch": epoch, "top1": float(top1)} for epoch, top1 in enumerate(self.curves[arch.id][seed], 1)]

    def point(self, name: str) -> tuple[float, float]:
        """(log10 MACs, -true top1), both to be minimised."""
        return math.log10(self.macs[name]), -float(self.curves[name][:, -1].mean())

    def share(self, names: Sequence[str]) -> float:
        """Hypervolume of these networks as a share of that of the whole space."""
        whole, worst = _whole(self)
        return float(moocore.hypervolume([self.point(name) for name in names], ref=worst)) / whole if names else 0.0


@cache
def known() -> Known:
    space = load_space(str(DATA / "known_space.yaml"))
    macs: dict[str, int] = {}
    curves: dict[str, list[list[float]]] = {}
    with (DATA / "known_space.csv").open() as file:
        for row in csv.DictReader(file):
            top1 = [float(value) for name, value in row.items() if name.startswith("top1_")]
            macs[row["network"]] = int(row["macs"])
            curves.setdefault(row["network"], []).append(top1)
    if missing := space.size - len(curves):
        sys.exit(f"the table lacks {missing} networks of the space: run benchmarks/table.py")
    return Known(space, macs, {name: np.array(found) for name, found in curves.items()})


_whole_of: dict[int, tuple[float, list[float]]] = {}


def _whole(table: Known) -> tuple[float, list[float]]:
    if id(table) not in _whole_of:
        points = [table.point(name) for name in table.macs]
        worst = [max(values) for values in zip(*points, strict=True)]
        _whole_of[id(table)] = float(moocore.hypervolume(points, ref=worst)), worst
    return _whole_of[id(table)]


def ours(sampler: str, trials: int, seed: int) -> Iterator[tuple[Arch, Callable[..., None]]]:
    """The networks that a search tries; each has to be told its outcome."""
    proposer = Proposer(known().space, make(sampler, known().space, OBJECTIVES, population_for(trials), CLASSES), seed)
    while proposer.asked < trials and (proposal := proposer.ask()):
        yield proposal.arch, partial(proposer.tell, proposal.number)


def bare(sampler: str, trials: int, seed: int) -> Iterator[tuple[Arch, Callable[..., None]]]:
    """The same by Optuna alone."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kinds = {"bare tpe": optuna.samplers.TPESampler, "bare nsga2": optuna.samplers.NSGAIISampler}
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=kinds[sampler](seed=seed))
    for _ in range(trials):
        trial = study.ask()
        yield known().space.suggest(trial), partial(_tell, study, trial)


def _tell(study: optuna.Study, trial: optuna.Trial, outcome: Outcome) -> None:
    study.tell(trial, [outcome.top1, outcome.macs])


def search(sampler: str, trials: int, seed: int) -> np.ndarray:
    """Share of the hypervolume after each trial."""
    draw, names, shares = random.Random(f"noise {seed}"), [], []
    for arch, tell in (bare if sampler in BARE else ours)(sampler, trials, seed):
        tell(known().outcome(arch, draw.randrange(3)))
        names.append(arch.id)
        shares.append(known().share(names))
    return np.array(shares + shares[-1:] * (trials - len(shares)))


class Foresight:
    """A rule that no search can have: after ``epoch`` it knows how a trial would end, and stops those that one that
    went on is going to beat."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._went_on: list[Outcome] = []

    def goes_on(self, epoch: int, end: Outcome) -> bool:
        if epoch != self._epoch:
            return True
        if any(_beats(other, end) for other in self._went_on):
            return False
        self._went_on.append(end)
        return True


def _beats(one: Outcome, other: Outcome) -> bool:
    return bool(np.all(np.array([one.top1, other.macs]) >= [other.top1, one.macs]))


def _asha(grace: int, reduction: int) -> GoesOn:
    asha = Asha(OBJECTIVES, 9, grace, reduction)
    return lambda number, epoch, metrics, end: asha.report(number, epoch, values_at(OBJECTIVES, end, metrics))


def _foresight(epoch: int) -> GoesOn:
    rule = Foresight(epoch)
    return lambda number, now, metrics, end: rule.goes_on(now, end)


GoesOn = Callable[[int, int, dict[str, float], Outcome], bool]
"""(number, epoch, metrics, end) -> whether the trial goes on; only ``Foresight`` looks at the accuracy in its end."""
RULES: dict[str, Callable[[], GoesOn]] = {
    "none": lambda: lambda *_: True,
    **{
        f"grace {grace}, reduction {reduction}": partial(_asha, grace, reduction)
        for grace, reduction in itertools.product((1, 2, 3), (2, 3))
    },
    **{f"the end is known after epoch {epoch}": partial(_foresight, epoch) for epoch in (1, 2, 3)},
}
SLOW_RULES = ("none", "grace 2, reduction 2", "grace 3, reduction 3")  # for the predictor, which takes seconds a search


def epochs_to_share(sampler: str, trials: int, seed: int, rule: str) -> float:
    """Epochs that a search under one of the ``RULES`` has spent when it reaches ``SHARE``; infinite if never."""
    draw, names, spent = random.Random(f"noise {seed}"), [], 0
    goes_on = RULES[rule]()
    for number, (arch, tell) in enumerate(ours(sampler, trials, seed)):
        row = draw.randrange(3)
        outcome, curve = known().outcome(arch, row), known().curve(arch, row)
        for epoch, metrics in enumerate(curve, 1):
            spent += 1
            if not goes_on(number, epoch, metrics, outcome):
                outcome, curve = replace(outcome, status="stopped", top1=metrics["top1"]), curve[:epoch]
                break
        tell(outcome, curve)
        if outcome.status == "ok":
            names.append(arch.id)
            if known().share(names) >= SHARE:
                return spent
    return math.inf


def first_at(curve: np.ndarray, share: float) -> float:
    """The trial (from 1) that reached ``share``; infinite where none did."""
    reached = np.flatnonzero(curve >= share)
    return float(reached[0]) + 1 if len(reached) else math.inf


def interval(values: np.ndarray, of: Callable[..., np.ndarray] = np.median) -> tuple[float, float, float]:
    """The statistic with its 95% bootstrap interval."""
    draws = np.random.default_rng(0).integers(0, len(values), (2000, len(values)))
    low, high = np.percentile(of(values[draws], axis=1), [2.5, 97.5], method="nearest")
    return float(of(values)), float(low), float(high)


def compare_samplers(pool: ProcessPoolExecutor, trials: int, seeds: int, console: Console) -> None:
    names = (*SAMPLERS, *BARE)
    jobs = {name: [pool.submit(search, name, trials, seed) for seed in range(seeds)] for name in names}
    curves = {name: np.array([job.result() for job in found]) for name, found in jobs.items()}
    marks = [n for n in (10, 20, 30, 50, 75, 100, 150) if n <= trials]
    table = Table(
        "sampler", *(f"{n}" for n in marks), title=f"share of the hypervolume after n trials, mean of {seeds}"
    )
    for name in names:
        cells = [interval(curves[name][:, n - 1], np.mean) for n in marks]
        table.add_row(name, *(f"{mean:.3f} ({low:.3f}-{high:.3f})" for mean, low, high in cells))
    console.print(table)
    reach = {name: np.array([first_at(curve, SHARE) for curve in curves[name]]) for name in names}
    table = Table("sampler", "trials to 95%", "random / this", title="median over searches, with 95% interval")
    for name in names:
        middle, low, high = interval(reach[name])
        ratio = np.median(reach["random"]) / middle
        table.add_row(name, f"{middle:.0f} ({low:.0f}-{high:.0f})", f"{ratio:.2f}")
    console.print(table)


def compare_stopping(pool: ProcessPoolExecutor, seeds: int, console: Console) -> None:
    """Epochs to 95% with and without MO-ASHA; a search that never gets there counts as infinitely long."""
    trials = {"random": known().space.size, "predictor": 150}
    jobs = {
        (sampler, rule): [pool.submit(epochs_to_share, sampler, most, seed, rule) for seed in range(seeds)]
        for sampler, most in trials.items()
        for rule in (RULES if sampler == "random" else SLOW_RULES)
    }
    table = Table("sampler", "stopping", "epochs to 95%", "of those without", title="median with 95% interval")
    base = math.nan
    for (sampler, rule), found in jobs.items():
        spent = np.array([job.result() for job in found])
        middle, low, high = interval(spent)
        base = middle if rule == "none" else base
        table.add_row(sampler, rule, f"{middle:.0f} ({low:.0f}-{high:.0f})", f"{middle / base:.2f}")
    console.print(table)


def main(argv: Sequence[str]) -> None:
    parser = command.Parser("python benchmarks/samplers.py", description=__doc__.split("\n")[0])
    parser.add_argument("--part", choices=("samplers", "stopping"))
    parser.add_argument("--trials", type=command.positive_int, default=150)
    parser.add_argument("--seeds", type=command.positive_int, default=100)
    parser.add_argument("--workers", type=command.positive_int, default=environment.cpu_count())
    args = parser.parse_args(argv)
    console, start = Console(), time.perf_counter()
    console.print(f"space: {known().space.size} networks, {len(known().curves)} in the table")
    with ProcessPoolExecutor(args.workers) as pool:
        if args.part != "stopping":
            compare_samplers(pool, args.trials, args.seeds, console)
        if args.part != "samplers":
            compare_stopping(pool, args.seeds, console)
    made = environment.describe(0)
    console.print(f"Python {made['python']}, optuna {made['optuna']}; {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    command.run(main)
