"""``--baselines``: published networks trained and measured beside a search's candidates, once each, and on no front."""

import time
from collections import Counter

import pytest
import torch
import yaml
from made_up import QUICK_LATENCY, essence, evaluate, lines_of, score

from nas import baselines, search
from search_spaces import UserError, load
from search_spaces.build import build_model
from search_spaces.space_file import load_space
from studies.ledger import LEDGER, Latency, Outcome, read
from studies.pareto import front
from studies.spec import parse

SETTINGS = ["--space", "v2", "--width", "0.25", "--data", "digits", "--objective", "top1", "--objective", "macs"]
SETTINGS += ["--cpus", "1", "--gpus", "0", "--set", "data.max_per_class=20", "--set", "search.population=4"]
NAMES = ["mobilenet_v2", "resnet18", "efficientnet_b0"]
SPACE = load_space("v2", width=0.25, resolution=32)
ARCHS = baselines.networks(NAMES, SPACE)


def interrupt_at(name, count=None):
    """An evaluation that Ctrl-C ends under one network; counts the trainings of each in ``count``."""

    def evaluation(arch, seed, payload, session):
        if count is not None:
            count[arch.id] += 1
        if name and arch == ARCHS[name]:
            raise KeyboardInterrupt
        return evaluate(arch, seed, payload, session)

    return evaluation


# What is trained


def test_networks_are_the_published_ones_at_the_space_s_largest_resolution():
    space = load_space("v2", width=0.25, resolution=[24, 48])
    found = baselines.networks(["resnet18", "mnasnet_b1"], space)
    assert found["resnet18"] == load("resnet18").at(48)
    assert (found["mnasnet_b1"].stages, found["mnasnet_b1"].norm_momentum) == (load("mnasnet_b1").stages, 0.1)


@pytest.mark.parametrize("side", [24, 28, 29, 32, 64])
@torch.inference_mode()
def test_what_is_too_deep_for_a_resolution_is_known_beforehand(side):
    arch = load("densenet121").at(side)
    model = build_model(arch, 10).eval()
    try:
        fits = model(torch.zeros(1, 3, side, side)).shape == (1, 10)
    except RuntimeError:
        fits = False
    assert fits == (side >= 29) == (not baselines._vanishes(arch))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "efficientnet_b0", "mobilenet_v1"])
def test_networks_that_pad_take_any_resolution(name):
    """Down to one pixel, of which batch norm still has a variance over the images."""
    arch = baselines.networks([name], load_space("v2", resolution=8))[name]
    logits = build_model(arch, 10)(torch.rand(2, 3, 8, 8))
    assert torch.isfinite(logits).all()


# When, how often, and what it changes


def test_they_stand_beside_a_search_and_change_nothing_of_it(nas_search, tmp_path):
    with_, without = tmp_path / "with", tmp_path / "without"
    nas_search(*SETTINGS, "--trials", 4, "--out", without)
    flags = ["--baselines", "mobilenet_v2, resnet18", "--baselines", "efficientnet_b0,resnet18"]
    printed = nas_search(*SETTINGS, *flags, "--trials", 4, "--out", with_)
    assert essence(read(with_)) == essence(read(without))
    found = read(with_ / "baselines")
    assert [(record.arch, record.seed, record.status) for record in found] == [(a, 0, "ok") for a in ARCHS.values()]
    spec = yaml.safe_load((with_ / "spec.yaml").read_text())
    assert spec["search"]["baselines"] == NAMES
    assert parse(yaml.safe_load((with_ / "baselines" / "spec.yaml").read_text())).search.baselines == tuple(NAMES)
    best = {trial.arch.id for trial in front(read(with_), ("top1", "macs"))}
    assert {path.stem for path in (with_ / "archs").iterdir()} == best
    assert "training published 3 networks: 1 seed, 4 epochs" in printed
    assert "[1/3] trial 0 mobilenet_v2 ok" in printed
    assert not (with_ / "baselines" / "checkpoints").exists()
    page = (with_ / "report.html").read_text()
    for text in (printed[printed.index("Pareto front") :], page):
        assert all(name in text for name in NAMES)
    assert "Published networks" not in (without / "report.html").read_text()
    assert not (without / "baselines").exists()


def test_a_run_that_ends_under_them_trains_the_rest_once(nas_search, tmp_path, capsys):
    run_dir, count = tmp_path / "run", Counter()
    flags = ["--baselines", ",".join(NAMES), "--trials", 3]
    with pytest.raises(KeyboardInterrupt):
        nas_search(*SETTINGS, *flags, "--out", run_dir, evaluation=interrupt_at("resnet18", count))
    assert f"to go on: python -m nas.search --resume {run_dir}" in capsys.readouterr().out
    assert [record.status for record in read(run_dir / "baselines")] == ["ok", "running"]
    page = (run_dir / "report.html").read_text()
    assert "mobilenet_v2" in page
    assert "running: no result yet" in page
    printed = nas_search("--resume", run_dir, evaluation=interrupt_at(None, count))
    assert "3 trials are done, the search is over" in printed
    assert [record.status for record in read(run_dir / "baselines")] == ["ok"] * 3
    assert [count[arch.id] for arch in ARCHS.values()] == [1, 2, 1]
    assert lines_of(run_dir / "baselines").count("finished") == 3
    nas_search("--resume", run_dir, evaluation=interrupt_at(None, count))
    assert sum(count.values()) == 3 + 4


