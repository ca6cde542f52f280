"""Shares of variance against predictions for the whole space, and against Optuna's evaluator."""

import itertools

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import create_trial
from sklearn.ensemble import RandomForestRegressor

from studies import fanova
from studies.samplers.optuna_trials import new_study


def noisy(levels, count=80, seed=0):
    rng = np.random.default_rng(seed)
    places = np.column_stack([rng.integers(level, size=count) for level in levels])
    return places, places[:, 0] + 0.5 * (places[:, 1] == 1) + places[:, 0] * places[:, 2] + rng.normal(size=count)


def test_a_forest_s_shares_are_those_of_its_predictions_for_the_whole_space():
    levels = [3, 4, 2, 5]
    places, values = noisy(levels)
    forest = RandomForestRegressor(6, random_state=0).fit(places, values)
    every = np.array(list(itertools.product(*map(range, levels))))
    expected = []
    for tree in forest.estimators_:
        told = tree.predict(every)
        means = ([told[every[:, gene] == place].mean() for place in range(level)] for gene, level in enumerate(levels))
        expected.append([np.var(one) / told.var() for one in means])
    assert fanova.of_forest(forest, levels) == pytest.approx(np.mean(expected, axis=0))


def test_a_forest_s_shares_are_optunas():
    """Of genes with two values each, between which every split is in the middle."""
    levels = [2] * 5
    places, values = noisy(levels)
    searched = {str(gene): FloatDistribution(-0.5, 1.5) for gene in range(5)}
    study = new_study(1)
    for row, value in zip(places.astype(float).tolist(), values.tolist(), strict=True):
        study.add_trial(create_trial(params=dict(zip(searched, row, strict=True)), distributions=searched, value=value))
    expected = FanovaImportanceEvaluator(n_trees=8, seed=3).evaluate(study)
    found = fanova.of_forest(RandomForestRegressor(8, random_state=3).fit(places, values), levels)
    assert found == pytest.approx([expected[name] for name in searched])


def test_values_stand_in_the_order_of_their_means_and_unseen_ones_in_the_middle():
    places, values = np.array([0, 0, 1, 3]), np.array([9.0, 7.0, 2.0, 6.0])
    assert fanova._by_mean(places, 4, values).tolist() == [3, 0, 1, 2]  # 8, 2, none, 6; of all: 6


def test_halves_without_variance_explain_nothing():
    places, values = noisy([2, 2, 2], count=4)
    values = np.array([0.0, 0.0, 0.0, 1.0])
    found = fanova.shares(places, [2, 2, 2], values, seed=0)
    assert found.shape == (fanova.HALVES, 3)
    assert np.isfinite(found).all()
    again = fanova.shares(places, [2, 2, 2], values, seed=0)
    assert (found == again).all()
