"""What the trials so far let expect of any network: its objectives with their doubt, and whether it keeps limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from search_spaces import Arch, constraint
from studies.ledger import Curve, Outcome
from studies.objectives import COUNTED, MEASURED, METRICS, direction
from studies.samplers.base import Tried, tried
from studies.samplers.features import COST_COLUMNS
from studies.samplers.ranking import remembered
from studies.samplers.regression import Regression, as_loss, extrapolated, modelled

MOST = 200  # networks that are remembered; then half of them are forgotten, see ``ranking.remembered``
START = 5  # finished trials before anything is predicted


@dataclass(frozen=True)
class Known:
    """One trial. Of the metrics that are known, as they are predicted (``regression.modelled``): ``values`` at its end,
    ``epochs`` after each epoch."""

    network: Tried
    row: np.ndarray
    values: dict[str, float]
    epochs: dict[int, dict[str, float]]


class Belief:
    """Objectives in closed form are exact for any network; each other one is a regression on genes and costs.

    What training has shown of a trial that was stopped counts for as much as it tells of the end (``extrapolated``).
    """

    def __init__(self, objectives: Sequence[str]) -> None:
        self.objectives = tuple(objectives)
        self.known: list[Known] = []
        self._predicted = tuple(dict.fromkeys(name for name in (*METRICS, *objectives) if name not in COUNTED))
        self._limits: dict[str, constraint.Constraint] = {}
        self._regressions: dict[str, Regression] = {}

    def learn(self, arch: Arch, row: np.ndarray, outcome: Outcome, curve: Curve) -> None:
        network = tried(arch, outcome, self.objectives) or Tried(arch, None, np.inf)
        final = outcome.status in ("ok", "rejected")
        values = self._modelled(outcome, lambda name: final or name in MEASURED)
        epochs = {
            metrics["epoch"]: self._modelled(
                replace(outcome, top1=metrics.get("top1"), val_loss=metrics.get("val_loss")),
                lambda name: name not in MEASURED,
            )
            for metrics in (curve if outcome.status != "failed" else ())
        }
        self.known.append(Known(network, row, values, epochs))
        self._regressions = {}
        if len(self.known) == MOST:
            self.known = [self.known[index] for index in remembered([known.network for known in self.known])]
        for text in outcome.violations:
            limit = constraint.parse(text, METRICS)
            if limit.metric not in COUNTED:
                self._limits[text] = limit

    @property
    def finished(self) -> list[Known]:
        """The trials that have all objectives."""
        return [known for known in self.known if known.network.losses is not None]

    def losses(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each network's objectives, a column each; less is better in all."""
        means, stds = np.zeros((2, len(rows), len(self.objectives)))
        for axis, name in enumerate(self.objectives):
            if name in COUNTED:
                means[:, axis] = rows[:, COST_COLUMNS[name]]
            else:
                means[:, axis], stds[:, axis] = as_loss(name, *self._regression(name).predict(rows))
        return means, stds

    def keeps_limits(self, rows: np.ndarray) -> np.ndarray:
        """The probability that each network does, as far as limits on what cannot be counted are known (they have
        rejected a network) and their metrics can be predicted."""
        share = np.ones(len(rows))
        for limit in self._limits.values():
            end = modelled(limit.metric, limit.limit)
            if end is not None and sum(limit.metric in known.values for known in self.known) >= START:
                mean, std = self._regression(limit.metric).predict(rows)
                below = ndtr((end - mean) / np.maximum(std, 1e-9))
                share *= below if (limit.operator == "<=") == (direction(limit.metric) == "minimize") else 1 - below
        return share

    def _modelled(self, outcome: Outcome, wanted: Callable[[str], bool]) -> dict[str, float]:
        found = {name: modelled(name, outcome.metric(name)) for name in self._predicted if wanted(name)}
        return {name: value for name, value in found.items() if value is not None}

    def _regression(self, metric: str) -> Regression:
        """On all that is remembered; kept until more is learned."""
        if metric not in self._regressions:
            told = [(known.row, known.values[metric], 1.0) for known in self.known if metric in known.values]
            told += self._of_stopped(metric)
            rows, values, weights = zip(*told, strict=True)
            self._regressions[metric] = Regression(np.array(rows), np.array(values), np.array(weights))
        return self._regressions[metric]

    def _of_stopped(self, metric: str) -> list[tuple[np.ndarray, float, float]]:
        """Row, extrapolated value and weight of each trial without a final value, from its last epoch's."""
        open_ends = [known for known in self.known if metric not in known.values and known.epochs]
        found = []
        for known in open_ends:
            epoch = max(known.epochs)
            pairs = [
                (other.epochs[epoch][metric], other.values[metric])
                for other in self.known
                if metric in other.values and metric in other.epochs.get(epoch, {})
            ]
            if metric in known.epochs[epoch] and len(pairs) >= START:
                value, weight = extrapolated(known.epochs[epoch][metric], *np.transpose(pairs))
                found.append((known.row, value, weight))
        return [one for one in found if one[2] > 0]