def test_a_search_that_they_interrupt_is_over_although_its_budget_left_trials(nas_search, tmp_path):
    def slow(arch, seed, payload, session):
        time.sleep(0.1)
        return interrupt_at("mobilenet_v2")(arch, seed, payload, session)

    run_dir = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        nas_search(*SETTINGS, "--baselines", "mobilenet_v2", "--budget", "3s", "--out", run_dir, evaluation=slow)
    before = (run_dir / LEDGER).read_bytes()
    assert before
    nas_search("--resume", run_dir)
    assert (run_dir / LEDGER).read_bytes() == before
    assert [record.status for record in read(run_dir / "baselines")] == ["ok"]


def test_more_can_be_added_to_a_run_and_none_is_forgotten(nas_search, tmp_path):
    run_dir, count = tmp_path / "run", Counter()
    nas_search(*SETTINGS, "--trials", 3, "--baselines", "mobilenet_v2", "--out", run_dir)
    before = (run_dir / LEDGER).read_bytes()
    flags = ["--baselines", "efficientnet_b0"]
    printed = nas_search("--resume", run_dir, *flags, evaluation=interrupt_at(None, count))
    assert "training published 2 networks" in printed
    assert count == {ARCHS["efficientnet_b0"].id: 1}
    assert (run_dir / LEDGER).read_bytes() == before
    with pytest.raises(UserError, match="'resnet' is no published network; did you mean"):
        nas_search("--resume", run_dir, "--baselines", "resnet")
    spec = yaml.safe_load((run_dir / "spec.yaml").read_text())
    assert spec["search"]["baselines"] == ["mobilenet_v2", "efficientnet_b0"]


def test_repeats_and_confirmation_take_them_along_and_measure_them_once(nas_search, tmp_path):
    measured = Counter()

    def evaluation(arch, seed, payload, session):
        measured[arch.id] += session.latency is None
        latency = session.latency or Latency({"device": "made up"}, 2.0, 0.1, 1.9, 50)
        return Outcome(**vars(score(arch)) | {"latency": latency})

    run_dir = tmp_path / "run"
    flags = ["--baselines", "mobilenet_v2,resnet18", "--trials", 4, "--repeats", 2]
    flags += ["--confirm", 1, "--confirm-epochs", 9, "--seeds", 2, "--seed", 5]
    printed = nas_search(*SETTINGS, *flags, "--out", run_dir, evaluation=evaluation)
    archs = [ARCHS["mobilenet_v2"], ARCHS["resnet18"]]
    beside = read(run_dir / "baselines")
    assert [(record.arch, record.seed) for record in beside] == [(arch, seed) for seed in (5, 6) for arch in archs]
    again = read(run_dir / "confirm")
    assert {record.seed for record in again} == {1_000_005, 1_000_006}
    assert [record.arch for record in again][1:3] == archs
    assert len(again) == 6
    assert set(measured.values()) == {1}
    assert "training published 2 networks: 2 seeds, 4 epochs" in printed
    assert "confirming 3 networks: 2 seeds, 9 epochs" in printed
    confirmation = printed[printed.index("Confirmed over 9 epochs") :]
    assert "mobilenet_v2" in confirmation
    assert "Too few networks" in confirmation  # one, since published ones do not count


def test_one_beyond_a_limit_is_trained_and_marked_and_one_that_fails_says_why(nas_search, tmp_path):
    def evaluation(arch, seed, payload, session):
        if arch == ARCHS["efficientnet_b0"]:
            return Outcome("failed", macs=1, error="training diverged: loss became nan at step 3")
        return evaluate(arch, seed, payload, session)

    flags = ["--constraint", "macs<=5e6", "--baselines", ",".join(NAMES), "--confirm", 1]
    printed = nas_search(*SETTINGS, *flags, "--trials", 2, "--out", tmp_path / "run", evaluation=evaluation)
    found = read(tmp_path / "run" / "baselines")
    assert [record.status for record in found] == ["ok", "ok", "failed"]
    table = " ".join(printed[printed.index("Published networks") :].split())
    assert "breaks macs<=5e+06" in table
    page = (tmp_path / "run" / "report.html").read_text()
    assert "failed: training diverged: loss became nan at step 3" in page
    assert ARCHS["efficientnet_b0"] not in {record.arch for record in read(tmp_path / "run" / "confirm")}


def test_a_resumed_run_trains_another_published_network(tmp_path, run_here, here_instead_of_ray):
    """Real images, training and measurement, in this process; test_search.py trains one by Ray."""
    run_dir, names = tmp_path / "run", ["mobilenet_v2", "mobilenet_v1"]
    flags = ["--space", "v2", "--width", "0.25", "--resolution", "32", "--data", "glyphs:n=120", "--trials", "1"]
    flags += ["--epochs", "1", "--cpus", "1", "--gpus", "0", "--baselines", names[0], *QUICK_LATENCY]
    with here_instead_of_ray():
        first = run_here(search.main, *flags, "--out", run_dir)
        assert first.returncode == 0, first.stderr
        assert [record.status for record in read(run_dir / "baselines")] == ["ok"]
        done = run_here(search.main, "--resume", run_dir, "--baselines", names[1])
    assert done.returncode == 0, done.stderr
    found = read(run_dir / "baselines")
    assert [record.status for record in found] == ["ok", "ok"], [record.outcome.error for record in found]
    assert [record.arch for record in found] == list(baselines.networks(names, SPACE).values())
    assert lines_of(run_dir / "baselines", 0).count("finished") == 1
    trials = read(run_dir)
    assert len(trials) == 1
    for record in found:
        assert record.outcome.macs == record.outcome.macs_fvcore
        assert record.outcome.latency.p50_ms > 0
        assert {**record.outcome.latency.key} == {**trials[0].outcome.latency.key}
        assert 0 <= record.outcome.top1 <= 100
        assert len(record.epochs) == 1
    assert "mobilenet_v1" in done.stdout
    assert "Published networks" in (run_dir / "report.html").read_text()
