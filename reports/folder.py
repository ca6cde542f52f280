"""A run folder of any kind, from what it holds alone: what it is, its page again, and what a terminal shows of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from search_spaces import UserError
from search_spaces.published import read_yaml
from studies import fidelity_record, ledger, runfolder, scaling_record
from studies.fidelity_record import Study
from studies.ledger import LEDGER
from studies.scaling_record import Scaling

if TYPE_CHECKING:
    from rich.console import RenderableType

    from reports.catalogue import Entry
    from reports.run import Run
    from search_spaces.constraint import Constraint

Kind = Literal["search", "fidelity", "scaling", "catalogue"]
NAMES: Mapping[Kind, str] = {
    "search": "a search",
    "fidelity": "a fidelity study",
    "scaling": "a scaling run",
    "catalogue": "a measurement of the catalogue",
}
Record: TypeAlias = "Run | Scaling | Study | Catalogue"
# The section of spec.yaml that tells each; a fidelity study's also holds that of a search.
SECTIONS: Mapping[str, Kind] = {
    "fidelity": "fidelity",
    "scale": "scaling",
    "catalogue": "catalogue",
    "search": "search",
}


def kind(run_dir: Path) -> Kind:
    """Raises UserError where the folder holds no run."""
    if not run_dir.is_dir():
        raise UserError(f"{run_dir}: is no folder")
    path = run_dir / runfolder.SPEC
    if not path.is_file():
        raise UserError(f"{run_dir}: holds no run (no {runfolder.SPEC})")
    spec = read_yaml(path)
    found = next((name for section, name in SECTIONS.items() if isinstance(spec, dict) and section in spec), None)
    if found is None:
        raise UserError(f"{path}: is no run's: it has no section {', '.join(SECTIONS)}")
    return found


@dataclass(frozen=True)
class Catalogue:
    """A measurement of the catalogue. about: the mapping of its ``spec.yaml``."""

    entries: Sequence[Entry]
    limits: Sequence[Constraint]
    about: Mapping[str, Any]


def read(run_dir: Path) -> Record:
    """Raises UserError where the folder holds no run, or no record yet."""
    if (what := kind(run_dir)) == "search":
        from reports import run

        return run.read(run_dir)
    if what == "scaling":
        return scaling_record.read(_record(run_dir, scaling_record.SCALING))
    if what == "fidelity":
        path = _record(run_dir, fidelity_record.FIDELITY)
        if (study := fidelity_record.read(path)) is None:
            raise UserError(f"{path}: is damaged, or of another version of this program")
        return study
    return _catalogue(run_dir)


def page_text(record: Record) -> str:
    """Its page."""
    if isinstance(record, Scaling):
        from reports.pages import scaling_page

        return scaling_page.render(record)
    if isinstance(record, Study):
        from reports.pages import fidelity_page

        return fidelity_page.render(record)
    if isinstance(record, Catalogue):
        from reports.pages import catalogue_page

        return catalogue_page.render(record.entries, record.limits, record.about)
    from reports.pages import page

    return page.render(record)


def printed(record: Record, width: int = 80, ascii_only: bool = False) -> Iterator[RenderableType]:
    """What the command that made the run prints last, but for where it lies; sentences are escaped for rich. width: of
    the terminal, in columns."""
    from rich.markup import escape

    if isinstance(record, Scaling):
        from reports import scaling_study

        yield from scaling_study.printed(record)
    elif isinstance(record, Study):
        from reports import fidelity

        yield fidelity.table(record)
        yield from map(escape, fidelity.notes(record))
    elif isinstance(record, Catalogue):
        from reports import catalogue

        yield catalogue.table(record.entries, record.limits)
        if named := catalogue.left_out(record.entries):
            yield escape(named)
        yield escape(catalogue.verdict(record.entries, record.limits))
    else:
        yield from search_printed(record, width, ascii_only)


def search_printed(run: Run, width: int = 80, ascii_only: bool = False) -> Iterator[RenderableType]:
    """The same of a search."""
    from rich.markup import escape

    from reports import baselines, confirmed, fidelity, terminal

    yield terminal.front_table(run.networks, run.objectives, run.constraints, width, ascii_only)
    yield terminal.summary_line(run.trials)
    if run.published:
        yield baselines.table(run.published, run.objectives, run.constraints)
    if again := confirmed.confirmed(run.trials, run.confirmation, run.beside):
        yield confirmed.table(again, run.epochs)
        yield confirmed.agreement(again)
    yield escape(fidelity.told(run.study, run.spec))


def _catalogue(run_dir: Path) -> Catalogue:
    """A network that the catalogue has no longer, or has changed, is as the ledger knows it."""
    from reports import catalogue, specs
    from search_spaces import constraint, published

    path = run_dir / runfolder.SPEC
    about, records = read_yaml(path), ledger.read(run_dir)
    limits = [constraint.parse(text, catalogue.METRICS) for text in specs.texts(path, about, "constraints", [])]
    ended = {record.arch.id: record for record in records if record.outcome}
    now, networks = published.catalogue(), []
    for name, arch_id in specs.field(path, about, "catalogue", dict).items():
        if name in now and now[name].arch.id == arch_id:
            networks.append(now[name])
        elif record := ended.get(arch_id):
            gone = "of a catalogue that has changed since"
            networks.append(published.Published(name, record.arch, record.metric("top1"), gone))
    return Catalogue(catalogue.judge(networks, ended, limits), limits, about)


def _record(run_dir: Path, name: str) -> Path:
    path = run_dir / name
    if not path.is_file():
        what = NAMES[kind(run_dir)]
        raise UserError(
            f"{run_dir}: {what} without a record yet ({name}), which it writes when it ends or is broken off"
        )
    return path


def ledgers(run_dir: Path) -> list[Path]:
    """All that the run has written or will write while it goes on."""
    return [run_dir / LEDGER, *(run_dir / name / LEDGER for name in (runfolder.CONFIRM, runfolder.BASELINES))]
