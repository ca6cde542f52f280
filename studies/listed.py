"""Networks that are given instead of searched for, each with the seed of its training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from search_spaces import Arch, UserError
from studies.ledger import Curve, Outcome, TrialRecord
from studies.proposer import Proposal


class Listed:
    """Proposes ``pairs`` in their order, as ``studies.proposer.Proposer`` proposes networks of a space."""

    def __init__(self, pairs: Sequence[tuple[Arch, int]]) -> None:
        self._pairs = list(pairs)
        self.asked = 0

    @property
    def exhausted(self) -> bool:
        """Whether all were asked for."""
        return self.asked >= len(self._pairs)

    def ask(self) -> Proposal | None:
        """The next of the list; None: there is none."""
        if self.exhausted:
            return None
        number, (arch, seed) = self.asked, self._pairs[self.asked]
        self.asked += 1
        return Proposal(number, arch, seed)

    def tell(self, number: int, outcome: Outcome, curve: Curve = ()) -> None:
        """Nothing: what was found changes no list."""

    def restore(self, records: Iterable[TrialRecord]) -> None:
        """The trials of a run that goes on. Raises UserError where they are not the beginning of the list."""
        for record in records:
            if self.exhausted or self._pairs[self.asked] != (record.arch, record.seed):
                raise UserError(f"trial {record.number}: not what is listed there")
            self.asked += 1
