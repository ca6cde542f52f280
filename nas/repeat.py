"""One training of a run again, from what its folder holds, and whether it comes out the same, to the last digit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search_spaces import UserError
from search_spaces.published import read_yaml
from search_spaces.space_file import load_space
from studies import runfolder
from studies.engine import Stop
from studies.ledger import Latency, Outcome, TrialRecord, read
from studies.spec import Spec, parse

COMPARED = ("train_loss", "val_loss", "top1", "test_top1")  # of an epoch; times repeat nowhere
BESIDE = (runfolder.CONFIRM, runfolder.BASELINES)  # folders of a run that hold trainings of their own
BEST = "best"


@dataclass(frozen=True)
class Training:
    """One that a run has recorded. name: ``7``, ``confirm/0``. spec: how it was made. about: the mapping of the run's
    ``spec.yaml``."""

    name: str
    record: TrialRecord
    spec: Spec
    about: Mapping[str, Any]

    @property
    def figures(self) -> Iterator[tuple[int, tuple[int, str, float]]]:
        """Every figure that is compared: the place of its epoch; the epoch, the metric and its value."""
        for place, metrics in enumerate(self.record.epochs):
            for name in COMPARED:
                if name in metrics:
                    yield place, (metrics["epoch"], name, metrics[name])

    @property
    def time_s(self) -> float | None:
        """That it took."""
        return self.record.outcome.timings.get("train_s") if self.record.outcome else None


@dataclass(frozen=True)
class Repeat:
    """again: the metrics of each epoch of the repetition. fingerprint: of the images that it was made on. doubts: why
    equality was not to be expected; none: it was. error: why it broke off."""

    training: Training
    again: tuple[Mapping[str, Any], ...]
    fingerprint: str
    doubts: tuple[str, ...]
    error: str | None = None

    @property
    def differing(self) -> list[tuple[int, str, float, float | None]]:
        """Epoch, metric, what was recorded and what came out, of all that differ."""
        found = []
        for place, (epoch, name, recorded) in self.training.figures:
            again = self.again[place].get(name) if place < len(self.again) else None
            if again != recorded:
                found.append((epoch, name, recorded, again))
        return found


def find(run_dir: Path, name: str) -> Training:
    """name: ``7``, ``confirm/0``, ``baselines/0``, or ``best``, the most accurate of the search that has finished.

    Raises UserError where there is none, or it was never trained.
    """
    place, _, number = name.rpartition("/")
    folder = run_dir / place
    if place not in ("", *BESIDE) or not (number == BEST or number.isdecimal()):
        raise UserError(f"--trial: {name!r} is not {BEST}, a number, or a number of {' or '.join(BESIDE)}: confirm/0")
    if place and not (folder / runfolder.SPEC).is_file():
        raise UserError(f"--trial: {run_dir} holds no {place}")
    records = {record.number: record for record in read(folder)}
    if number == BEST:
        finished = [r for r in records.values() if r.status == "ok" and r.epochs and r.metric("top1") is not None]
        if not finished:
            raise UserError(f"--trial: {folder} holds no finished trial")
        record = max(finished, key=lambda one: one.metric("top1") or 0.0)
    elif int(number) not in records:
        raise UserError(f"--trial: {name} is not in {run_dir}, which holds {_numbers(records)}")
    else:
        record = records[int(number)]
    name = f"{place}/{record.number}" if place else str(record.number)
    if not record.epochs or record.outcome is None:
        from reports.summary import reason

        raise UserError(f"--trial: {name} has no training to repeat: {record.status}, {reason(record)}")
    return Training(name, record, parse(read_yaml(folder / runfolder.SPEC)), read_yaml(run_dir / runfolder.SPEC))


def _numbers(records: Mapping[int, TrialRecord]) -> str:
    return f"0 to {max(records)}" if records else "no trial"


class _Heard:
    """The session of the repetition: it hears as many epochs as were recorded, and saves nothing."""

    checkpoint: Path | None = None
    latency: Latency | None = None

    def __init__(self, epochs: int) -> None:
        self.again: list[dict[str, Any]] = []
        self._epochs = epochs

    def measured(self, known: Outcome) -> None: ...

    def epoch(self, metrics: dict[str, Any]) -> None:
        self.again.append(metrics)
        if len(self.again) == self._epochs:
            raise Stop


def repeat(run_dir: Path, training: Training, source: str | None = None) -> Repeat:
    """Trains again, on a GPU where the run did and there is one. source: where its images are now; None: where they
    were. Raises UserError where they, or weights that it began with, cannot be read."""
    from nas import environment
    from nas.evaluate import evaluate
    from nas.run import read_images

    if not (run_dir / runfolder.SPACE).is_file():
        raise UserError(f"{run_dir}: holds no {runfolder.SPACE}, which tells the size of its images")
    spec, record = training.spec, training.record
    gpus = min(spec.resources.gpus or 0, environment.gpu_count()) if spec.resources.gpus else 0
    spec = replace(
        spec,
        data=replace(spec.data, source=source or spec.data.source),
        resources=replace(spec.resources, gpus=gpus),
        search=replace(spec.search, constraints=()),  # it kept those of before training
    )
    images = read_images(spec, max(load_space(str(run_dir / runfolder.SPACE)).resolutions))
    session = _Heard(len(record.epochs))
    final, error = record.metric("test_top1") is not None, None
    with suppress(Stop):
        error = evaluate(record.arch, record.seed, images, session, spec=spec, measure=False, final=final).error
    return Repeat(
        training, tuple(session.again), images.fingerprint, tuple(_doubts(training, images.fingerprint, gpus)), error
    )


def _doubts(training: Training, fingerprint: str, gpus: int) -> Iterator[str]:
    """Why another result would be no fault of the record."""
    import torch

    from nas import environment

    made = (training.record.outcome.environment if training.record.outcome else {}) or {}
    spec, images = training.spec, training.about.get("images") or {}
    if spec.resources.gpus:
        yield f"it was trained on a GPU ({made.get('device', 'of a kind not recorded')}), which adds in no fixed order"
    here = {"torch": torch.__version__, "device": environment.this_device(gpus)}
    for name, word in (("torch", "torch"), ("device", "processor")):
        if (then := made.get(name)) != here[name]:
            yield f"{word} {then or 'not recorded'} then, {here[name]} here"
    if spec.resources.cpus_per_trial > 1:
        yield f"{spec.resources.cpus_per_trial} threads, which add in no fixed order"
    if spec.train.seconds:
        yield f"train.seconds={spec.train.seconds:g} ends a training by the clock"
    if spec.train.weights:
        yield f"it began with the weights of {spec.train.weights}, which the run does not hold"
    if (recorded := images.get("fingerprint")) is None:
        yield "the images then are not recorded, so that those here may be others"
    elif recorded != fingerprint:
        yield f"other images: fingerprint {recorded} then, {fingerprint} here"
