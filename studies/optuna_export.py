"""A search as a study in an Optuna storage, for optuna-dashboard and for whoever goes on with Optuna.

Genes are categorical parameters, epochs intermediate values. ``ok`` is COMPLETE with the objectives for values,
``stopped`` PRUNED, ``rejected`` and ``failed`` FAIL with the reason as a user attribute, what has no outcome RUNNING.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_spaces import UserError
from search_spaces.constraint import Constraint
from search_spaces.space import SearchSpace
from studies.ledger import TrialRecord
from studies.objectives import METRICS, direction, values
from studies.samplers.optuna_trials import distributions

if TYPE_CHECKING:
    import optuna
    from sqlalchemy.engine import URL

SQLITE, JOURNAL = (".db", ".sqlite", ".sqlite3"), (".log", ".journal")
SQLITE_URL = "sqlite:///"
FORMS = f"a file that ends in {', '.join((*SQLITE, *JOURNAL))}, or a URL of a database as {SQLITE_URL}FILE"
CURVE = ("top1", "val_loss")  # of an epoch's metrics, which of them intermediate values can be
LIMITS = "constraints"  # where Optuna, and optuna-dashboard, look for those of a trial


@dataclass(frozen=True)
class Search:
    """name: the study's. about: its user attributes."""

    name: str
    trials: Sequence[TrialRecord]
    space: SearchSpace
    objectives: Sequence[str]
    constraints: Sequence[Constraint]
    about: Mapping[str, Any]

    @property
    def curve(self) -> str:
        """The metric of the intermediate values."""
        return next((name for name in self.objectives if name in CURVE), CURVE[0])


def check(target: str, name: str) -> None:
    """Raises UserError where ``target`` is no storage, cannot be opened, or holds a study of that name."""
    path = _path(target)
    if path and not path.exists():
        if not path.parent.is_dir():
            raise UserError(f"--optuna: {path.parent} is no folder")
        return
    if path and not (_is_journal(path) if _url(target) is None else _is_sqlite(path)):
        raise UserError(f"--optuna: {path} exists and holds no Optuna storage")
    import optuna

    with _open(target, path) as storage:
        if name in optuna.get_all_study_names(storage):
            raise UserError(f"--optuna: {target} holds a study {name!r} already; name another file, or delete it there")


def write(search: Search, target: str, on_trial: Callable[[], None] = lambda: None) -> None:
    """Adds the study. One that cannot be whole is not left: a new file takes its name at the end only.

    A trial of 30 genes takes some 60 ms in SQLite, 2 ms in a journal. on_trial: called after each. Raises UserError as
    ``check``.
    """
    check(target, search.name)
    path = _path(target)
    if path is None or path.exists():
        with _open(target, path) as storage:
            _fill(storage, search, on_trial)
        return
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with _open(target, part) as storage:
            _fill(storage, search, on_trial)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _path(target: str) -> Path | None:
    """Of the file that holds the storage; None: it is on a server."""
    url = _url(target)
    if url is None:
        return Path(target)
    if url.get_backend_name() != "sqlite":
        return None
    if not url.database or url.database == ":memory:":
        raise UserError(f"--optuna: {target!r} names no file")
    return Path(url.database)


def _url(target: str) -> URL | None:
    """Of a database, whatever letters a file's name has; None: a journal."""
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.exc import ArgumentError

    if "://" not in target:
        if (suffix := Path(target).suffix) not in (*SQLITE, *JOURNAL):
            raise UserError(f"--optuna: {target!r} is not {FORMS}")
        return None if suffix in JOURNAL else URL.create("sqlite", database=target)
    try:
        return make_url(target)
    except (ArgumentError, ValueError):
        raise UserError(f"--optuna: {target!r} is not {FORMS}") from None


def _is_sqlite(path: Path) -> bool:
    """Optuna would make its tables in any database, and tells of other files in many lines."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            tables = {name for (name,) in database.execute("select name from sqlite_master")}
    except sqlite3.Error:
        return False
    return {"studies", "trials"} <= tables


def _is_journal(path: Path) -> bool:
    """Optuna would write behind whatever the file holds."""
    try:
        with open(path, encoding="utf-8") as file:
            return "op_code" in json.loads(file.readline())
    except (OSError, ValueError, TypeError):
        return False


@contextmanager
def _open(target: str, path: Path | None) -> Iterator[optuna.storages.BaseStorage]:
    """path: of its file, wherever that lies for now. Raises UserError with the first line of what is wrong."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        storage = _storage(target, path)
    except (SQLAlchemyError, optuna.exceptions.OptunaError, ImportError, OSError, RuntimeError, ValueError) as error:
        raise UserError(f"--optuna: {target} cannot be opened as an Optuna storage ({_first_line(error)})") from None
    try:
        yield storage
    except (SQLAlchemyError, optuna.exceptions.OptunaError, OSError) as error:
        raise UserError(f"--optuna: {target} cannot be written ({_first_line(error)})") from None
    finally:
        if isinstance(storage, optuna.storages.RDBStorage):
            storage.remove_session()
            storage.engine.dispose()


