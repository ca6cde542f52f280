"""``python -m nas.fidelity``: mistakes in one line, ``--dry-run``, and one study with Ray and real trainings."""

import json
import os
import signal
import subprocess
import sys
import time

import yaml

from nas.fidelity import __main__ as command
from reports import fidelity
from studies import ledger
from studies.fidelity_record import FIDELITY, read

STUDY = ["--space", "v2", "--width", "0.25", "--data", "digits", "--resolution", "16", "--epochs", "2", "--cpus", "1"]
STUDY += ["--gpus", "0", "--networks", "6", "--seeds", "2", "--proxy", "epochs=1"]
STUDY += ["--proxy", "epochs=1,width=0.5,share=0.5"]


def test_dry_run_prints_the_work_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command.main([*STUDY, "--dry-run"])
    printed = capsys.readouterr().out
    assert "30 trainings" in printed
    assert "epochs=1,share=0.5,width=0.5" in printed
    long = next(line.split() for line in printed.splitlines() if line.strip().startswith("long"))
    assert long == ["long", "16", "8", "2", "12", "1.000", "12.0"]
    assert os.listdir(tmp_path) == []


def start(*arguments):
    """The real command as a process of its own group."""
    line = [sys.executable, "-m", "nas.fidelity", *map(str, arguments)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def trained(out):
    folders = [out / "long", *(out / "proxies").glob("*")] if out.exists() else []
    return sum(path.read_text().count('"finished"') for folder in folders if (path := folder / ledger.LEDGER).exists())


def test_a_real_study_survives_a_kill(tmp_path, monkeypatch, run_here, here_instead_of_ray):
    """Ray, images and trainings as they are: killed in the middle, then resumed in this process."""
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "study"
    flags = ["--space", "v2", "--width", "0.25", "--data", "glyphs:classes=8", "--resolution", "16", "--epochs", "1"]
    flags += ["--set", "data.max_per_class=24", "--long-epochs", "2", "--networks", "4", "--seeds", "1", "--cpus", "2"]
    flags += ["--gpus", "0", "--proxy", "epochs=1,resolution=8,share=0.5"]
    first, deadline = start(*flags, "--out", out), time.monotonic() + 400
    while first.poll() is None and trained(out) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert first.poll() is None, first.communicate()
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    done = trained(out)
    assert 3 <= done < 12

    with here_instead_of_ray():
        second = run_here(command.main, "--resume", out)
    assert second.returncode == 0, second.stderr
    assert trained(out) == 12
    assert "report: " in second.stdout.splitlines()[-1]
    found = read(out / FIDELITY)
    assert found.complete
    assert not [failure for _, failure in fidelity.missing(found)]
    assert all(0 < proxy.cost < 1 for proxy in found.proxies[1:])
    small = ledger.read(out / "proxies" / "epochs=1,resolution=8,share=0.5")
    assert {record.arch.resolution for record in small} == {8}
    assert all(record.outcome.latency is None and record.outcome.macs_fvcore for record in small)
    assert [len(row) for row in found.long.top1] == [1] * 4
    assert yaml.safe_load((out / "spec.yaml").read_text())["resumed"]
    assert json.loads((tmp_path / "cache" / "fidelity" / f"{found.proxies[0].key}.json").read_text())["complete"]
