"""The run folder and its ledger: claimed once, never half written, read back whole."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from search_spaces import UserError, load
from studies import runfolder
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
    ("line", "message"),
    [
        ("not json", "line 2 is damaged"),
        ('{"schema": 9, "trial": 0}', "schema 9"),
        ('{"schema": 1, "trial": 0}', "line 2 is damaged"),
        ('{"schema": 1, "trial": 5, "event": "finished"}', "line 2: 'finished' of trial 5, which has not started"),
        (
            '{"schema": 1, "trial": 0, "event": "epoch", "metrics": {"top1": 5.0}}',
            "line 2: metrics: 'epoch' is",
        ),
        ('{"schema": 1, "trial": 0, "event": "epoch", "metrics": 5}', "line 2 is damaged"),
        (
            '{"schema": 1, "trial": 0, "event": "measured", "outcome": {"status": "ok", "watts": 5}}',
            "line 2: outcome: this program does not know watts",
        ),
        (
            '{"schema": 1, "trial": 0, "event": "measured", "outcome": {"status": "ok", "latency": {"key": {}, '
            '"p50_ms": 1.0, "watts": 5}}}',
            "line 2: outcome: this program does not know watts",
        ),
        ('{"schema": 1, "trial": 0, "event": "measured", "outcome": 5}', "line 2 is damaged"),
        ('{"schema": 1, "trial": 3, "event": "started", "arch": {"stages": []}}', "line 2: .*stem_channels"),
    ],
)
def test_damage_is_named(tmp_path, line, message):
    lines = (filled(tmp_path) / LEDGER).read_text().splitlines()
    (tmp_path / LEDGER).write_text("\n".join([lines[0], line, *lines[2:]]) + "\n")
    with pytest.raises(UserError, match=message):
        read(tmp_path)


def test_cut_at_every_byte_loses_the_last_record_and_no_other(tmp_path):
    with Ledger(filled(tmp_path)) as writer:
        writer.finished(1, Outcome("ok", top1=51.0))
    whole = (tmp_path / LEDGER).read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    assert [trial.status for trial in read(tmp_path)] == ["ok", "ok"]
    for end in range(start, len(whole)):
        (tmp_path / LEDGER).write_bytes(whole[:end])
        assert [trial.status for trial in read(tmp_path)] == ["ok", "running"]
        with Ledger(tmp_path):
            assert (tmp_path / LEDGER).read_bytes() == whole[:start]


def test_what_was_measured_before_training_is_read_back(tmp_path):
    with Ledger(tmp_path) as writer:
        writer.started(0, ARCH, 7)
        writer.measured(0, Outcome("stopped", macs=5))
    (trial,) = read(tmp_path)
    assert (trial.status, trial.measured) == ("running", Outcome("stopped", macs=5))


def test_second_start_forgets_the_first_attempt(tmp_path):
    with Ledger(tmp_path) as writer:
        for top1 in (50.0, 60.0):
            writer.started(0, ARCH, 7)
            writer.epoch(0, {"epoch": 1, "top1": top1})
    assert read(tmp_path)[0].epochs == ({"epoch": 1, "top1": 60.0},)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_full_disk_is_one_line_and_leaves_whole_records(tmp_path):
    with Ledger(filled(tmp_path)) as writer, open("/dev/full", "wb", buffering=0) as full:
        file, writer._file = writer._file, full
        with pytest.raises(UserError, match=r"trials\.jsonl: cannot be written \(No space left on device\)"):
            writer.finished(1, Outcome("ok"))
        file.close()
    assert [trial.status for trial in read(tmp_path)] == ["ok", "running"]


def test_record_that_fits_in_part_is_cut_off_by_the_next_writer(tmp_path, monkeypatch):
    """A disk takes what fits and then nothing more."""
    with Ledger(filled(tmp_path)) as writer:
        whole = (tmp_path / LEDGER).read_bytes()
        file = writer._file
        taken = []

        class Nearly:
            def write(self, rest):
                if taken:
                    raise OSError(28, "No space left on device")
                taken.append(file.write(rest[:10]))
                return 10

        monkeypatch.setattr(writer, "_file", Nearly())
        with pytest.raises(UserError, match="No space left"):
            writer.finished(1, Outcome("ok"))
        monkeypatch.setattr(writer, "_file", file)
    assert len((tmp_path / LEDGER).read_bytes()) == len(whole) + 10
    with Ledger(tmp_path) as writer:
        writer.finished(1, Outcome("ok"))
    assert [trial.status for trial in read(tmp_path)] == ["ok", "ok"]


def test_second_writer_is_refused(tmp_path):
    with Ledger(tmp_path), pytest.raises(UserError, match="another process"), Ledger(tmp_path):
        pass


def test_numbers_that_json_has_not_are_refused(tmp_path):
    with Ledger(tmp_path) as writer, pytest.raises(ValueError):
        writer.finished(0, Outcome("ok", top1=float("nan")))


def test_folder_is_claimed_by_one_of_many(tmp_path):
    def claim(number):
        try:
            run_dir = runfolder.create(tmp_path / "run")
            with Ledger(run_dir):
                runfolder.check_free(run_dir)
                runfolder.write_text(run_dir / runfolder.SPEC, str(number))
                return number
        except UserError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(claim, range(8)))
    assert sum("already holds a run" in str(a) or "another process" in str(a) for a in answers) == 7
    assert answers[int((tmp_path / "run" / runfolder.SPEC).read_text())] in range(8)


def test_folder_of_a_run_that_was_killed_before_it_began_is_free(tmp_path):
    with Ledger(runfolder.create(tmp_path / "run")):
        pass
    assert runfolder.create(tmp_path / "run") == tmp_path / "run"
    filled(tmp_path / "run")
    with pytest.raises(UserError, match="already holds a run"):
        runfolder.create(tmp_path / "run")


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
