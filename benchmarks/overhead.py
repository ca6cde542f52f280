"""What the search adds to the trainings themselves, with others' overhead beside it.

    python benchmarks/overhead.py --part share          # 10,000 trials that return at once, for every sampler
    python benchmarks/overhead.py --part wall           # 24 real trainings three ways, interleaved

wall: the same 24 networks and seeds are evaluated (cost, latency, two epochs on digits, v2 at a quarter of its width)
by a loop over a pool of processes, by bare Optuna (random sampler) with the same pool, and by the search's engine on
Ray; each round runs all three one after another, with the same number at a time. Ideal is the loop: its processes have
imported everything before its clock starts. The search's clock starts when its first trial does; Ray's start and the
workers' imports before that are printed apart.

share: ask, record and tell of 10,000 trials without Ray, in milliseconds a trial, for some thousands of them; then the
memory of the driver, and what Ray adds between two trials of one worker.
"""

from __future__ import annotations

import itertools
import shlex
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import optuna
from rich.console import Console
from rich.table import Table

from nas import data, environment, run, search
from nas.evaluate import evaluate
from nas.flags import read_spec
from nas.plan import Plan, plan
from search_spaces import Arch, command, cost
from search_spaces.space_file import load_space
from studies import engine
from studies.ledger import Ledger, Outcome
from studies.proposer import Proposer
from studies.recorder import Finished, Limits, Recorder
from studies.resources import Resources
from studies.samplers import SAMPLERS, make, population_for
from studies.session import NoRun, Session

OBJECTIVES = ("top1", "macs")
SHOWN = (0, 1, 4, 9)  # tenths of the trials
# With so large a lag all networks are proposed at once, for the loop; random proposals are the same with any. Latencies
# take the same short time every time, whatever the machine does.
FLAGS = shlex.split(
    "--space v2 --width 0.25 --data digits --epochs 2 --sampler random --objective top1 --objective macs "
    "--set search.lag=1000 --set latency.precision=0.0001 --set latency.max_s=0.3 --set latency.warmup_s=0.1 "
    "--set latency.retries=0"
)

_images: data.ImageSet
_plan: Plan


def _prepare(planned: Plan) -> None:
    global _images, _plan
    _plan, _images = planned, run.load_images(planned)


def _train(arch: Arch, seed: int) -> tuple[Outcome, float, float]:
    start = time.time()
    return evaluate(arch, seed, _images, NoRun(), spec=_plan.spec), start, time.time()


def _ready(seconds: float) -> None:
    time.sleep(seconds)


def _timed(arch: Arch, seed: int, payload: Any, session: Session, planned: Plan) -> Outcome:
    start = time.time()
    outcome = evaluate(arch, seed, payload, session, spec=planned.spec)
    return replace(outcome, timings=outcome.timings | {"began": start, "ended": time.time()})


def _pool(planned: Plan) -> ProcessPoolExecutor:
    """Processes that have imported everything and read the images."""
    workers = planned.resources.concurrency
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _prepare, (planned,))
    wait([pool.submit(_ready, 0.5) for _ in range(workers)])
    return pool


def by_loop(planned: Plan, trials: int) -> float:
    proposals = [
        proposal for proposer in [run.proposer_of(planned)] for _ in range(trials) if (proposal := proposer.ask())
    ]
    with _pool(planned) as pool:
        start = time.perf_counter()
        wait([pool.submit(_train, proposal.arch, proposal.seed) for proposal in proposals])
        return time.perf_counter() - start


