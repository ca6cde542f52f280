"""Who is stopped, against rungs worked by hand."""

import math

import pytest

from search_spaces import UserError
from studies.asha import Asha, values_at
from studies.ledger import Latency, Outcome

GO, STOP = True, False


def decisions(judge, reports):
    return [judge.report(number, epoch, values) for number, epoch, values, _ in reports]


def expected(reports):
    return [decision for *_, decision in reports]


# Rungs 1 and 3 of 9 epochs; n is how many have reached the rung, of which ceil(n / 3) go on.
ONE_OBJECTIVE = [
    # trial, epoch, [top1], decision
    (0, 1, [50.0], GO),  # n=1, 1 place: the first
    (1, 1, [40.0], STOP),  # n=2, 1 place: 50, 40*
    (2, 1, [60.0], GO),  # n=3, 1 place: 60*, 50, 40
    (3, 1, [55.0], GO),  # n=4, 2 places: 60, 55*, 50, 40
    (0, 2, [10.0], GO),  # no rung
    (4, 1, [54.0], STOP),  # n=5, 2 places: 60, 55, 54*
    (5, 1, [55.0], STOP),  # n=6, 2 places: 60, 55 (trial 3, which went on), 55*
    (6, 1, [40.0], STOP),  # n=7, 3 places: 60, 55, 55, 54, 50, 40
    (7, 1, [55.0], GO),  # n=8, 3 places: 60, 55 (trial 3, went on), 55*, 55 (trial 5, stopped: yields to its equal)
    (2, 3, [61.0], GO),  # the second rung starts with n=1
    (0, 3, [65.0], GO),  # n=2, 1 place: 65*, 61
    (3, 3, [64.0], STOP),  # n=3, 1 place: 65, 64*
    (0, 4, [1.0], GO),  # no rung
    (7, 3, [64.5], GO),  # n=4, 2 places: 65, 64.5*
    (0, 9, [1.0], GO),  # the last epoch is no rung: there is nothing left to save
]

# One rung, at epoch 1.
TWO_OBJECTIVES = [
    # trial, epoch, [top1, macs], decision
    (0, 1, [50.0, 100.0], GO),  # n=1, 1 place
    (1, 1, [40.0, 50.0], GO),  # n=2, 1 place; on the front with 0, whose other end it is, and both ends go on
    (2, 1, [45.0, 80.0], STOP),  # n=3, 1 place; between the ends 0 and 1
    (3, 1, [39.0, 60.0], STOP),  # n=4, 2 places; 1 dominates it, so it comes after the front of 0, 1, 2
    (4, 1, [60.0, 120.0], GO),  # n=5, 2 places; the front is 0, 1, 2, 4, the ends are 4 and 1
    (5, 1, [49.0, 50.0], GO),  # n=6, 2 places; dominates 1 and 2; the front is 0, 4, 5, the ends are 4 and 5
    (6, 1, [55.0, 85.0], GO),  # n=7, 3 places; dominates 0; the front is 4, 5, 6: all of it
    # From here on the front holds more than there are places. In units of its range (49..60 and 50..120), with how far
    # each is below the best top1 first: 4 (0, 1) and 5 (1, 0) are the ends, 6 (.455, .5).
    # n=8, 3 places; 7 is (.727, .143). To the nearer end: 6 .676 (4), 7 .308 (5). Order 4, 5, 6, 7.
    (7, 1, [52.0, 60.0], STOP),
    # n=9, 3 places; 8 is (.273, .643). To the nearer end: 6 .676, 8 .449, 7 .308. Order 4, 5, 6, ...
    (8, 1, [57.0, 95.0], STOP),
    # n=10, 4 places; 9 is (.182, .714). After 4, 5, 6, to the nearest of these: 9 .339 (4), 7 .308 (5), 8 .231 (6).
    (9, 1, [58.0, 100.0], GO),
]

# One rung, at epoch 1, and reduction 2: places for more than the front.
SECOND_FRONT = [
    (0, 1, [50.0, 10.0], GO),
    (1, 1, [49.0, 11.0], STOP),  # n=2, 1 place; 0 dominates it
    (2, 1, [48.0, 12.0], STOP),  # n=3, 2 places; after 0 and 1
    (3, 1, [49.0, 12.0], STOP),  # n=4, 2 places; after 0 and 1
    (4, 1, [49.5, 13.0], GO),  # n=5, 3 places; fronts: 0; then 1 and 4, for whom two places are left
    (5, 1, [49.2, 12.5], STOP),  # n=6, 3 places; fronts: 0; then 1, 4, 5, whose ends are 4 and 1
    (6, 1, [51.0, 9.0], GO),  # n=7, 4 places; dominates all: every rank moves by one
    (7, 1, [48.5, 10.5], GO),  # n=8, 4 places; fronts: 6; 0; then 1, 4, 5, 7, whose ends are 4 and 7
]


