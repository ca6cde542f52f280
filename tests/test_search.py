"""``python -m nas.search`` as a user runs it: real Ray, real images, real files; and every mistake in one line."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml
from devices import of_session, until
from made_up import QUICK_LATENCY
from PIL import Image

import search_spaces
from nas import search
from search_spaces import UserError
from search_spaces.space_file import load_space
from studies import ledger
from studies.spec import parse


def run(*arguments):
    command = [sys.executable, "-m", "nas.search", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture
def photos(tmp_path):
    """Three classes of unequal size, JPEG and PNG of mixed sizes and modes; colour tells the classes apart."""
    rng, folder = np.random.default_rng(0), tmp_path / "photos"
    for label, (name, count) in enumerate({"blue": 12, "green": 20, "red": 28}.items()):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(0, 120, (*rng.integers(20, 90, 2), 3), dtype=np.uint8)
            pixels[..., 2 - label] += 120
            image = Image.fromarray(pixels)
            if index % 3 == 0:
                image.convert("RGBA" if index % 2 else "P").save(folder / name / f"{index}.png")
            else:
                image.save(folder / name / f"{index}.jpg")
    return folder


def run_and_leave_nothing(*arguments):
    """As ``run``, with a look at its processes: agents of Ray are there in between, nothing is in the end."""
    command = [sys.executable, "-m", "nas.search", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, start_new_session=True, **pipes) as process:
        until(
            lambda: process.poll() is not None or any("ray::DashboardAgent" in one for one in of_session(process.pid))
        )
        assert process.poll() is None, process.communicate()
        printed = process.communicate(timeout=300)
    until(lambda: not [*of_session(process.pid)], 30)  # agents that nobody told end by themselves, after a minute
    return subprocess.CompletedProcess(command, process.returncode, *printed)


def test_search_of_photographs_to_its_report(photos, tmp_path, run_here):
    whole = (photos / "red" / "1.jpg").read_bytes()
    (photos / "red" / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "red" / "notes.txt").write_text("not an image")
    out = tmp_path / "a run"
    arguments = ["--data", f"imagefolder:{photos}", "--resolution", "32", "--width", "0.25", "--trials", "4"]
    confirmed = ["--confirm", "1", "--confirm-epochs", "2", "--seeds", "1", "--baselines", "mobilenet_v2"]
    limited = ["--epochs", "1", "--constraint", "params<=1.2e6"]
    result = run_and_leave_nothing(*arguments, *limited, *confirmed, "--out", str(out), *QUICK_LATENCY)
    assert result.returncode == 0, result.stderr
    assert "torn.jpg" in result.stdout
    assert "notes.txt" in result.stdout
    last = result.stdout.strip().splitlines()[-3:]
    command = f"python -m nas.export '{out}' --to onnx"
    assert last == [f"to export: {command}", f"run folder: {out}", f"report: {out / 'report.html'}"]
    trials = ledger.read(out)
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    done = [trial for trial in trials if trial.status == "ok"]
    assert done
    for trial in trials:
        assert trial.status in ("ok", "rejected"), trial.outcome.error
        assert (trial.status == "rejected") == (trial.outcome.params > 1.2e6)
    (published,) = ledger.read(out / "baselines")
    for trial in (*done, published):
        assert trial.status == "ok"
        assert trial.outcome.macs == trial.outcome.macs_fvcore
        assert trial.outcome.latency.p50_ms > 0
        assert trial.outcome.latency.key == done[0].outcome.latency.key
        assert len(trial.epochs) == 1
        assert trial.seed == trial.number
    again, beside = ledger.read(out / "confirm")
    assert beside.arch == published.arch
    best = max(trial.outcome.top1 for trial in done)
    assert again.arch.id in {trial.arch.id for trial in done if trial.outcome.top1 == best}
    assert len(again.epochs) == 2
    spec = yaml.safe_load((out / "spec.yaml").read_text())
    assert spec["environment"]["torch"]
    assert spec["command"].startswith("python -m nas.search --data")
    assert parse(spec).search.trials == 4
    space = load_space(str(out / "space.yaml"))
    assert all(space.contains(trial.arch) for trial in trials)
    found = {search_spaces.load(path).id for path in (out / "archs").glob("*.json")}
    assert found
    assert found <= {trial.arch.id for trial in done}
    page = (out / "report.html").read_text()
    assert all(name in page for name in found)

    again = run_here(search.main, *arguments, "--out", out)
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1
    assert "already holds a run" in again.stderr
    assert ledger.read(out) == trials


def test_help_is_quick_and_light():
    code = "import sys; from nas import search; search.parser().format_help(); print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", f"import json; {code}"], text=True))
    heavy = {"torch", "ray", "optuna", "pandas", "plotly", "pydantic", "numpy", "rich", "yaml"}
    assert heavy.isdisjoint(loaded) or heavy & set(loaded) == {"yaml"}
    result = run("--help")
    assert result.returncode == 0
    assert "--gpus-per-trial" in result.stdout


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path, monkeypatch, run_here):
    monkeypatch.chdir(tmp_path)
    for module in ("nas.timing", "nas.dryrun"):
        monkeypatch.setattr(f"{module}.PATIENCE_S", 0.01)
    result = run_here(search.main, "--space", "v2_s", "--dry-run")
    assert result.returncode == 0, result.stderr
    assert f"{load_space('v2_s').size:,} networks" in result.stdout
    assert yaml.safe_load(result.stdout.split("\n\n")[0])["space"]["name"] == "v2_s"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("problem", ["empty class", "only broken images"])
def test_class_without_images_is_named(photos, tmp_path, problem):
    folder = photos / "violet"
    folder.mkdir()
    if problem == "only broken images":
        (folder / "1.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UserError, match=str(folder)):
        search.main(["--data", f"imagefolder:{photos}", "--out", str(tmp_path / "out"), "--trials", "1"])
