"""``python -m nas.verify``: what a run folder says of itself, a training made again, and mistakes."""

import json
import shutil
from dataclasses import replace

import pytest
import yaml
from run_folders import make_scaling
from test_report import OUTCOMES, SPEC, run
from test_report_command import content, everything

import nas.evaluate
from nas import repeat, verify
from reports import consistency, provenance, uncertified
from reports import run as runs
from search_spaces import UserError
from studies.ledger import LEDGER, Outcome, read
from studies.spec import parse


@pytest.fixture
def searched(trained):
    """Instead of a made-up one."""
    return trained


@pytest.fixture
def folder(searched, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(searched, tmp_path / "run")


@pytest.fixture
def nas_verify(capsys):
    """Runs the command line here; its exit code and what it printed."""

    def call(*arguments):
        code = 0
        try:
            verify.main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        return code, capsys.readouterr().out

    return call


@pytest.fixture
def replayed(monkeypatch):
    """In place of training, what a folder has recorded."""

    def of(run_dir):
        epochs = {record.seed: record.epochs for record in read(run_dir)}

        def evaluate(arch, seed, images, session, **_):
            for metrics in epochs[seed]:
                session.epoch(metrics)
            return Outcome("ok")

        monkeypatch.setattr(nas.evaluate, "evaluate", evaluate)

    return of


def spoil(folder, old, new, name=LEDGER):
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def test_a_folder_tells_how_it_was_made_and_what_nothing_certifies(searched, nas_verify):
    before = content(searched), everything(searched)
    code, printed = nas_verify(searched)
    said = " ".join(printed.split())
    spec = yaml.safe_load((searched / "spec.yaml").read_text())
    assert code == 0
    for text in (spec["command"][:60], spec["images"]["fingerprint"], f"torch {spec['environment']['torch']}"):
        assert text in said
    assert "0 of proposals and split; 0, 1 of trainings" in said
    assert "unknown short training not known to rank like a long one" in said
    assert "top-1 of every trial: Standard deviation of one training's top-1" in said
    assert "parameters, MACs and activations of 2 networks are equal" in said
    assert f"python -m nas.verify '{searched}' --trial best" in said
    assert (content(searched), everything(searched)) == before


@pytest.mark.parametrize("name", ["best", "confirm/0"])
def test_a_training_repeats_to_the_last_digit(name, searched, nas_verify):
    before = content(searched), everything(searched)
    code, printed = nas_verify(searched, "--trial", name, "--json")
    done = json.loads(printed)["repeated"]
    assert (code, done["equal"], done["not_expected"], done["error"]) == (0, True, [], None)
    for metrics in ("top1", "val_loss", "train_loss", "test_top1")[: 4 if name == "confirm/0" else 3]:
        assert [one[metrics] for one in done["again"]] == [one[metrics] for one in done["recorded"]]
    assert (content(searched), everything(searched)) == before


def test_a_figure_that_was_changed_does_not_repeat(searched, folder, nas_verify, replayed):
    replayed(searched)
    assert nas_verify(searched, "--trial", "1")[0] == 0
    loss = read(folder)[1].epochs[1]["val_loss"]
    spoil(folder, repr(loss), repr(loss + 1e-12))
    code, printed = nas_verify(folder, "--trial", "1")
    assert code == 1
    assert "trial 1 does not repeat: 1 of 6 figures differ" in printed
    assert f"again {loss!r}" in printed


def test_a_training_that_breaks_off_does_not_repeat(searched, nas_verify, monkeypatch):
    monkeypatch.setattr(nas.evaluate, "evaluate", lambda *_, **__: Outcome("failed", error="training diverged"))
    code, printed = nas_verify(searched, "--trial", "0")
    assert code == 1
    assert "it broke off: training diverged" in printed
    assert "6 of 6 figures differ" in printed


def test_images_elsewhere_are_told_from_other_images(searched, nas_verify, replayed):
    replayed(searched)
    code, printed = nas_verify(searched, "--trial", "0", "--data", "glyphs:n=200")
    assert code == 0
    assert "equality was not to be expected: other images: fingerprint" in " ".join(printed.split())


DOUBTS = {
    "GPU": (lambda spec: replace(spec, resources=replace(spec.resources, gpus=1)), "trained on a GPU"),
    "threads": (lambda spec: replace(spec, resources=replace(spec.resources, cpus_per_trial=4)), "4 threads"),
    "clock": (lambda spec: replace(spec, train=replace(spec.train, seconds=9.0)), "train.seconds=9"),
    "weights": (lambda spec: replace(spec, train=replace(spec.train, weights="w.pt")), "weights of w.pt"),
}


@pytest.mark.parametrize("name", DOUBTS)
def test_what_speaks_against_equality_is_said(name, searched):
    training = repeat.find(searched, "0")
    images = training.about["images"]["fingerprint"]
    assert list(repeat._doubts(training, images, 0)) == []
    change, words = DOUBTS[name]
    (doubt,) = repeat._doubts(replace(training, spec=change(training.spec)), images, 0)
    assert words in doubt


def test_another_torch_processor_or_record_of_images_speaks_against_equality(searched):
    training = repeat.find(searched, "0")
    outcome = replace(training.record.outcome, environment={"torch": "2.0", "device": "Abacus"})
    other = replace(training, record=replace(training.record, outcome=outcome), about={})
    torch, device, images = repeat._doubts(other, "f", 0)
    assert torch.startswith("torch 2.0 then, ")
    assert device.startswith("processor Abacus then, ")
    assert "not recorded" in images


SPOILT = {
    "lost": (LEDGER, '"trial": 1', '"trial": 5', "none of number 1"),
    "costs": (LEDGER, '"macs": ', '"macs": 1', "counted again"),
    "network": ("archs", "", "", "is damaged"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_folder_that_contradicts_itself_is_found_out(name, folder, nas_verify):
    file, old, new, words = SPOILT[name]
    if file == "archs":
        next((folder / "archs").iterdir()).write_text("{}")
    else:
        spoil(folder, old, new, file)
    code, printed = nas_verify(folder)
    assert code == 1
    assert words in " ".join(printed.split())


def test_numbers_without_a_certificate(tmp_path):
    run(tmp_path, [*OUTCOMES, replace(OUTCOMES[0], status="stopped")], SPEC)
    found = uncertified.numbers(runs.read(tmp_path))
    flagged = [one for one in found if one.number.startswith("latency")]
    assert [(one.where.split(" (")[0], one.front, one.why) for one in flagged] == [("trial 3", True, ("drift",))]
    assert any(one.number == "top-1 80.00 %" and "stopped after epoch 1" in one.why[0] for one in found)
    assert any(one.number == "MACs and parameters" and "closed form" in one.why[0] for one in found)


def test_checks_of_a_run_that_was_killed(tmp_path):
    run(tmp_path, [OUTCOMES[0], None], SPEC)
    trials, costs, archs = consistency.checks(runs.read(tmp_path), tmp_path)
    assert trials.ok
    assert costs.ok
    assert "not counted again" in costs.text
    assert archs.text.startswith("none yet")


def test_what_is_not_recorded_is_said():
    said = dict(provenance.rows({"environment": {"commit": "abc+"}, "data": {"source": "digits"}}))
    assert said["command"] == "not recorded"
    assert said["commit"] == "abc with changes that were not committed"
    assert said["data"] == "digits, fingerprint not recorded"


def test_another_kind_of_run_tells_how_it_was_made(tmp_path, nas_verify):
    code, printed = nas_verify(make_scaling(tmp_path / "scale"))
    assert code == 0
    assert "How it was made (a scaling run)" in printed
    assert json.loads(nas_verify(tmp_path / "scale", "--json")[1])["kind"] == "a scaling run"


MISTAKES = {
    "no folder": (["nowhere"], "nowhere: is no folder"),
    "no run": (["empty"], "empty: holds no run (no spec.yaml)"),
    "a word": (["run", "--trial", "first"], "--trial: 'first' is not best, a number"),
    "a folder": (["run", "--trial", "archs/0"], "--trial: 'archs/0' is not best, a number"),
    "no trial": (["run", "--trial", "7"], "--trial: 7 is not in run, which holds 0 to 1"),
    "no confirmation": (["bare", "--trial", "confirm/0"], "--trial: bare holds no confirm"),
    "nothing finished": (["bare", "--trial", "best"], "bare holds no finished trial"),
    "never trained": (["bare", "--trial", "0"], "--trial: 0 has no training to repeat: rejected, breaks latency_ms<=8"),
    "no space": (["spaceless", "--trial", "0"], "spaceless: holds no space.yaml"),
    "no data": (["run", "--trial", "0", "--data", "imagefolder:nowhere"], "no such folder"),
    "data alone": (["run", "--data", "digits"], "--data: is for a training that is made again"),
    "another kind": (["scale", "--trial", "0"], "--trial: scale holds a scaling run"),
}


@pytest.fixture
def place(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "bare"):
        (tmp_path / name).mkdir()
    make_scaling(tmp_path / "scale")
    run(tmp_path / "bare", [OUTCOMES[4]])
    shutil.copytree(folder, tmp_path / "spaceless")
    (tmp_path / "spaceless" / "space.yaml").unlink()
    return tmp_path


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named_in_a_line_and_leave_nothing(name, place):
    arguments, words = MISTAKES[name]
    before = everything(place), content(place)
    with pytest.raises(UserError) as caught:
        verify.main(arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (everything(place), content(place)) == before


def test_the_spec_of_a_repeat_is_that_of_the_folder(searched):
    training = repeat.find(searched, "confirm/0")
    assert training.spec == parse(yaml.safe_load((searched / "confirm" / "spec.yaml").read_text()))
    assert training.spec.train.epochs == 1
    assert repeat.find(searched, "best").spec.train.epochs == 2
