"""MO-ASHA against its definitions written out, and over whole searches with a simulated clock."""

import heapq
import math
import random
from itertools import pairwise

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies import asha
from studies.asha import Asha

# The definitions, trial by trial and without arrays.


def dominates(one, other):
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def fronts(points):
    left = list(points)
    while left:
        front = [one for one in left if not any(dominates(points[other], points[one]) for other in left)]
        yield front
        left = [one for one in left if one not in front]


def by_spread(front, points):
    """``front``, in order of who wins ties, by ends and then by distance."""
    axes = [[points[one][axis] for one in front] for axis in range(len(points[front[0]]))]
    if all(len(set(axis)) == 1 for axis in axes):
        return front
    ends = [front[axis.index(min(axis))] for axis in axes]
    listed = list(dict.fromkeys(ends))
    scaled = {
        one: [(value - min(axis)) / (max(axis) - min(axis) or 1) for value, axis in zip(points[one], axes, strict=True)]
        for one in front
    }

    def gap(one):
        return min(sum((a - b) ** 2 for a, b in zip(scaled[one], scaled[other], strict=True)) for other in listed)

    while left := [one for one in front if one not in listed]:
        listed.append(max(left, key=gap))  # the first of equals
    return listed


def goes_on(points, decided, number, reduction):
    places = math.ceil(len(points) / reduction)
    order = []
    for front in fronts(points):
        if not order and number in front:
            places = max(places, len(points[number]))
        ties = sorted(front, key=lambda one: 1 if one == number else 0 if decided[one] else 2)
        order += by_spread(ties, points)
    return order.index(number) < places


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 3), st.sampled_from([2, 3, 4]))
def test_decisions_follow_the_definitions(data, dimensions, reduction):
    value = st.integers(0, 9)  # few, so that there are ties
    names = ["macs", "params", "activations"][:dimensions]
    judge, points, decided = Asha(names, 2, reduction=reduction), {}, {}
    report = st.tuples(st.integers(0, 30), st.tuples(*[value] * dimensions))
    for number, point in data.draw(st.lists(report, max_size=24)):
        points[number] = point  # a trial told again keeps its turn
        decision = judge.report(number, 1, point)
        if number not in decided:
            decided[number] = goes_on(points, decided, number, reduction)
        assert decision == decided[number]


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_ranks_one_by_one_are_those_of_all_at_once(dimensions):
    points = np.random.default_rng(0).integers(0, 8, (dimensions, 250)).astype(float)
    ranks = np.empty(0, dtype=int)
    for n in range(points.shape[1]):
        ranks = np.append(ranks, -1)
        ranks[n] = asha._rank_newcomer(points[:, n, None], points[:, :n], ranks[:n])
    assert ranks.tolist() == moocore.pareto_rank(points.T).tolist()


def test_a_sample_stands_for_a_large_front(monkeypatch):
    monkeypatch.setattr(asha, "SPREAD_LIMIT", 16)
    judge = Asha(["top1", "macs"], 2)
    sizes = list(range(600))
    random.Random(0).shuffle(sizes)
    went_on = [size for size in sizes if judge.report(size, 1, [size, size])]  # each on the front
    assert {0, 599} <= set(went_on)
    assert 0.25 < len(went_on) / 600 < 0.45
    parts = [sum(low <= size < low + 100 for size in went_on) for low in range(0, 600, 100)]
    assert min(parts) > 20  # of 100 in each part of the front


# A simulated clock: trials of different speeds on several workers, in no time.


def simulate(judge, trials, workers, max_epochs):
    """Each trial's (end, epochs). trials: (time an epoch takes, function of the epoch that gives its values)."""
    waiting, events, ended = iter(enumerate(trials)), [], {}

    def start(now):
        for number, (duration, _) in waiting:
            heapq.heappush(events, (now + duration, number, 1))
            break

    for _ in range(workers):
        start(0)
    while events:
        now, number, epoch = heapq.heappop(events)
        duration, values = trials[number]
        if judge.report(number, epoch, values(epoch)) and epoch < max_epochs:
            heapq.heappush(events, (now + duration, number, epoch + 1))
        else:
            ended[number] = now, epoch
            start(now)
    return ended


def constant(duration, *values):
    return duration, lambda epoch: list(values)


