"""Ray Tune as the executor: it starts workers, hands them trials, brings their reports back. Imports Ray.

Ray decides nothing here and keeps nothing: what runs next comes from ``Recorder.next``, what happened goes to
``Recorder``, and Ray's own files lie in a temporary folder.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from studies.cluster import connected  # isort: skip  (first: it sets what Ray reads when it is imported)

import ray
from ray import tune
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from studies.interrupts import Interrupts, interrupts
from studies.ledger import Latency, Outcome
from studies.recorder import Recorder, checkpoint_of
from studies.resources import Resources
from studies.session import Evaluate, attempt, describe, saved


def schedule(
    recorder: Recorder, evaluate: Evaluate, payload: Any, resources: Resources, held: ExitStack | None = None
) -> None:
    """Runs all that ``recorder`` has left. See ``engine.run``. held: where Ray is left running; None: it is ended."""
    with ExitStack() as stack:
        signals = stack.enter_context(interrupts())  # first: a Ctrl-C while Ray starts waits until it has
        (stack if held is None else held).enter_context(connected(resources))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nas-ray-"))
        per_trial = {"cpu": resources.cpus_per_trial}
        if resources.gpus_per_trial:
            per_trial["gpu"] = resources.gpus_per_trial
        link = _Link(recorder)
        try:
            tune.run(
                _trainable(ray.put(evaluate), ray.put(payload), recorder.checkpoints),
                name="trials",
                storage_path=folder,
                resources_per_trial=per_trial,
                search_alg=_Source(recorder),
                num_samples=-1,  # until _Source says that it is over
                max_concurrent_trials=resources.concurrency,
                reuse_actors=True,
                max_failures=resources.retries,
                raise_on_failed_trial=False,
                trial_name_creator=_name_of,
                trial_dirname_creator=_name_of,
                scheduler=_Scheduler(link),
                callbacks=[_Watch(link, signals)],
                verbose=3 if resources.verbose else 0,
            )
        except tune.TuneError:
            if link.error is None:
                raise
            raise link.error from None
    if signals.received:
        raise KeyboardInterrupt


class _RaySession:
    """What an evaluation in a worker tells the driver, as a report of Tune. Where the driver's answer is to stop, Tune
    raises SystemExit in the next report or ends the worker."""

    def __init__(self, checkpoint: Path | None, latency: Latency | None) -> None:
        self.checkpoint, self.latency = checkpoint, latency

    def measured(self, known: Outcome) -> None:
        tune.report({"measured": json.dumps(known.to_dict())})

    def epoch(self, metrics: dict[str, Any]) -> None:
        tune.report({"epoch": json.dumps(metrics), "saved": saved(self.checkpoint)})


def _trainable(
    evaluate_ref: ray.ObjectRef, payload_ref: ray.ObjectRef, checkpoints: Path | None
) -> Callable[[dict[str, Any]], None]:
    """What a worker runs for each trial. Evaluation and payload come from the object store, where arrays are shared."""

    def trial(config: dict[str, Any]) -> None:
        session = _RaySession(checkpoint_of(checkpoints, config["number"]), config["latency"])
        try:
            evaluate, payload = ray.get([evaluate_ref, payload_ref])
        except Exception as error:  # a module that this worker cannot import
            outcome = Outcome("failed", error=describe(error))
        else:
            outcome = attempt(evaluate, config["arch"], config["seed"], payload, session)
        tune.report({"outcome": json.dumps(outcome.to_dict()), "done": True})

    return trial


class _Link:
    """Calls the recorder from within Tune. ``error``: what it raised, which Tune would turn into text."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.error: Exception | None = None

    def call(self, step: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return step(*arguments)
        except Exception as error:
            self.error = error
            raise


class _Source(Searcher):
    """Where Tune gets its trials from: the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """None makes Tune ask again soon."""
        if task := self._recorder.next():
            return {"number": task.number, "arch": task.arch, "seed": task.seed, "latency": task.latency}
        return Searcher.FINISHED if self._recorder.over else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: ``_Watch`` tells the recorder, and Tune hides exceptions that are raised here."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the ledger is what a run resumes from."""


class _Scheduler(FIFOScheduler):
    """Tells the recorder of every epoch and ends the trials that it does not let go on: those that ``Asha`` stops, and
    those that pause because the run ends. Ray's own ASHA compares one metric; ours several (``studies.asha``)."""

    def __init__(self, link: _Link) -> None:
        super().__init__()
        self._link = link

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        if "epoch" not in result:
            return TrialScheduler.CONTINUE
        metrics, kept = json.loads(result["epoch"]), result["saved"]
        goes_on = self._link.call(self._link.recorder.epoch, trial.config["number"], metrics, kept)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP


class _Watch(tune.Callback):
    """Tells the recorder of all else that becomes of a trial, and of signals."""

    def __init__(self, link: _Link, signals: Interrupts) -> None:
        self._link, self._signals = link, signals

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if self._signals.received:
            self._link.call(self._link.recorder.drain, f"{self._signals.received} received")

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        recorder, number = self._link.recorder, trial.config["number"]
        if "measured" in result:
            self._link.call(recorder.measured, number, Outcome.from_dict(json.loads(result["measured"])))
        elif "outcome" in result:
            self._link.call(recorder.finish, number, Outcome.from_dict(json.loads(result["outcome"])))

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        trial.config["latency"] = self._link.call(self._link.recorder.lost, trial.config["number"], _reason(trial))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        reason, times = _reason(trial), trial.run_metadata.num_failures
        if times > 1:
            reason = f"worker lost {times} times; last: {reason}"
        self._link.call(self._link.recorder.finish, trial.config["number"], Outcome("failed", error=reason))


OUT_OF_MEMORY = "worker killed: the machine ran out of memory (Ray's memory monitor)"
DIED = "worker process died: killed by a signal or by the system for want of memory, or crashed"
UNREACHABLE = "worker or its machine no longer answers"
MACHINE_DIED = "the worker's machine left the cluster or died"


def _reason(trial: Trial) -> str:
    """Why the trial's worker is gone. Ray's own text, of many lines, says no more."""
    try:
        error = ray.cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    except OSError:  # trial.get_pickled_error() looks where the file comes later
        return DIED
    if not isinstance(error, RayActorError):
        return describe(error)
    text = str(error)
    if text == OUT_OF_MEMORY:
        return text
    if "node has died" in text or "node was terminated" in text:
        return MACHINE_DIED
    return UNREACHABLE if "unavailable" in text else DIED


_task_failed = RayActorManager._actor_task_failed


def _task_failed_or_killed(manager: RayActorManager, tracked_actor_task: Any, exception: Exception) -> None:
    """Tune ends with an internal error where Ray's memory monitor kills a worker, instead of trying the trial again."""
    if isinstance(exception, OutOfMemoryError):
        exception = RayActorError(error_msg=OUT_OF_MEMORY)
    _task_failed(manager, tracked_actor_task, exception)


RayActorManager._actor_task_failed = _task_failed_or_killed


def _name_of(trial: Trial) -> str:
    return f"trial_{trial.config['number']:06d}"
