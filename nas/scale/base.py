"""The network that is scaled: published, from a file, or the best of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search_spaces import Arch, UserError, cost, load
from search_spaces.errors import found_in
from search_spaces.published import catalogue, read_yaml
from studies import ledger, runfolder
from studies.ledger import TrialRecord

RUNS = Path("runs")
DEFAULT = "efficientnet_b0"


@dataclass(frozen=True)
class Base:
    """found: where, in words. classes: that its costs are counted with: those of its run, else 1000, as published."""

    name: str
    arch: Arch
    found: str
    classes: int = 1000

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"arch": self.arch.to_dict()}

    @classmethod
    def from_dict(cls, data: Any) -> Base:
        """Raises UserError that names the field that is wrong."""
        kinds: Mapping[str, tuple[type, str]] = {
            "name": (str, "text"),
            "found": (str, "text"),
            "classes": (int, "an integer"),
        }
        for name, (kind, said) in kinds.items():
            value = data.get(name) if isinstance(data, Mapping) else None
            if not isinstance(value, kind):
                raise UserError(f"{name}: {value!r} is not {said}")
        return cls(data["name"], Arch.from_dict(data.get("arch")), data["found"], data["classes"])


def find(wanted: str | None) -> Base:
    """The network of ``--base``; None: the most accurate on the front of the newest run, else EfficientNet-B0. Raises
    UserError."""
    if wanted is not None:
        return of_run(Path(wanted)) if Path(wanted).is_dir() else _named(wanted)
    runs = sorted(RUNS.glob(f"*/{ledger.LEDGER}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in runs:
        try:
            return of_run(path.parent)
        except UserError:  # no search, or one without an ok trial yet
            continue
    none = f"no finished search in {RUNS}/" if runs else f"no search in {RUNS}/"
    return Base(DEFAULT, load(DEFAULT), f"published ({none}, and no --base)")


def of_run(folder: Path) -> Base:
    """The most accurate network on the front of the search in ``folder``. Raises UserError."""
    from studies.pareto import front
    from studies.repeats import networks
    from studies.spec import parse

    if not (folder / ledger.LEDGER).is_file() or not (folder / runfolder.SPACE).is_file():
        raise UserError(f"--base: {folder} holds no search; a network's .json file or a published name will do, too")
    with found_in(folder / runfolder.SPEC):
        spec = parse(read_yaml(folder / runfolder.SPEC))
    best = front(networks(ledger.read(folder)), spec.search.objectives)
    accurate = [record for record in best if record.metric("top1") is not None]
    if not accurate:
        raise UserError(f"--base: {folder} has no network with an accuracy yet")
    record = max(accurate, key=lambda one: one.metric("top1") or 0.0)
    where = f"the most accurate on the front of {folder} ({record.metric('top1'):.2f}% there)"
    return Base(record.arch.id, record.arch, where, _classes(record))


def _classes(record: TrialRecord) -> int:
    """As many as give the network the parameters that its trial had."""
    bare = cost.count(record.arch, 0).params
    each = cost.count(record.arch, 1).params - bare
    return round(((record.metric("params") or 0) - bare) / each)


def _named(name: str) -> Base:
    arch = load(name)
    if name in catalogue():
        return Base(name, arch, "published")
    return Base(Path(name).stem, arch, f"from {name}")
