"""The networks of a study: spread over what a space's networks cost; and the same networks in a narrower space."""

from __future__ import annotations

import math
import random

from search_spaces import Arch, UserError, cost
from search_spaces.space import SearchSpace

SAMPLED = 4000  # drawn from the space, of which its range of costs is seen


def spread(space: SearchSpace, count: int, num_classes: int, seed: int) -> list[Arch]:
    """``count`` different networks, evenly spread in the logarithm of MACs over what random networks cost, the cheapest
    first. Most random networks cost about as much as each other, and would leave the ends of the range out.

    Raises UserError where the space holds fewer.
    """
    rng = random.Random(seed)
    drawn = {arch.fingerprint: arch for arch in (space.sample(rng) for _ in range(SAMPLED))}
    if len(drawn) < count:
        raise UserError(f"--networks: {count}, but only {len(drawn)} different ones were found in space {space.name}")
    left = sorted(((math.log(cost.count(arch, num_classes).macs), arch) for arch in drawn.values()), key=lambda x: x[0])
    low, high = left[0][0], left[-1][0]
    found = []
    for place in range(count):
        wanted = low + (place + 0.5) / count * (high - low)
        nearest = min(range(len(left)), key=lambda index: abs(left[index][0] - wanted))
        found.append(left.pop(nearest))
    return [arch for _, arch in sorted(found, key=lambda x: x[0])]


def moved(arch: Arch, space: SearchSpace, other: SearchSpace) -> Arch:
    """The network of ``other``, which is ``space`` at another width or resolution, with the same choices. Raises
    UserError where the narrower space no longer tells them apart."""
    own, genes = space.genes(arch), {}
    for name, values in space.parameters.items():
        if name == "resolution":
            continue
        there = other.parameters.get(name, ())
        if len(there) != len(values):
            raise UserError(
                f"--proxy: width {other.width / space.width:g} makes choices of {name} in space {space.name} equal"
            )
        genes[name] = there[values.index(own[name])]
    if "resolution" in other.parameters:
        genes["resolution"] = arch.resolution
    return other.from_genes(genes)
