"""What a metric will be, with how much doubt, from those of other networks."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Kernel, WhiteKernel

# When there are MOST, every second of the older half is forgotten: the newest, which lie where the search is, all stay,
# and the further back the sparser.
MOST = 200
# Numbers of values at which the kernel is fitted; more than the last do not tell it better.
FITS = (4, 6, 8, 10, 12, 15, 18, 22, 26, 31, 37, 45, 54, 65, 78, 100)


class Regression:
    """A Gaussian process with one length scale for all features (Rasmussen and Williams 2006, sections 2.2 and 5.4);
    amplitude, scale and noise maximise the likelihood within bounds that keep a handful of values from telling too
    much. A length scale for each feature, and a linear part, needed more trials on the space of benchmarks/samplers.py.

    What ``predict`` answers depends on the values learned and their order alone.
    """

    def __init__(self) -> None:
        self._rows: list[np.ndarray] = []
        self._values: list[float] = []
        self._kernel: Kernel | None = None
        self._fitted_at = 0
        self._process: GaussianProcessRegressor | None = None
        self._shift = self._scale = 1.0

    def __len__(self) -> int:
        return len(self._values)

    def learn(self, row: np.ndarray, value: float) -> None:
        self._rows.append(row)
        self._values.append(value)
        self._process = None
        if len(self) == MOST:
            self._fit_kernel()  # while the first values are all there
            del self._rows[: MOST // 2 : 2], self._values[: MOST // 2 : 2]

    def predict(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the metric's mean (without the noise of a single trial) for each row; needs
        one value learned."""
        if self._process is None:
            self._fit_kernel()
            values = np.array(self._values)
            self._shift, self._scale = values.mean(), values.std() or 1.0
            process = GaussianProcessRegressor(self._kernel or _prior(), optimizer=None)
            self._process = process.fit(np.array(self._rows), (values - self._shift) / self._scale)
        mean, std = self._process.predict(rows, return_std=True)
        variance = std**2 - self._process.kernel_.k2.noise_level
        return self._shift + self._scale * mean, self._scale * np.sqrt(np.maximum(variance, 0.0))

    def _fit_kernel(self) -> None:
        """On as many of the first values as the last of FITS that is reached, if that has not been done."""
        count = max((fit for fit in FITS if fit <= len(self)), default=0)
        if count <= self._fitted_at:
            return
        values = np.array(self._values[:count])
        values = (values - values.mean()) / (values.std() or 1.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a scale at its bound is what the bound is for
            fitted = GaussianProcessRegressor(_prior()).fit(np.array(self._rows[:count]), values)
        self._kernel, self._fitted_at = fitted.kernel_, count


def _prior() -> Kernel:
    """For features and values of standard deviation 1."""
    return ConstantKernel(1.0, (0.1, 10.0)) * RBF(4.0, (1.0, 20.0)) + WhiteKernel(0.15, (0.03, 1.0))
