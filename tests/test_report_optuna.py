"""A search as a study of an Optuna storage, read back by Optuna."""

import math
from dataclasses import replace
from datetime import datetime

import optuna
import pytest
from optuna.trial import TrialState
from run_folders import make_search
from test_report import GOALS, KEY, OUTCOMES, ok, run

from nas import report
from reports import run as runs
from search_spaces import UserError
from search_spaces.constraint import parse
from search_spaces.space_file import load_space
from studies import optuna_export
from studies.ledger import Latency
from studies.objectives import METRICS
from studies.pareto import front
from studies.samplers.optuna_trials import distributions

STATES = {"ok": "COMPLETE", "stopped": "PRUNED", "rejected": "FAIL", "failed": "FAIL", "running": "RUNNING"}


@pytest.fixture(scope="module", params=["study.db", "study.log"])
def study(request, searched, tmp_path_factory):
    place = tmp_path_factory.mktemp("optuna")
    report.main([str(searched), "--optuna", str(place / request.param)])
    assert [path.name for path in place.iterdir()] == [request.param]
    return optuna.load_study(study_name="made up", storage=storage_of(place / request.param))


def storage_of(path):
    if path.suffix == ".db":
        return f"sqlite:///{path}"
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))


def test_optuna_reads_the_ledger(study, searched, trials):
    space = runs.read(searched).space
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == list(GOALS)
    assert len(study.trials) == len(trials)
    for found, trial in zip(study.trials, trials, strict=True):
        assert (found.number, found.state.name) == (trial.number, STATES[trial.status])
        assert found.values == ([trial.metric(name) for name in GOALS] if trial.status == "ok" else None)
        assert found.params == space.genes(trial.arch)
        assert found.intermediate_values == {epoch["epoch"]: epoch["top1"] for epoch in trial.epochs}
        assert found.datetime_start == datetime.fromtimestamp(trial.started)
        assert found.datetime_complete == datetime.fromtimestamp(trial.finished)
        assert found.user_attrs["id"] == trial.arch.id
        assert found.user_attrs["macs"] == trial.metric("macs")


def test_optuna_knows_why_and_what_is_feasible(study, trials):
    for found, trial in zip(study.trials, trials, strict=True):
        (broken,) = found.constraints.values()
        assert (broken > 0) == (trial.status == "rejected")
        if trial.status == "rejected":
            assert found.user_attrs["reason"] == "breaks latency_ms<=3 by 20%"
        elif trial.status == "ok":
            assert broken == pytest.approx(trial.metric("latency_ms") / 3 - 1)
        assert ("reason" in found.user_attrs) == (trial.status != "ok")
    assert {trial.user_attrs["reason"] for trial in study.trials if trial.state == TrialState.PRUNED} == {
        "stopped after epoch 0"
    }


def test_optuna_finds_the_same_front(study, searched):
    run_ = runs.read(searched)
    assert {trial.number for trial in study.best_trials} == {t.number for t in front(run_.trials, run_.objectives)}


def test_a_storage_takes_several_runs_but_none_twice(tmp_path):
    target = str(tmp_path / "all.db")
    for name in ("one", "two"):
        make_search(tmp_path / name, 2)
        report.main([str(tmp_path / name), "--optuna", target])
    assert optuna.get_all_study_names(f"sqlite:///{target}") == ["one", "two"]
    with pytest.raises(UserError, match="holds a study 'two' already"):
        report.main([str(tmp_path / "two"), "--optuna", f"sqlite:///{target}"])
    assert len(optuna.load_study(study_name="two", storage=f"sqlite:///{target}").trials) == 2


@pytest.mark.parametrize("name", ["q?x=1.db", "100%20 {x}#.db", "q?x=1.log"])
def test_a_file_may_have_any_name(tmp_path, name, recwarn):
    for again in (False, True):  # in a file that is there, too
        make_search(tmp_path / f"run {again}", 2)
        report.main([str(tmp_path / f"run {again}"), "--optuna", str(tmp_path / name)])
    assert {path.name for path in tmp_path.iterdir()} == {"run False", "run True", name}
    assert [str(one.message) for one in recwarn] == []


def test_a_url_has_its_settings(tmp_path):
    make_search(tmp_path / "one", 2)
    url = f"sqlite:///{tmp_path}/a%3F.db?timeout=20"
    report.main([str(tmp_path / "one"), "--optuna", url])
    assert {path.name for path in tmp_path.iterdir()} == {"one", "a?.db"}
    assert optuna.get_all_study_names(url) == ["one"]


@pytest.mark.parametrize("name", ["there.db", "there.log", "new.db", "new.log"])
def test_what_cannot_be_whole_is_not_left(tmp_path, name):
    """Interrupted in the middle: the other study stays, a new file does not come to be."""
    for run_name in ("one", "two"):
        make_search(tmp_path / run_name, 4)
    target = tmp_path / name
    if name.startswith("there"):
        report.main([str(tmp_path / "one"), "--optuna", str(target)])
    run_, calls = runs.read(tmp_path / "two"), []

    def interrupt():
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    search = optuna_export.Search("two", run_.trials, run_.space, run_.objectives, (), {})
    with pytest.raises(KeyboardInterrupt):
        optuna_export.write(search, str(target), interrupt)
    if name.startswith("there"):
        assert optuna.get_all_study_names(storage_of(target)) == ["one"]
    wanted = {"one", "two", *[name] * name.startswith("there")}
    assert {path.name for path in tmp_path.iterdir()} == wanted


def as_optuna(trial, limits=()):
    space, limits = load_space("v2", width=0.25), [parse(text, METRICS) for text in limits]
    search = optuna_export.Search("x", [trial], space, GOALS, limits, {})
    return optuna_export.as_trial(trial, search, distributions(space))


def test_a_finished_trial_without_an_objective_is_no_result(tmp_path):
    deferred = Latency(KEY, None, status="deferred", reasons=("busy",))
    whole, lacking = run(tmp_path, [ok(90.0, 1.0, 10), ok(90.0, 1.0, 10, latency=deferred)])
    nameless = replace(whole, outcome=replace(whole.outcome, top1=math.nan))  # which no ledger can hold
    for trial, reason in ((lacking, "no latency_ms"), (nameless, "no top1")):
        found = as_optuna(trial)
        assert (found.state, found.values, found.params) == (TrialState.FAIL, None, {})
        assert found.user_attrs["reason"] == reason
    assert as_optuna(whole).values == [90.0, 1.0]


def test_what_is_unknown_breaks_no_limit(tmp_path):
    every = run(tmp_path)
    limits = ["latency_ms<=8", "top1>=85", "macs<=5e7"]
    assert as_optuna(every[0], limits=limits).system_attrs["constraints"] == pytest.approx([-7 / 8, 5 / 85, -0.96])
    assert as_optuna(every[4], limits=limits).system_attrs["constraints"] == pytest.approx([0.16, 0.0, 0.8])
    assert as_optuna(every[8], limits=limits).system_attrs["constraints"] == [0.0, 0.0, 0.0]
    assert [as_optuna(trial).state.name for trial in every] == [STATES[trial.status] for trial in every]
    assert as_optuna(every[7]).user_attrs["reason"] == OUTCOMES[7].error
