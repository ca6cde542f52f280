"""The cheapest and the dearest network of a space, whatever its size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from search_spaces import cost
from search_spaces.arch import Arch, Stage
from search_spaces.space import GENES, SearchSpace


def extreme(space: SearchSpace, metric: str, num_classes: int = 1000, largest: bool = False) -> Arch:
    """The network of the space with the least (or the most) of ``params``, ``macs`` or ``activations``.

    Exact, by dynamic programming: what a stage costs depends on nothing before it but its input's width and side, and
    the side follows from the resolution. So for each width that a stage can end with, only the best way there matters.
    """
    axis, sign = cost.Cost._fields.index(metric), -1 if largest else 1
    best, chosen = None, space.base
    for resolution in space.resolutions:
        arch = space.base.at(resolution)
        *counts, channels, side = cost.of_stem(arch)
        ways: dict[int, tuple[int, tuple[Stage, ...]]] = {channels: (sign * counts[axis], ())}  # by width so far
        for base, choices in zip(arch.stages, space.choices, strict=True):
            further: dict[int, tuple[int, tuple[Stage, ...]]] = {}
            for (channels, (total, before)), stage in product(ways.items(), _variants(base, choices)):
                *counts, out, after = cost.of_stage(stage, channels, side)
                so_far = total + sign * counts[axis]
                if out not in further or so_far < further[out][0]:
                    further[out] = so_far, (*before, stage)
            ways, side = further, after
        for channels, (total, stages) in ways.items():
            total += sign * cost.of_head(arch, channels, side, num_classes)[axis]
            if best is None or total < best:
                best, chosen = total, replace(arch, stages=stages)
    return chosen


def _variants(base: Stage, choices: Mapping[str, tuple[Any, ...]]) -> list[Stage]:
    """Every stage that the choices allow."""
    return [
        replace(base, **dict(zip(GENES, values, strict=True))) for values in product(*(choices[gene] for gene in GENES))
    ]
