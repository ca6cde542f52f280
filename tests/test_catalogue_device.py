"""``python -m nas.latency --catalogue``: runs that are broken off and go on, mistakes, and two networks measured."""

import json
import sys

import pytest
import yaml
from made_up_catalogue import HUGE, LARGE, NETWORKS, OUTCOMES, SECRET, SLOW, SMALL, TINY

from nas.latency import __main__ as latency_command
from nas.latency import catalogue as job
from nas.latency import footprint, protocol
from reports import catalogue
from search_spaces import UserError
from search_spaces.constraint import parse
from studies import ledger
from studies.ledger import Latency
from studies.spec import LatencySpec

TWO = ["--constraint", "params<=4e6", "--max-seconds", "0.02", "--precision", "0.5", "--device", "cpu"]


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """A job on the made-up networks, whose measurements take no time; ``calls`` hears of each."""
    calls = []

    def measure(arch, _):
        name = next(each.name for each in NETWORKS if each.arch == arch)
        calls.append(name)
        if name == HUGE:
            raise MemoryError("too <large>")
        if name == SECRET and calls.count(SECRET) == 1:
            raise KeyboardInterrupt
        outcome = OUTCOMES[name]
        return Latency.from_dict(vars(outcome.latency) | {"key": key | {"resolution": 16}}), outcome.peak_memory_mb

    key = job._key(job.Job((), "cpu", LatencySpec(), (), tmp_path))
    monkeypatch.setattr(job, "_measured", measure)
    limits = (parse("latency_ms<=8", catalogue.METRICS), parse("top1>=1", catalogue.METRICS))
    made = job.Job(NETWORKS, "cpu", LatencySpec(), limits[:1], tmp_path / "run", json=True)
    return made, calls


def test_ctrl_c_keeps_what_was_measured_and_resume_measures_the_rest(made_up, capsys):
    made, calls = made_up
    with pytest.raises(KeyboardInterrupt):
        job.begin(made, "the command")
    printed = capsys.readouterr()
    assert json.loads(printed.out)["best"] == SMALL
    assert "so far" in (made.folder / "report.html").read_text(encoding="utf-8").split("</title>")[0]
    assert f"to go on: python -m nas.latency --catalogue --resume {made.folder}" in printed.err
    assert "[3/6] slow: 5.000 ms, 20.00 MB; about" in printed.err
    assert calls == [TINY, SMALL, SLOW, SECRET]
    assert (made.folder / "report.html").is_file()

    job.resume(NETWORKS, made.folder, (), "again", True)
    assert calls[4:] == [SECRET, LARGE, HUGE]
    assert "so far" not in (made.folder / "report.html").read_text(encoding="utf-8").split("</title>")[0]
    statuses = {each["name"]: each["status"] for each in json.loads(capsys.readouterr().out)["networks"]}
    assert statuses[SECRET] == "ok"
    assert statuses[HUGE] == "failed: MemoryError: too <large>"
    assert "MemoryError" in (made.folder / "log.txt").read_text()

    job.resume(NETWORKS, made.folder, (parse("latency_ms<=3", catalogue.METRICS),), "again", True)
    assert calls[7:] == [HUGE]  # what failed is tried again, what was measured never
    assert json.loads(capsys.readouterr().out)["front"] == [TINY]
    about = yaml.safe_load((made.folder / "spec.yaml").read_text())
    assert (about["command"], about["resumed"], about["constraints"]) == (
        "the command",
        ["again"] * 2,
        ["latency_ms<=3"],
    )
    assert [record.status for record in ledger.read(made.folder)] == ["ok"] * 5 + ["failed"]


def test_no_folder_is_overwritten_and_nothing_else_is_resumed(made_up, tmp_path):
    made, calls = made_up
    with pytest.raises(KeyboardInterrupt):
        job.begin(made, "")
    with pytest.raises(UserError, match="already holds a run"):
        job.begin(made, "")
    with pytest.raises(UserError, match="holds no measurements of the catalogue"):
        job.resume(NETWORKS, tmp_path, (), "", True)
    with pytest.raises(UserError, match="the catalogue has changed"):
        job.resume(NETWORKS[1:], made.folder, (), "", True)
    path = made.folder / "spec.yaml"
    path.write_text(path.read_text().replace("torch: ", "torch: 0."))
    with pytest.raises(UserError, match=r"was measured with torch 0\..*begin a new folder"):
        job.resume(NETWORKS, made.folder, (), "", True)
    assert len(calls) == 4


def test_a_device_that_is_away_ends_the_run(made_up, monkeypatch):
    made, calls = made_up
    there = job.Job(NETWORKS, "ssh:pi", LatencySpec(), (), made.folder)
    monkeypatch.setattr("nas.latency.remote.ready", lambda spec, address: {"device": "pi"} if not calls else away())

    def away():
        raise UserError("device: ssh:pi: cannot be reached")

    monkeypatch.setattr(job, "_measured", lambda arch, _: (calls.append(arch), away()))
    with pytest.raises(UserError, match="cannot be reached"):
        job.begin(there, "")
    assert len(calls) == 1


def test_larger_ones_that_will_hardly_fit_are_said(made_up, capsys):
    made, _ = made_up
    slow = job.Job(NETWORKS, "cpu", LatencySpec(), (parse("latency_ms<=0.9", catalogue.METRICS),), made.folder, True)
    with pytest.raises(KeyboardInterrupt):
        job.begin(slow, "")
    assert "the last 3 took more than twice latency_ms<=0.9" in capsys.readouterr().err


def test_two_real_networks(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(protocol, "BACKOFF_S", 0.0)
    latency_command.main(["--catalogue", "--out", str(tmp_path / "run"), "--json", *TWO])
    data = json.loads(capsys.readouterr().out)
    found = {each["name"]: each for each in data["networks"] if each["latency"]}
    assert sorted(found) == ["mnasnet_a1", "mobilenet_v2"]
    for each in found.values():
        assert each["latency_ms"] > 0
        assert each["peak_memory_mb"] > 4 * each["params"] / 1e6 or sys.platform != "linux"
        assert each["fits"]
    assert (data["key"]["threads"], data["key"]["runtime"]) == (1, "torch eager")
    assert "mnasnet_a1" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux")
def test_a_process_that_the_system_ends_is_a_memory_error(monkeypatch):
    monkeypatch.setattr(footprint, "_measure", ended)
    with pytest.raises(MemoryError, match="ended by signal 9"):
        footprint.peak_memory_mb(NETWORKS[0].arch, LatencySpec(), footprint.torch.device("cpu"))


def ended(*_):
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)
