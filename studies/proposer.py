"""Which network is tried next: a sampler's answer, made new and feasible, the same however parallel trials end."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from search_spaces import Arch, UserError
from search_spaces.space import SearchSpace
from studies.ledger import Curve, Outcome, TrialRecord
from studies.repeats import mean_curve, merged
from studies.samplers import Sampler

Violations = Callable[[Arch], Mapping[str, float]]
"""Counted limits that a network breaks: share over the limit by constraint text; empty where it keeps them all."""

WALK = 500  # mutations from the sampler's answer towards a network that is feasible and new
DRAWS = 2000  # then networks drawn from the whole space
FEW = 100_000  # then all networks, of a space that has no more


def lag_for(concurrency: int) -> int:
    """The lag for so many trials at a time: 2 * (concurrency - 1), which is 0 for one at a time.

    concurrency - 1 is the least that keeps all slots busy, and then every slot waits for the oldest trial. Twice that
    lets the others run ahead of a slow one by as many trials again, at the price of older knowledge.
    """
    return 2 * (concurrency - 1)


def trial_seed(seed: int, number: int) -> int:
    """The seed that trial ``number`` of a run with ``seed`` is trained with: their sum."""
    return seed + number


@dataclass(frozen=True)
class Proposal:
    """A trial to run. seed: of its training."""

    number: int
    arch: Arch
    seed: int


class Proposer:
    """Asked for trials 0, 1, 2, ... and told their outcomes in any order.

    lag: trial n is proposed from the outcomes of trials 0 to n-1-lag, no fewer and no more, learned in the order of
        their numbers. Proposals therefore depend on seed and outcomes, not on which parallel trial ends first. 0: one
        trial after another. It bounds how many trials can be under way (lag + 1); see ``lag_for``.
    violations: what can be counted without building the network; one that breaks a limit is never proposed.
    repeats: so many trials in a row of each network, with different seeds; the sampler learns ``merged`` outcomes.
    first: networks to begin with, as far as they are in the space and feasible.

    No network is proposed twice, nor one that computes the same function (``Arch.fingerprint``). What trials outside
    this run have taught, ``sampler`` has learned before.
    """

    def __init__(
        self,
        space: SearchSpace,
        sampler: Sampler,
        seed: int,
        lag: int = 0,
        violations: Violations = lambda arch: {},
        repeats: int = 1,
        first: Sequence[Arch] = (),
    ) -> None:
        if lag < 0:
            raise UserError(f"lag: {lag} is not an integer >= 0")
        if repeats < 1:
            raise UserError(f"repeats: {repeats} is not an integer >= 1")
        self.space, self.sampler, self.seed, self.lag, self.repeats = space, sampler, seed, lag, repeats
        self.asked = 0
        self.exhausted = False
        self._violations = violations
        self._first = deque(arch for arch in first if space.contains(arch))
        self._archs: dict[int, Arch] = {}  # of trials that the sampler has not learned
        self._told: dict[int, tuple[Outcome, Curve]] = {}
        self._learned = 0
        self._seen: set[object] = set()
        self._feasible: list[Arch] | None = None

    def ask(self) -> Proposal | None:
        """The next trial; None: not before an earlier trial has finished, or never again (``exhausted``).

        Raises UserError where no network keeps the limits.
        """
        if self.exhausted or not self._catch_up():
            return None
        number = self.asked
        arch = self._archs[number - 1] if number % self.repeats else self._next(random.Random(f"{self.seed}/{number}"))
        if arch is None:
            self.exhausted = True
            return None
        self._record(arch)
        return Proposal(number, arch, trial_seed(self.seed, number))

    def tell(self, number: int, outcome: Outcome, curve: Curve = ()) -> None:
        """Keeps the outcome until the trial whose proposal may use it is asked for."""
        self._told[number] = outcome, curve

    def restore(self, records: Iterable[TrialRecord]) -> None:
        """Once, before the first ask: the trials of a run that goes on. Those without an outcome are told later.

        Raises UserError where a trial is missing or is not one that this run could have proposed.
        """
        for record in records:
            if record.number != self.asked:
                raise UserError(f"trial {self.asked}: missing, the next one is trial {record.number}")
            if not self.space.contains(record.arch):
                raise UserError(f"trial {record.number}: network {record.arch.id} is not in space {self.space.name}")
            if record.number % self.repeats and record.arch != self._archs[record.number - 1]:
                raise UserError(f"trial {record.number}: another network than before, but repeats is {self.repeats}")
            self._record(record.arch)
            if record.outcome:
                self.tell(record.number, record.outcome, record.epochs)

    def _record(self, arch: Arch) -> None:
        self._archs[self.asked] = arch
        self._seen.add(arch.fingerprint)
        self.asked += 1

    def _catch_up(self) -> bool:
        """Lets the sampler learn all trials that the next proposal is made from; False: one of them has not ended."""
        end = self.asked - self.lag
        if any(number not in self._told for number in range(self._learned, end)):
            return False
        while self._learned + self.repeats <= end:
            group = range(self._learned, self._learned + self.repeats)
            archs = [self._archs.pop(number) for number in group]
            outcomes, curves = zip(*(self._told.pop(number) for number in group), strict=True)
            self.sampler.learn(archs[0], merged(outcomes), mean_curve(curves))
            self._learned += self.repeats
        return True

    def _allowed(self, arch: Arch) -> bool:
        return arch.fingerprint not in self._seen and not self._violations(arch)

    def _next(self, rng: random.Random) -> Arch | None:
        while self._first:
            if self._allowed(arch := self._first.popleft()):
                return arch
        answer = self.sampler.propose(rng, self._allowed)
        if answer and self._allowed(answer):
            return answer
        found = self._walk(answer or self.space.sample(rng), rng) or self._draw(rng) or self._look_everywhere(rng)
        if found is None and not self.asked:
            self._give_up(rng)
        return found

    def _walk(self, arch: Arch, rng: random.Random) -> Arch | None:
        """Mutations that do not raise the summed violation, until one leads to an allowed network."""
        over = sum(self._violations(arch).values())
        for _ in range(WALK if self.space.parameters else 0):
            child = self.space.mutate(arch, rng)
            if (child_over := sum(self._violations(child).values())) <= over:
                arch, over = child, child_over
                if self._allowed(arch):
                    return arch
        return None

    def _draw(self, rng: random.Random) -> Arch | None:
        return next((arch for _ in range(DRAWS) if self._allowed(arch := self.space.sample(rng))), None)

    def _look_everywhere(self, rng: random.Random) -> Arch | None:
        if self.space.size > FEW:
            return None
        if self._feasible is None:
            self._feasible = [arch for arch in self.space if not self._violations(arch)]
        new = [arch for arch in self._feasible if self._allowed(arch)]
        return rng.choice(new) if new else None

    def _give_up(self, rng: random.Random) -> None:
        broken = sorted({text for _ in range(100) for text in self._violations(self.space.sample(rng))})
        tried = f"all {self.space.size}" if self.space.size <= FEW else f"{WALK + DRAWS}"
        raise UserError(f"constraints: none of {tried} networks that were looked at keeps {', '.join(broken)}")
