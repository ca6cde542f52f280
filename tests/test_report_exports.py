"""What leaves a run folder: tables, an Optuna study, TensorBoard's files, read back by those who read them."""

import math
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import made_up_run
import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState
from run_folders import make_search
from tensorboardX.proto import event_pb2
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from test_report import GOALS, KEY, OUTCOMES, arch, ok, run

from nas import report
from reports import run as runs
from reports import table
from search_spaces import UserError
from search_spaces.constraint import parse
from search_spaces.space_file import load_space
from studies import ledger, optuna_export
from studies.ledger import Latency, Outcome
from studies.objectives import METRICS
from studies.pareto import front
from studies.samplers.optuna_trials import distributions

STATES = {"ok": "COMPLETE", "stopped": "PRUNED", "rejected": "FAIL", "failed": "FAIL", "running": "RUNNING"}
LIMIT = "latency_ms<=3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Trials of every fate but running, networks of a space."""
    return made_up_run.write(tmp_path_factory.mktemp("runs") / "made up", 40, constraints=(LIMIT,))


@pytest.fixture(scope="module")
def trials(folder):
    return ledger.read(folder)


# Tables


@pytest.fixture(scope="module")
def written(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("tables")
    report.main([str(folder), "--csv", str(place / "t.csv"), "--parquet", str(place / "t.parquet")])
    assert sorted(path.name for path in place.iterdir()) == ["t.csv", "t.parquet"]
    return place


def test_parquet_is_the_frame_with_its_types(folder, written):
    frame = table.of_runs([runs.read(folder)])
    pd.testing.assert_frame_equal(pd.read_parquet(written / "t.parquet"), frame)
    assert frame.run.unique().tolist() == ["made up"]
    assert str(frame.started.dtype) == "datetime64[us, UTC]"
    assert str(frame["s3.kernel"].dtype) == "Int64"
    assert str(frame["s0.se_ratio"].dtype) == "float64"
    assert "resolution" in frame.columns


def test_csv_is_the_frame(folder, written):
    frame = table.of_runs([runs.read(folder)])
    dates = ["started", "finished"]
    types = {name: kind for name, kind in frame.dtypes.items() if name not in dates}
    read = pd.read_csv(written / "t.csv", dtype=types, parse_dates=dates)
    read[dates] = read[dates].astype(table.TIME)
    pd.testing.assert_frame_equal(read, frame)


def test_a_row_says_all_of_a_trial(folder, trials):
    run_ = runs.read(folder)
    frame = table.of_runs([run_]).set_index("trial")
    for trial in trials:
        row, outcome = frame.loc[trial.number], trial.outcome
        assert (row.id, row.status, row.seed, row.epochs) == (
            trial.arch.id,
            trial.status,
            trial.seed,
            len(trial.epochs),
        )
        assert row.finished.timestamp() == pytest.approx(trial.finished, abs=1e-5)
        genes = run_.space.genes(trial.arch)
        assert {name: row[name] for name in genes} == genes
        if outcome.latency:
            ends = (row.latency_low_ms, row.latency_high_ms, row.latency_n)
            assert ends == (*outcome.latency.ci95_ms, outcome.latency.n)
    rejected = frame[frame.status == "rejected"]
    assert rejected.reason.str.startswith("breaks latency_ms<=3").all()
    assert frame[frame.status == "failed"].error.tolist() == ["ValueError: loss is nan at step 7"]
    assert frame[frame.status == "ok"].reason.isna().all()
    flagged = frame[(frame.latency_status == "flagged") & (frame.status == "ok")]
    assert set(flagged.latency_reasons) == {"drift of 4%"}


def test_text_that_a_spreadsheet_would_compute_is_text(tmp_path):
    texts = ["=HYPERLINK('x')", "+1", "-2+3", "@SUM(A1)", "\t=1", 'fine, "quoted"\nand long', "ends in ="]
    run(tmp_path, [Outcome("failed", error=text) for text in texts])
    table.write_csv(table.of_runs([runs.read(tmp_path)]), tmp_path / "t.csv")
    errors = pd.read_csv(tmp_path / "t.csv").error.tolist()
    assert errors == ["'" + text for text in texts[:5]] + texts[5:]


def test_repeats_stand_on_the_front_together(tmp_path):
    made_up_run.write(tmp_path, 40, repeats=4)
    frame = table.of_runs([runs.read(tmp_path)])
    assert frame[frame.status == "ok"].groupby("id").on_front.nunique().max() == 1
    assert set(frame[frame.on_front].status) == {"ok"}
    beside = frame[frame.id.isin(frame[frame.on_front].id) & (frame.status != "ok")]
    assert len(beside)  # of a network on the front, not every training has ended well


def test_a_network_beyond_the_space_has_no_genes(tmp_path):
    make_search(tmp_path, 2)
    with ledger.Ledger(tmp_path) as writer:
        writer.started(2, arch(16), 0)
    frame = table.of_runs([runs.read(tmp_path)])
    assert frame.loc[2, ["s0.kernel", "s3.block", "top1"]].isna().all()
    assert frame.loc[[0, 1], "s0.kernel"].notna().all()


# Optuna


@pytest.fixture(scope="module", params=["study.db", "study.log"])
def study(request, folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("optuna")
    report.main([str(folder), "--optuna", str(place / request.param)])
    assert [path.name for path in place.iterdir()] == [request.param]
    return optuna.load_study(study_name="made up", storage=storage_of(place / request.param))


def storage_of(path):
    if path.suffix == ".db":
        return f"sqlite:///{path}"
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))


