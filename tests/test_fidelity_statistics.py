"""Rank agreement against scipy, against tables whose answer is known, and against itself over simulated ones."""

import numpy as np
import pytest
from scipy import stats

from studies.fidelity import Agreement, agreement, ceiling, kendall, recall, spearman, split_variance, spread


def truth_and_runs(rng, networks, seeds, noise):
    """True accuracies with standard deviation 1, and trainings of them."""
    truth = rng.normal(0, 1, networks)
    return truth, truth[:, None] + rng.normal(0, noise, (networks, seeds))


@pytest.mark.parametrize("ties", [False, True])
def test_tau_and_rho_are_those_of_scipy(ties):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50, 9))
    if ties:
        x, y = np.round(x), np.round(2 * y)
    for one, other, tau, rho in zip(x, y, kendall(x, y), spearman(x, y), strict=True):
        assert tau == pytest.approx(stats.kendalltau(one, other).statistic)
        assert rho == pytest.approx(stats.spearmanr(one, other).statistic)


def test_what_ranks_nothing_agrees_with_nothing():
    flat, rising = np.ones(5), np.arange(5.0)
    assert np.isnan(kendall(flat, rising))
    assert np.isnan(spearman(flat, rising))
    found = agreement(flat[:, None], rising[:, None], 2)
    assert (found.networks, found.tau, found.rho) == (5, None, None)


def test_recall_is_the_share_of_the_best_that_is_found():
    y = np.array([5.0, 4, 3, 2, 1, 0])
    assert recall(y, y, 2) == 1
    assert recall(-y, y, 3) == 0
    assert recall(np.array([9.0, 0, 0, 8, 0, 0]), y, 2) == 0.5
    assert recall(np.zeros(6), y, 2) == pytest.approx(1 / 3)  # two of six, at random
    assert recall(np.array([9.0, 7, 7, 0, 0, 0]), y, 2) == 0.75  # one place for two that are equal


def test_a_perfect_proxy_and_a_perfect_long_training():
    long = np.repeat(np.arange(8.0)[:, None], 3, axis=1)
    found, best = agreement(2 * long[:, :1] + 1, long, 3), ceiling(long, 3)
    for one in (found.tau, found.rho, found.recall, best.tau, best.rho, best.recall):
        assert (one.value, one.low, one.high) == pytest.approx((1, 1, 1))
    assert spread(long).ratio is None
    reverse = agreement(-long[:, :1], long, 3)
    assert (reverse.tau.value, reverse.recall.value) == pytest.approx((-1, 0))


def test_noise_agrees_with_nothing_and_has_no_ceiling():
    rng = np.random.default_rng(1)
    long = rng.normal(size=(80, 3))
    found, best = agreement(rng.normal(size=(80, 1)), long, 20), ceiling(long, 20)
    for one in (found, best):
        assert one.tau.value == pytest.approx(0, abs=0.15)
        assert one.tau.low < 0 < one.tau.high
        assert one.recall.value == pytest.approx(0.25, abs=0.15)
    noise = spread(long)
    assert noise.seeds == pytest.approx(1, abs=0.15)
    assert noise.networks < 0.4


def test_each_seed_of_a_proxy_ranks_alone():
    """The mean of two opposite seeds ranks nothing, but a search sees one of them."""
    long = np.arange(6.0)[:, None]
    found = agreement(np.hstack([long, -long]), long, 2)
    assert found.tau.value == pytest.approx(0)
    noisy = long + np.random.default_rng(0).normal(0, 3, (6, 40))
    alone = np.mean([stats.kendalltau(column, long[:, 0]).statistic for column in noisy.T])
    assert agreement(noisy, long, 2).tau.value == pytest.approx(alone)


def test_networks_without_a_figure_are_left_out():
    rng = np.random.default_rng(2)
    short, long = rng.normal(size=(7, 2)), rng.normal(size=(7, 3))
    whole = agreement(short[2:], long[2:], 2)
    short[0], long[1] = np.nan, np.nan
    assert agreement(short, long, 2) == whole
    assert whole.networks == 5
    long[3, 1], short[4, 0] = np.nan, np.nan  # one seed of several
    target, tops = np.nanmean(long[2:], axis=1), short[2:]
    taus = [
        stats.kendalltau(np.delete(tops[:, 0], 2), np.delete(target, 2)).statistic,
        stats.kendalltau(tops[:, 1], target).statistic,
    ]
    found = agreement(short, long, 2)
    assert (found.networks, found.tau.value) == (5, pytest.approx(np.mean(taus)))
    assert agreement(short[:4], long[:4], 2) == Agreement(2)
    assert ceiling(long, 2).networks == 5
    assert ceiling(long[:, :1], 2) == Agreement(6)
    assert spread(long[:, :1]) is None


def test_a_recall_of_as_many_as_there_are_says_nothing():
    long = np.arange(4.0)[:, None]
    assert agreement(long, long, 4).recall is None
    assert agreement(long, long, 4).tau.value == 1


def test_spread_splits_the_variance():
    rng = np.random.default_rng(3)
    _, runs = truth_and_runs(rng, 4000, 3, 0.5)
    between, within = split_variance(runs)
    assert (between, within) == (pytest.approx(1, abs=0.05), pytest.approx(0.5, abs=0.02))
    found = spread(runs[:40])
    assert found.ratio.low < 2 < found.ratio.high


def test_equal_seeds_give_equal_intervals():
    _, runs = truth_and_runs(np.random.default_rng(4), 12, 4, 0.5)
    assert agreement(runs[:, :1], runs[:, 1:], 4, seed=1) == agreement(runs[:, :1], runs[:, 1:], 4, seed=1)
    assert agreement(runs[:, :1], runs[:, 1:], 4, seed=1) != agreement(runs[:, :1], runs[:, 1:], 4, seed=2)


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_intervals_hold_the_tau_of_all_networks_about_as_often_as_they_say(noise, monkeypatch):
    """Of a dozen networks: rather too often, since a resample holds fewer different networks than the sample."""
    monkeypatch.setattr("studies.fidelity.DRAWS", 300)
    rng, networks, held = np.random.default_rng(5), 12, []
    _, runs = truth_and_runs(rng, 2000, 4, noise)
    true = kendall(runs[:, 0], runs[:, 1:].mean(1))
    for start in range(0, 2000 - networks, networks):
        rows = slice(start, start + networks)
        tau = agreement(runs[rows, :1], runs[rows, 1:], 4, seed=start).tau
        held.append(tau.low <= true <= tau.high)
    assert np.mean(held) > 0.93
