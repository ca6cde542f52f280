"""How a run was made, from its ``spec.yaml``: command, data, seeds, versions, hardware, commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports.specs import plain
from reports.units import plural
from studies.ledger import TrialRecord

HARDWARE = ("cpu", "cpus", "gpus", "platform")  # of the environment; the commit apart, all else are versions
UNKNOWN = "not recorded"


def rows(about: Mapping[str, Any], trials: Sequence[TrialRecord] = ()) -> list[tuple[str, str]]:
    """A name and a text each; ``not recorded`` where the folder does not say. about: the mapping of ``spec.yaml``."""
    environment = _mapping(about, "environment")
    versions = [f"{name} {plain(value)}" for name, value in environment.items() if name not in (*HARDWARE, "commit")]
    found = [
        ("command", plain(about.get("command") or UNKNOWN)),
        ("created", plain(about.get("created") or UNKNOWN)),
        *(("resumed", resumed(one)) for one in about.get("resumed") or () if isinstance(one, Mapping)),
        ("data", images(about)),
        ("seeds", seeds(about, trials)),
        ("versions", ", ".join(versions) or UNKNOWN),
        ("hardware", hardware(environment)),
        ("commit", commit(environment)),
    ]
    return found


def resumed(one: Mapping[str, Any]) -> str:
    """When a run was taken up again, and by which command."""
    return f"{plain(one.get('created') or UNKNOWN)}: {plain(one.get('command') or UNKNOWN)}"


def images(about: Mapping[str, Any]) -> str:
    """``digits, 1,213 training and 404 validation images of 10 classes, fingerprint 3f2a``."""
    source, held = _mapping(about, "data").get("source"), _mapping(about, "images")
    parts = [plain(source or UNKNOWN)]
    if held:
        counts = f"{plain(held.get('train'))} training and {plain(held.get('val'))} validation images"
        parts.append(f"{counts} of {plain(held.get('classes'))} classes")
    if source:
        parts.append(f"fingerprint {plain(held.get('fingerprint') or UNKNOWN)}")
    return ", ".join(parts)


def seeds(about: Mapping[str, Any], trials: Sequence[TrialRecord]) -> str:
    """``0 of proposals and split; 0 to 15 of trainings``."""
    found = sorted({trial.seed for trial in trials})
    text = f"{plain(about.get('seed', UNKNOWN))} of proposals and split"
    if found:
        together = len(found) == found[-1] - found[0] + 1 > 2
        text += f"; {f'{found[0]} to {found[-1]}' if together else plain(found)} of trainings"
    return text


def hardware(environment: Mapping[str, Any]) -> str:
    """Processor, cores, GPUs and operating system of the driver."""
    if not environment:
        return UNKNOWN
    gpus = environment.get("gpus")
    cores = environment.get("cpus")
    parts = [
        plain(environment.get("cpu") or UNKNOWN),
        plural(cores, "core") if isinstance(cores, int) else UNKNOWN,
        plural(gpus, "GPU") if isinstance(gpus, int) and gpus else "no GPU used",
        plain(environment.get("platform") or UNKNOWN),
    ]
    return ", ".join(parts)


def commit(environment: Mapping[str, Any]) -> str:
    """A ``+`` after it says that files differed from it."""
    name = environment.get("commit")
    if not name:
        return UNKNOWN
    return f"{plain(name).rstrip('+')} with changes that were not committed" if plain(name)[-1] == "+" else plain(name)


def _mapping(about: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = about.get(name)
    return value if isinstance(value, Mapping) else {}