def test_optuna_reads_the_ledger(study, folder, trials):
    space = runs.read(folder).space
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


def test_optuna_finds_the_same_front(study, folder):
    run_ = runs.read(folder)
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


# TensorBoard


@pytest.fixture(scope="module")
def boards(folder, tmp_path_factory):
    """By sub-folder, its events."""
    place = tmp_path_factory.mktemp("tensorboard") / "new" / "tb"
    report.main([str(folder), "--tensorboard", str(place)])
    assert [path.name for path in place.parent.iterdir()] == ["tb"]
    return {path.parent.name: list(events(path)) for path in place.glob("*/events.out.tfevents.*")}


def events(path):
    """A record: 8 bytes of length, 4 of checksum, the event, 4 of checksum."""
    data, place = path.read_bytes(), 0
    while place < len(data):
        length = int.from_bytes(data[place : place + 8], "little")
        yield event_pb2.Event.FromString(data[place + 12 : place + 12 + length])
        place += 16 + length


def scalars(found):
    return [
        (value.tag, event.step, value.simple_value, event.wall_time)
        for event in found
        for value in event.summary.value
        if value.HasField("simple_value")
    ]


def plugin(found, tag):
    (content,) = (
        value.metadata.plugin_data.content for event in found for value in event.summary.value if value.tag == tag
    )
    return HParamsPluginData.FromString(content)


def test_the_folder_may_be_the_one_that_the_user_is_in(tmp_path, monkeypatch):
    made = make_search(tmp_path / "one", 2)
    (tmp_path / "tb").mkdir()
    monkeypatch.chdir(tmp_path / "tb")
    report.main(["../one", "--tensorboard", "."])
    found = sorted(path.name for path in Path().iterdir())
    assert found == [f"{trial.number:05d}-{trial.arch.id}" for trial in made]


def test_tensorboard_has_a_curve_a_trial(boards, trials):
    assert sorted(boards) == [f"{trial.number:05d}-{trial.arch.id}" for trial in trials]
    for trial, name in zip(trials, sorted(boards), strict=True):
        curve = [one for one in scalars(boards[name]) if not one[0].startswith("final/")]
        wanted = zip(trial.epochs, trial.epoch_times, strict=True)
        assert curve == [("top1", epoch["epoch"], np.float32(epoch["top1"]), then) for epoch, then in wanted]
        finals = {tag: value for tag, _, value, _ in scalars(boards[name]) if tag.startswith("final/")}
        assert finals["final/macs"] == trial.metric("macs")
        assert ("final/top1" in finals) == (trial.metric("top1") is not None)


def test_tensorboard_can_filter_by_genes(boards, folder, trials):
    space = runs.read(folder).space
    for trial, name in zip(trials, sorted(boards), strict=True):
        start = plugin(boards[name], "_hparams_/session_start_info").session_start_info
        found = {key: value.string_value or value.number_value for key, value in start.hparams.items()}
        assert found.pop("status") == trial.status
        assert found == space.genes(trial.arch) | {"seed": trial.seed, "resolution": trial.arch.resolution}
        columns = plugin(boards[name], "_hparams_/experiment").experiment
        assert {"final/top1", "final/latency_ms"} <= {metric.name.tag for metric in columns.metric_infos}
        assert set(space.parameters) <= {one.name for one in columns.hparam_infos}
