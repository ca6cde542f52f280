"""What a sampler is, and what most of them learn from an outcome."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from search_spaces import Arch, UserError
from search_spaces.space import SearchSpace
from studies.ledger import Curve, Outcome
from studies.objectives import direction

Allowed = Callable[[Arch], bool]
"""Whether a network is new and keeps the limits on what can be counted."""
Losses = tuple[float, ...]
"""The objectives' values, negated where more is better: less is better in each."""


@dataclass(frozen=True)
class Problem:
    """What a sampler is made of, and may use or not. population: for samplers that have one. num_classes: of the
    networks that are trained, for what is counted."""

    space: SearchSpace
    objectives: tuple[str, ...]
    population: int
    num_classes: int = 1000

    def __post_init__(self) -> None:
        if self.population < 2:
            raise UserError(f"population: {self.population} is not an integer >= 2")


class Sampler(Protocol):
    """Proposes networks and learns from outcomes; who asks (``studies.proposer``) sees to all else.

    ``propose`` depends on ``rng`` and on what was learned, in its order, and changes nothing: a resumed run goes on as
    an uninterrupted one.
    """

    def propose(self, rng: random.Random, allowed: Allowed) -> Arch | None:
        """A network that is ``allowed`` if a bounded effort finds one; otherwise one that is not, or None."""

    def learn(self, arch: Arch, outcome: Outcome, curve: Curve = ()) -> None:
        """Called once for each network that was tried, in order of trial numbers. curve: its epochs' metrics."""


@dataclass(frozen=True)
class Tried:
    """A network that can be compared with others.

    losses: None for a rejected one. violation: by how much that broke the limits, summed over them.
    """

    arch: Arch
    losses: Losses | None
    violation: float = 0.0


def tried(arch: Arch, outcome: Outcome, objectives: Sequence[str]) -> Tried | None:
    """None where the outcome says nothing final: it is stopped or failed, or an objective is unknown."""
    if outcome.status == "rejected":
        return Tried(arch, None, sum(outcome.violations.values()) or 1.0)
    if outcome.status != "ok":
        return None
    losses = []
    for name in objectives:
        value = outcome.metric(name)
        if value is None or not math.isfinite(value):
            return None
        losses.append(-float(value) if direction(name) == "maximize" else float(value))
    return Tried(arch, tuple(losses))
