"""A real study: Ray, glyphs and a small base; killed half-way it ends with the same."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_up import OBJECTIVES, search, space

from nas.given import recorded
from nas.scale import __main__ as command
from nas.scale import run
from nas.scale.base import find
from nas.scale.settings import Settings
from nas.scale.study import design, divisor_of
from search_spaces import load
from search_spaces.scaling import scale
from studies import ledger, runfolder
from studies.scaling_record import SCALING, read
from studies.spec import parse

ROOT = Path(__file__).parents[1]
DATA = "glyphs:classes=4,n=160"
FLAGS = [
    *("--phi", "1,2", "--grid-step", "0.2", "--tolerance", "0.2", "--seeds", "2", "--rule", "compound,depth,d1_w8_r1"),
    *("--data", DATA, "--resolution", "24", "--epochs", "1", "--gpus", "0", "--set", "train.batch_size=40"),
]


@pytest.fixture(scope="module")
def base_file(tmp_path_factory):
    """MobileNetV2 at an eighth of its width, and shallow."""
    path = tmp_path_factory.mktemp("base") / "small.json"
    arch = scale(load("mobilenet_v2"), width=0.25, depth=0.4, resolution=24, divisor=4)
    path.write_text(json.dumps(arch.to_dict()))
    return str(path)


def started(base_file, folder):
    line = [sys.executable, "-m", "nas.scale", "--base", base_file, *FLAGS, "--out", str(folder)]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def whole(base_file, tmp_path_factory, here_instead_of_ray):
    """A study that nothing disturbed, trained here: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with here_instead_of_ray(), run.console.capture() as printed:
        command.main(["--base", base_file, *FLAGS, "--out", str(folder)])
    return folder, printed.get()


def test_a_study_ends_with_a_triple_and_a_family(whole):
    folder, printed = whole
    record = read(folder / SCALING)
    study = record.study
    assert study.complete
    assert study.missing == 0
    assert record.source == "study"
    assert len(record.family) == 2
    assert all(load(folder / "family" / f"{one.name}.json").id == one.network.id for one in record.family)
    assert {rule.rule for rule in record.rules} == {"compound", "depth", "d1_w8_r1"}
    assert all(len(rule.top1) == 2 and None not in rule.top1 for rule in record.rules)
    assert all(rule.network.macs == pytest.approx(2 * study.base.macs, rel=0.15) for rule in record.rules)
    assert {each.seed for each in recorded(folder / "rules")}.isdisjoint(study.seeds)
    assert f"to export: python -m nas.export {folder} --to onnx --network {record.family[0].name}\n" in printed
    assert "run folder" in printed


def test_each_network_is_trained_once_with_each_seed(whole):
    folder, _ = whole
    study = read(folder / SCALING).study
    trained = [(record.arch.id, record.seed) for part in ("grid", "rules") for record in recorded(folder / part)]
    assert len(trained) == len(set(trained))
    assert {point.network.id for point in study.points} <= {network for network, _ in trained}


def test_killed_half_way_and_resumed_it_ends_with_the_same(whole, base_file, tmp_path, run_here, here_instead_of_ray):
    """The command is killed while Ray trains; resumed in this process, the study equals the undisturbed one."""
    folder = tmp_path / "run"
    process = started(base_file, folder)
    until = time.monotonic() + 200
    while time.monotonic() < until and process.poll() is None:
        if (folder / "grid" / ledger.LEDGER).is_file():
            ended = sum(record.outcome is not None for record in ledger.read(folder / "grid"))
            if ended >= 5:
                break
        time.sleep(0.2)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with here_instead_of_ray():
        done = run_here(command.main, "--resume", folder)
    assert done.returncode == 0, done.stderr
    ours, theirs = read(folder / SCALING), read(whole[0] / SCALING)
    assert ours.coefficients == theirs.coefficients
    assert ours.study.points == theirs.study.points
    assert ours.study.surface == theirs.study.surface
    assert ours.rules == theirs.rules
    assert ours.family == theirs.family


def test_the_family_may_be_another_when_a_study_is_resumed(whole, run_here, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(whole[0], folder)
    macs = 3 * read(folder / SCALING).base.macs
    done = run_here(command.main, "--resume", folder, "--phi", "3", "--target-macs", macs)
    assert done.returncode == 0, done.stderr
    record = read(folder / SCALING)
    assert [one.targets for one in record.family] in ([(macs,), ()], [(), (macs,)])
    assert record.study == read(whole[0] / SCALING).study
    done = run_here(command.main, "--resume", folder, "--target-macs", "5")
    assert done.returncode == 2
    assert "--target-macs: 5 is less than the base's" in done.stderr


def test_a_dry_run_says_what_would_be_trained(base_file, run_here, tmp_path):
    done = run_here(command.main, "--base", base_file, *FLAGS, "--dry-run", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "trainings (2 seeds, base included) of 1 epoch" in done.stdout
    assert not (tmp_path / "run").exists()


def test_a_study_without_enough_networks_says_so(base_file, run_here):
    done = run_here(command.main, "--base", base_file, *FLAGS, "--grid-step", "0.5", "--dry-run")
    assert "warning: grid: " in done.stdout
    assert "a surface needs 9" in done.stdout


def test_images_without_the_detail_are_warned_of(base_file, run_here, tmp_path):
    flags = ["--data", "digits", "--resolution", "24", "--grid-step", "0.2", "--tolerance", "0.2", "--dry-run"]
    done = run_here(command.main, "--base", base_file, *flags)
    assert done.returncode == 0, done.stderr
    assert "but the images of digits hold 8 px" in done.stdout


def test_the_base_of_a_study_has_the_shape_of_its_base():
    spec = parse({"space": {"width": 0.25}, "data": {"source": DATA, "resolution": 48}})
    made = design(spec, Settings(grid_step=0.2, tolerance=0.2), load("efficientnet_b0"))
    assert divisor_of(0.25) == 2
    assert made.settings.study_rounding == "nearest"
    assert [4 * stage.channels for stage in made.base.stages] == [16, 24, 40, 80, 112, 192, 320]
    assert made.proxy == "0.25 times its width, 48 px"
    found = [stage.channels for each in made.directions for stage in each.reached.arch.stages]
    assert all(channels % 2 == 0 for channels in found)
    assert any(channels % 8 for channels in found)
    order = [each.coefficients for each in made.directions]
    assert len(order) == len(set(order)) > 5
    again = design(spec, Settings(grid_step=0.2, tolerance=0.2), load("efficientnet_b0"))
    assert [each.coefficients for each in again.directions] == order


def test_the_base_is_a_runs_most_accurate(tmp_path, monkeypatch):
    one = tmp_path / "runs" / "one"
    one.parent.mkdir()
    trials = search(one, 6)
    runfolder.write_yaml(one / "spec.yaml", {"search": {"objectives": list(OBJECTIVES)}})
    runfolder.write_yaml(one / "space.yaml", space().to_dict())
    monkeypatch.chdir(tmp_path)
    found = find(None)
    assert found.arch == max(trials, key=lambda trial: trial.metric("top1")).arch
    assert "the most accurate on the front of runs/one" in found.found
    monkeypatch.chdir(one.parent)
    assert find(None).name == "efficientnet_b0"
