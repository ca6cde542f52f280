"""The lease with real processes, some of which are killed or stopped."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

from nas.data import ImageSet
from nas.lease import NO_LEASE, Deferred, Lease
from nas.training import train
from search_spaces import Arch, Stage, UserError
from search_spaces.build import build_model
from studies.train_spec import TrainSpec

CPU = torch.device("cpu")
SMALL = Arch((Stage("fused_mbconv", 3, 2, 2, 8, 1), Stage("mbconv", 3, 2, 2, 16, 1, 0.25)), 8, 32, 16)
HOLD = """
import os, sys, time
from pathlib import Path
from nas.lease import Lease

lease = Lease(Path(sys.argv[1]))
how = sys.argv[2]
if how == "train":
    with lease.sharing() as share, open(sys.argv[3], "a") as steps:
        print(0, flush=True)
        while True:
            time.sleep(0.005)
            print(file=steps, flush=True)
            share.step()
with lease.measuring() if how == "measure" else lease.sharing():
    if not os.fork():  # a child, which goes on when its parent dies
        print(os.getpid(), flush=True)
    sys.stdin.read()  # until the test closes it
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lease"


@pytest.fixture
def lease(path):
    return Lease(path)


@pytest.fixture
def hold(path):
    """Starts a process that holds the lease, and waits until it does: (process, its child's id, if any)."""
    started = []

    def start(how, *arguments):
        command = [sys.executable, "-c", HOLD, path, how, *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        child = int(process.stdout.readline())
        started.append(process)
        return process, child

    yield start
    for process in started:
        process.kill()
        end(process)


def end(process):
    process.stdin.close()
    process.wait()
    process.stdout.close()


def lines(file):
    return len(file.read_bytes())


def test_a_measurement_waits_for_training_and_defers_in_the_end(lease, hold):
    trainer, _ = hold("share")
    with pytest.raises(Deferred, match=r"did not pause within 0.3 s"), lease.measuring(pause_s=0.3):
        pytest.fail("measured beside a training")
    end(trainer)
    with lease.measuring() as waited_s:
        assert waited_s < 30


def test_a_measurement_waits_for_another_and_defers_in_the_end(lease, hold):
    other, _ = hold("measure")
    with pytest.raises(Deferred, match=r"other measurements did not end within 0.3 s"), lease.measuring(queue_s=0.3):
        pytest.fail("measured beside another")
    end(other)
    with lease.measuring():
        pass


def test_training_waits_for_a_measurement(lease, hold):
    measurer, _ = hold("measure")
    threading.Timer(0.5, end, [measurer]).start()
    with lease.sharing() as share:
        assert 0.4 < share.paused_s < 30


def test_trainings_pause_while_measurements_run_and_do_not_starve_them(lease, hold, tmp_path):
    steps = [tmp_path / name for name in "abc"]
    for file in steps:
        hold("train", file)
    for _ in range(5):
        with lease.measuring(pause_s=30):
            before = [lines(file) for file in steps]
            time.sleep(0.1)
            assert [lines(file) for file in steps] == before
        deadline = time.monotonic() + 30
        while any(lines(file) == n for file, n in zip(steps, before, strict=True)):
            assert time.monotonic() < deadline, "a training did not go on"
            time.sleep(0.01)


@pytest.mark.parametrize("how", ["share", "measure"])
def test_a_killed_holder_frees_the_lease_though_its_child_lives(lease, hold, how):
    holder, child = hold(how)
    holder.kill()
    holder.wait()
    with lease.measuring(pause_s=10, queue_s=10):
        os.kill(child, 0)  # lives


def test_a_stopped_training_defers_the_measurement_and_goes_on_later(lease, hold, tmp_path):
    trainer, _ = hold("train", tmp_path / "steps")
    os.kill(trainer.pid, signal.SIGSTOP)
    time.sleep(0.1)
    try:
        with pytest.raises(Deferred, match="stopped"), lease.measuring(pause_s=0.5):
            pytest.fail("measured beside a stopped training")
    finally:
        os.kill(trainer.pid, signal.SIGCONT)
    with lease.measuring(pause_s=30):
        pass


def test_training_goes_on_beside_a_stopped_measurement_and_finds_back(lease, hold, path):
    measurer, _ = hold("measure")
    os.kill(measurer.pid, signal.SIGSTOP)
    with lease.sharing(queue_s=0.3) as share:
        assert share.paused_s >= 0.3
        for _ in range(3):
            share.step()  # does not wait
        measurer.kill()
        measurer.wait()
        share.step()
        with pytest.raises(Deferred), Lease(path).measuring(pause_s=0.1):
            pytest.fail("measured beside the training, which has the lease again")


def test_a_measurement_that_hangs_lets_others_go_on_and_is_deferred(lease, path):
    def hang():
        with lease.measuring(hold_s=0.2):
            with Lease(path).sharing() as share:
                assert share.paused_s > 0.1
            with Lease(path).measuring():
                pass

    with pytest.raises(Deferred, match=r"others wait for 0.2 s"):
        hang()
    with lease.measuring():
        pass


def test_an_error_in_a_measurement_frees_the_lease(lease, path):
    with pytest.raises(ZeroDivisionError), lease.measuring():
        _ = 1 / 0
    with Lease(path).measuring(pause_s=1):
        pass


def test_what_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("NAS_LEASE", "off")
    assert Lease.of_host().path is None
    with Lease.of_host().sharing(), Lease.of_host().measuring() as waited_s:
        assert waited_s == 0
    monkeypatch.setenv("NAS_LEASE", str(tmp_path / "folder" / "mine"))
    with Lease.of_host().sharing(), pytest.raises(Deferred), Lease.of_host().measuring(pause_s=0.1):
        pytest.fail("two leases of one file")
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAS_LEASE", str(tmp_path / "file" / "mine"))
    with pytest.raises(UserError, match=r"^NAS_LEASE: .*mine cannot be a lock file: "):
        Lease.of_host()
    monkeypatch.delenv("NAS_LEASE")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert Lease.of_host().path.parent.parent == tmp_path


def noise(count):
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 16, 16), generator=draw, dtype=torch.uint8).numpy()
    labels = (torch.arange(count) % 2).numpy()
    half = count // 2
    return ImageSet.of_arrays("noise", ("a", "b"), (images[:half], labels[:half]), (images[half:], labels[half:]))


