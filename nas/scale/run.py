"""One scaling run from what was asked for to its report: study the coefficients, or take them as given, and emit the
family; or go on with one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from nas import lifecycle
from nas.flags import line_of
from nas.progress import log, log_to
from nas.scale.base import DEFAULT, Base, find
from nas.scale.emission import check, emitted
from nas.scale.settings import PUBLISHED, Settings
from reports import specs
from reports.terminal import say
from search_spaces.errors import found_in
from search_spaces.published import read_yaml
from studies import runfolder
from studies.scaling_record import SCALING
from studies.spec import Spec, parse

if TYPE_CHECKING:
    from nas.scale.study import Design

SECTION = "scale"  # of the folder's spec.yaml, which is otherwise that of a search
BASE = "base.json"
COMMAND = "python -m nas.scale"

console = Console(highlight=False)


def base_of(settings: Settings) -> Base:
    """Raises UserError."""
    if settings.base is None and settings.coefficients == PUBLISHED:
        return replace(find(DEFAULT), found="published")
    return find(settings.base)


def begin(spec: Spec, settings: Settings, base: Base, out: Path, command: str, verbose: bool = False) -> None:
    """Makes the run in the new folder ``out``. Raises UserError where it holds one, or what is asked for cannot be."""
    runfolder.check_free(out)
    check(base, settings)
    made = _design(spec, settings, base, verbose)
    folder = runfolder.create(out)
    with runfolder.alone(folder), log_to(folder / runfolder.LOG):
        runfolder.check_free(folder)  # another run may have begun since
        runfolder.write_text(folder / BASE, json.dumps(base.to_dict(), indent=1) + "\n")
        about = {**lifecycle.head(command, _gpus(made)), **_spec_of(made, spec), SECTION: settings.to_dict()}
        runfolder.write_yaml(folder / runfolder.SPEC, about)  # last: with it the run has begun
        log.info("%s", command)
        _go(base, settings, made, folder, about)


def resume(
    folder: Path, changes: Mapping[str, Any], wanted: Mapping[str, Any], command: str, verbose: bool = False
) -> None:
    """Goes on with the run in ``folder``. changes: fields of its spec that are others now; wanted: of its settings,
    none of which may be the study's. Raises UserError where it holds none, another process works on it, or it trained
    on another kind of device."""
    folder = folder.expanduser().absolute()
    about = lifecycle.recorded(folder, SECTION, "scaling run")
    with runfolder.alone(folder), log_to(folder / runfolder.LOG):
        specs.recorded(folder / runfolder.SPEC, about)
        with found_in(folder / runfolder.SPEC):
            settings = Settings.from_dict(about[SECTION])
            old = parse(about)
        settings = replace(settings, **wanted).check()
        with found_in(folder / BASE):
            base = Base.from_dict(read_yaml(folder / BASE))
        spec = lifecycle.spec_again(old, changes)
        check(base, settings)
        made = _design(spec, settings, base, verbose)
        if made:
            lifecycle.check_kind("study", old.resources, made.plan.resources)
        head = lifecycle.head_again(about, command, _gpus(made))
        about = {**head, **_spec_of(made, spec), SECTION: settings.to_dict()}
        runfolder.write_yaml(folder / runfolder.SPEC, about)
        log.info("%s", command)
        _go(base, settings, made, folder, about)


def _design(spec: Spec, settings: Settings, base: Base, verbose: bool) -> Design | None:
    if not settings.studied:
        return None
    from nas.scale.study import design

    return design(spec, settings, base.arch, verbose)


def _spec_of(made: Design | None, spec: Spec) -> dict[str, Any]:
    """The spec without what is another command's: the space is the base, nothing is searched."""
    found = (made.plan.spec if made else spec).to_dict()
    return {name: found[name] for name in ("data", "train", "resources", "seed")} | {
        "space": {"width": spec.space.width}
    }


def _gpus(made: Design | None) -> int:
    return made.plan.resources.gpus if made else 0


def _go(base: Base, settings: Settings, made: Design | None, folder: Path, about: Mapping[str, Any]) -> None:
    """Trains what is left; then writes and prints what was found, however it ended."""
    say(console, f"base: {base.name}, {base.found}")
    so_far = partial(finish, base, settings.counted, made, folder, about)  # who interrupts waits for no measurements
    with lifecycle.with_report(console, so_far, COMMAND, folder):
        if made:
            _train(made, folder)
    finish(base, settings, made, folder, about)


def _train(made: Design, folder: Path) -> None:
    """The grid, and then the rules, whose networks its best decides."""
    from nas.scale.results import found_so_far
    from nas.scale.study import doubts, train

    for doubt in doubts(made):
        say(console, f"warning: {doubt}")
    train(made.trainings(folder), made.plan, console)
    if best := found_so_far(made, folder).best:
        train(made.trainings(folder, best), made.plan, console)


def finish(base: Base, settings: Settings, made: Design | None, folder: Path, about: Mapping[str, Any]) -> None:
    """Writes the family, ``scaling.json`` and the page, and prints what was found."""
    from reports import scaling_study
    from reports.pages import scaling_page

    record = emitted(base, settings, made, folder, about)
    runfolder.write_text(folder / SCALING, record.to_json())
    page = scaling_page.write(folder, record)
    for part in scaling_study.printed(record):
        console.print(part, soft_wrap=isinstance(part, str))
    if record.family:
        say(console, f"family: {folder / runfolder.FAMILY}")
        line = line_of("nas.export", [str(folder), "--to", "onnx", "--network", record.family[0].name])
        say(console, f"to export: {line}")
    say(console, f"run folder: {folder}")
    say(console, f"report: {page}")
