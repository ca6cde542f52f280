"""Learning curves: which are drawn and as what, worked by hand."""

import numpy as np
import pytest
from made_up import search
from test_report import GOALS, arch, ok, run

from reports.drawing import learning as module
from reports.drawing.learning import caption, draw, learning
from studies.ledger import Outcome, TrialRecord

NAN, INF = float("nan"), float("inf")


def trial(number, curve, outcome="ok", network=None):
    """outcome: a status, or None while it runs."""
    top1 = curve[-1] if curve else None
    done = outcome and Outcome(outcome, top1=top1, macs=1 + number)
    epochs = tuple({"epoch": epoch, "top1": value} for epoch, value in enumerate(curve, 1))
    return TrialRecord(
        number, arch(8 + 8 * (number if network is None else network)), 0, 0.0, epochs=epochs, outcome=done
    )


def groups(data):
    return {curve.number: curve.group for curve in data.curves}


def shown(data):
    """Of each trace of the drawing: its numbers, and its points without the gaps."""
    return [
        (trace.name, [int(number) for number in dict.fromkeys(trace.customdata)], trace.y[~np.isnan(trace.x)].tolist())
        for trace in draw(data).data
    ]


def test_every_trial_with_an_epoch_has_a_curve_up_to_where_it_ended():
    data = learning(
        [
            trial(0, [10.0, 20.0, 30.0]),
            trial(1, [10.0, 30.0, 50.0]),
            trial(2, [5.0], "stopped"),
            trial(3, [5.0, 6.0], "failed"),
            trial(4, [7.0, 8.0], None),
            trial(5, [60.0, 70.0, 80.0], "rejected"),  # by what only training tells
            trial(6, [], "rejected"),
            trial(7, [], "rejected"),
            trial(8, [], None),
            trial(9, [NAN, INF, 9.0], "stopped"),
        ],
        ["top1"],
    )
    assert groups(data) == {
        0: "ok",
        1: "front",
        2: "stopped",
        3: "failed",
        4: "running",
        5: "rejected",
        9: "stopped",
    }
    assert data.curves[0].epochs.tolist() == [1, 2, 3]
    assert (data.curves[-1].epochs.tolist(), data.curves[-1].top1.tolist()) == ([3], [9])
    assert data.left_out == (("without the accuracy of an epoch (2 rejected, 1 running)", 3),)
    assert caption(data).endswith("Left out: 3 trials without the accuracy of an epoch (2 rejected, 1 running).")
    drawn = shown(data)
    assert drawn[0][1:] == ([0], [10, 20, 30])
    assert drawn[1] == ("other, trained to the end (1)", [0], [30])
    assert ("stopped early (2)", [2, 9], [5, 9]) in drawn
    assert drawn[-1] == ("on the front (1)", [1], [50])


def test_groups_differ_by_more_than_colour():
    marks = [(dash, symbol) for _, _, dash, _, symbol, _ in module.GROUPS.values()]
    assert len({symbol for _, symbol in marks[1:]}) == len(marks) - 1  # front and other: by width and size
    assert module.GROUPS["front"][3] > module.GROUPS["ok"][3]
    assert module.GROUPS["stopped"][2] != module.GROUPS["ok"][2]


def test_lines_of_a_group_are_one_trace_with_gaps_between():
    data = learning([trial(0, [10.0, 20.0]), trial(1, [11.0]), trial(2, [99.0])], ["top1"])
    trace = draw(data).data[0]
    assert np.isnan(trace.x).tolist() == [False, False, True, False, True]
    assert trace.customdata.tolist() == [0, 0, 0, 1, 1]


def test_of_very_many_curves_the_front_stays_and_the_rest_is_counted():
    trials = [trial(number, [50.0, 60.0 + number / 1e4], network=0) for number in range(1000)]
    trials += [trial(1000 + number, [5.0], "stopped", network=0) for number in range(1000)]
    data, again = (learning(trials, ["top1", "macs"], most=1100) for _ in range(2))
    assert list(groups(data)) == list(groups(again))
    assert list(groups(data).values()).count("front") == 1000  # the larger, the better
    assert list(groups(data).values()).count("stopped") == 100
    assert data.left_out == (("chosen at random, since more curves would cover one another", 900),)
    assert "stopped early (100 of 1,000)" in [name for name, *_ in shown(data)]
    assert len(learning(trials, ["top1", "macs"]).curves) == module.MOST  # even of the front
    other = learning(trials, ["top1"])
    assert list(groups(other).values()).count("front") == 1


def test_long_curves_are_thinned_and_keep_their_ends():
    data = learning([trial(0, [float(n % 97) for n in range(1000)]), trial(1, [1.0, 2.0])], ["top1"])
    long, short = data.curves
    assert len(long.epochs) == module.POINTS
    assert (long.epochs[0], long.epochs[-1]) == (1, 1000)
    assert np.ptp(np.diff(long.epochs)) <= 1
    assert long.top1.tolist() == ((long.epochs - 1) % 97).tolist()
    assert len(short.epochs) == 2
    assert data.thinned == 1
    assert "Of 1 curves 60 epochs each" not in caption(data)
    assert "1 curve shows 60 of its epochs" in caption(data)


def test_repeats_are_on_the_front_together():
    trials = [
        trial(0, [50.0], network=0),
        trial(1, [90.0], network=1),
        trial(2, [80.0], network=0),
        trial(3, [20.0], network=1),  # the mean of the second network is 55, of the first 65
        trial(4, [30.0], "failed", network=0),
    ]
    assert groups(learning(trials, ["top1"], repeats=True)) == {0: "front", 1: "ok", 2: "front", 3: "ok", 4: "failed"}
    assert groups(learning(trials, ["top1"]))[1] == "front"


@pytest.mark.parametrize("trials", [[], [trial(0, [], "failed")], [trial(0, [NAN])], [trial(0, [], None)]])
def test_nothing_to_plot_is_said(trials):
    data = learning(trials, GOALS)
    assert data.curves == ()
    assert caption(data).startswith("There is nothing to plot")
    assert ("1 trial without" in caption(data)) == bool(trials)
    assert len(draw(data).data) == 0


def test_an_epoch_without_a_number_is_counted():
    record = TrialRecord(0, arch(8), 0, 0.0, epochs=({"top1": 1.0}, {"val_loss": 1.0}, {"top1": 3.0}))
    assert learning([record], ["top1"]).curves[0].epochs.tolist() == [1, 3]


def test_ledgers_on_disk_are_drawn_with_units(tmp_path):
    data = learning(run(tmp_path), GOALS)
    assert list(groups(data)) == [0, 1, 2, 3, 5, 6, 7, 8]
    drawing = draw(data)
    assert drawing.layout.yaxis.title.text == "top-1 accuracy (%)"
    assert drawing.layout.xaxis.title.text == "epochs"
    made = learning(search(tmp_path / "made", 10), ("top1", "macs"))
    assert len(made.curves) == 10
    assert made.curves[0].top1[1] - made.curves[0].top1[0] == pytest.approx(5, abs=1e-4)


def test_ten_thousand_long_curves_stay_small():
    curve = [float(n) for n in range(100)]
    same = trial(0, curve)
    trials = [TrialRecord(n, same.arch, 0, 0.0, epochs=same.epochs, outcome=ok(50.0, 1.0, 10)) for n in range(10_000)]
    assert len(draw(learning(trials, GOALS)).to_json()) < 250_000
