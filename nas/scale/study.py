"""The coefficient study: what is trained for it. Every direction of the grid at equal counted cost, with several seeds;
then the rules that the best of them is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
from search_spaces.compound import COMPOUND, Coefficients, Growth, Reached, Triple, grid, realised, rule
from search_spaces.scaling import scale
from search_spaces.space import GENES, SearchSpace
from studies import coefficients
from studies.response import FEWEST
from studies.spec import ConfirmSpec, LatencySpec, SearchSpec, Spec

GRID, RULES = "grid", "rules"  # folders, a ledger each
MULTIPLE = 2.0  # of the base's counted cost, where the grid is compared
CLOSE = 0.03  # share by which that is to be met where rounding allows it


@dataclass(frozen=True)
class Direction:
    """shares: of the network as it was rounded (compound.realised)."""

    coefficients: Coefficients
    reached: Reached
    excess: float
    shares: Triple


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

    def seeds(self, of_rules: bool = False) -> range:
        """Those of the rules are others than the grid's, whose luck chose the best; and both are away from those of a
        search, which chose the base."""
        first = self.plan.spec.seed + FIRST_SEED * (2 if of_rules else 1)
        return range(first, first + self.settings.seeds)

    @property
    def archs(self) -> tuple[Arch, ...]:
        """Of the grid, each network once, the base first."""
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
            settings.study_rounding,
            later=settings.later,
            divisor=divisor_of(self.plan.space.width),
            num_classes=self.classes,
        )
        reached = growth.reach(target)
        shares = realised(self.base, reached.arch, self.classes)
        return Direction(direction, reached, reached.macs / target - 1, shares)

    def compared(self, best: Coefficients) -> Iterator[tuple[str, float, Direction]]:
        """The rules' names, multiples and networks."""
        for text in self.settings.rules:
            direction = best if text == COMPOUND else rule(text)
            for multiple in self.settings.multiples:
                yield text, multiple, self.towards(direction, multiple)

    def trainings(self, folder: Path, best: Coefficients | None = None) -> Trainings:
        """Those of the grid; with ``best``, those of the rules."""
        spec = self.plan.spec
        if best is None:
            names = {self.base: "base"} | {each.reached.arch: str(each.coefficients) for each in self.directions}
            archs, seeds, name, title = self.archs, self.seeds(), GRID, "training the grid"
        else:
            names = {found.reached.arch: text for text, _, found in self.compared(best)}
            archs, seeds, name, title = tuple(names), self.seeds(of_rules=True), RULES, "training the rules"
        called = {arch.id: text for arch, text in names.items()}
        return Trainings(folder / name, spec, archs, seeds, title, called, measure=False)


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
    """Those that are left, each network on images of its own resolution, read as they lie there."""
    if trainings.left:
        trainings.run(images_of(planned, trainings.archs), planned.resources, (), console)


def images_of(planned: Plan, archs: Iterable[Arch]) -> Mapping[int, data.ImageSet]:
    """The images by side in pixels, for networks of several resolutions."""
    sides = sorted({arch.resolution for arch in archs})
    return {side: load_images(replace(planned, space=replace(planned.space, resolutions=(side,)))) for side in sides}


def doubts(design: Design, best: Coefficients | None = None) -> list[str]:
    """What speaks against the study as it is asked for; with ``best``, against its rules, too."""
    planned, archs, found = design.plan, list(design.archs), []
    if best:
        archs += [each.reached.arch for _, _, each in design.compared(best)]
    most, source = max(arch.resolution for arch in archs), planned.spec.data.source
    held = data.detail(source)
    if held is not None and most > held:
        found.append(
            f"resolution: networks of up to {most} px, but the images of {source} hold {held} px; beyond that, "
            "resolution costs and tells nothing, and the study will say so of gamma"
        )
    if (networks := len(design.archs) - 1) < FEWEST:
        found.append(
            f"grid: {networks} networks, and a surface needs {FEWEST}; a finer --grid-step, a wider --tolerance or a "
            "larger --resolution gives more"
        )
    far = sum(abs(each.excess) > CLOSE for each in design.directions)
    if 2 * far > len(design.directions):
        found.append(
            f"grid: rounding keeps {far} of the {len(design.directions)} points more than {CLOSE:.0%} from equal cost; "
            "a larger --resolution or --width rounds finer"
        )
    return found


def _only(arch: Arch, width: float) -> SearchSpace:
    """The space that holds this network, which was multiplied by ``width``."""
    choices = tuple({gene: (getattr(stage, gene),) for gene in GENES} for stage in arch.stages)
    return SearchSpace("base", "the network that is scaled", arch, choices, (arch.resolution,), width)
