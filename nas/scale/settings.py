"""What is asked of a scaling run, beside the spec of its trainings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from search_spaces import UserError, constraint
from search_spaces.compound import COMPOUND, RULES, Coefficients, rule
from search_spaces.constraint import Constraint
from studies.checked import checked
from studies.objectives import COUNTED

PUBLISHED = "published"
METRICS = ("latency_ms", "peak_memory_mb", "macs", "params", "activations")
FORM = "1..7, or 0.5,1,2"
MOST_TARGETS = 1000
LARGEST_PHI = 20.0  # a million times the cost
DEAREST = 5.0  # phi, at which networks are trained
# What errors of the layers below are about, by the flags that say it here.
FLAGS = {"network": "--base", "target": "--target-macs"} | {
    name: f"--{name.replace('_', '-')}"
    for name in ("coefficients", "constraint", "grid_step", "max_resolution", "rule", "tolerance")
}


@dataclass(frozen=True)
class Settings:
    """phis, targets (MACs) and limits (texts): the family. base: as the user named it; None: found.
    coefficients: three numbers as text, ``published``, or None: they are studied, in a grid with ``grid_step`` and
    ``tolerance``, each network with so many ``seeds``. rules: what the best is compared with; validate: the phi, beside
    1, at which it is. rounding, max_resolution, later: see search_spaces.compound; study_rounding: of what is trained.
    measure: latencies of the family.
    """

    phis: tuple[float, ...] = ()
    targets: tuple[float, ...] = ()
    limits: tuple[str, ...] = ()
    base: str | None = None
    coefficients: str | None = None
    grid_step: float = 0.05
    tolerance: float = 0.1
    seeds: int = 3
    rules: tuple[str, ...] = (COMPOUND, *RULES)
    validate: tuple[float, ...] = ()
    rounding: str = "official"
    study_rounding: str = "nearest"
    max_resolution: int | None = None
    later: bool = False
    measure: bool = False

    @property
    def studied(self) -> bool:
        return self.coefficients is None

    @property
    def constraints(self) -> list[Constraint]:
        return [constraint.parse(text, METRICS) for text in self.limits]

    @property
    def given(self) -> Coefficients | None:
        """The coefficients that need no study."""
        return None if self.coefficients in (None, PUBLISHED) else triple(str(self.coefficients))

    @property
    def counted(self) -> Settings:
        """Without what would be measured."""
        limits = tuple(str(limit) for limit in self.constraints if limit.metric in COUNTED)
        return replace(self, limits=limits, measure=False)

    @property
    def multiples(self) -> tuple[float, ...]:
        """Of the base's cost, at which rules are compared."""
        return tuple(2.0**phi for phi in sorted({1.0, *self.validate}))

    def check(self) -> Settings:
        """Itself. Raises UserError."""
        _ = self.given
        for limit in self.constraints:
            if limit.operator != "<=":
                raise UserError(f"--constraint: '{limit}' is no upper limit, which a growing network can keep")
        for text in self.rules:
            _ = text == COMPOUND or rule(text)
        if self.seeds < 1:
            raise UserError(f"--seeds: {self.seeds} is not at least 1")
        if self.coefficients == PUBLISHED:
            _check_published(self)
        if self.validate and max(self.validate) > DEAREST:
            phi = max(self.validate)
            raise UserError(f"--validate: phi {phi:g} would train at {2**phi:,.0f} times the cost; at most {DEAREST:g}")
        return self

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Settings:
        """Of a run's spec.yaml, maybe with fields that this program does not know. Raises UserError."""
        known = {field.name for field in fields(cls)}
        return checked(cls, {name: data[name] for name in data if name in known} if isinstance(data, Mapping) else data)


@contextmanager
def named_as_flags() -> Iterator[None]:
    """Errors name the flags that the user has typed."""
    try:
        yield
    except UserError as error:
        name, colon, rest = str(error).partition(": ")
        raise UserError(f"{FLAGS.get(name, name)}{colon}{rest}") from None


def _check_published(settings: Settings) -> None:
    for name in ("targets", "limits", "max_resolution", "later"):
        if getattr(settings, name):
            flag = {"targets": "target-macs", "limits": "constraint", "later": "later-stages"}.get(name, name)
            raise UserError(f"--{flag.replace('_', '-')}: the published networks are what they are; give coefficients")
    if settings.rounding != "official":
        raise UserError(f"--rounding: {settings.rounding!r}, but the published networks are rounded officially")
    for phi in settings.phis:
        if phi != int(phi):
            raise UserError(f"--phi: {phi:g} is between the published networks, which are 1, 2, ...")


def triple(text: str) -> Coefficients:
    """``1.2,1.1,1.15``. Raises UserError."""
    parts = text.split(",")
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = []
    if len(values) != 3:
        raise UserError(f"--coefficients: {text!r} is not of the form ALPHA,BETA,GAMMA or {PUBLISHED}")
    return Coefficients(*values)


def phis(text: str, flag: str = "--phi") -> tuple[float, ...]:
    """``1..7``, ``0.5,1,2``, or both with commas; in order and each once. Raises UserError."""
    found: set[float] = set()
    for part in text.split(","):
        first, dots, last = (word.strip() for word in part.partition(".."))
        low = _number(first, text, flag)
        high = _number(last, text, flag) if dots else low
        if high < low:
            raise UserError(f"{flag}: {text!r}: {part.strip()} ends before it begins; as in {FORM}")
        if low < 0 or high > LARGEST_PHI:
            raise UserError(f"{flag}: {text!r}: from 0, the base, to {LARGEST_PHI:g} are allowed; as in {FORM}")
        found |= {low + step for step in range(int(high - low + 1e-9) + 1)}
    return tuple(sorted(found))


def targets(text: str) -> tuple[float, ...]:
    """``0.7e9,1e9``: MACs. Raises UserError."""
    found = []
    for part in text.split(","):
        value = _number(part.strip(), text, "--target-macs")
        if value <= 0:
            raise UserError(f"--target-macs: {part.strip()!r} in {text!r} is not above 0")
        found.append(value)
    if len(found) > MOST_TARGETS:
        raise UserError(f"--target-macs: {len(found)} targets, {MOST_TARGETS} at most")
    return tuple(dict.fromkeys(found))


def _number(text: str, whole: str, flag: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        form = FORM if flag != "--target-macs" else "0.7e9,1e9"
        raise UserError(f"{flag}: {text!r} in {whole!r} is not a number; as in {form}")
    return value
