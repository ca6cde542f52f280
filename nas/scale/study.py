"""The coefficient study: what is trained for it. Every direction of the grid at equal counted cost, with several seeds;
then the rules that the best of them is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from nas import data
from nas.confirm import FIRST_SEED
from nas.given import Trainings
from nas.plan import Plan, plan
from nas.run import load_images
from nas.scale.settings import Settings
from search_spaces import Arch, cost
from search_spaces.compound import COMPOUND, Coefficients, Growth, Reached, grid, rule
from search_spaces.scaling import scale
from search_spaces.space import GENES, SearchSpace
from studies import coefficients
from studies.spec import ConfirmSpec, LatencySpec, SearchSpec, Spec

GRID, RULES = "grid", "rules"  # folders, a ledger each
MULTIPLE = 2.0  # of the base's counted cost, where the grid is compared
CLOSE = 0.03  # share by which that is to be met where rounding allows it


@dataclass(frozen=True)
class Direction:
    coefficients: Coefficients
    reached: Reached
    excess: float


@dataclass(frozen=True)
class Design:
    """What is trained. base: that of the study. directions: the feasible points in the order of the walk."""

    plan: Plan
    settings: Settings
    base: Arch
    proxy: str
    directions: tuple[Direction, ...]

    @property
    def classes(self) -> int:
        return self.plan.outline.classes

    @property
    def seeds(self) -> range:
        first = self.plan.spec.seed + FIRST_SEED  # away from those of a search, which chose the base
        return range(first, first + self.settings.seeds)

    @property
    def archs(self) -> tuple[Arch, ...]:
        """Each network once, the base first."""
        return tuple(dict.fromkeys([self.base, *(each.reached.arch for each in self.directions)]))

    @property
    def macs(self) -> int:
        return cost.count(self.base, self.classes).macs

    def towards(self, direction: Coefficients, multiple: float) -> Direction:
        """The network of a direction that costs so many times the base."""
        settings, target = self.settings, multiple * self.macs
        growth = Growth(
            self.base,
            direction,
            settings.rounding,
            later=settings.later,
            divisor=divisor_of(self.plan.space.width),
            num_classes=self.classes,
        )
        reached = growth.reach(target)
        return Direction(direction, reached, reached.macs / target - 1)

    def compared(self, best: Coefficients) -> Iterator[tuple[str, float, Direction]]:
        """The rules' names, multiples and networks."""
        for text in self.settings.rules:
            direction = best if text == COMPOUND else rule(text)
            for multiple in self.settings.multiples:
                yield text, multiple, self.towards(direction, multiple)

    def trainings(self, folder: Path, best: Coefficients | None = None) -> Trainings:
        """Those of the grid; with ``best``, those of the rules that the grid does not hold."""
        archs, name, title, called = self.archs, GRID, "training the grid", self._names
        if best is not None:
            named = {found.reached.arch: text for text, _, found in self.compared(best)}
            archs = tuple(arch for arch in named if arch not in archs)
            name, title, called = RULES, "training the rules", {arch.id: text for arch, text in named.items()}
        return Trainings(folder / name, self.plan.spec, archs, self.seeds, title, called, measure=False)

    @property
    def _names(self) -> dict[str, str]:
        return {self.base.id: "base"} | {each.reached.arch.id: str(each.coefficients) for each in self.directions}


def design(spec: Spec, settings: Settings, base: Arch, verbose: bool = False) -> Design:
    """Raises UserError where the spec, the settings or the base do not go together."""
    points = grid(settings.grid_step, settings.tolerance)
    width = spec.space.width or 1.0
    side = spec.data.resolution or min(base.resolution, data.default_resolution(spec.data.source))
    own = scale(base, width, 1.0, side, divisor=divisor_of(width))
    planned = plan(stripped(spec), _only(own, width), verbose)
    changes = [f"{width:g} times its width"] * (own != base.at(side)) + [f"{side} px"] * (side != base.resolution)
    made = Design(planned, settings, own, ", ".join(changes), ())
    walked = coefficients.walk(points, spec.seed)
    return replace(made, directions=tuple(made.towards(point, MULTIPLE) for point in walked))


def divisor_of(width: float) -> int:
    """Widths of a narrower base are multiples of as much less than 8, so that rounding is no coarser, for its widths,
    than in the family."""
    return min(8, max(1, round(8 * width)))


def stripped(spec: Spec) -> Spec:
    """Without what decides nothing here: what is proposed, measured and confirmed."""
    search = SearchSpec(objectives=("top1", "macs"))
    return replace(spec, search=search, latency=LatencySpec(), confirm=ConfirmSpec())


def train(trainings: Trainings, planned: Plan, console: Console) -> None:
    """What is left of them, each network on images of its own resolution, read as they lie there."""
    if trainings.left:
        trainings.run(images_of(planned, trainings.archs), planned.resources, (), console)


def images_of(planned: Plan, archs: Iterable[Arch]) -> Mapping[int, data.ImageSet]:
    sides = sorted({arch.resolution for arch in archs})
    return {side: load_images(replace(planned, space=replace(planned.space, resolutions=(side,)))) for side in sides}


def beyond_detail(planned: Plan, archs: Sequence[Arch]) -> str | None:
    """A warning where networks look closer at images than these have detail."""
    most, source = max(arch.resolution for arch in archs), planned.spec.data.source
    held = data.detail(source)
    if held is None or most <= held:
        return None
    return (
        f"resolution: networks of up to {most} px, but the images of {source} hold {held} px; beyond that, "
        "resolution costs and tells nothing, and the study will say so of gamma"
    )


def _only(arch: Arch, width: float) -> SearchSpace:
    """The space that holds this network, which was multiplied by ``width``."""
    choices = tuple({gene: (getattr(stage, gene),) for gene in GENES} for stage in arch.stages)
    return SearchSpace("base", "the network that is scaled", arch, choices, (arch.resolution,), width)
