"""The front against one worked by hand and against the definition, checked pair by pair."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import Arch, Stage, UserError
from studies.ledger import Latency, Outcome, TrialRecord
from studies.objectives import direction
from studies.pareto import front

ARCH = Arch((Stage("mbconv", 3, 1, 4, 16, 1),), stem_channels=8, head_channels=0, resolution=32)


def trial(number, top1, latency_ms, macs=1, params=1, status="ok"):
    latency = None if latency_ms is None else Latency({}, latency_ms, 0.1, latency_ms, 64)
    return TrialRecord(number, ARCH, 0, 0.0, outcome=Outcome(status, params, macs, 1, macs, latency, top1))


def numbers(trials, *objectives):
    return [one.number for one in front(trials, objectives)]


def test_front_worked_by_hand():
    trials = [
        trial(0, 90.0, 5.0),  # on the front
        trial(1, 89.0, 5.0),  # as fast as 0, less accurate
        trial(2, 80.0, 1.0),  # the fastest
        trial(3, 90.0, 6.0),  # as accurate as 0, slower
        trial(4, 85.0, 2.0),  # on the front
        trial(5, 84.0, 3.0),  # beaten by 4 in both
        trial(6, 95.0, 9.0),  # the most accurate
    ]
    assert numbers(trials, "top1", "latency_ms") == [2, 4, 0, 6]  # from fast to slow
    assert numbers(trials, "latency_ms", "top1") == [6, 0, 4, 2]  # from accurate to inaccurate
    assert numbers(trials, "top1") == [6]
    assert numbers(trials, "latency_ms") == [2]


def test_equal_trials_stay_together():
    assert numbers([trial(0, 90, 5), trial(1, 80, 5), trial(2, 90, 5)], "top1", "latency_ms") == [0, 2]
    assert numbers([trial(0, 90, 5), trial(1, 90, 7)], "top1") == [0, 1]


def test_only_finished_trials_with_every_value_take_part():
    trials = [
        trial(0, 70.0, 5.0),
        trial(1, 99.0, 1.0, status="stopped"),
        trial(2, 99.0, 1.0, status="rejected"),
        trial(3, 99.0, None),
        trial(4, float("nan"), 0.5),
        TrialRecord(5, ARCH, 0, 0.0),
    ]
    assert numbers(trials, "top1", "latency_ms") == [0]
    assert front(trials[1:3], ["top1"]) == []
    assert front([], ["top1"]) == []


def test_unknown_objective_names_the_known_ones():
    with pytest.raises(UserError, match="'speed' is not one of top1, val_loss, latency_ms"):
        front([], ["top1", "speed"])


def test_a_reward_is_maximised_and_a_loss_minimised():
    trials = [trial(0, 80.0, 10.0), trial(1, 82.0, 100.0), trial(2, 85.0, 12.0)]  # 80.0, 69.8, 83.9
    assert numbers(trials, "mnasnet") == numbers(trials, "mnasnet:75") == [2]
    assert numbers(trials, "mnasnet", "latency_ms") == [0, 2]
    assert numbers(trials, "v2") == []  # the step time is unknown
    losses = [replace(one, outcome=replace(one.outcome, val_loss=(2, 1, 3)[one.number])) for one in trials]
    assert numbers(losses, "val_loss") == [1]
    assert numbers(losses, "val_loss", "latency_ms") == [0, 1]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(*[st.integers(1, 6)] * 4), max_size=25),  # few values, so that ties are common
    st.lists(st.sampled_from(["top1", "latency_ms", "macs", "params"]), min_size=1, unique=True),
)
def test_front_is_what_the_definition_says(rows, objectives):
    trials = [trial(number, *row) for number, row in enumerate(rows)]

    def gains(one):  # larger is better
        return [one.metric(name) * (1 if direction(name) == "maximize" else -1) for name in objectives]

    def dominates(one, other):
        pairs = list(zip(gains(one), gains(other), strict=True))
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    expected = {one.number for one in trials if not any(dominates(other, one) for other in trials)}
    found = front(trials, objectives)
    assert {one.number for one in found} == expected
    assert len(found) == len(expected)
    by_cost = [gains(one)[min(1, len(objectives) - 1)] for one in found]
    assert by_cost == sorted(by_cost, reverse=True)
