"""Hypervolume over time: worked by hand, against another implementation of it, and with what a ledger may hold."""

import itertools
import random

import moocore
import numpy as np
import pytest
from test_report import GOALS, HOSTILE, arch, run

from reports.drawing import progress as module
from reports.drawing.progress import Box, box, caption, draw, draw_all, line, progress, spent_s
from studies.ledger import Latency, Outcome, TrialRecord

NAN, INF = float("nan"), float("inf")
TWO, THREE = ("top1", "latency_ms"), ("top1", "latency_ms", "macs")


def trial(number, top1, latency_ms=None, macs=1, ended=None, status="ok", timings=None, network=None):
    latency = None if latency_ms is None else Latency({}, latency_ms)
    outcome = Outcome(status, 1, macs, 1, latency=latency, top1=top1, timings=timings or {})
    start = 1000.0 * number
    ended = start + 360 if ended is None else ended
    return TrialRecord(
        number, arch(16 + 8 * (number if network is None else network)), 0, start, None, (), (), ended, outcome
    )


def levels(found):
    return [(step.number, step.ended, step.value) for step in found.steps]


def inclusion_exclusion(points, reference):
    """The volume that the boxes from ``points`` to ``reference`` cover together, all minimised: the sum over all
    subsets of the volume of their intersection, odd ones added, even ones taken away."""
    volume = 0.0
    for size in range(1, len(points) + 1):
        for chosen in itertools.combinations(points, size):
            corner = [max(values) for values in zip(*chosen, strict=True)]
            sides = [max(0.0, high - low) for low, high in zip(corner, reference, strict=True)]
            volume += (-1) ** (size + 1) * np.prod(sides)
    return volume


# Worked by hand


def test_two_objectives_worked_by_hand():
    """The box: top1 from 40 to 90, latency from 11 to 1 ms; its volume is 500."""
    trials = [
        trial(0, 60.0, 5.0),  # 20 x 6 = 120
        trial(1, 50.0, 6.0),  # beaten by 0
        trial(2, 90.0, 9.0),  # 50 x 2 and 20 x 4 more: 180
        trial(3, 60.0, 5.0),  # the same as 0
        trial(4, 60.0, 4.0),  # as accurate as 0, faster: 20 more
        trial(5, 50.0, 1.0),  # 10 x 3 more
    ]
    found = progress(trials, TWO, reference=(40.0, 11.0))
    assert found.box == Box((40.0, 11.0), (90.0, 1.0))
    assert levels(found) == [
        (number, number + 1, pytest.approx(volume / 500))
        for number, volume in enumerate([120, 120, 180, 180, 200, 230])
    ]
    assert found.exact
    assert found.left_out == {}


def test_three_objectives_worked_by_hand():
    """The box: 10 of each objective, so that its volume is 1000."""
    trials = [
        trial(0, 94.0, 5.0, 5),  # 4 x 5 x 5 = 100
        trial(1, 92.0, 3.0, 3),  # 2 x 7 x 7 = 98, of which 2 x 5 x 5 are known: 148
        trial(2, 91.0, 9.0, 9),  # nothing new
        trial(3, 100.0, 0.0, 0),  # all
    ]
    found = progress(trials, THREE, reference=(90.0, 10.0, 10.0))
    assert found.box == Box((90.0, 10.0, 10.0), (100.0, 0.0, 0.0))
    assert [step.value for step in found.steps] == pytest.approx([0.1, 0.148, 0.148, 1.0])


def test_the_reference_is_a_tenth_of_the_range_beyond_the_worst():
    trials = [trial(0, 60.0, 5.0), trial(1, 80.0, 9.0)]
    assert box(trials, TWO) == Box((pytest.approx(58.0), pytest.approx(9.4)), (80.0, 5.0))
    # Boxes of 2 x 4.4 and 22 x 0.4 that share 2 x 0.4, of 22 x 4.4.
    assert [step.value for step in progress(trials, TWO).steps] == pytest.approx([8.8 / 96.8, 16.8 / 96.8])


def test_equal_values_give_a_box_nevertheless():
    same = [trial(0, 60.0, 5.0), trial(1, 60.0, 5.0)]
    assert [step.value for step in progress(same, TWO).steps] == pytest.approx([1.0, 1.0])
    one_axis = [trial(0, 60.0, 5.0), trial(1, 60.0, 3.0)]
    assert [step.value for step in progress(one_axis, TWO).steps] == pytest.approx([0.2 / 2.2, 1.0])


