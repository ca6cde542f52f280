"""What searches, scaling runs, fidelity studies and measurements of the catalogue do alike with their run folder: who
made it, who takes it up again, and what is left of it when it breaks off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from nas.environment import describe
from reports.terminal import say
from search_spaces import UserError
from studies.spec import RECORDED, ResourceSpec

if TYPE_CHECKING:
    from studies.resources import Resources


def head(command: str, gpus: int) -> dict[str, Any]:
    """Of a new folder's spec.yaml: the command line, when it began, and on what."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return {"command": command, "created": created, "environment": describe(gpus)}


def head_again(about: Mapping[str, Any], command: str, gpus: int) -> dict[str, Any]:
    """Of the spec.yaml of a run that goes on: what ``about``, the one before, recorded, and now this command."""
    recorded = {key: about[key] for key in RECORDED if key in about}
    return recorded | {"resumed": [*recorded.get("resumed", []), head(command, gpus)]}


def check_kind(what: str, before: ResourceSpec, now: Resources) -> None:
    """Raises UserError where a run that trained on GPUs would go on without, or the other way: accuracies of two kinds
    of device must not meet. what: ``run`` or ``study``."""
    if bool(before.gpus) != bool(now.gpus):
        then, here = ("GPUs", "CPUs") if before.gpus else ("CPUs", "GPUs")
        raise UserError(f"--resume: the {what} trained on {then}, here it would go on with {here}")


@contextmanager
def kept(console: Console, finish: Callable[[], None], command: str, folder: Path) -> Iterator[None]:
    """Whatever breaks the block off, ``finish`` writes and prints what was found so far, and the last line says how to
    go on."""
    try:
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
    say(console, f"to go on: {command} --resume {folder}")
