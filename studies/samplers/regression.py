"""What a metric will be for a network that was not tried, with how much doubt.

A metric is predicted as a logarithm, in which effects of genes multiply and noise is more even: of itself where less is
better, of what is missing to 101 % for a top-1 (an error that never gets to 0). A reward is predicted as it is.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist
from sklearn.linear_model import BayesianRidge

from studies.objectives import direction

CEILING = 101.0
# Length scale (the features' mean square is 1 in all), variance of the signal and of the noise (of the values' is 1).
SETTINGS = np.array(list(itertools.product((0.6, 1.0, 1.7, 2.8), (0.5, 1.0, 2.0), (0.01, 0.03, 0.1, 0.25, 0.6))))
WEIGHED = 40  # values at most that decide between settings
KEPT = 4  # settings, the best


def modelled(metric: str, value: float | None) -> float | None:
    """The number that is predicted, less of which is better; None where there is none."""
    if value is None or not math.isfinite(value):
        return None
    if metric == "top1":
        return math.log(max(CEILING - value, 1.0))
    if direction(metric) == "maximize":
        return -value
    return math.log(value) if value > 0 else None


def as_loss(metric: str, mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The prediction on the scale on which volumes count: a top-1 as it is (negated), to first order in ``std``."""
    if metric != "top1":
        return mean, std
    error = np.exp(mean)
    return error - CEILING, error * std


def extrapolated(value: float, early: np.ndarray, late: np.ndarray) -> tuple[float, float]:
    """What is to be expected at the end of a trial that has ``value`` after an epoch, and the share of the variance at
    the end that this explains, by the line through others that have both (``early``, ``late``)."""
    covariance = np.cov(early, late)
    if not covariance[0, 0] * covariance[1, 1]:
        return float(late.mean()), 0.0
    slope = max(0.0, covariance[0, 1] / covariance[0, 0])
    share = slope**2 * covariance[0, 0] / covariance[1, 1]
    return float(late.mean() + slope * (value - early.mean())), float(share)


class Regression:
    """Regression by a Gaussian process (Rasmussen and Williams 2006), averaged over what its settings may be.

    Networks are alike as far as their features are, each feature scaled by how much it counts in a linear regression
    (relative to the mean of all, plus 1). Length scale, signal and noise are averages over ``SETTINGS`` by the evidence
    for each.
    """

    def __init__(self, rows: np.ndarray, values: np.ndarray, weights: np.ndarray) -> None:
        """rows: features with mean 0 and standard deviation 1 over the space. weights: from 0 to 1, of each value."""
        self._mean = float(np.average(values, weights=weights))
        self._scale = math.sqrt(np.average((values - self._mean) ** 2, weights=weights)) or 1.0
        values = (values - self._mean) / self._scale
        effect = np.abs(BayesianRidge().fit(rows, values, weights).coef_)
        self._stretch = 1 + effect / (effect.mean() or 1.0)
        self._stretch /= np.linalg.norm(self._stretch)
        self._rows = rows * self._stretch
        distances = _distances(self._rows, self._rows)

        some = np.unique(np.linspace(0, len(values) - 1, WEIGHED).astype(int))
        length, signal, noise = SETTINGS.T[:, :, None, None]
        kernels = signal * np.exp(-distances[np.ix_(some, some)] / (2 * length**2))
        lower = np.linalg.cholesky(kernels + noise * np.diag(1 / weights[some]))
        whitened = np.linalg.solve(lower, np.broadcast_to(values[some, None], (len(SETTINGS), len(some), 1)))
        evidence = -(whitened**2).sum((1, 2)) / 2 - np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(1)
        best = np.argsort(evidence)[-KEPT:]
        self._shares = np.exp(evidence[best] - evidence[best].max())
        self._shares /= self._shares.sum()

        self._processes = []
        for length_, signal_, noise_ in SETTINGS[best]:
            kernel = signal_ * np.exp(-distances / (2 * length_**2))
            factor = cho_factor(kernel + noise_ * np.diag(1 / weights), lower=True)
            self._processes.append((length_, signal_, factor, cho_solve(factor, values)))

    def predict(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each row the expected value, and the standard deviation of what is not known of that; the noise of a
        single trial is not in it."""
        distances = _distances(rows * self._stretch, self._rows)
        means, variances = [], []
        for length, signal, factor, solved in self._processes:
            kernel = signal * np.exp(-distances / (2 * length**2))
            means.append(kernel @ solved)
            variances.append(signal - np.einsum("ij,ji->i", kernel, cho_solve(factor, kernel.T)))
        mean = self._shares @ means
        variance = self._shares @ (np.array(variances) + np.square(means)) - mean**2
        return self._mean + self._scale * mean, self._scale * np.sqrt(np.maximum(variance, 0.0))


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Squared, of each row of ``one`` from each of ``other``."""
    distances: np.ndarray = cdist(one, other, "sqeuclidean")
    return distances
