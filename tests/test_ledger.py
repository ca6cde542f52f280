"""The run folder and its ledger: claimed once, never half written, read back whole."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from search_spaces import UserError, load
from studies import ledger, runfolder
from studies.ledger import LEDGER, Latency, Ledger, Outcome, TrialRecord, read

ARCH = load("efficientnet_b0")


def filled(run_dir):
    latency = Latency({"device": "x"}, 2.0, 0.1, 1.9, 50, "flagged", ("noise",))
    with Ledger(run_dir) as writer:
        writer.started(0, ARCH, 7)
        writer.epoch(0, {"epoch": 1, "top1": 50.0})
        writer.finished(0, Outcome("ok", params=1, macs=2, top1=50.0, latency=latency, violations={"a<=1": 0.5}))
        writer.started(1, ARCH, 8)
    return run_dir


def test_what_is_written_is_read_back(tmp_path):
    done, running = read(filled(tmp_path))
    assert (done.number, done.seed, done.arch, done.status) == (0, 7, ARCH, "ok")
    assert done.epochs == ({"epoch": 1, "top1": 50.0},)
    assert (done.metric("latency_ms"), done.outcome.latency.reasons) == (2.0, ("noise",))
    assert (running.status, running.outcome, running.metric("top1")) == ("running", None, None)


def test_torn_last_line_is_dropped_and_cut_off_by_the_next_writer(tmp_path):
    whole = (filled(tmp_path) / LEDGER).read_bytes()
    (tmp_path / LEDGER).write_bytes(whole + b'{"schema": 1, "event": "fin')
    assert len(read(tmp_path)) == 2
    with Ledger(tmp_path) as writer:
        writer.finished(1, Outcome("failed", error="x"))
    assert [trial.status for trial in read(tmp_path)] == ["ok", "failed"]


@pytest.mark.parametrize(
    ("line", "message"), [("not json", "line 2 is damaged"), ('{"schema": 9, "trial": 0}', "schema 9")]
)
def test_damage_is_named(tmp_path, line, message):
    lines = (filled(tmp_path) / LEDGER).read_text().splitlines()
    (tmp_path / LEDGER).write_text("\n".join([lines[0], line, *lines[2:]]) + "\n")
    with pytest.raises(UserError, match=message):
        read(tmp_path)


def test_second_writer_is_refused(tmp_path):
    with Ledger(tmp_path), pytest.raises(UserError, match="another process"), Ledger(tmp_path):
        pass


def test_numbers_that_json_has_not_are_refused(tmp_path):
    with Ledger(tmp_path) as writer, pytest.raises(ValueError):
        writer.finished(0, Outcome("ok", top1=float("nan")))


def test_folder_is_claimed_by_one_of_many(tmp_path):
    def claim(_):
        try:
            return str(runfolder.create(tmp_path / "run"))
        except UserError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(claim, range(8)))
    assert sum("already holds a run" in answer for answer in answers) == 7
    assert str(tmp_path / "run") in answers


def test_folder_that_is_a_file_or_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=r"--out: .*file"):
            runfolder.create(path)
    assert (tmp_path / "file").read_text() == "mine"


def test_network_of_the_front_is_read_back(tmp_path):
    run_dir = runfolder.create(tmp_path / "run")
    runfolder.write_arch(run_dir, TrialRecord(3, ARCH, 0, 0.0, outcome=Outcome("ok", top1=50.0)))
    path = run_dir / "archs" / f"{ARCH.id}.json"
    assert load(path) == ARCH
    assert json.loads(path.read_text())["top1"] == 50.0
    assert ledger.read(run_dir) == []