def test_one_objective_gives_the_best_value_so_far():
    trials = [trial(0, 60.0, 5.0), trial(1, 80.0, 9.0), trial(2, 70.0, 1.0)]
    found = progress(trials, ["top1"])
    assert [step.value for step in found.steps] == [60.0, 80.0, 80.0]
    assert found.label == "best top-1 accuracy (%) so far"
    assert caption(found).startswith("Up is better: the best top1 found so far.")
    cost = progress(trials, ["latency_ms"])
    assert [step.value for step in cost.steps] == [5.0, 5.0, 1.0]
    assert caption(cost).startswith("Down is better")
    macs = progress([trial(0, 60.0, macs=30_000_000)], ["macs"])
    assert list(draw(macs, "trials").data[0].y) == [30.0, 30.0]


def test_what_is_beyond_a_given_reference_adds_nothing():
    found = progress([trial(0, 30.0, 2.0), trial(1, 60.0, 5.0)], TWO, reference=(40.0, 10.0), ideal=(80.0, 0.0))
    assert [step.value for step in found.steps] == pytest.approx([0.0, 20 * 5 / 400])
    worthless = progress([trial(0, 30.0, 2.0)], TWO, reference=(30.0, 2.0))  # no box at all
    assert [step.value for step in worthless.steps] == [0.0]


# Against another implementation


@pytest.mark.parametrize("dimensions", [2, 3])
def test_volumes_are_those_of_inclusion_and_exclusion(dimensions):
    rng = random.Random(dimensions)
    objectives = THREE[:dimensions]
    for _ in range(150):
        rows = [[rng.randint(0, 6) for _ in range(dimensions)] for _ in range(rng.randint(1, 8))]  # ties are common
        reference = [7.0 - rng.randint(0, 2)] * dimensions  # some are beyond it
        volume = inclusion_exclusion(rows, reference)
        assert moocore.hypervolume(np.array(rows, dtype=float), ref=reference) == pytest.approx(volume)
        trials = [trial(number, 50.0 - row[0], *map(float, row[1:])) for number, row in enumerate(rows)]
        ideal = [50.0, 0.0, 0.0][:dimensions]
        found = progress(trials, objectives, [50.0 - reference[0], *reference[1:]], ideal)
        expected = [
            inclusion_exclusion(rows[: n + 1], reference) / reference[0] ** dimensions for n in range(len(rows))
        ]
        assert [step.value for step in found.steps] == pytest.approx(expected)


# What a ledger may hold


def test_steps_are_in_the_order_of_ends_and_count_every_trial():
    trials = [
        trial(0, 60.0, 5.0, ended=9000.0),
        trial(1, 80.0, 9.0, ended=1500.0),
        trial(2, None, ended=1600.0, status="failed"),
        trial(3, 99.0, 1.0, ended=1700.0, status="stopped"),
        trial(4, NAN, 1.0, ended=1800.0),
        trial(5, 70.0, None, ended=1900.0),
        trial(6, 70.0, INF, ended=2000.0),
        TrialRecord(7, arch(80), 0, 0.0),
    ]
    found = progress(trials, TWO)
    assert [(step.number, step.ended) for step in found.steps] == [(1, 1), (0, 7)]
    assert found.ended == 7
    assert found.left_out == {"failed": 1, "stopped": 1, "finished without a value": 3, "still running": 1}
    assert caption(found).endswith("nothing: 1 failed, 1 stopped, 3 finished without a value, 1 still running.")


@pytest.mark.parametrize(
    ("status", "timings", "seconds"),
    [
        ("ok", {"fvcore_s": 1.0, "latency_s": 4.0, "train_s": 100.0, "latency_again_s": 5.0}, 110.0),
        ("rejected", {"fvcore_s": 1.0, "latency_s": 4.0}, 5.0),  # by its latency, before training
        ("rejected", {}, 360.0),  # by what is counted: no phase was timed
        ("stopped", {"fvcore_s": 1.0, "latency_s": 4.0}, 360.0),  # its training has no timing
        ("failed", {"fvcore_s": 1.0, "latency_s": 4.0, "train_s": 10.0}, 15.0),  # diverged
        ("failed", {}, 360.0),
        ("failed", {"latency_s": 400.0}, 400.0),
    ],
)
def test_seconds_that_a_trial_took(status, timings, seconds):
    assert spent_s(trial(3, 60.0, 5.0, status=status, timings=timings)) == seconds


