"""One study from its settings to its report: draw the networks, train each in every way, say how alike they rank; or go
on with one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from nas import data, lifecycle
from nas.fidelity.arms import LONG, Arm, Settings, arms_of, stripped
from nas.fidelity.networks import spread
from nas.fidelity.results import found_so_far
from nas.given import pairs_of
from nas.plan import Plan, plan
from nas.progress import SearchProgress, log, log_to
from nas.run import load_images
from reports import specs
from reports.terminal import say
from search_spaces import Arch, UserError
from search_spaces.errors import found_in
from search_spaces.published import read_yaml
from search_spaces.space_file import load_space
from studies import engine, fidelity_record, ledger, repeats, runfolder
from studies.checked import checked
from studies.fidelity_record import FIDELITY
from studies.listed import Listed
from studies.recorder import Limits, Recorder
from studies.spec import Spec, parse

NETWORKS = "networks.json"
STUDY = "fidelity"  # section of the folder's spec.yaml, which is otherwise that of a search

console = Console(highlight=False)


def arms(spec: Spec, settings: Settings, verbose: bool = False) -> tuple[Plan, list[Arm]]:
    """What would be trained. Raises UserError where the spec, the settings or a proxy cannot be."""
    planned = plan(stripped(spec), verbose=verbose)
    networks = spread(planned.space, settings.networks, planned.outline.classes, spec.seed)
    return planned, arms_of(planned, settings, networks)


def begin(planned: Plan, every: Sequence[Arm], settings: Settings, out: Path, command: str) -> None:
    """Makes the study in the new folder ``out``. Raises UserError where it holds a run, or images cannot be used."""
    runfolder.check_free(out)
    whole = load_images(every[0].plan)
    folder = runfolder.create(out)
    with runfolder.alone(folder), log_to(folder / runfolder.LOG):
        runfolder.check_free(folder)  # another run may have begun since
        for arm in every:
            (folder / arm.folder).mkdir(parents=True, exist_ok=True)
            runfolder.write_yaml(folder / arm.folder / runfolder.SPACE, arm.plan.space.to_dict())
            runfolder.write_yaml(folder / arm.folder / runfolder.SPEC, arm.plan.spec.to_dict())
        runfolder.write_yaml(folder / runfolder.SPACE, planned.space.to_dict())
        drawn = [arch.to_dict() for arch in every[0].archs]
        runfolder.write_text(folder / NETWORKS, json.dumps(drawn, indent=1) + "\n")
        head = lifecycle.head(command, planned.resources.gpus)
        about = {**head, **planned.spec.to_dict(), STUDY: asdict(settings)}
        runfolder.write_yaml(folder / runfolder.SPEC, about)  # last: with it the study has begun
        log.info("%s", command)
        for line in whole.warnings:
            log.warning("%s", line)
        if whole.warnings:
            console.print(f"warning: {len(whole.warnings)} files of {whole.name} were skipped, see {runfolder.LOG}")
        _go(every, settings, folder, about, whole)


def resume(folder: Path, changes: Mapping[str, Any], judged: Mapping[str, Any], command: str, verbose: bool) -> None:
    """Goes on with the study in ``folder``. changes: fields of its spec that are others now; judged: of its settings.

    Raises UserError where it holds no study, another process works on it, or it trained on another kind of device.
    """
    folder = folder.expanduser().absolute()
    about = lifecycle.recorded(folder, STUDY, "fidelity study")
    with runfolder.alone(folder), log_to(folder / runfolder.LOG):
        specs.recorded(folder / runfolder.SPEC, about)
        with found_in(folder / runfolder.SPEC):
            settings = checked(Settings, about[STUDY])
            old = parse(about)
        settings = replace(settings, **judged).check()
        planned = plan(lifecycle.spec_again(old, changes), load_space(str(folder / runfolder.SPACE)), verbose)
        lifecycle.check_kind("study", old.resources, planned.resources)
        every = arms_of(planned, settings, _networks(folder / NETWORKS), folder)
        head = lifecycle.head_again(about, command, planned.resources.gpus)
        about = {**head, **planned.spec.to_dict(), STUDY: asdict(settings)}
        runfolder.write_yaml(folder / runfolder.SPEC, about)
        log.info("%s", command)
        _go(every, settings, folder, about)


def _networks(path: Path) -> list[Arch]:
    """Raises UserError where the file does not hold them."""
    found = read_yaml(path)
    if not isinstance(found, list):
        raise UserError(f"{path}: {found!r} is not a list of networks")
    with found_in(path):
        return [Arch.from_dict(entry) for entry in found]


def _go(
    every: Sequence[Arm],
    settings: Settings,
    folder: Path,
    about: Mapping[str, Any],
    whole: data.ImageSet | None = None,
) -> None:
    """Trains what is left, the cheapest arm first, so that what cannot be is seen early; then writes and prints what
    was found, however it ended. whole: the images of the long arm, if they are at hand."""
    so_far = partial(finish, every, settings, folder, about)
    with lifecycle.with_report(console, so_far, fidelity_record.COMMAND, folder):
        for place, arm in enumerate(sorted(every, key=lambda arm: arm.work), 1):
            same = arm.plan.spec.data == every[0].plan.spec.data
            _train(arm, f"{arm.name} [{place}/{len(every)}]", folder, whole if same else None)
    finish(every, settings, folder, about)


def _train(arm: Arm, title: str, run_dir: Path, images: data.ImageSet | None) -> None:
    """All networks of the arm with all its seeds; those that are done stay. images: the arm's own; None: read here."""
    from nas.evaluate import evaluate

    folder = run_dir / arm.folder
    with ledger.Ledger(folder) as writer:
        records = ledger.read(folder)
        pairs = pairs_of(tuple(dict.fromkeys(arm.archs)), arm.seeds, records)
        with SearchProgress(console, len(pairs), records, title) as progress:
            checkpoints = runfolder.make_checkpoints(folder)
            recorder = Recorder(Listed(pairs), writer, Limits(), progress, records, None, checkpoints)
            if not recorder.over:
                images = images or load_images(arm.plan)
                log.info("%s", title)
                epochs = arm.plan.spec.train.epochs
                say(console, f"{title}: {len(pairs)} trainings of {epochs} epochs")
                engine.run(recorder, partial(evaluate, spec=arm.plan.spec, measure=False), images, arm.plan.resources)
        runfolder.remove_checkpoints(folder)


def finish(every: Sequence[Arm], settings: Settings, folder: Path, about: Mapping[str, Any]) -> None:
    """Writes ``fidelity.json``, the page and the networks, tells searches of a study that is complete, and prints what
    was found."""
    from reports import fidelity
    from reports.pages import fidelity_page

    found = found_so_far(every, settings, folder, about)
    runfolder.write_text(folder / FIDELITY, found.to_json())
    if (folder / LONG / ledger.LEDGER).exists():
        runfolder.write_archs(folder, repeats.networks(ledger.read(folder / LONG)))
    page = fidelity_page.write(folder, found)
    console.print(fidelity.table(found))
    for line in fidelity.notes(found):
        say(console, line)
    if found.complete:
        try:
            kept = fidelity_record.publish(found)
            say(console, f"searches find it in {kept[0].parent}")
        except OSError as error:
            say(console, f"warning: searches will not find it: {error}")
    say(console, f"run folder: {folder}")
    say(console, f"report: {page}")
