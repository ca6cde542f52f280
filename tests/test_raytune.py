"""Ray as the executor records what running in this process does, and survives workers that die, raise or pause."""

import os
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import made_up
import numpy as np
import pytest
from made_up import SEED, lines_of, recording, score, search
from made_up import evaluate as evaluate_quickly

from search_spaces import UserError
from studies.engine import one_ray, run
from studies.ledger import Latency, Outcome, read
from studies.recorder import EpochEnded, Finished, Paused, WorkerLost
from studies.resources import Resources

TWO = Resources(cpus_per_trial=1, gpus_per_trial=0, cpus=2, gpus=0)


def evaluate(arch, seed, payload, session):
    """``made_up.evaluate`` in uneven time; trial 7 raises."""
    time.sleep((seed * 7 % 5) / 100)
    found = evaluate_quickly(arch, seed, payload, session)
    if seed == SEED + 7:
        raise ValueError("a long story\nthe last line")
    seen = {"writeable": bool(payload.flags.writeable), "sum": float(payload.sum())}
    return Outcome(**found.to_dict() | {"environment": seen})


def die(arch, seed, payload, session):
    """Trial 1 kills its process in the first attempt, trial 3 in all of them."""
    session.epoch({"epoch": 1, "top1": 1.0})
    mark = Path(payload) / str(seed)
    first = not mark.exists()
    mark.touch()
    if (seed == SEED + 1 and first) or seed == SEED + 3:
        time.sleep(0.2)  # for the report to leave
        os.kill(os.getpid(), signal.SIGKILL)
    session.epoch({"epoch": 2, "top1": 2.0})
    return score(arch)


def die_once_measured(arch, seed, payload, session):
    """What the second attempt knows of the first."""
    if session.latency:
        return replace(score(arch), latency=session.latency, environment={"again": True})
    session.measured(replace(score(arch), latency=Latency({"device": "made up"}, 2.0, 0.1, 1.9, 64)))
    time.sleep(0.2)  # for the report to leave
    os.kill(os.getpid(), signal.SIGKILL)


def save(arch, seed, payload, session):
    session.checkpoint.touch()
    for epoch in range(1, 6):
        time.sleep(0.02)
        session.epoch({"epoch": epoch, "top1": 1.0})
    return score(arch)


