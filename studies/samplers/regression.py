"""What a metric will be for a network that was not tried, with how much doubt.

A metric is predicted as a logarithm, in which effects of genes multiply and noise is more even: of itself where less is
better, of what is missing to 101 % for a top-1 (an error that never gets to 0). A reward is predicted as it is.
"""

from __future__ import annotations

import math

import numpy as np
from sklearn.linear_model import BayesianRidge

from studies.objectives import direction

CEILING = 101.0


def modelled(metric: str, value: float | None) -> float | None:
    """The number that is predicted, less of which is better; None where there is none."""
    if value is None or not math.isfinite(value):
        return None
    if metric == "top1":
        return math.log(CEILING - value)
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
    """Bayesian linear regression; noise and shrinkage follow from the data (MacKay 1992)."""

    def __init__(self, rows: np.ndarray, values: np.ndarray, weights: np.ndarray) -> None:
        self._ridge = BayesianRidge().fit(rows, values, weights)

    def predict(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each row the expected value, and the standard deviation of what is not known of that; the noise of a
        single trial is not in it."""
        mean, std = self._ridge.predict(rows, return_std=True)
        return mean, np.sqrt(np.maximum(std**2 - 1 / self._ridge.alpha_, 0.0))