def test_training_with_pauses_ends_as_without_and_counts_them_apart(lease, path):
    """Another measures all the time; in ``on_epoch`` the training has let go of the lease."""
    spec, free = TrainSpec(epochs=2, batch_size=8, dropout=0.2, crop="shift"), []

    def run(used, on_epoch):
        torch.manual_seed(3)
        model = build_model(SMALL, 2, spec.dropout)
        history = train(model, noise(128), spec, 3, CPU, on_epoch, lease=used)
        paused = [metrics.pop("paused_s") for metrics in history]
        times = [(metrics.pop("time_s"), metrics.pop("step_time_s")) for metrics in history]
        return history, model.state_dict(), sum(paused), sum(time_s for time_s, _ in times)

    def on_epoch(metrics):
        with Lease(path).measuring(pause_s=5):
            free.append(metrics["epoch"])

    done = threading.Event()

    def measure_again_and_again():
        own = Lease(path)
        while not done.is_set():
            with own.measuring():
                time.sleep(0.1)

    other = threading.Thread(target=measure_again_and_again)
    other.start()
    start = time.perf_counter()
    try:
        history, weights, paused_s, time_s = run(lease, on_epoch)
    finally:
        done.set()
        other.join()
    assert time_s + paused_s <= time.perf_counter() - start
    assert paused_s > 0
    plain, plain_weights, never_s, _ = run(NO_LEASE, lambda metrics: None)
    assert (history, free, never_s) == (plain, [1, 2], 0)
    assert all(torch.equal(weights[name], plain_weights[name]) for name in weights)
