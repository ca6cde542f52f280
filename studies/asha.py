"""Which trials are worth another epoch: MO-ASHA, which is plain ASHA where there is one objective.

After Li et al. 2018 (arXiv 1810.05934) and Schmucker et al. 2021 (arXiv 2106.12639), in the variant that stops trials
instead of pausing them. At a rung, a trial is compared with all that have reached that rung so far, itself included. It
goes on if it is among the best ``ceil(n / reduction)`` of those ``n``; epochs between rungs stop nobody. The order:

1. non-dominated rank;
2. within a rank, spread: first the ends of the front (the best trial in each objective, in the order of objectives),
   then again and again the trial farthest from those already listed (an epsilon-net), with objectives scaled to the
   range of that front;
3. what is still tied (equal values, equal distances): those that were let go on, then the newcomer, then those that
   were stopped. A stopped trial cannot use its place, and without this rule, of a hundred trials that are all still at
   chance level only the first would ever go on.

The first to come always goes on, and the next ``reduction - 1`` only if they are the best so far: ASHA's own
``floor(n / reduction)`` promotes nobody there, which is right for a paused trial and final for a stopped one. With more
objectives than places, the ends of the front go on all the same; otherwise the first few trials would be compared by
the first objective alone. Ray's ASHA compares with a percentile of those that came before, and lets ties go on, so that
equal trials all do; Syne Tune's MOASHA has ``floor(n / reduction) + 1`` places. Of trials that come in no order of
merit, a share of ``1 / reduction`` goes on by all three; of trials that get better as the search learns, more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from search_spaces import UserError
from studies.ledger import Outcome
from studies.objectives import check, direction

if TYPE_CHECKING:
    import numpy as np

SPREAD_LIMIT = 256
"""Of a larger front, this many (evenly by arrival) stand for all of it when spread decides: a report stays in the
milliseconds even where ten thousand trials lie on one front."""


class Asha:
    """Tells trials to go on or stop. State depends on the order of reports alone: no clock, no random choice."""

    rungs: tuple[int, ...]

    def __init__(self, objectives: Sequence[str], max_epochs: int, grace: int = 1, reduction: int = 3) -> None:
        """``rungs`` lie at the epochs grace, grace * reduction, grace * reduction^2, ... below ``max_epochs``."""
        self.objectives = objectives = check(objectives)
        for name, value, least in (("max_epochs", max_epochs, 1), ("grace", grace, 1), ("reduction", reduction, 2)):
            if not isinstance(value, int) or value < least:
                raise UserError(f"{name}: {value!r} is not a whole number of {least} or more")
        # Everything is minimised from here on.
        self._signs = [-1.0 if direction(name) == "maximize" else 1.0 for name in objectives]
        self._rungs: dict[int, _Rung] = {}
        epoch = grace
        while epoch < max_epochs:
            self._rungs[epoch] = _Rung(len(objectives), reduction)
            epoch *= reduction
        self.rungs = tuple(self._rungs)

    def report(self, number: int, epoch: int, values: Sequence[float] | None) -> bool:
        """What trial ``number`` has after ``epoch``, one value an objective in its own direction; True: go on.

        A trial is judged at the epochs of rungs only, so one that skips a rung is judged at the next. Told again of a
        rung, as after a restart or when a ledger is replayed, takes the new values and repeats the first decision.
        Values that are None or not all finite stop nothing and are compared with nothing.
        """
        rung = self._rungs.get(epoch)
        if rung is None:
            return True
        if values is None or not all(map(math.isfinite, values)):
            return rung.decisions.get(number, True)
        return rung.enter(number, [sign * value for sign, value in zip(self._signs, values, strict=True)])


def values_at(objectives: Sequence[str], outcome_so_far: Outcome, metrics: Mapping[str, Any]) -> list[float] | None:
    """A running trial's value for each objective: costs and latency from ``outcome_so_far``, the rest from an epoch's
    metrics. None unless all of them are known."""
    epoch = {name: metrics.get(name) for name in ("top1", "val_loss", "step_time_s")}
    now = replace(outcome_so_far, **epoch)  # type: ignore[arg-type]
    found = [now.metric(name) for name in objectives]
    return [float(value) for value in found if value is not None] if None not in found else None


class _Rung:
    """The trials that reached one epoch, in order of arrival: costs to be minimised, ranks, and who went on."""

    def __init__(self, dimensions: int, reduction: int) -> None:
        import numpy as np

        self.decisions: dict[int, bool] = {}  # by trial number, in order of arrival
        self._costs = np.empty((dimensions, 0))
        self._ranks = np.empty(0, dtype=int)
        self._reduction = reduction

    def enter(self, number: int, costs: list[float]) -> bool:
        import moocore
        import numpy as np

        if number in self.decisions:
            self._costs[:, list(self.decisions).index(number)] = costs
            self._ranks = moocore.pareto_rank(self._costs.T)
        else:
            own = np.array(costs)[:, None]
            rank = _rank_newcomer(own, self._costs, self._ranks)
            self._costs, self._ranks = np.append(self._costs, own, axis=1), np.append(self._ranks, rank)
            self.decisions[number] = self._last_goes_on()
        return self.decisions[number]

    def _last_goes_on(self) -> bool:
        import numpy as np

        dimensions, n = self._costs.shape
        rank = self._ranks[-1]
        places = -(-n // self._reduction)
        if rank == 0:
            places = max(places, dimensions)
        places -= int(np.count_nonzero(self._ranks < rank))
        front = np.flatnonzero(self._ranks == rank)
        if not 0 < places < len(front):
            return bool(places > 0)
        went_on = np.fromiter(self.decisions.values(), bool, n - 1)[front[:-1]]
        order = np.concatenate([front[:-1][went_on], front[-1:], front[:-1][~went_on]])
        return _is_among_first(self._costs[:, order], int(np.count_nonzero(went_on)), places)


def _rank_newcomer(own: np.ndarray, costs: np.ndarray, ranks: np.ndarray) -> int:
    """The non-dominated rank of a newcomer, with ``ranks`` moved in place to what they are beside it.

    Ranking all anew at each report would take longer by far with three objectives. A rank is the length of the longest
    chain of trials that dominate one another, so the newcomer moves only trials that it dominates, directly or through
    others, and each by one (Li et al. 2017, Efficient Nondomination Level Update).
    """
    import moocore
    import numpy as np

    no_worse, no_better = np.all(costs <= own, axis=0), np.all(costs >= own, axis=0)
    rank = level = int(ranks[no_worse & ~no_better].max(initial=-1)) + 1
    front = np.flatnonzero(ranks == level)
    moved = front[no_better[front] & ~no_worse[front]]
    while moved.size:
        if moved.size == front.size:  # and so do all fronts behind it
            ranks[ranks > level] += 1
            ranks[front] += 1
            break
        level += 1
        front = np.flatnonzero(ranks == level)
        ranks[moved] = level
        both = costs[:, np.concatenate([moved, front])].T
        moved = front[~moocore.is_nondominated(both, keep_weakly=True)[moved.size :]]
    return rank


def _is_among_first(front: np.ndarray, own: int, places: int) -> bool:
    """Whether column ``own`` of a front is among its first ``places`` by spread; earlier columns win ties."""
    import numpy as np

    extent = np.ptp(front, axis=1)
    if not extent.any():
        return own < places
    if front.shape[1] > SPREAD_LIMIT:
        sample = np.union1d(np.linspace(0, front.shape[1] - 1, SPREAD_LIMIT).astype(int), own)
        own, places = int(np.searchsorted(sample, own)), math.ceil(places * len(sample) / front.shape[1])
        front = front[:, sample]
    scaled = (front - front.min(axis=1, keepdims=True)) / np.where(extent > 0, extent, 1.0)[:, None]
    distances = sum(np.subtract.outer(values, values) ** 2 for values in scaled)  # squares give the same order
    ends = list(dict.fromkeys(scaled.argmin(axis=1)))
    nearest = np.full(front.shape[1], np.inf)  # to those listed so far; -1 for these themselves
    for place in range(places):
        pick = ends[place] if place < len(ends) else nearest.argmax()
        if pick == own:
            return True
        nearest = np.minimum(nearest, distances[pick])
        nearest[pick] = -1.0
    return False
