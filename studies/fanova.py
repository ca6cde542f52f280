"""How much of a metric's variance each gene explains: functional ANOVA over forests (Hutter et al., ICML 2014)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor

HALVES = 8
TREES = 8  # of each half's forest
JUDGES = 60  # trees that decide whether there is anything to explain


def shares(places: np.ndarray, levels: Sequence[int], values: np.ndarray, seed: int) -> np.ndarray:
    """Shape [HALVES, genes]: the share of the variance over the whole space, all values of a gene alike, that each gene
    explains by itself, for random halves of the networks. Trees are grown until they fit every network, so the
    variance is that of noise, too.

    places: shape [networks, genes], of each network's values among the gene's ``levels``. values: not all equal.

    Of noise every gene gets a share, the larger the more values it has. So each is accompanied by its shadow, the same
    column shuffled (as Kursa and Rudnicki 2010 have it), whose share is taken off: it is 0 on average for a gene that
    does nothing, and negative as often as not.

    Genes are numbers here. Values stand in the order of their means, so that one split finds the best way to part them
    (Fisher 1958): means over the other half, or the order alone would tell of this half's noise.
    """
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(seed)
    genes = len(levels)
    twice = [*levels, *levels]
    found = np.zeros((HALVES, genes))
    for half in found:
        drawn = rng.permutation(len(values))
        mine, others = drawn[: len(values) // 2], drawn[len(values) // 2 :]
        both = np.hstack([places, rng.permuted(places, axis=0)])
        ranks = [_by_mean(col[others], level, values[others]) for col, level in zip(both.T, twice, strict=True)]
        rows = np.column_stack([rank[column] for rank, column in zip(ranks, both[mine].T, strict=True)])
        forest = RandomForestRegressor(TREES, random_state=int(rng.integers(2**32))).fit(rows, values[mine])
        explained_by = of_forest(forest, twice)
        half[:] = explained_by[:genes] - explained_by[genes:]
    return found


def of_forest(forest: RandomForestRegressor, levels: Sequence[int]) -> np.ndarray:
    """Shape [genes]: the share of a tree's variance that each gene's main effect has, on average over the trees that
    have any. Genes are whole numbers below their ``levels``, all of which count alike."""
    gene = np.repeat(np.arange(len(levels)), levels)  # of each column: a value of a gene
    value = np.concatenate([np.arange(level) for level in levels])
    starts = np.cumsum([0, *levels[:-1]])
    every = (_main_effects(one.tree_, gene, value, starts) for one in forest.estimators_)
    found = [one for one in every if one is not None]
    return np.mean(found, axis=0) if found else np.zeros(len(levels))


def _main_effects(tree: Any, gene: np.ndarray, value: np.ndarray, starts: np.ndarray) -> np.ndarray | None:
    """None of a tree without variance."""
    inside = np.ones((tree.node_count, len(gene)), bool)  # which values of each gene get to a node
    for node, (feature, threshold) in enumerate(zip(tree.feature.tolist(), tree.threshold.tolist(), strict=True)):
        if feature >= 0:
            left, right = tree.children_left[node], tree.children_right[node]
            lower = value <= threshold
            inside[left] = inside[node] & (lower | (gene != feature))
            inside[right] = inside[node] & ~(lower & (gene == feature))
    leaves = tree.feature < 0
    inside, told = inside[leaves], tree.value[leaves].ravel()
    levels = np.bincount(gene)
    parts = np.add.reduceat(inside, starts, axis=1, dtype=float) / levels
    sizes = parts.prod(axis=1)  # of the whole space
    told = told - sizes @ told
    if not (variance := float(sizes @ told**2)):
        return None
    means = ((sizes * told)[:, None] / parts)[:, gene] * inside
    return np.add.reduceat(means.sum(axis=0) ** 2, starts) / levels / variance


def explained(places: np.ndarray, values: np.ndarray, seed: int) -> float:
    """R2 of a forest on networks that its trees have not seen (out of bag): 0 or below where the genes tell nothing."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(JUDGES, oob_score=True, random_state=seed).fit(places, values)
    return float(forest.oob_score_)


def _by_mean(places: np.ndarray, level: int, values: np.ndarray) -> np.ndarray:
    """Shape [level]: the rank of each value of the gene by its mean; those never tried are in the middle."""
    tried = np.bincount(places, minlength=level)
    means = np.where(tried > 0, np.bincount(places, values, level) / np.maximum(tried, 1), values.mean())
    ranks: np.ndarray = np.argsort(np.argsort(means, kind="stable"), kind="stable")
    return ranks