def test_hours_of_all_trials_add_up():
    trials = [
        trial(0, 60.0, 5.0, timings={"train_s": 1800.0}),
        trial(1, None, status="failed", timings={"train_s": 3600.0}),
        trial(2, 80.0, 9.0, timings={"train_s": 1800.0}),
        trial(3, None, status="rejected", timings={"latency_s": 900.0}),
    ]
    found = progress(trials, TWO)
    assert [step.hours for step in found.steps] == [0.5, 2.0]
    assert found.hours == 2.25
    shared = progress(trials, TWO, processors=0.25)
    assert [step.hours for step in shared.steps] == [0.125, 0.5]
    assert "times the 0.25 cores or GPUs that it holds" in caption(shared)
    assert "Device-hours" not in caption(shared, "trials")
    assert spent_s(TrialRecord(0, arch(16), 0, 0.0)) == 0.0


def test_repeats_of_a_network_are_one_when_the_last_has_ended():
    trials = [
        trial(0, 60.0, 5.0, network=0),
        trial(1, 80.0, 5.0, network=1),
        trial(2, 70.0, 5.0, network=0),
        trial(3, None, 5.0, network=1, status="failed"),
        trial(4, None, 5.0, network=1, status="failed"),
    ]
    found = progress(trials, ["top1"], repeats=True)
    assert levels(found) == [(2, 3, 65.0)]
    assert found.left_out == {"failed": 1}


def test_nothing_found_is_said(tmp_path):
    for trials in ([], [trial(0, None, status="failed")], [trial(0, NAN, 1.0)]):
        found = progress(trials, TWO)
        assert found.steps == ()
        assert found.box is None
        assert caption(found).startswith("There is nothing to plot")
        assert len(draw(found, "hours").data) == 0
        assert progress(trials, ["top1"]).steps == ()
    assert len(draw_all({}, "trials").data) == 0


def test_a_ledger_on_disk_gives_a_drawing_with_units(tmp_path):
    found = progress(run(tmp_path), GOALS)
    assert [step.number for step in found.steps] == [0, 1, 2, 3]
    assert found.ended == 8  # the last one runs
    assert found.hours == pytest.approx(4 * 12.5 / 3600, abs=1e-3)
    drawing = draw(found, "hours")
    assert drawing.layout.xaxis.title.text == "device-hours (h)"
    assert drawing.layout.yaxis.title.text == "hypervolume (share of the box)"
    assert drawing.data[0].line.shape == "hv"
    assert draw(found, "trials").data[0].x[-1] == 8
    both = draw_all({HOSTILE: found, "other": found}, "trials")
    assert "<script>" not in both.data[0].name
    assert both.data[0].line.dash != both.data[1].line.dash


def test_the_line_keeps_only_what_changes():
    found = progress([trial(0, 60.0), trial(1, 60.0), trial(2, 80.0), trial(3, 70.0), trial(4, 75.0)], ["top1"])
    xs, ys = line(found, "trials")
    assert (list(xs), list(ys)) == ([1, 3, 5], [60.0, 80.0, 80.0])


@pytest.mark.parametrize("all_on_front", [False, True], ids=["a usual front", "every trial on the front"])
def test_of_ten_thousand_trials_some_points_are_computed(all_on_front):
    rng = random.Random(0)
    costs = [rng.uniform(1, 20) for _ in range(10_000)]
    noise = 0.0 if all_on_front else 5.0
    trials = [trial(n, 90 - 40 / cost + rng.gauss(0, noise), cost, network=0) for n, cost in enumerate(costs)]
    found = progress(trials, TWO)  # hypervolumes of all prefixes would take minutes (benchmarks/page.py)
    assert found.exact != all_on_front
    last = found.steps[-1].value
    losses = np.array([[-one.metric("top1"), one.metric("latency_ms")] for one in trials])
    reference = [-found.box.reference[0], found.box.reference[1]]
    span = np.prod([found.box.ideal[0] - found.box.reference[0], reference[1] - found.box.ideal[1]])
    assert last == pytest.approx(moocore.hypervolume(losses, ref=reference) / span)
    values = [step.value for step in found.steps]
    assert values == sorted(values)
    if all_on_front:
        assert f"Computed at {module.MOST:,}" in caption(found)
    assert len(draw(found, "trials").to_json()) < 100_000
