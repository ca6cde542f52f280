"""What the predictor rests on: expected improvement, regression, and what a stopped trial tells."""

import random

import made_up
import moocore
import numpy as np
import pytest

from studies.ledger import Outcome
from studies.repeats import mean_curve
from studies.samplers.belief import Belief
from studies.samplers.features import Features
from studies.samplers.improvement import boxes, expected_improvement
from studies.samplers.regression import Regression, as_loss, extrapolated, modelled

OBJECTIVES = ("top1", "macs")
ARCHS = [made_up.space().sample(random.Random(seed)) for seed in range(24)]
FEATURES = Features(made_up.space(), 10)


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_expected_improvement_is_what_draws_show(objectives):
    rng = np.random.default_rng(objectives)
    points, reference = rng.random((6, objectives)), np.full(objectives, 0.9)
    mean, std = rng.random((4, objectives)), 0.3 * rng.random((4, objectives))
    std[0] = 0.0  # known exactly
    before = moocore.hypervolume(points, ref=reference)
    draws = mean + std * rng.standard_normal((4000, *mean.shape))
    gains = [
        np.mean([moocore.hypervolume(np.vstack([points, draw]), ref=reference) - before for draw in draws[:, network]])
        for network in range(len(mean))
    ]
    expected = expected_improvement(mean, std, points, reference)
    assert expected == pytest.approx(gains, abs=0.05 * max(gains))
    assert expected[0] == pytest.approx(gains[0])


def test_boxes_fill_what_no_point_dominates():
    reference = (1.0, 1.0)
    found = boxes([(0.2, 0.6), (0.5, 0.3), (0.6, 0.7)], reference)
    assert sorted(found) == [
        ((-np.inf, -np.inf), (1.0, 0.3)),
        ((-np.inf, 0.3), (0.5, 0.6)),
        ((-np.inf, 0.6), (0.2, 1.0)),
    ]


def test_a_metric_is_predicted_on_a_scale_of_its_own():
    assert modelled("top1", 100.0) == 0.0
    assert modelled("latency_ms", 1.0) == 0.0
    assert modelled("mnasnet:5", 70.0) == -70.0
    assert modelled("latency_ms", 0.0) is None
    assert modelled("top1", float("nan")) is None
    mean, std = as_loss("top1", np.array([modelled("top1", 80.0)]), np.array([0.1]))
    assert (mean[0], std[0]) == (pytest.approx(-80.0), pytest.approx(2.1))


def test_regression_doubts_what_it_has_not_seen():
    rng = np.random.default_rng(0)
    rows = rng.uniform(-1.5, 1.5, (40, 3))
    regression = Regression(rows, 3 * rows[:, 0] + 0.1 * rng.standard_normal(40), np.ones(40))
    mean, std = regression.predict(np.array([[0, 0, 0], [1, 0, 0], [1, 1, -1], [9, 0, 0]]))
    assert mean[:3] == pytest.approx([0, 3, 3], abs=0.5)
    assert max(std[:3]) < 0.6 < 1.5 < std[3]


def test_values_of_little_weight_hardly_count():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((30, 2))
    values, weights = rows[:, 0].copy(), np.ones(30)
    values[:5], weights[:5] = 10.0, 1e-4
    mean, _ = Regression(rows, values, weights).predict(rows[:5])
    assert mean == pytest.approx(rows[:5, 0], abs=0.5)


def test_extrapolation_weighs_what_an_epoch_explains():
    late = np.array([1.0, 2.0, 3.0, 4.0])
    assert extrapolated(7.0, 2 * late + 1, late) == (pytest.approx(3.0), pytest.approx(1.0))
    assert extrapolated(7.0, np.array([1.0, -1.0, -1.0, 1.0]), late) == (pytest.approx(2.5), pytest.approx(0.0))
    assert extrapolated(7.0, np.ones(4), late) == (pytest.approx(2.5), 0.0)
    assert extrapolated(7.0, -late, late)[1] == 0.0  # what gets worse the better it began is chance


def believed(stopped_at):
    """The top-1 that is expected of a network that was stopped at such a top-1 after one of three epochs."""
    belief = Belief(OBJECTIVES)
    for number, arch in enumerate(ARCHS):
        stopped = number == len(ARCHS) - 1
        found = made_up.score(arch)
        curve = [{"epoch": epoch, "top1": found.top1 * epoch / 3} for epoch in (1, 2, 3)]
        if stopped:
            found = Outcome("stopped", macs=found.macs, top1=stopped_at)
            curve = [{"epoch": 1, "top1": stopped_at}]
        belief.learn(arch, FEATURES.row(arch), found, curve)
    assert len(belief.finished) == len(ARCHS) - 1
    losses, _ = belief.losses(FEATURES.row(ARCHS[-1])[None])
    return -losses[0, 0]


def test_a_stopped_trial_counts_by_what_its_curve_lets_expect():
    end = made_up.score(ARCHS[-1]).top1
    as_foreseen, far_better = believed(end / 3), believed(33.0)
    assert as_foreseen == pytest.approx(end, abs=8)
    assert far_better > as_foreseen + 3


def test_mean_curve():
    one = [{"epoch": 1, "top1": 10.0, "val_loss": 1.0}, {"epoch": 2, "top1": 30.0}]
    other = [{"epoch": 1, "top1": 20.0}]
    assert mean_curve([one, other]) == [{"epoch": 1, "top1": 15.0}]
    assert mean_curve([one]) == one