def _storage(target: str, path: Path | None) -> optuna.storages.BaseStorage:
    import optuna

    if path is None:
        return optuna.storages.RDBStorage(target)
    if (url := _url(target)) is None:
        return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    return optuna.storages.RDBStorage(url.set(database=str(path)).render_as_string(hide_password=False))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _fill(storage: optuna.storages.BaseStorage, search: Search, on_trial: Callable[[], None]) -> None:
    import optuna

    study = optuna.create_study(
        study_name=search.name, storage=storage, directions=[direction(name) for name in search.objectives]
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(search.objectives))
        about = {"intermediate values": search.curve, LIMITS: [str(limit) for limit in search.constraints]}
        for name, value in (about | dict(search.about)).items():
            study.set_user_attr(name, value)
        searched = distributions(search.space)
        for trial in search.trials:
            study.add_trial(as_trial(trial, search, searched))
            on_trial()
    except BaseException:
        optuna.delete_study(study_name=search.name, storage=storage)
        raise


def as_trial(trial: TrialRecord, search: Search, searched: Mapping[str, Any]) -> optuna.trial.FrozenTrial:
    """One trial; without parameters where its network is none of the space. searched: ``distributions`` of it."""
    from optuna.trial import TrialState, create_trial

    states = {"ok": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "running": TrialState.RUNNING}
    unknown, state = _unknown(trial, search.objectives), states.get(trial.status, TrialState.FAIL)
    if state == TrialState.COMPLETE and unknown:
        state = TrialState.FAIL
    curve = {epoch["epoch"]: epoch[search.curve] for epoch in trial.epochs if epoch.get(search.curve) is not None}
    inside = search.space.contains(trial.arch)
    made = create_trial(
        state=state,
        values=values(trial, search.objectives) if state == TrialState.COMPLETE else None,
        params=search.space.genes(trial.arch) if inside else {},
        distributions=dict(searched) if inside else {},
        intermediate_values={step: float(value) for step, value in curve.items()},
        user_attrs=_attributes(trial, search.objectives),
        # By place instead of by name, which is all that optuna-dashboard reads; Optuna takes both.
        system_attrs={LIMITS: violations(trial, search.constraints)} if search.constraints else {},
    )
    made.datetime_start = datetime.fromtimestamp(trial.started)
    made.datetime_complete = None if trial.finished is None else datetime.fromtimestamp(trial.finished)
    return made


def violations(trial: TrialRecord, constraints: Sequence[Constraint]) -> list[float]:
    """For each limit the share by which it is broken, negative where there is room; what is unknown breaks nothing."""
    broken, found = trial.outcome.violations if trial.outcome else {}, []
    for limit in constraints:
        value = trial.metric(limit.metric)
        if str(limit) in broken:  # maybe by a prediction alone
            found.append(broken[str(limit)])
        elif value is None or math.isnan(value):
            found.append(0.0)
        else:
            found.append((value - limit.limit) / limit.limit * (1 if limit.operator == "<=" else -1))
    return found


def _attributes(trial: TrialRecord, objectives: Sequence[str]) -> dict[str, Any]:
    """What the dashboard shows beside parameters and values; figures that are not finite are no JSON."""
    arch, outcome = trial.arch, trial.outcome
    found: dict[str, Any] = {"trial": trial.number, "status": trial.status, "seed": trial.seed}
    found |= {"id": arch.id, "network": f"{arch.text} @{arch.resolution}"}
    if outcome is None:
        return found
    figures = {name: trial.metric(name) for name in METRICS if name not in objectives}
    figures |= {"test_top1": outcome.test_top1}
    found |= {name: value for name, value in figures.items() if value is not None and math.isfinite(value)}
    if outcome.latency:
        found["latency"] = ", ".join((outcome.latency.status, *outcome.latency.reasons))
    if reason := _reason(trial, objectives):
        found["reason"] = reason
    return found


def _reason(trial: TrialRecord, objectives: Sequence[str]) -> str:
    """Why it has no values; empty where it has."""
    outcome = trial.outcome
    if outcome is None:
        return ""
    if outcome.violations:
        return "breaks " + " and ".join(f"{text} by {100 * by:.3g}%" for text, by in outcome.violations.items())
    if outcome.status == "ok":
        return " and ".join(f"no {name}" for name in _unknown(trial, objectives))
    return outcome.error or f"{outcome.status} after epoch {len(trial.epochs)}"


def _unknown(trial: TrialRecord, objectives: Sequence[str]) -> list[str]:
    """The objectives that it has no number for."""
    return [name for name in objectives if (value := trial.metric(name)) is None or math.isnan(value)]
