"""A search for TensorBoard: a folder a trial with its learning curve, and what its HPARAMS tab shows, genes and
figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_spaces import UserError
from search_spaces.space import SearchSpace
from studies.ledger import TrialRecord
from studies.objectives import METRICS

if TYPE_CHECKING:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary

FINAL = "final/"  # before a figure that a trial ends with, so that it is no point of a curve
EPOCH = "epoch"


def check() -> None:
    """Raises UserError where tensorboardX is missing."""
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        raise UserError("--tensorboard: needs tensorboardX, which pip install 'ray[tune]' brings") from None


def write(
    trials: Sequence[TrialRecord],
    objectives: Sequence[str],
    space: SearchSpace | None,
    folder: Path,
    on_trial: Callable[[], None] = lambda: None,
) -> None:
    """One sub-folder a trial in ``folder``, which exists. space: None where its genes are unknown. on_trial: called
    after each."""
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event

    experiment = _experiment(trials, objectives, space)
    for trial in trials:
        place = folder / name(trial)
        place.mkdir()
        writer = EventsWriter(str(place / "events"))
        for event in (Event(wall_time=trial.started, summary=experiment), *events(trial, objectives, space)):
            writer.write_event(event)
        writer.close()
        on_trial()


def name(trial: TrialRecord) -> str:
    """Sorts as the trials' numbers do."""
    return f"{trial.number:05d}-{trial.arch.id}"


def _experiment(trials: Sequence[TrialRecord], objectives: Sequence[str], space: SearchSpace | None) -> Summary:
    """The columns of the HPARAMS tab, which TensorBoard takes from the trial that it finds first; so all have all."""
    from tensorboardX.summary import hparams

    settings, finals = dict[str, Any](), dict[str, float]()
    for trial in trials:
        settings |= _settings(trial, space)
        finals |= figures(trial, objectives)
    experiment, _, _ = hparams(settings, finals)
    return experiment


def events(trial: TrialRecord, objectives: Sequence[str], space: SearchSpace | None) -> Iterator[Event]:
    """A scalar for each metric of each epoch, at the time when it was recorded; then genes and final figures."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.summary import hparams, scalar

    for metrics, then in zip(trial.epochs, trial.epoch_times, strict=True):
        for tag, value in metrics.items():
            if tag != EPOCH and _is_number(value):
                yield Event(wall_time=then, step=metrics[EPOCH], summary=scalar(tag, value))
    _, start, end = hparams(_settings(trial, space), {})
    yield Event(wall_time=trial.started, summary=start)
    if trial.outcome and trial.finished:
        yield Event(wall_time=trial.finished, summary=end)
        for tag, value in figures(trial, objectives).items():
            yield Event(wall_time=trial.finished, step=len(trial.epochs), summary=scalar(tag, value))


def figures(trial: TrialRecord, objectives: Sequence[str]) -> dict[str, float]:
    """By tag, those that the trial ends with, rewards that are objectives too, as far as they are known and finite."""
    if trial.outcome is None:
        return {}
    found = {one: trial.metric(one) for one in (*METRICS, *objectives)} | {"test_top1": trial.outcome.test_top1}
    return {FINAL + one: value for one, value in found.items() if value is not None and math.isfinite(value)}


def _settings(trial: TrialRecord, space: SearchSpace | None) -> Mapping[str, Any]:
    """The trial's genes, and what a reader filters by."""
    genes = space.genes(trial.arch) if space and space.contains(trial.arch) else {}
    return genes | {"status": trial.status, "seed": trial.seed, "resolution": trial.arch.resolution}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
