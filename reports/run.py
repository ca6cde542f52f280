"""A search as its run folder tells it: all that pages, tables and figures of it rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from reports import baselines, confirmed, specs
from reports.noise import Noise, noise
from search_spaces import Arch, UserError
from search_spaces.constraint import Constraint, parse
from search_spaces.published import read_yaml
from search_spaces.space import SearchSpace
from search_spaces.space_file import load_space
from studies import fidelity_record, ledger, objectives, repeats
from studies.fidelity_record import Study
from studies.ledger import TrialRecord
from studies.runfolder import SPACE, SPEC


class Remembering(SearchSpace):
    """A space that answers again what it has been asked before, since figures ask the same of each network."""

    @classmethod
    def of(cls, space: SearchSpace) -> Remembering:
        """The same space."""
        return cls(**{one.name: getattr(space, one.name) for one in fields(space)})

    def genes(self, arch: Arch) -> dict[str, Any]:
        """See ``SearchSpace.genes``."""
        if arch.id not in self._known:
            self._known[arch.id] = super().genes(arch)
        return dict(self._known[arch.id])

    def contains(self, arch: Arch) -> bool:
        """See ``SearchSpace.contains``."""
        if arch.id not in self._inside:
            self._inside[arch.id] = super().contains(arch)
        return self._inside[arch.id]

    @cached_property
    def _known(self) -> dict[str, dict[str, Any]]:
        return {}

    @cached_property
    def _inside(self) -> dict[str, bool]:
        return {}


@dataclass(frozen=True)
class Run:
    """spec: the mapping of its ``spec.yaml``, at least ``search.objectives``. name: of the folder. path: as commands
    name the folder. beside: trainings of published networks by name. confirmation: trainings of the best, longer, for
    ``epochs``. study: of the fidelity of its training. space: None where the folder does not hold it."""

    trials: Sequence[TrialRecord]
    spec: Mapping[str, Any]
    name: str = "run"
    path: str = "RUN_DIR"
    beside: Mapping[str, Sequence[TrialRecord]] = field(default_factory=dict)
    confirmation: Sequence[TrialRecord] = ()
    epochs: int = 0
    study: Study | None = None
    space: SearchSpace | None = None

    @cached_property
    def objectives(self) -> tuple[str, ...]:
        """As the spec names them. Raises UserError on what is none."""
        return objectives.check(self.spec["search"]["objectives"])

    @cached_property
    def constraints(self) -> list[Constraint]:
        """As the spec names them. Raises UserError on what is none."""
        return [parse(text, objectives.METRICS) for text in self.spec["search"].get("constraints") or ()]

    @cached_property
    def networks(self) -> Sequence[TrialRecord]:
        """Repeats of a network as one, with the means of their figures."""
        return repeats.networks(self.trials) if self.spec["search"].get("repeats", 1) > 1 else self.trials

    @cached_property
    def noise(self) -> Noise:
        """Of top-1, from the best source that the folder holds (``reports.noise``)."""
        images = self.spec.get("images") or {}
        return noise(self.trials, self.study, self.confirmation, images.get("val"))

    @cached_property
    def published(self) -> list[baselines.Baseline]:
        """The baselines, each compared with the search's networks."""
        return baselines.compare(self.beside, self.networks, self.objectives, self.constraints)

    @property
    def over(self) -> bool:
        """Whether every trial that began has ended; more may still be asked for."""
        return all(trial.outcome for trial in self.trials)


def read(run_dir: str | Path) -> Run:
    """Raises UserError where the folder holds no search, or a spec without valid ``search.objectives``."""
    folder = Path(run_dir)
    spec, trials = read_spec(folder), ledger.read(folder)
    confirmation, epochs = confirmed.read(folder)
    run = Run(
        trials,
        spec,
        folder.resolve().name,
        str(run_dir),
        baselines.read(folder),
        confirmation,
        epochs,
        fidelity_record.read(folder / fidelity_record.FIDELITY),
        Remembering.of(load_space(str(folder / SPACE))) if (folder / SPACE).is_file() else None,
    )
    try:
        _ = run.objectives, run.constraints  # checked here, where the file can be named
    except UserError as error:
        raise UserError(f"{folder / SPEC}: {error}") from None
    return run


def read_spec(run_dir: Path) -> dict[str, Any]:
    """The mapping of a search's ``spec.yaml``. Raises UserError where there is none, or what pages rest on is not as it
    has to be."""
    path = run_dir / SPEC
    if not path.is_file():
        raise UserError(f"{run_dir}: holds no {SPEC}")
    spec: dict[str, Any] = read_yaml(path)
    specs.texts(path, spec, "search.objectives")
    specs.texts(path, spec, "search.constraints", [])
    specs.field(path, spec, "search.repeats", int, 1)
    specs.field(path, spec, "images", dict, {})
    return spec
