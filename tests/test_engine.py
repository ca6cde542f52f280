"""Both executors record the same; Ray is started once and has to survive workers that die, raise or are interrupted."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from search_spaces import Arch, Stage, UserError
from studies.engine import EpochEnded, Finished, Resources, Started, WorkerLost, run, run_inline, trial_seed
from studies.ledger import LEDGER, Ledger, Outcome, read
from studies.samplers import Proposer, lag_for

TWO = Resources(cpus_per_trial=1, gpus_per_trial=0, cpus=2, gpus=0)
SEED = 100


class TwoStages:
    def suggest(self, trial):
        stages = [
            Stage(
                "mbconv",
                trial.suggest_categorical(f"kernel{i}", [3, 5, 7]),
                stride=2,
                expansion=trial.suggest_categorical(f"expansion{i}", [1, 4, 6]),
                channels=trial.suggest_categorical(f"channels{i}", [8, 16, 24, 32]),
                layers=trial.suggest_categorical(f"layers{i}", [1, 2, 3]),
            )
            for i in range(2)
        ]
        return Arch(tuple(stages), stem_channels=8, head_channels=64, resolution=32)


def score(arch):
    widths = sum(stage.channels * stage.layers for stage in arch.stages)
    return Outcome("ok", top1=widths / 2, macs=widths**2 * arch.stages[0].expansion)


def evaluate(arch, seed, payload, report_epoch):
    """Two epochs of random length; trial 7 raises."""
    for epoch in (1, 2):
        time.sleep(random.SystemRandom().uniform(0, 0.04))
        report_epoch({"epoch": epoch, "top1": float(seed)})
    if seed == SEED + 7:
        raise ValueError("a long story\nthe last line")
    environment = {"writeable": bool(payload.flags.writeable), "sum": float(payload.sum())}
    return Outcome(**score(arch).to_dict() | {"environment": environment})


def die(arch, seed, payload, report_epoch):
    """Trial 1 kills its process in the first attempt, trial 3 in all of them."""
    report_epoch({"epoch": 1})
    first = not (Path(payload) / str(seed)).exists()
    (Path(payload) / str(seed)).touch()
    if (seed == SEED + 1 and first) or seed == SEED + 3:
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    report_epoch({"epoch": 2})
    return score(arch)


def unprintable(arch, seed, payload, report_epoch):
    return Outcome("ok", environment={"what": object()})


def interrupted_at_6(arch, seed, payload, report_epoch):
    report_epoch({"epoch": 1})
    if seed == SEED + 6:
        raise KeyboardInterrupt
    return score(arch)


def sleepy(arch, seed, payload, report_epoch):
    report_epoch({"epoch": 1})
    time.sleep(0.1 if seed < SEED + 4 else 600)
    return score(arch)


LAG = lag_for(TWO.concurrency)


def proposer(lag=LAG, sampler="nsga2", seed=5):
    return Proposer(TwoStages(), sampler, ("top1", "macs"), seed, lag, population_size=4)


@pytest.fixture(scope="session")
def ray_session():
    from studies import raytune  # the settings have to be there before Ray is imported

    raytune.ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import tests
    raytune.ray.init(num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    raytune.ray.shutdown()


def events_of(run_dir):
    return [json.loads(line) for line in (run_dir / LEDGER).read_text().splitlines()]


@pytest.fixture(scope="module")
def twenty(ray_session, tmp_path_factory):
    """20 trials, 2 at a time: (run folder, events on display)."""
    run_dir, shown = tmp_path_factory.mktemp("twenty"), []
    with Ledger(run_dir) as ledger:
        run(proposer(), evaluate, np.ones(1000), ledger, 20, SEED, TWO, shown.append)
    return run_dir, shown


def test_all_trials_are_recorded_and_one_that_raises_is_failed(twenty):
    records = read(twenty[0])
    assert [record.number for record in records] == list(range(20))
    assert [record.seed for record in records] == [trial_seed(SEED, number) for number in range(20)]
    assert [record.number for record in records if record.status != "ok"] == [7]
    assert records[7].outcome == Outcome("failed", error="ValueError: the last line")
    assert all([epoch["epoch"] for epoch in record.epochs] == [1, 2] for record in records)


def test_events_come_in_order_on_disk_and_on_display(twenty):
    run_dir, shown = twenty
    for number in range(20):
        own = [event["event"] for event in events_of(run_dir) if event["trial"] == number]
        assert own == ["started", "epoch", "epoch", "finished"]
        assert [type(event) for event in shown if event.number == number] == [Started, EpochEnded, EpochEnded, Finished]
    started = [event["trial"] for event in events_of(run_dir) if event["event"] == "started"]
    assert started == list(range(20))


def test_two_trials_run_at_a_time(twenty):
    running, most = set(), 0
    for event in events_of(twenty[0]):
        (running.discard if event["event"] == "finished" else running.add)(event["trial"])
        most = max(most, len(running))
    assert most == 2


def test_payload_is_shared_memory_that_no_trial_can_write(twenty):
    outcomes = [record.outcome for record in read(twenty[0]) if record.status == "ok"]
    assert all(outcome.environment == {"writeable": False, "sum": 1000.0} for outcome in outcomes)


def test_parallel_trials_of_random_length_propose_what_a_sequential_run_does(twenty, tmp_path):
    with Ledger(tmp_path) as ledger:
        run_inline(proposer(), evaluate, np.ones(1000), ledger, 20, SEED, lambda event: None)
    assert [record.arch for record in read(tmp_path)] == [record.arch for record in read(twenty[0])]


def test_a_trial_whose_worker_dies_is_run_again_twice_at_most(ray_session, tmp_path):
    shown = []
    (tmp_path / "marks").mkdir()
    with Ledger(tmp_path) as ledger:
        run(proposer(lag=3), die, str(tmp_path / "marks"), ledger, 6, SEED, TWO, shown.append)
    records = read(tmp_path)
    assert [record.status for record in records] == ["ok", "ok", "ok", "failed", "ok", "ok"]
    assert records[3].outcome.error == "worker died"
    assert [[epoch["epoch"] for epoch in record.epochs] for record in records[1:4]] == [[1, 2], [1, 2], [1]]
    assert sorted(event.number for event in shown if isinstance(event, WorkerLost)) == [1, 3, 3]


def test_what_the_recorder_raises_ends_the_run_as_it_is(ray_session, tmp_path):
    def display(event):
        if isinstance(event, Finished):
            raise OSError("no space left on device")

    with Ledger(tmp_path) as ledger, pytest.raises(OSError, match="no space left"):
        run(proposer(), evaluate, np.ones(1), ledger, 4, SEED, TWO, display)


def test_a_ray_that_runs_already_must_have_what_a_trial_needs(ray_session, tmp_path):
    with Ledger(tmp_path) as ledger, pytest.raises(UserError, match="gpus_per_trial: 1 is more than Ray has"):
        run(proposer(), evaluate, None, ledger, 4, SEED, Resources(1, 1, 2, 1), print)


def test_ctrl_c_leaves_a_whole_ledger_that_can_be_resumed(tmp_path):
    driver = subprocess.Popen(
        [sys.executable, __file__, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert driver.stdout.readline() == "four finished\n"
    sent = time.monotonic()
    driver.send_signal(signal.SIGINT)
    out, err = driver.communicate(timeout=60)
    assert (driver.returncode, out, err) == (130, "", "")
    assert time.monotonic() - sent < 15
    records = read(tmp_path)
    assert [record.status for record in records] == ["ok"] * 4 + ["running"] * 2

    with Ledger(tmp_path) as ledger:
        run_inline(proposer(), lambda arch, *_: score(arch), None, ledger, 8, SEED, lambda event: None, records)
    assert [record.status for record in read(tmp_path)] == ["ok"] * 8


def test_a_resumed_run_is_the_run_that_was_not_interrupted(tmp_path):
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    with Ledger(tmp_path / "whole") as ledger:
        run_inline(proposer(), lambda arch, *_: score(arch), None, ledger, 20, SEED, lambda event: None)
    with Ledger(tmp_path / "broken") as ledger, pytest.raises(KeyboardInterrupt):
        run_inline(proposer(), interrupted_at_6, None, ledger, 20, SEED, lambda event: None)
    records = read(tmp_path / "broken")
    assert [record.status for record in records] == ["ok"] * 6 + ["running"]
    with Ledger(tmp_path / "broken") as ledger:
        run_inline(proposer(), lambda a, *_: score(a), None, ledger, 20, SEED, lambda event: None, records)
        with pytest.raises(UserError, match="trial 0: the ledger holds a network that this run would not propose"):
            run_inline(proposer(seed=6), evaluate, None, ledger, 20, SEED, print, records)

    def essence(name):
        return [(record.number, record.arch, record.seed, record.outcome) for record in read(tmp_path / name)]

    assert essence("broken") == essence("whole")
    assert read(tmp_path / "broken")[6].epochs == ()


def test_an_outcome_that_the_ledger_cannot_hold_is_a_failed_trial(tmp_path):
    with Ledger(tmp_path) as ledger:
        run_inline(proposer(), unprintable, None, ledger, 1, SEED, lambda event: None)
    assert read(tmp_path)[0].outcome.error == "TypeError: Object of type object is not JSON serializable"


def test_resources_say_how_many_trials_fit():
    assert Resources(1, 0, 2, 0).concurrency == 2
    assert Resources(0.1, 0, 1, 0).concurrency == 10
    assert Resources(4, 1, 32, 4).concurrency == 4
    assert Resources(1, 0.4, 32, 2).concurrency == 4  # two on each, though 2 / 0.4 is 5
    assert Resources(4, 2, 32, 5).concurrency == 2


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0, 0, 1, 0), "cpus_per_trial: 0"),
        ((4, 0, 2, 0), "cpus_per_trial: 4 is more than there are"),
        ((1, 0.5, 2, 0), "gpus_per_trial: 0.5 is more than there are"),
        ((1, 1.5, 2, 4), "gpus_per_trial: 1.5 is neither"),
        ((1, -1, 2, 4), "gpus_per_trial: -1"),
    ],
)
def test_resources_that_cannot_be_had_are_a_user_error(numbers, message):
    with pytest.raises(UserError, match=message):
        Resources(*numbers)


def test_ray_and_optuna_are_imported_where_they_are_used():
    code = "import sys, studies.engine; print({'ray', 'optuna', 'torch', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def main(run_dir):
    """The driver that the test of Ctrl-C interrupts."""
    finished = []

    def display(event):
        if isinstance(event, Finished):
            finished.append(event)
        if len(finished) == 4 and isinstance(event, EpochEnded) and event.number == 5:
            print("four finished", flush=True)

    try:
        with Ledger(Path(run_dir)) as ledger:
            run(proposer(), sleepy, None, ledger, 20, SEED, TWO, display)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main(sys.argv[1])
