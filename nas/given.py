"""Networks that are given instead of searched for, trained in a run folder of their own inside the search's: what is
confirmed, and the baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from nas.data import Images
from nas.progress import SearchProgress
from reports.units import plural
from search_spaces import Arch
from studies import engine, ledger, runfolder
from studies.ledger import TrialRecord
from studies.listed import Listed
from studies.recorder import Limits, Recorder
from studies.resources import Resources
from studies.spec import Spec


@dataclass(frozen=True)
class Trainings:
    """Each of ``archs`` with each of ``seeds``, as ``spec`` says but to the end, whatever limits of it are broken.

    title: what is done, as ``confirming``. names: what networks are called while they train, by id. final: they are
    tried on the test images, too, and their weights are kept. measure: latencies, too.
    """

    folder: Path
    spec: Spec
    archs: Sequence[Arch]
    seeds: Sequence[int]
    title: str
    names: Mapping[str, str] = field(default_factory=dict)
    final: bool = False
    measure: bool = True

    @property
    def left(self) -> int:
        """How many have no outcome yet."""
        done = {(record.arch, record.seed) for record in recorded(self.folder) if record.outcome}
        return sum((arch, seed) not in done for seed in self.seeds for arch in self.archs)

    def run(self, images: Images, resources: Resources, measured: Iterable[TrialRecord], console: Console) -> None:
        """Those that an earlier command has ended stay, and what was broken off goes on.

        measured: other trials, whose networks are not measured again. images: one set for all, or one a resolution.
        """
        from nas.evaluate import evaluate

        keep = self.folder.absolute() if self.final else None
        spec = replace(self.spec, search=replace(self.spec.search, constraints=(), early_stop="none"))
        evaluation = partial(evaluate, spec=spec, measure=self.measure, final=self.final, keep=keep)
        self.folder.mkdir(exist_ok=True)
        with ledger.Ledger(self.folder) as writer:
            runfolder.write_yaml(self.folder / runfolder.SPEC, spec.to_dict())
            records, checkpoints = ledger.read(self.folder), runfolder.make_checkpoints(self.folder)
            pairs = pairs_of(self.archs, self.seeds, records)
            with SearchProgress(console, len(pairs), records, self.title, self.names) as progress:
                recorder = Recorder(Listed(pairs), writer, Limits(), progress, records, None, checkpoints, measured)
                if not recorder.over:
                    console.print(f"{self.title} {self._amount}")
                engine.run(recorder, evaluation, images, resources)
            runfolder.remove_checkpoints(self.folder)

    @property
    def _amount(self) -> str:
        seeds, epochs = plural(len(self.seeds), "seed"), plural(self.spec.train.epochs, "epoch")
        return f"{plural(len(self.archs), 'network')}: {seeds}, {epochs}"


def recorded(folder: Path) -> list[TrialRecord]:
    """What the folder holds of such trainings; nothing where there is none."""
    return ledger.read(folder) if (folder / ledger.LEDGER).is_file() else []


def pairs_of(archs: Sequence[Arch], seeds: Sequence[int], done: Sequence[TrialRecord]) -> list[tuple[Arch, int]]:
    """Each network with each seed: first those of ``done``, whose order stays, then what is missing, seed by seed, so
    that all networks are compared early."""
    pairs = [(record.arch, record.seed) for record in done]
    return pairs + [(arch, seed) for seed in seeds for arch in archs if (arch, seed) not in pairs]