def test_a_ray_that_does_not_start_is_one_line(tmp_path, monkeypatch):
    """Above those that share one that has."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "file" / "folder"))
    (tmp_path / "file").write_text("")
    with recording(tmp_path, 1) as recorder, pytest.raises(UserError, match=r"^Ray does not start on this machine"):
        run(recorder, evaluate_quickly, None, TWO)


@pytest.fixture(scope="session")
def ray():
    """The module, none of it started, for evaluations of this file."""
    from studies import raytune  # the settings have to be there before Ray is imported

    for module in (made_up, sys.modules[__name__]):
        raytune.ray.cloudpickle.register_pickle_by_value(module)  # workers cannot import tests
    return raytune.ray


@pytest.fixture(scope="module")
def first(ray, tmp_path_factory):
    """12 trials, 2 at a time, the first run of those that share a Ray: (run folder, events on display, Ray's node)."""
    run_dir, shown = tmp_path_factory.mktemp("twelve"), []
    with one_ray():
        assert not ray.is_initialized()
        with recording(run_dir, 12, shown.append) as recorder:
            run(recorder, evaluate, np.ones(1000), TWO)
        assert ray.is_initialized()
        yield run_dir, shown, ray.get_runtime_context().get_node_id()
    assert not ray.is_initialized()


@pytest.fixture(scope="module")
def twelve(first):
    return first[:2]


@pytest.fixture
def ray_session(first, monkeypatch):
    """The Ray that ``first`` has started, to a run as any that runs already."""
    monkeypatch.setattr("studies.engine._held", None)


def test_parallel_trials_are_recorded_as_sequential_ones(twelve, tmp_path):
    run_dir, shown = twelve
    records = read(run_dir)
    alone = search(tmp_path, 12, evaluate, np.ones(1000))
    assert [record.arch for record in records] == [record.arch for record in alone]
    assert [record.number for record in records if record.status != "ok"] == [7]
    assert records[7].outcome.error == "ValueError: the last line"
    for number in range(12):
        assert lines_of(run_dir, number) == ["started", "measured", "epoch", "epoch", "finished"]
    assert sum(isinstance(event, Finished) for event in shown) == 12


def test_two_trials_run_at_a_time(twelve):
    running, most = 0, 0
    for event in lines_of(twelve[0]):
        running += {"started": 1, "finished": -1}.get(event, 0)
        most = max(most, running)
    assert most == 2


def test_payload_is_shared_memory_that_no_trial_can_write(twelve):
    outcomes = [record.outcome for record in read(twelve[0]) if record.status == "ok"]
    assert all(outcome.environment == {"writeable": False, "sum": 1000.0} for outcome in outcomes)


def test_a_trial_whose_worker_dies_is_run_again_but_not_for_ever(ray_session, tmp_path):
    shown = []
    (tmp_path / "marks").mkdir()
    with recording(tmp_path, 5, shown.append) as recorder:
        run(recorder, die, str(tmp_path / "marks"), replace(TWO, retries=1))
    records = read(tmp_path)
    assert [record.status for record in records] == ["ok", "ok", "ok", "failed", "ok"]
    reason = "worker process died: killed by a signal or by the system for want of memory, or crashed"
    assert records[3].outcome.error == f"worker lost 2 times; last: {reason}"
    assert sorted((e.number, e.reason) for e in shown if isinstance(e, WorkerLost)) == [(1, reason), (3, reason)]
    assert [[epoch["epoch"] for epoch in record.epochs] for record in records[1:4]] == [[1, 2], [1, 2], [1]]


def test_a_trial_that_is_run_again_does_not_measure_again(ray_session, tmp_path):
    with recording(tmp_path, 1) as recorder:
        run(recorder, die_once_measured, None, TWO)
    outcome = read(tmp_path)[0].outcome
    assert (outcome.environment, outcome.latency_ms) == ({"again": True}, 2.0)


def test_a_worker_that_ray_kills_for_memory_is_one_that_died():
    """Ray's own error for it is none that its Tune expects; ``benchmarks/faults.py --part b`` makes it happen."""
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.exceptions import OutOfMemoryError, RayActorError

    from studies import raytune

    heard = []

    class Task:
        _on_error = None
        _tracked_actor = type(
            "Actor", (), {"actor_id": 1, "_on_error": lambda self, actor, error: heard.append(error)}
        )()

    class Manager(RayActorManager):
        def __init__(self):
            self._failed_actor_ids = set()

        def _cleanup_actor(self, tracked_actor):
            pass

        def __del__(self):
            pass

    Manager()._actor_task_failed(tracked_actor_task=Task(), exception=OutOfMemoryError("a page of text"))
    assert isinstance(heard[0], RayActorError)
    assert str(heard[0]) == raytune.OUT_OF_MEMORY


def test_trials_pause_when_the_run_ends_and_go_on_later(ray_session, tmp_path):
    checkpoints, shown = tmp_path / "checkpoints", []
    checkpoints.mkdir()

    def drain_at_second_epoch(event):
        shown.append(event)
        if isinstance(event, EpochEnded) and event.metrics["epoch"] == 2:
            recorder.drain("enough")

    with recording(tmp_path, 4, drain_at_second_epoch, checkpoints=checkpoints) as recorder:
        run(recorder, save, None, TWO)
        paused = [event.number for event in shown if isinstance(event, Paused)]
        assert paused
        assert recorder.unfinished == len(paused)
    assert {record.status for record in read(tmp_path)} <= {"running", "ok"}
    with recording(tmp_path, 4, checkpoints=checkpoints) as recorder:
        run(recorder, save, None, TWO)
    assert [record.status for record in read(tmp_path)] == ["ok"] * 4
    assert lines_of(tmp_path).count("finished") == 4
    assert not list(checkpoints.iterdir())


def test_one_ray_serves_several_runs(first, ray, tmp_path):
    """And ends with them, as the fixture sees."""
    with recording(tmp_path, 1) as recorder:
        run(recorder, evaluate_quickly, None, TWO)
    assert [record.status for record in read(tmp_path)] == ["ok"]
    assert ray.get_runtime_context().get_node_id() == first[2]


def test_what_the_recorder_raises_ends_the_run_as_it_is(ray_session, tmp_path):
    def display(event):
        if isinstance(event, Finished):
            raise OSError("no space left on device")

    with recording(tmp_path, 4, display) as recorder, pytest.raises(OSError, match="no space left"):
        run(recorder, evaluate_quickly, None, TWO)


def test_a_ray_that_runs_already_must_have_what_a_trial_needs(ray_session, tmp_path):
    with recording(tmp_path, 4) as recorder, pytest.raises(UserError, match="gpus_per_trial: 1 is more than Ray has"):
        run(recorder, evaluate_quickly, None, Resources(1, 1, 2, 1))


def test_another_cluster_than_the_connected_one_is_refused(ray_session):
    from studies import raytune
    from studies.cluster import totals

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(UserError, match=f"{address}.* is not the Ray that this process is connected to"):
            totals(address)
    assert totals(raytune.ray.get_runtime_context().gcs_address) == (2, 0)