def by_optuna(planned: Plan, trials: int) -> float:
    """Bare Optuna on the same networks: its trials are asked and told, the networks are the loop's."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    proposer = run.proposer_of(planned)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=optuna.samplers.RandomSampler(0))
    with _pool(planned) as pool:
        start = time.perf_counter()
        under_way: dict[Future[Any], optuna.Trial] = {}
        for _ in range(trials):
            if len(under_way) == planned.resources.concurrency:
                _tell(study, under_way)
            trial = study.ask()
            planned.space.suggest(trial)
            proposal = proposer.ask()
            assert proposal is not None
            under_way[pool.submit(_train, proposal.arch, proposal.seed)] = trial
        while under_way:
            _tell(study, under_way)
        return time.perf_counter() - start


def _tell(study: optuna.Study, under_way: dict[Future[Any], optuna.Trial]) -> None:
    for job in wait(under_way, return_when=FIRST_COMPLETED).done:
        outcome = job.result()[0]
        study.tell(under_way.pop(job), [outcome.top1, outcome.macs])


def by_search(planned: Plan, trials: int) -> tuple[float, float]:
    """(from the start of the first trial to the end of the last, Ray's start and the workers' imports)"""
    images, spans = run.load_images(planned), []

    def listen(event: Any) -> None:
        if isinstance(event, Finished):
            spans.append(event.outcome.timings)

    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder)) as ledger:
        start = time.time()
        recorder = Recorder(run.proposer_of(planned), ledger, Limits(trials), listen, checkpoints=Path(folder))
        engine.run(recorder, partial(_timed, planned=planned), images, planned.resources)
    began = min(span["began"] for span in spans)
    return max(span["ended"] for span in spans) - began, began - start


def wall(trials: int, rounds: int, console: Console) -> None:
    planned = plan(read_spec(vars(search.parser().parse_args(FLAGS))))
    table = Table("round", "loop, s", "Optuna / loop", "search / loop", "Ray's start, s")
    ratios = []
    for number in range(1, rounds + 1):
        loop, bare = by_loop(planned, trials), by_optuna(planned, trials)
        ours, start = by_search(planned, trials)
        ratios.append(ours / loop)
        table.add_row(str(number), f"{loop:.1f}", f"{bare / loop:.3f}", f"{ours / loop:.3f}", f"{start:.1f}")
    console.print(f"{trials} trainings, {planned.together}")
    console.print(table)
    console.print(f"search / loop: median {statistics.median(ratios):.3f} of {rounds} rounds (bar 1.10)")


def _at_once(arch: Arch, seed: int, payload: Any, session: Any) -> Outcome:
    """A made-up accuracy that genes matter for, so that samplers have something to learn."""
    figures = cost.count(arch, 10)
    top1 = sum(stage.layers + stage.kernel + stage.expansion for stage in arch.stages) % 37 + figures.macs**0.2
    return Outcome("ok", **figures._asdict(), top1=float(top1))


def share(trials: int, samplers: Sequence[str], console: Console) -> None:
    step = max(1, trials // 10)
    marks = [f"{n * step:,} to {(n + 1) * step:,}" for n in SHOWN]
    table = Table("sampler", "mean", *marks, "memory, MB", title="ms a trial, over all and over some of them")
    for name in samplers:
        table.add_row(name, *_share(name, trials, step))
    console.print(table)


def _share(name: str, trials: int, step: int) -> list[str]:
    """In a process of its own, so that its memory is the sampler's."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        times, memory = pool.submit(_inline, name, trials).result()
    windows = [statistics.fmean(times[n * step : (n + 1) * step]) for n in SHOWN]
    return [f"{1e3 * statistics.fmean(times):.2f}", *(f"{1e3 * t:.2f}" for t in windows), f"{memory:.0f}"]


def _inline(name: str, trials: int) -> tuple[list[float], float]:
    space, ends = load_space("v2"), [time.perf_counter()]
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder)) as ledger:
        proposer = Proposer(space, make(name, space, OBJECTIVES, population_for(trials), 10), seed=0, lag=14)
        listen: Callable[[Any], None] = lambda event: ends.append(time.perf_counter())  # noqa: E731
        recorder = Recorder(proposer, ledger, Limits(trials), listen)
        while task := recorder.next():
            recorder.finish(task.number, _at_once(task.arch, task.seed, None, None))
    finished = ends[::2]  # started and finished take turns
    status = Path("/proc/self/status").read_text()
    resident = int(status.split("VmRSS:")[1].split()[0]) / 1e3
    return [b - a for a, b in itertools.pairwise(finished)], resident


def ray_gap(trials: int, console: Console) -> None:
    """Wall time a trial with Ray, one at a time, where the evaluation returns at once."""
    space, ends = load_space("v2"), []
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder)) as ledger:
        proposer = Proposer(space, make("random", space, OBJECTIVES, 8, 10), seed=0)
        recorder = Recorder(proposer, ledger, Limits(trials), lambda event: ends.append(time.perf_counter()))
        engine.run(recorder, _at_once, None, Resources(1, 0, 1, 0))
    gap = 1e3 * (ends[-1] - ends[19]) / (len(ends) / 2 - 10)
    console.print(f"with Ray, one at a time, trials that return at once: {gap:.0f} ms a trial over {trials}")


def main(argv: Sequence[str]) -> None:
    parser = command.Parser("python benchmarks/overhead.py", description=__doc__.split("\n")[0])
    parser.add_argument("--part", choices=("wall", "share"))
    parser.add_argument("--trainings", type=command.positive_int, default=24)
    parser.add_argument("--rounds", type=command.positive_int, default=3)
    parser.add_argument("--trials", type=command.positive_int, default=10_000)
    parser.add_argument("--sampler", choices=SAMPLERS, action="append")
    args = parser.parse_args(argv)
    console = Console()
    if args.part != "wall":
        share(args.trials, args.sampler or SAMPLERS, console)
        ray_gap(min(args.trials, 300), console)
    if args.part != "share":
        wall(args.trainings, args.rounds, console)
    made = environment.describe(0)
    console.print(f"machine: {made['cpu']}, {made['cpus']} cores; torch {made['torch']}, ray {made['ray']}")


if __name__ == "__main__":
    command.run(main)
