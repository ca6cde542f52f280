"""Memory of training, measured and estimated."""

import pytest
import torch
from torch import nn

from nas import memory
from nas.memory import PeakMemory, training_mb
from nas.timing import step_time_s
from search_spaces import cost, load
from search_spaces.cost import Cost
from studies.spec import parse
from studies.train_spec import TrainSpec

CPU = torch.device("cpu")
needs_proc = pytest.mark.skipif(not memory._reset_peak(), reason="the high-water mark cannot be reset here")


@needs_proc
def test_the_most_that_was_held_at_a_time_is_found_though_it_was_freed():
    for _ in range(2):  # what the first leaves behind must not hide the second
        with PeakMemory(CPU) as peak:
            held = [torch.ones(250_000) for _ in range(200)]  # 200 MB in pieces
            del held
            torch.ones(250_000)
        assert peak.mb == pytest.approx(200, rel=0.1)
    with PeakMemory(CPU) as peak:
        pass
    assert peak.mb < 20


@needs_proc
def test_the_model_that_is_there_already_counts():
    model = nn.Sequential(nn.Linear(5000, 5000, bias=False), nn.BatchNorm1d(5000))
    with PeakMemory(CPU, model) as peak:
        pass
    assert peak.mb == pytest.approx(100, abs=20)


def test_unknown_where_the_mark_cannot_be_reset(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_RESET", tmp_path / "missing" / "clear_refs")
    with PeakMemory(CPU) as peak:
        torch.ones(1000)
    assert peak.mb is None


@pytest.mark.parametrize(
    ("train", "on_gpu", "expected"),
    [
        (TrainSpec(batch_size=32), False, 16 + 51.2 + 50),
        (TrainSpec(batch_size=64), False, 16 + 102.4 + 50),
        (TrainSpec(optimizer="sgd"), False, 12 + 51.2 + 50),
        (TrainSpec(optimizer="sgd", momentum=0.0), False, 8 + 51.2 + 50),
        (TrainSpec(optimizer="rmsprop"), False, 16 + 51.2 + 50),
        (TrainSpec(), True, 16 + 25.6),
        (TrainSpec(amp=False), True, 16 + 51.2),
    ],
)
def test_estimate_by_hand(train, on_gpu, expected):
    """A million parameters, 0.1 million activations of 4 bytes, each held 4 times for each of 32 images: 51.2 MB."""
    assert training_mb(Cost(1_000_000, 10**9, 100_000), train, on_gpu) == pytest.approx(expected)


REAL = """
import torch
from nas.memory import PeakMemory
from nas.timing import step_time_s
from search_spaces import load
from search_spaces.build import build_model
from studies.spec import Spec
from studies.train_spec import TrainSpec
arch, cpu = load("efficientnet_b0").at(96), torch.device("cpu")
with PeakMemory(cpu, build_model(arch, 10)) as peak:
    step_time_s(arch, 10, Spec(train=TrainSpec(batch_size=16)), cpu)
print(peak.mb)
"""


@needs_proc
def test_estimate_against_a_real_training(run_python):
    """In a process of its own, whose memory nothing has grown before."""
    done = run_python("-c", REAL)
    estimate = training_mb(cost.count(load("efficientnet_b0").at(96), 10), TrainSpec(batch_size=16))
    assert estimate == pytest.approx(float(done.stdout), rel=0.35), done.stderr


def test_steps_are_timed_with_the_threads_of_a_trial_which_are_then_given_back():
    spec = parse({"train": {"batch_size": 2}, "resources": {"cpus_per_trial": 1}})
    threads = torch.get_num_threads()
    assert 0 < step_time_s(load("efficientnet_b0").at(32), 10, spec, CPU) < 60
    assert torch.get_num_threads() == threads
