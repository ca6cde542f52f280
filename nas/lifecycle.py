"""What searches, scaling runs, fidelity studies and measurements of the catalogue do alike with their run folder: who
made it, who takes it up again, and what is left of it when it breaks off."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from nas import environment
from reports.terminal import say
from search_spaces import UserError
from search_spaces.published import read_yaml
from studies import engine, runfolder
from studies.spec import RECORDED, ResourceSpec, Spec, override, parse

if TYPE_CHECKING:
    from studies.resources import Resources


def head(command: str, gpus: int) -> dict[str, Any]:
    """Of a new folder's spec.yaml: the command line, when it began, and on what."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return {"command": command, "created": created, "environment": environment.describe(gpus)}


def head_again(about: Mapping[str, Any], command: str, gpus: int) -> dict[str, Any]:
    """Of the spec.yaml of a run that goes on: what ``about``, the one before, recorded, and now this command."""
    kept = {key: about[key] for key in RECORDED if key in about}
    return kept | {"resumed": [*kept.get("resumed", []), head(command, gpus)]}


def recorded(folder: Path, section: str, what: str) -> dict[str, Any]:
    """The spec.yaml of the run in ``folder`` that is to go on. Raises UserError where it has no such section and so is
    of another kind; what: the kind, in words."""
    path = folder / runfolder.SPEC
    about = read_yaml(path) if path.is_file() else {}
    if not isinstance(about, dict) or section not in about:
        raise UserError(f"--resume: {folder} holds no {what}")
    return about


def spec_again(old: Spec, changes: Mapping[str, Any]) -> Spec:
    """The spec of a run that goes on: with ``changes``, fields that are others now, and ``within`` what there is."""
    resources = within(old.resources, changes)
    return parse(override(replace(old, resources=resources).to_dict(), changes))


def within(spec: ResourceSpec, changes: Mapping[str, Any]) -> ResourceSpec:
    """The resources of an earlier command, as far as this machine has them, which may be another one, or the cluster,
    which may have lost machines or, by ``changes``, be another one."""
    if address := changes.get("resources.address", spec.address):
        from studies import cluster

        cores, gpus = cluster.totals(address)
    else:
        cores, gpus = environment.cpu_count(), environment.gpu_count() if spec.gpus else 0
    return replace(spec, gpus=spec.gpus and min(spec.gpus, gpus), cpus=spec.cpus and min(spec.cpus, cores))


def check_kind(what: str, before: ResourceSpec, now: Resources) -> None:
    """Raises UserError where a run that trained on GPUs would go on without, or the other way: accuracies of two kinds
    of device must not meet. what: ``run`` or ``study``."""
    if bool(before.gpus) != bool(now.gpus):
        then, here = ("GPUs", "CPUs") if before.gpus else ("CPUs", "GPUs")
        raise UserError(f"--resume: the {what} trained on {then}, here it would go on with {here}")


@contextmanager
def with_report(console: Console, finish: Callable[[], None], command: str, folder: Path) -> Iterator[None]:
    """What the block trains is trained in one Ray. Whatever breaks it off, ``finish`` writes and prints what was found
    so far, and the last line says how to go on."""
    try:
        with engine.one_ray():
            yield
    except BaseException as error:
        what = "interrupted" if isinstance(error, KeyboardInterrupt) else "broken off"
        console.print(f"\n{what}; what was found so far:")
        try:
            finish()
        except (OSError, UserError) as also:  # a full disk takes no report either
            say(console, f"no report: {getattr(also, 'strerror', None) or also}")
        say_how_to_go_on(console, command, folder)
        raise


def say_how_to_go_on(console: Console, command: str, folder: Path) -> None:
    """command: without its ``--resume``."""
    say(console, f"to go on: {command} --resume {shlex.quote(str(folder))}")
