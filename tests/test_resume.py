"""``python -m nas.search --resume``: a run goes on as if nothing had happened, or says in one line why it cannot."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from made_up import essence, evaluate, lines_of, score

from nas.lifecycle import within
from nas.progress import log, log_to
from search_spaces import UserError
from studies.ledger import LEDGER, Latency, Ledger, Outcome, read
from studies.spec import ResourceSpec

SETTINGS = ["--space", "v2", "--width", "0.25", "--data", "digits", "--objective", "top1", "--objective", "macs"]
SETTINGS += ["--cpus", "1", "--gpus", "0", "--set", "data.max_per_class=20", "--set", "search.population=4"]


def fail_at(trial, error):
    def evaluation(arch, seed, payload, session):
        if seed == trial:
            session.epoch({"epoch": 1, "top1": 1.0})
            raise error
        return evaluate(arch, seed, payload, session)

    return evaluation


def test_interrupted_run_ends_as_the_whole_one(nas_search, tmp_path, capsys):
    nas_search(*SETTINGS, "--trials", 9, "--out", tmp_path / "whole")
    broken = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        nas_search(*SETTINGS, "--trials", 9, "--out", broken, evaluation=fail_at(6, KeyboardInterrupt()))
    assert f"to go on: python -m nas.search --resume {broken}" in capsys.readouterr().out
    assert (broken / "report.html").exists()
    assert [record.status for record in read(broken)] == ["ok"] * 6 + ["running"]
    printed = nas_search("--resume", broken)
    assert "resuming: 6 trials are done, 1 begin again" in printed
    assert "to go on" not in printed
    assert essence(read(broken)) == essence(read(tmp_path / "whole"))
    assert not (broken / "checkpoints").exists()
    spec = yaml.safe_load((broken / "spec.yaml").read_text())
    assert spec["command"].endswith(str(broken))
    assert [resumed["command"] for resumed in spec["resumed"]] == [f"python -m nas.search --resume {broken}"]


def test_trials_can_be_raised_and_not_lowered(nas_search, tmp_path):
    nas_search(*SETTINGS, "--trials", 3, "--out", tmp_path / "run")
    nas_search("--resume", tmp_path / "run", "--trials", 5)
    assert [record.status for record in read(tmp_path / "run")] == ["ok"] * 5
    before = (tmp_path / "run" / LEDGER).read_bytes()
    assert "5 trials are done" in nas_search("--resume", tmp_path / "run")
    with pytest.raises(UserError, match="--trials: 4 is less than the 5 that the run holds"):
        nas_search("--resume", tmp_path / "run", "--trials", 4)
    assert (tmp_path / "run" / LEDGER).read_bytes() == before


def test_budget_ends_a_run_that_can_go_on(nas_search, tmp_path):
    def slow(arch, seed, payload, session):
        time.sleep(0.1)
        return evaluate(arch, seed, payload, session)

    run_dir = tmp_path / "run"
    begun = time.monotonic()
    printed = nas_search(*SETTINGS, "--budget", "3s", "--out", run_dir, evaluation=slow)
    assert time.monotonic() - begun < 30
    assert f"to go on: python -m nas.search --resume {run_dir}" in printed
    done = len(read(run_dir))
    nas_search("--resume", run_dir, "--trials", done + 1, "--budget", "1h")
    assert len(read(run_dir)) == done + 1


def test_disk_that_is_full_ends_the_run_in_one_line(nas_search, tmp_path, monkeypatch, capsys):
    run_dir, fsync, calls = tmp_path / "run", os.fsync, []

    def full(number):
        calls.append(number)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        fsync(number)

    monkeypatch.setattr("studies.ledger.os.fsync", full)
    with pytest.raises(UserError, match=r"trials.jsonl: cannot be written \(No space left on device\)"):
        nas_search(*SETTINGS, "--trials", 5, "--out", run_dir)
    assert "to go on" in capsys.readouterr().out
    monkeypatch.undo()
    nas_search("--resume", run_dir)
    assert [record.status for record in read(run_dir)] == ["ok"] * 5
    assert lines_of(run_dir).count("finished") == 5


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_log_on_a_full_disk_loses_lines_and_says_nothing(capfd):
    with log_to(Path("/dev/full")):
        log.info("a trial")
    assert capfd.readouterr() == ("", "")


def test_folder_without_a_run_and_a_run_that_goes_on_are_named(nas_search, tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match="holds no search"):
            nas_search("--resume", folder)
    assert not list(tmp_path.iterdir())
    nas_search(*SETTINGS, "--trials", 1, "--out", tmp_path / "run")
    with Ledger(tmp_path / "run"), pytest.raises(UserError, match="another process is writing"):
        nas_search("--resume", tmp_path / "run", "--trials", 2)


def test_other_images_than_the_run_began_with_are_refused(nas_search, tmp_path):
    run_dir = tmp_path / "run"
    nas_search(*SETTINGS, "--trials", 1, "--out", run_dir)
    text = (run_dir / "spec.yaml").read_text()
    recorded = yaml.safe_load(text)["images"]["fingerprint"]
    (run_dir / "spec.yaml").write_text(text.replace(recorded, "0" * 32))
    with pytest.raises(UserError, match="images of digits are not those that the run began with"):
        nas_search("--resume", run_dir, "--trials", 2)
    (run_dir / "spec.yaml").write_text(text.replace(f"  fingerprint: {recorded}\n", ""))  # of an earlier version
    nas_search("--resume", run_dir, "--trials", 2)


def test_a_cluster_that_lost_a_machine_goes_on_with_what_is_left(monkeypatch):
    from studies import cluster

    asked = []
    monkeypatch.setattr(cluster, "totals", lambda address: asked.append(address) or (1, 0))
    old = ResourceSpec(gpus=0, cpus=2, address="head:1")
    assert within(old, {}) == ResourceSpec(gpus=0, cpus=1, address="head:1")
    assert within(old, {"resources.address": "other:1"}).cpus == 1
    assert within(ResourceSpec(address="head:1"), {}).cpus is None  # whatever there is
    assert asked == ["head:1", "other:1", "head:1"]


def test_latencies_of_two_devices_do_not_meet(nas_search, tmp_path):
    def elsewhere(arch, seed, payload, session):
        latency = Latency({"device": "another machine"}, 2.0, 0.1, 1.9, 50)
        return Outcome(**vars(score(arch)) | {"latency": latency})

    run_dir = tmp_path / "run"
    nas_search(*SETTINGS, "--objective", "latency_ms", "--trials", 1, "--out", run_dir, evaluation=elsewhere)
    with pytest.raises(UserError, match="was measured with device another machine, here"):
        nas_search("--resume", run_dir, "--trials", 2)


def test_ctrl_c_in_a_terminal_and_then_resuming(nas_search, tmp_path):
    """Real Ray, real training; the signal reaches every process of the group, as in a terminal."""
    run_dir, flags = tmp_path / "run", ["--trials", "3", "--epochs", "1", "--set", "latency.max_s=0.02"]
    first = subprocess.Popen(
        [sys.executable, "-m", "nas.search", *SETTINGS, *flags, "--out", str(run_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (run_dir / LEDGER).exists() or "started" not in lines_of(run_dir):
        assert first.poll() is None, first.communicate()
        time.sleep(0.1)
    os.killpg(first.pid, signal.SIGINT)
    out, err = first.communicate(timeout=120)
    assert (first.returncode, err) == (130, "")
    assert "SIGINT received: starting no more trials" in out
    assert f"to go on: python -m nas.search --resume {run_dir}" in out
    assert [record.status for record in read(run_dir)] == ["ok"]

    nas_search("--resume", run_dir)
    assert [record.status for record in read(run_dir)] == ["ok"] * 3
    assert lines_of(run_dir).count("finished") == 3
