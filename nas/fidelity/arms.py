"""The arms of a study: all its networks trained in one way, the long one or that of a proxy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nas.confirm import FIRST_SEED
from nas.fidelity.networks import moved
from nas.fidelity.proxies import Proxy
from nas.plan import Plan, plan
from search_spaces import Arch, UserError, cost
from search_spaces.space_file import load_space
from studies import runfolder
from studies.spec import ConfirmSpec, LatencySpec, SearchSpec, Spec, parse

LONG = "long"
PROXIES = "proxies"  # folder
LONGER = 4  # times the search's epochs, where nothing else is asked for


@dataclass(frozen=True)
class Settings:
    """How a study is made. proxies: the first is the search's own training. top: k of the top-k recall."""

    networks: int
    seeds: int
    proxy_seeds: int
    long_epochs: int
    threshold: float
    top: int
    proxies: tuple[Proxy, ...]

    def check(self) -> Settings:
        """Itself. Raises UserError."""
        least = {"networks": 4, "seeds": 1, "proxy_seeds": 1, "long_epochs": self.proxies[0].epochs + 1, "top": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                reason = " (the search's --epochs is not shorter)" if name == "long_epochs" else ""
                raise UserError(f"--{name.replace('_', '-')}: {getattr(self, name)} is not at least {bound}{reason}")
        if self.top >= self.networks:
            raise UserError(f"--top: {self.top} is not less than the {self.networks} networks")
        if not 0 < self.threshold <= 1:
            raise UserError(f"--threshold: {self.threshold:g} is not above 0 and at most 1")
        for proxy in self.proxies:
            if proxy.epochs > self.long_epochs:
                raise UserError(f"--proxy: epochs {proxy.epochs} is more than the long training's {self.long_epochs}")
        return self


@dataclass(frozen=True)
class Arm:
    """folder: in that of the study. archs: the study's networks, in its order, as they are trained here."""

    name: str
    folder: Path
    plan: Plan
    archs: tuple[Arch, ...]
    seeds: tuple[int, ...]

    @property
    def work(self) -> float:
        """Of training a network, mean: epochs times share of the images times MACs."""
        train, data = self.plan.spec.train, self.plan.spec.data
        macs = sum(cost.count(arch, self.plan.outline.classes).macs for arch in self.archs)
        return train.epochs * data.share * macs / len(self.archs)


def stripped(spec: Spec) -> Spec:
    """Without what decides nothing here: what is proposed, measured and confirmed."""
    search = SearchSpec(objectives=("top1", "macs"))
    return replace(spec, search=search, latency=LatencySpec(), confirm=ConfirmSpec())


def arms_of(planned: Plan, settings: Settings, archs: Sequence[Arch], kept: Path | None = None) -> list[Arm]:
    """The long training first, then the proxies in their order; ``kept``: folder of the study that goes on, whose
    spaces are read instead of made."""
    spec, space = planned.spec, planned.space
    first = spec.seed + FIRST_SEED  # away from the proxies', which would begin with the same weights
    seeds = tuple(range(first, first + settings.seeds))
    long = replace(spec, train=replace(spec.train, epochs=settings.long_epochs))
    found = [Arm(LONG, Path(LONG), replace(planned, spec=long), tuple(archs), seeds)]
    for proxy in settings.proxies:
        folder = Path(PROXIES, proxy.name)
        narrower = None
        if kept:
            narrower = load_space(str(kept / folder / runfolder.SPACE))
        elif proxy.width == 1 and proxy.resolution is None:
            narrower = space
        applied = parse(proxy.applied(spec, space.width).to_dict())  # a resolution that is none is named
        theirs = plan(applied, narrower, planned.resources.verbose)
        seeds = tuple(range(spec.seed, spec.seed + settings.proxy_seeds))
        same = tuple(moved(arch, space, theirs.space) for arch in archs)
        found.append(Arm(proxy.name, folder, theirs, same, seeds))
    return found