@pytest.mark.parametrize(
    ("objectives", "max_epochs", "reduction", "reports"),
    [
        (["top1"], 9, 3, ONE_OBJECTIVE),
        (["top1", "macs"], 2, 3, TWO_OBJECTIVES),
        (["top1", "macs"], 2, 2, SECOND_FRONT),
    ],
    ids=["one objective", "two", "second front"],
)
def test_rungs_worked_by_hand(objectives, max_epochs, reduction, reports):
    judge = Asha(objectives, max_epochs, reduction=reduction)
    assert decisions(judge, reports) == expected(reports)
    assert decisions(judge, reports) == expected(reports)  # a replay


@pytest.mark.parametrize(
    ("settings", "rungs"),
    [
        ((9,), (1, 3)),
        ((10,), (1, 3, 9)),
        ((100, 4, 2), (4, 8, 16, 32, 64)),
        ((5, 4), (4,)),
        ((4, 4), ()),
        ((1,), ()),
        ((3, 5), ()),
    ],
)
def test_rungs_lie_below_the_last_epoch(settings, rungs):
    judge = Asha(["top1"], *settings)
    assert judge.rungs == rungs
    for epoch in set(range(1, settings[0] + 1)) - set(rungs):
        assert judge.report(0, epoch, [50.0])
        assert judge.report(1, epoch, [10.0])
    for epoch in rungs:
        assert judge.report(0, epoch, [50.0])
        assert not judge.report(1, epoch, [10.0])


def test_what_is_unknown_stops_nothing_and_is_compared_with_nothing():
    judge = Asha(["top1", "macs"], 9)
    for number, values in enumerate((None, [math.nan, 5.0], [50.0, math.inf], [-math.inf, 5.0])):
        assert judge.report(number, 1, values)
    assert judge.report(4, 1, [1.0, 9.0])  # the first
    assert not judge.report(5, 1, [0.5, 9.0])
    assert judge.report(5, 1, None) == STOP  # what has been decided stays
    assert not judge.report(0, 1, [0.5, 10.0])  # known now, and judged for the first time


def test_a_repeated_report_keeps_its_decision_and_replaces_its_values():
    judge = Asha(["top1"], 9)
    assert [judge.report(number, 1, [value]) for number, value in enumerate((50.0, 40.0, 30.0))] == [GO, STOP, STOP]
    assert judge.report(0, 1, [20.0]) == GO
    assert judge.report(3, 1, [35.0]) == GO  # n=4, 2 places: 40, 35*, 30, 20; with the old 50 it would be third
    assert judge.report(1, 1, [80.0]) == STOP
    assert judge.report(2, 1, [90.0]) == STOP
    assert judge.report(4, 1, [70.0]) == STOP  # n=5, 2 places: 90, 80, 70*; with the old values it would be first


def test_equal_trials_share_the_places():
    judge = Asha(["top1"], 9)  # all at chance level, as after a first epoch
    assert [judge.report(number, 1, [10.0]) for number in range(300)] == [number % 3 == 0 for number in range(300)]


def test_a_skipped_rung_leaves_the_trial_to_the_next():
    judge = Asha(["top1"], 10)
    for epoch in (1, 3, 9):
        judge.report(0, epoch, [50.0])
    assert judge.report(1, 2, [10.0])
    assert judge.report(1, 4, [10.0])
    assert not judge.report(1, 9, [10.0])
    assert judge.report(2, 3, [50.5])  # at 3 it meets trial 0 alone


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["speed"], 9), "objectives: 'speed' is not one of top1"),
        (([], 9), "objectives: "),
        ((["top1", "top1"], 9), "objectives: "),
        ((["top1"], 0), "max_epochs: 0 is not a whole number of 1 or more"),
        ((["top1"], 9, 0), "grace: 0 is not a whole number of 1 or more"),
        ((["top1"], 9, 1.5), "grace: 1.5 is not"),
        ((["top1"], 9, 1, 1), "reduction: 1 is not a whole number of 2 or more"),
    ],
)
def test_bad_arguments_are_user_errors(arguments, message):
    with pytest.raises(UserError, match=message):
        Asha(*arguments)


def test_values_at_merges_what_is_known_with_the_epoch():
    so_far = Outcome("ok", params=3, macs=7, latency=Latency({}, 1.5, 0.1, 1.4, 64), top1=99.0)
    metrics = {"epoch": 2, "val_loss": 1.9, "top1": 31.5}
    assert values_at(["top1", "latency_ms", "macs"], so_far, metrics) == [31.5, 1.5, 7.0]
    assert values_at(["macs", "params"], so_far, {}) == [7.0, 3.0]
    assert values_at(["top1"], so_far, {"epoch": 2}) is None  # not the 99.0 of some other epoch
    assert values_at(["top1", "activations"], so_far, metrics) is None
    assert so_far.top1 == 99.0
