"""Ray Tune as the executor: it starts workers, hands them trials, brings their reports back. Imports Ray.

Ray decides nothing here and keeps nothing: what runs next comes from ``Recorder.next``, what happened goes to
``Recorder``, and Ray's own files lie in a temporary folder.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Read by Ray when it is imported or started; a value that the user has set stays.
_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # hides the GPUs from a trial that asked for none
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard copies of what the ledger holds
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is handled here, see _interrupts
    "TUNE_GLOBAL_CHECKPOINT_S": "inf",  # no snapshots of the experiment: resuming reads the ledger
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402
from ray import tune  # noqa: E402
from ray.tune.experiment import Trial  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402

from search_spaces import UserError  # noqa: E402
from studies.engine import Evaluate, Recorder, Resources, attempt, describe  # noqa: E402
from studies.ledger import Outcome  # noqa: E402

RETRIES = 2


def schedule(recorder: Recorder, evaluate: Evaluate, payload: Any, resources: Resources) -> None:
    """Runs all that ``recorder`` has left. See ``engine.run``."""
    with _ray(resources), _interrupts() as interrupted, tempfile.TemporaryDirectory(prefix="nas-ray-") as folder:
        per_trial = {"cpu": resources.cpus_per_trial}
        if resources.gpus_per_trial:
            per_trial["gpu"] = resources.gpus_per_trial
        watch = _Watch(recorder, interrupted)
        try:
            tune.run(
                _trainable(ray.put(evaluate), ray.put(payload)),
                name="trials",
                storage_path=folder,
                resources_per_trial=per_trial,
                search_alg=_Source(recorder),
                num_samples=recorder.remaining,
                max_concurrent_trials=resources.concurrency,
                reuse_actors=True,
                max_failures=RETRIES,
                raise_on_failed_trial=False,
                trial_name_creator=_name_of,
                trial_dirname_creator=_name_of,
                callbacks=[watch],
                verbose=0,
            )
        except tune.TuneError:
            if watch.error is None:
                raise
            raise watch.error from None


def _trainable(evaluate_ref: ray.ObjectRef, payload_ref: ray.ObjectRef) -> Callable[[dict[str, Any]], None]:
    """What a worker runs for each trial. Evaluation and payload come from the object store, where arrays are shared."""

    def trial(config: dict[str, Any]) -> None:
        def report_epoch(metrics: dict[str, Any]) -> None:
            tune.report({"epoch": json.dumps(metrics)})

        try:
            evaluate, payload = ray.get([evaluate_ref, payload_ref])
        except Exception as error:  # a module that this worker cannot import
            outcome = Outcome("failed", error=describe(error))
        else:
            outcome = attempt(evaluate, config["arch"], config["seed"], payload, report_epoch)
        tune.report({"outcome": json.dumps(outcome.to_dict()), "done": True})

    return trial


class _Source(Searcher):
    """Where Tune gets its trials from: the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """None makes Tune ask again soon. It stops asking after ``num_samples`` trials."""
        task = self._recorder.next()
        return {"number": task.number, "arch": task.arch, "seed": task.seed} if task else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: ``_Watch`` tells the recorder, and Tune hides exceptions that are raised here."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the ledger is what a run resumes from."""


class _Watch(tune.Callback):
    """Where Tune's reports go to: the recorder. ``error``: what the recorder raised, which Tune turns into text."""

    def __init__(self, recorder: Recorder, interrupted: threading.Event) -> None:
        self._recorder = recorder
        self._interrupted = interrupted
        self.error: Exception | None = None

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if self._interrupted.is_set():
            raise KeyboardInterrupt

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        number = trial.config["number"]
        if "epoch" in result:
            self._record(self._recorder.epoch, number, json.loads(result["epoch"]))
        elif "outcome" in result:
            self._record(self._recorder.finish, number, Outcome.from_dict(json.loads(result["outcome"])))

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._record(self._recorder.lost, trial.config["number"])

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._record(self._recorder.finish, trial.config["number"], Outcome("failed", error="worker died"))

    def _record(self, step: Callable[..., None], *arguments: Any) -> None:
        try:
            step(*arguments)
        except Exception as error:
            self.error = error
            raise


def _name_of(trial: Trial) -> str:
    return f"trial_{trial.config['number']:06d}"


@contextmanager
def _ray(resources: Resources) -> Iterator[None]:
    """A quiet Ray with these resources, shut down afterwards; one that runs already is used and left running."""
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    started = not ray.is_initialized()
    if started:
        ray.init(
            address="local",  # a cluster that RAY_ADDRESS names is not ours to use
            num_cpus=resources.cpus,
            num_gpus=resources.gpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    try:
        present = ray.cluster_resources()
        for kind, each in (("CPU", resources.cpus_per_trial), ("GPU", resources.gpus_per_trial)):
            if each > present.get(kind, 0):
                raise UserError(f"{kind.lower()}s_per_trial: {each:g} is more than Ray has ({present.get(kind, 0):g})")
        yield
    finally:
        if started:
            ray.shutdown()


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Set by Ctrl-C, so that Tune's loop ends between two steps and no event is half recorded; a second Ctrl-C raises
    at once. Outside the main thread, where Python allows no handlers, never set."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def handle(number: int, frame: Any) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, previous)
