"""Which of several networks is better, with more than one objective and with limits."""

from __future__ import annotations

import math
from collections.abc import Sequence

from studies.samplers.base import Losses, Tried


def fitness(networks: Sequence[Tried]) -> list[tuple[float, ...]]:
    """What to compare each network by among these; less is better. A rejected network is behind all others and the
    further from its limits the worse; the others are ordered by non-dominated rank, then by crowding distance."""
    points = [network.losses for network in networks if network.losses is not None]
    ranks = non_dominated_ranks(points)
    ranked = iter(zip(ranks, crowding(points, ranks), strict=True))
    keys: list[tuple[float, ...]] = []
    for network in networks:
        if network.losses is None:
            keys.append((math.inf, network.violation))
        else:
            rank, distance = next(ranked)
            keys.append((rank, -distance))
    return keys


def remembered(networks: Sequence[Tried]) -> list[int]:
    """Which half of the networks, in order of age, to keep where not all can be: the newest quarter, and a quarter that
    is the best (``fitness``) of the others."""
    quarter = len(networks) // 4
    older = networks[: len(networks) - quarter]
    keys = fitness(older)
    best = sorted(range(len(older)), key=lambda index: keys[index])[:quarter]
    return [*sorted(best), *range(len(older), len(networks))]


def non_dominated_ranks(points: Sequence[Losses]) -> list[int]:
    """0 for the front, 1 for what is the front without that, and so on."""
    import moocore

    return [int(rank) for rank in moocore.pareto_rank(list(map(list, points)))] if points else []


def crowding(points: Sequence[Losses], ranks: Sequence[int]) -> list[float]:
    """Each point's crowding distance among those of its rank (NSGA-II, Deb et al. 2002): how far apart its neighbours
    on either side are, as a share of the range and summed over objectives; infinite at the ends."""
    distances = [0.0] * len(points)
    for rank in set(ranks):
        members = [index for index, other in enumerate(ranks) if other == rank]
        for axis in range(len(points[0])):
            members.sort(key=lambda index: points[index][axis])
            span = points[members[-1]][axis] - points[members[0]][axis]
            if span == 0:
                continue
            distances[members[0]] = distances[members[-1]] = math.inf
            for before, index, after in zip(members, members[1:], members[2:], strict=False):
                distances[index] += (points[after][axis] - points[before][axis]) / span
    return distances
