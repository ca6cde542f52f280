"""The noise of a network's accuracy: where it is known from, and how large it is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reports.units import plural
from studies.fidelity_record import Study
from studies.ledger import TrialRecord


@dataclass(frozen=True)
class Noise:
    """std: of one training's top-1, in points; None: unknown. text: where it is from, in words; or how it can be had.
    certain: of this very training, not of another one or a lower bound. seeds: how many trainings a network's figure is
    the mean of, by id, where more than one. images: of the validation, where the noise is no more than what they leave
    open, which depends on the accuracy itself; ``std`` is then that of the mean accuracy."""

    std: float | None
    text: str
    certain: bool = False
    seeds: Mapping[str, int] = field(default_factory=dict)
    images: int | None = None

    def of(self, trial: TrialRecord, trainings: int | None = None) -> float | None:
        """The standard error of a network's top1. trainings: that it is the mean of; None: as the search has."""
        top1 = trial.metric("top1")
        if self.std is None or top1 is None:
            return None
        std = self.std if self.images is None else binomial(top1, self.images)
        return std / math.sqrt(trainings or self.seeds.get(trial.arch.id, 1))


def binomial(top1: float, images: int) -> float:
    """The standard error in points of a share of so many images, not 0 at the ends (Agresti and Coull 1998)."""
    share = (top1 / 100 * images + 2) / (images + 4)
    return 100 * math.sqrt(share * (1 - share) / (images + 4))


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
    if val_images and repeats:
        least = binomial(statistics.fmean(top1 for values in repeats.values() for top1 in values), val_images)
        text = f"at least, from {val_images:,} validation images alone; seeds add to it, --repeats 2 tells"
        return Noise(least, text, images=val_images)
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
