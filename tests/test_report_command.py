"""``python -m nas.report``: the page of each kind of run from its folder alone, and mistakes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from made_up_catalogue import LARGE
from run_folders import make_catalogue, make_scaling, make_search
from test_fidelity import STUDY, nas_fidelity  # noqa: F401
from test_report import OUTCOMES, run

from nas import report
from reports import folder as folders
from search_spaces import UserError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def nas_report(capsys):
    """Runs the command line here; what it printed."""

    def call(*arguments):
        report.main([str(argument) for argument in arguments])
        return capsys.readouterr().out

    return call


def content(folder):
    """Of every file in it, but for the page, which alone may change."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in ("report.html", ".lock"))
    return {path: path.read_bytes() for path in files}


def everything(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


# Each kind of run


def test_a_search_is_told_from_its_folder_alone(nas_report, tmp_path):
    trials = make_search(tmp_path / "a search")
    before = content(tmp_path)
    printed = nas_report(tmp_path / "a search")
    assert content(tmp_path) == before
    assert f"report: {tmp_path / 'a search' / 'report.html'}" in printed.replace("\n", "")
    assert "8 trials: 8 ok" in printed
    best = max(trials, key=lambda trial: trial.metric("top1"))
    assert best.arch.id in printed
    assert best.arch.id in (tmp_path / "a search" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("outcomes", [(), tuple(OUTCOMES)], ids=["empty", "every fate"])
def test_runs_without_a_space_or_a_trial_are_told_too(nas_report, tmp_path, outcomes):
    run(tmp_path, outcomes)
    printed = nas_report(tmp_path, "--csv", tmp_path / "trials.csv")
    assert f"{len(outcomes)} trials: " in printed
    assert len(pd.read_csv(tmp_path / "trials.csv")) == len(outcomes)


def test_a_scaling_run(nas_report, tmp_path):
    folder = make_scaling(tmp_path / "scale")
    printed = nas_report(folder)
    assert "Family of efficientnet_b0" in printed
    assert "Rules at equal cost" in printed
    assert "The map of directions" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_measurement_of_the_catalogue(nas_report, tmp_path):
    folder = make_catalogue(tmp_path / "cat")
    printed = nas_report(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert LARGE in printed  # of a catalogue that has changed since
    assert LARGE in page
    assert "not measured yet" in page


def test_a_fidelity_study(nas_fidelity, nas_report, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "study"
    told = nas_fidelity(*STUDY, "--out", folder).splitlines()
    (folder / "report.html").unlink()
    printed = nas_report(folder).splitlines()
    verdict = next(line for line in told if line.startswith("cheapest proxy"))
    assert verdict in printed
    assert "Kendall" in (folder / "report.html").read_text(encoding="utf-8")
    assert "12 trials: 12 ok" in nas_report(folder / "long")  # an arm of it is as a search


def test_a_page_elsewhere(nas_report, tmp_path):
    make_search(tmp_path / "a")
    before = content(tmp_path / "a")
    nas_report(tmp_path / "a", "--out", tmp_path / "page.html")
    assert content(tmp_path / "a") == before
    assert not (tmp_path / "a" / "report.html").exists()
    assert "</html>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_several_searches_are_compared(nas_report, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("x/one", "y/one"):
        make_search(tmp_path / name)
    printed = nas_report("x/one", "y/one", "--csv", "all.csv")
    assert printed.splitlines()[-1] == "report: comparison.html"
    assert "x/one" in (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert pd.read_csv("all.csv").run.value_counts().to_dict() == {"x/one": 8, "y/one": 8}
    with pytest.raises(UserError, match=r"comparison\.html exists; --force"):
        nas_report("x/one", "y/one")
    nas_report("x/one", "y/one", "--force")


def test_a_folder_may_begin_with_a_dash(nas_report, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_search(tmp_path / "-x", 2)
    assert "2 trials: 2 ok" in nas_report("--", "-x")


def test_help_answers_before_anything_heavy_is_loaded(run_python):
    done = run_python("-X", "importtime", "-m", "nas.report", "--help")
    loaded = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "--tensorboard" in done.stdout
    assert loaded & {"torch", "ray", "optuna", "pandas", "plotly", "numpy", "pydantic", "rich"} == set()


def test_pages_need_neither_torch_nor_ray(tmp_path, run_python):
    make_search(tmp_path / "a", 3)
    program = (
        "import sys; from nas import report; report.main(sys.argv[1:]); print(*{n.split('.')[0] for n in sys.modules})"
    )
    done = run_python("-c", program, tmp_path / "a", "--csv", tmp_path / "a.csv")
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()[-1].split()) & {"torch", "torchvision", "ray", "fvcore"} == set()


def test_a_terminal_that_knows_ascii_only_is_no_obstacle(tmp_path):
    run(tmp_path)
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "120"}
    line = [sys.executable, "-m", "nas.report", str(tmp_path)]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "########" in done.stdout


def test_the_spec_tells_kinds_apart(tmp_path):
    """A fidelity study's spec also holds a search's sections, a search's folder also a fidelity.json."""
    for sections, kind in (
        (["search", "fidelity"], "fidelity"),
        (["search"], "search"),
        (["scale"], "scaling"),
        (["catalogue", "latency"], "catalogue"),
    ):
        (tmp_path / "spec.yaml").write_text(yaml.safe_dump({name: {} for name in sections}))
        (tmp_path / "fidelity.json").write_text(json.dumps({}))
        assert folders.kind(tmp_path) == kind
