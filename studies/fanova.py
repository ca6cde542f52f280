"""How much of a metric's variance each gene explains: functional ANOVA over forests (Hutter et al., ICML 2014), as
Optuna computes it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from studies.samplers.optuna_trials import new_study

HALVES = 8
TREES = 8  # of each half's forest
JUDGES = 60  # trees that decide whether there is anything to explain


def shares(places: np.ndarray, levels: Sequence[int], values: np.ndarray, seed: int) -> np.ndarray:
    """Shape [HALVES, genes]: the share of the variance over the whole space, all values of a gene alike, that each gene
    explains by itself, for random halves of the networks. Trees are grown until they fit every network, so the
    variance is that of noise, too.

    places: shape [networks, genes], of each network's values among the gene's ``levels``. values: not all equal.

    Genes are numbers here, unlike in ``optuna_trials``: a column for each value of a gene would count networks that
    have none of its values, or several. Values stand in the order of their means, so that one split finds the best way
    to part them (Fisher 1958).
    """
    import optuna
    from optuna.importance import FanovaImportanceEvaluator
    from optuna.trial import create_trial

    searched = {str(g): optuna.distributions.FloatDistribution(-0.5, level - 0.5) for g, level in enumerate(levels)}
    rows = np.column_stack([_by_mean(column, level, values) for column, level in zip(places.T, levels, strict=True)])
    study = new_study(1)
    study.add_trials(
        [
            create_trial(params=dict(zip(searched, row, strict=True)), distributions=searched, value=0.0)
            for row in rows.astype(float).tolist()
        ]
    )
    rng = np.random.default_rng(seed)
    found = np.zeros((HALVES, len(levels)))
    for half in found:
        chosen = np.full(len(values), math.nan)  # what has no finite value takes no part
        drawn = rng.permutation(len(values))[: len(values) // 2]
        chosen[drawn] = values[drawn]
        evaluator = FanovaImportanceEvaluator(n_trees=TREES, seed=int(rng.integers(2**32)))
        try:
            by_gene = evaluator.evaluate(study, target=lambda trial, chosen=chosen: chosen[trial.number])
        except RuntimeError:  # all trees are constant
            continue
        half[:] = [by_gene[name] for name in searched]
    return found


def explained(places: np.ndarray, values: np.ndarray, seed: int) -> float:
    """R2 of a forest on networks that its trees have not seen (out of bag): 0 or below where the genes tell nothing."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(JUDGES, oob_score=True, random_state=seed).fit(places, values)
    return float(forest.oob_score_)


def _by_mean(places: np.ndarray, level: int, values: np.ndarray) -> np.ndarray:
    """The gene's column with its values renumbered by their means; those never tried are in the middle."""
    tried = np.bincount(places, minlength=level)
    means = np.where(tried > 0, np.bincount(places, values, level) / np.maximum(tried, 1), values.mean())
    return np.argsort(np.argsort(means, kind="stable"), kind="stable")[places]
