"""What leaves a run folder: tables and TensorBoard's files, read back by those who read them."""

from pathlib import Path

import made_up_run
import numpy as np
import pandas as pd
import pytest
from run_folders import make_search
from tensorboardX.proto import event_pb2
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from test_report import arch, run

from nas import report
from reports import run as runs
from reports import table
from studies import ledger
from studies.ledger import Outcome

# Tables


@pytest.fixture(scope="module")
def written(searched, tmp_path_factory):
    place = tmp_path_factory.mktemp("tables")
    report.main([str(searched), "--csv", str(place / "t.csv"), "--parquet", str(place / "t.parquet")])
    assert sorted(path.name for path in place.iterdir()) == ["t.csv", "t.parquet"]
    return place


def test_parquet_is_the_frame_with_its_types(searched, written):
    frame = table.of_runs([runs.read(searched)])
    pd.testing.assert_frame_equal(pd.read_parquet(written / "t.parquet"), frame)
    assert frame.run.unique().tolist() == ["made up"]
    assert str(frame.started.dtype) == "datetime64[us, UTC]"
    assert str(frame["s3.kernel"].dtype) == "Int64"
    assert str(frame["s0.se_ratio"].dtype) == "float64"
    assert "resolution" in frame.columns


def test_csv_is_the_frame(searched, written):
    frame = table.of_runs([runs.read(searched)])
    dates = ["started", "finished"]
    types = {name: kind for name, kind in frame.dtypes.items() if name not in dates}
    read = pd.read_csv(written / "t.csv", dtype=types, parse_dates=dates)
    read[dates] = read[dates].astype(table.TIME)
    pd.testing.assert_frame_equal(read, frame)


def test_a_row_says_all_of_a_trial(searched, trials):
    run_ = runs.read(searched)
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


# TensorBoard


@pytest.fixture(scope="module")
def boards(searched, tmp_path_factory):
    """By sub-folder, its events."""
    place = tmp_path_factory.mktemp("tensorboard") / "new" / "tb"
    report.main([str(searched), "--tensorboard", str(place)])
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


def test_tensorboard_can_filter_by_genes(boards, searched, trials):
    space = runs.read(searched).space
    for trial, name in zip(trials, sorted(boards), strict=True):
        start = plugin(boards[name], "_hparams_/session_start_info").session_start_info
        found = {key: value.string_value or value.number_value for key, value in start.hparams.items()}
        assert found.pop("status") == trial.status
        assert found == space.genes(trial.arch) | {"seed": trial.seed, "resolution": trial.arch.resolution}
        columns = plugin(boards[name], "_hparams_/experiment").experiment
        assert {"final/top1", "final/latency_ms"} <= {metric.name.tag for metric in columns.metric_infos}
        assert set(space.parameters) <= {one.name for one in columns.hparam_infos}