def test_two_workers_worked_by_hand():
    """Rungs at 1 and 3 of 9 epochs.

    t=1   trial 0 at rung 1: the first. t=2   trial 1 there: 70*, 50, 1 place: on.
    t=3   trial 0 at rung 3: the first. t=6   trial 1 there: 70*, 50, 1 place: on.
    t=9   trial 0 ends and 2 starts.    t=10  2 at rung 1: 70, 50, 40*, 1 place: stops, and 3 starts.
    t=11  3 at rung 1: 70, 60*, 50, 40, 2 places: on.
    t=13  3 at rung 3: 70, 60*, 50, 1 place: stops, and 4 starts.
    t=16  4 at rung 1: 70, 65*, ..., n=5, 2 places: on.
    t=18  1 ends and 5 starts.          t=19  5 at rung 1: 70, 66*, ..., n=6, 2 places: on.
    t=21  5 at rung 3: 70, 66*, 60, 50, 2 places: on.
    t=22  4 at rung 3: 70, 66, 65*, 60, 50, 2 places: stops, and 6 starts.
    t=24  6 at rung 1: the last of 7: stops.
    t=27  5 ends.
    """
    trials = [constant(*trial) for trial in ((1, 50), (2, 70), (1, 40), (1, 60), (3, 65), (1, 66), (2, 30))]
    ended = simulate(Asha(["top1"], 9), trials, 2, 9)
    assert ended == {0: (9, 9), 2: (10, 1), 3: (13, 3), 1: (18, 9), 4: (22, 3), 6: (24, 1), 5: (27, 9)}
    # Three times as fast, trial 4 is at rung 3 before 5 is (t=16: 70, 65*, 60, 50), and both go on.
    trials[4] = constant(1, 65)
    ended = simulate(Asha(["top1"], 9), trials, 2, 9)
    assert ended[4] == (22, 9)
    assert ended[5] == (27, 9)


def networks(count, seed):
    """Made-up networks: (seconds an epoch takes, its values (top1, macs)). The larger, the slower and more accurate."""
    rng = random.Random(seed)

    def network():
        macs = 10 ** rng.uniform(7, 8.5)
        best = 60 + 12 * math.log10(macs / 1e7) + rng.gauss(0, 2)
        tops = [best * (1 - 0.5 / epoch) + rng.gauss(0, 0.5) for epoch in range(1, 28)]
        return macs / 1e7, lambda epoch: [tops[epoch - 1], macs]

    return [network() for _ in range(count)]


@pytest.mark.parametrize("objectives", [["top1"], ["top1", "macs"], ["macs", "top1"]])
def test_many_trials_on_many_workers(objectives):
    def values(both):
        return [dict(zip(("top1", "macs"), both, strict=True))[name] for name in objectives]

    trials = [(time, lambda epoch, of=of: values(of(epoch))) for time, of in networks(400, seed=1)]
    judge = Asha(objectives, 27, grace=2)
    ended = simulate(judge, trials, 8, 27)
    assert judge.rungs == (2, 6, 18)
    assert sorted(ended) == list(range(400))
    assert {epochs for _, epochs in ended.values()} == {2, 6, 18, 27}  # never below the grace, never between rungs
    reached = [sum(epochs >= rung for _, epochs in ended.values()) for rung in (*judge.rungs, 27)]
    assert 0.3 < reached[1] / reached[0] < 0.37
    # Above, more than one in three: whoever comes later has passed a harder comparison below.
    assert all(0.25 < after / before < 0.75 for before, after in pairwise(reached[1:]))
    assert sum(epochs for _, epochs in ended.values()) < 0.25 * 400 * 27
    assert simulate(Asha(objectives, 27, grace=2), trials, 8, 27) == ended


def test_two_objectives_keep_the_small_networks():
    """27 networks, 0 the smallest and least accurate, each next one larger and better: 20, 7, 21, 8, 22, ... start."""
    sizes = [(20 + 14 * turn) % 27 for turn in range(27)]

    def finished(*objectives):
        values = [{"top1": 60 + size, "macs": 10 + size} for size in sizes]
        trials = [constant(1, *map(of.get, objectives)) for of in values]
        ended = simulate(Asha(objectives, 9), trials, 1, 9)
        return [size for turn, size in enumerate(sizes) if ended[turn][1] == 9]

    assert finished("top1") == [20, 21, 22, 23, 24, 25, 26]  # each the best so far; of 0..19 none
    # All are on the front, so that only spread decides: the ends go on, and some between, far from one another.
    both = finished("top1", "macs")
    assert {0, 26} <= set(both)
    assert len(both) < 15
    assert any(5 < size < 20 for size in both)
