"""What a run may use, and how many trials fit into it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from search_spaces import UserError


@dataclass(frozen=True)
class Resources:
    """What one trial holds and what there is. A trial without a GPU (``gpus_per_trial=0``) sees none.

    address: of a running Ray cluster (``auto``, ``HOST:PORT``, ``ray://...``); None: this machine.
    retries: how often a trial is started again after its worker died.
    verbose: whether Ray's own messages are shown.
    """

    cpus_per_trial: float
    gpus_per_trial: float
    cpus: int
    gpus: int
    address: str | None = None
    retries: int = 2
    verbose: bool = False

    def __post_init__(self) -> None:
        if self.cpus_per_trial <= 0:
            raise UserError(f"cpus_per_trial: {self.cpus_per_trial} is not greater than 0")
        if self.gpus_per_trial < 0:
            raise UserError(f"gpus_per_trial: {self.gpus_per_trial} is not 0 or more")
        if self.gpus_per_trial > 1 and self.gpus_per_trial % 1:
            raise UserError(f"gpus_per_trial: {self.gpus_per_trial} is neither a whole number nor below 1")
        for kind, each, total in (
            ("cpus", self.cpus_per_trial, self.cpus),
            ("gpus", self.gpus_per_trial, self.gpus),
        ):
            if each > total:
                raise UserError(f"{kind}_per_trial: {each:g} is more than there are ({total})")

    @property
    def concurrency(self) -> int:
        """How many trials fit at a time. A fraction of a GPU never spans two."""
        by_cpu = math.floor(self.cpus / self.cpus_per_trial + 1e-9)
        if self.gpus_per_trial == 0:
            return by_cpu
        if self.gpus_per_trial < 1:
            return min(by_cpu, self.gpus * math.floor(1 / self.gpus_per_trial + 1e-9))
        return min(by_cpu, int(self.gpus // self.gpus_per_trial))
