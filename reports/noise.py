"""How far a front may be luck: the noise of a network's accuracy, and what the networks attain in truth, given it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reports.summary import plural
from studies.fidelity_record import Study
from studies.ledger import TrialRecord

FEWEST = 8  # networks from which a trend of accuracy over cost, and what is left beside it, can be told
DRAWS, PLACES, SEED = 400, 80, 0


@dataclass(frozen=True)
class Noise:
    """std: of one training's top-1 between seeds, in points; None: unknown. text: where it is from, in words; or how it
    can be had. certain: of this very training, not of another one or a lower bound. seeds: how many trainings a
    network's figure is the mean of, by id, where more than one."""

    std: float | None
    text: str
    certain: bool = False
    seeds: Mapping[str, int] = field(default_factory=dict)

    def of(self, arch_id: str) -> float | None:
        """The standard error of a network's figure."""
        return None if self.std is None else self.std / math.sqrt(self.seeds.get(arch_id, 1))


def noise(
    trials: Sequence[TrialRecord],
    study: Study | None = None,
    confirmation: Sequence[TrialRecord] = (),
    val_images: int | None = None,
) -> Noise:
    """The best that is known: from repeats in the search; from a fidelity study of its training; from the seeds of the
    confirmation; else no more than what so many validation images leave open (binomial), which is a lower bound."""
    repeats = seeds_of(trials)
    if found := pooled(repeats.values()):
        counts = {name: len(values) for name, values in repeats.items()}
        return Noise(found, f"between seeds, over {plural(_many(repeats), 'network')} of this search", True, counts)
    proxy = study.proxy(study.own) if study else None
    if proxy and proxy.training.spread:
        among = plural(len(proxy.training.top1), "network")
        return Noise(
            proxy.training.spread.seeds, f"between seeds of this training, over {among} of a fidelity study", True
        )
    confirmed = seeds_of(confirmation)
    if found := pooled(confirmed.values()):
        among = plural(_many(confirmed), "confirmed network")
        return Noise(found, f"between seeds of {among}, trained longer than in the search")
    shares = [top1[0] / 100 for top1 in repeats.values()]
    if val_images and shares:
        share = statistics.fmean(shares)
        least = 100 * math.sqrt(share * (1 - share) / val_images)
        return Noise(
            least, f"at least, from {val_images:,} validation images alone; seeds add to it, --repeats 2 tells"
        )
    return Noise(None, "unknown, one seed a network; --repeats 2 tells")


def seeds_of(trials: Iterable[TrialRecord]) -> dict[str, list[float]]:
    """The top-1 of every finished training, by network."""
    found: dict[str, list[float]] = {}
    for trial in trials:
        top1 = trial.metric("top1") if trial.status == "ok" else None
        if top1 is not None and math.isfinite(top1):
            found.setdefault(trial.arch.id, []).append(top1)
    return found


def pooled(groups: Iterable[Sequence[float]]) -> float | None:
    """The standard deviation within groups, all taken together; None without a group of two."""
    several = [values for values in groups if len(values) > 1]
    freedom = sum(len(values) - 1 for values in several)
    if not freedom:
        return None
    return math.sqrt(sum(statistics.variance(values) * (len(values) - 1) for values in several) / freedom)


def _many(groups: Mapping[str, Sequence[float]]) -> int:
    return sum(len(values) > 1 for values in groups.values())


def attained(
    xs: Sequence[float], ys: Sequence[float], errors: Sequence[float]
) -> tuple[tuple[float, float, float], ...]:
    """(x, low, high): between which accuracies the best network of cost x or less is in truth, with 95%.

    The best of many noisy figures is too good: it was chosen for its luck as well. So each network's accuracy is taken
    for what its figure and those of networks of like cost make it (empirical Bayes: a normal scatter about a trend over
    the logarithm of cost; Efron and Morris 1975), and the best is taken in draws from that. xs: costs; ys: top-1;
    errors: standard errors. Empty with fewer than FEWEST networks.
    """
    if len(xs) < FEWEST or min(xs) <= 0:
        return ()
    order = np.argsort(xs, kind="stable")
    x, y, se = (np.asarray(values, dtype=float)[order] for values in (xs, ys, errors))
    best = np.maximum.accumulate(_draws(np.log(x), y, se), axis=1)
    ends = np.flatnonzero(np.append(np.diff(x) > 0, True))  # of networks of one cost, the last
    places = ends[np.unique(np.linspace(0, len(ends) - 1, min(PLACES, len(ends))).round().astype(int))]
    low, high = np.quantile(best[:, places], [0.025, 0.975], axis=0)
    return tuple(zip(x[places].tolist(), low.tolist(), high.tolist(), strict=True))


def _draws(logs: np.ndarray, y: np.ndarray, se: np.ndarray) -> np.ndarray:
    """True accuracies, (DRAWS, networks), as the figures leave them open: a parabola over the logarithm of cost and the
    scatter about it are drawn from what the residuals say of them, and given both, each network's own."""
    rng, freedom = np.random.default_rng(SEED), len(y) - 3
    design = np.vander((logs - logs.mean()) / (np.ptp(logs) or 1.0), 3)
    q = np.linalg.qr(design)[0] if np.ptp(logs) else np.full((len(y), 1), len(y) ** -0.5)
    fitted = q.T @ y
    around = np.sum((y - q @ fitted) ** 2) / rng.chisquare(freedom, (DRAWS, 1))  # variance about the parabola
    trend = (fitted + np.sqrt(around) * rng.standard_normal((DRAWS, q.shape[1]))) @ q.T
    scatter = np.maximum(around - np.mean(se**2), 0.0)
    own = np.divide(scatter, scatter + se**2, out=np.zeros((DRAWS, len(y))), where=scatter + se**2 > 0)
    mean = trend + own * (y - trend)
    return np.asarray(mean + np.sqrt(own) * se * rng.standard_normal(mean.shape))
