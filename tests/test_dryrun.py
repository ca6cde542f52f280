"""What ``--dry-run`` says: counts against the space itself, estimates against figures worked by hand."""

import re
from dataclasses import replace

import pytest
import torch

from nas import dryrun
from nas.plan import plan
from nas.timing import Workload
from search_spaces import UserError, constraint, cost
from search_spaces.space_file import load_space
from studies.objectives import METRICS
from studies.spec import LatencySpec, parse
from studies.train_spec import TrainSpec

SPACE = load_space("v2", width=0.25, resolution=32)


def planned(**search):
    spec = {"space": {"width": 0.25}, "data": {"source": "glyphs", "max_per_class": 40}, "search": search}
    spec["latency"] = {"warmup_s": 0.25, "max_s": 1.5}
    return plan(parse(spec | {"resources": {"gpus": 0, "cpus": 2}, "confirm": {"networks": 2, "epochs": 8}}))


def limits(*texts):
    return [constraint.parse(text, METRICS) for text in texts]


@pytest.fixture
def shown(capsys, monkeypatch):
    """What ``show`` prints after the spec, in lines wide enough not to wrap; a training step takes 100 ms."""
    monkeypatch.setattr(dryrun, "step_time_s", lambda arch, *_: 0.1)
    monkeypatch.setenv("COLUMNS", "250")

    def show(a_plan):
        dryrun.show(a_plan)
        return [" ".join(line.split()) for line in capsys.readouterr().out.split("seed: 0\n\n")[1].splitlines()]

    return show


def test_a_sample_is_the_seed_s_and_keeps_the_limits():
    sample = dryrun.draw(SPACE, limits("macs<=3e6"), 10, seed=1)
    assert len(sample.drawn) == dryrun.SAMPLED
    assert sample == dryrun.draw(SPACE, limits("macs<=3e6"), 10, seed=1)
    assert 0 < len(sample.kept) < len(sample.drawn)
    assert {network.cost.macs <= 3e6 for network in sample.kept} == {True}
    assert all(network.cost == cost.count(network.arch, 10) for network in sample.drawn[:20])
    share = sum(network.cost.macs <= sample.at(0.9).cost.macs for network in sample.kept) / len(sample.kept)
    assert share == pytest.approx(0.9, abs=0.01)


def test_more_are_drawn_where_few_keep_the_limits():
    some = dryrun.draw(SPACE, limits("macs<=7e5"), 10, seed=0)
    assert dryrun.SAMPLED < len(some.drawn) <= dryrun.MOST_SAMPLED
    none = dryrun.draw(SPACE, limits("macs<=2e5"), 10, seed=0)
    assert (len(none.drawn), len(none.kept)) == (dryrun.MOST_SAMPLED, 0)
    assert none.at(0.5) in none.drawn


@pytest.mark.parametrize("metric", cost.Cost._fields)
def test_no_network_is_beyond_the_extremes(metric):
    least, most = (getattr(found, metric) for found in dryrun.extremes(SPACE, metric, 10))
    found = [getattr(network.cost, metric) for network in dryrun.draw(SPACE, (), 10, seed=0).drawn]
    assert least <= min(found) < max(found) <= most


def test_seconds_of_a_trial_by_hand():
    """(90 + 30 / 3) / 10 = 10 steps an epoch; 1 s to build, 0.3 s and 0.7 s to measure."""
    work = Workload(90, 30, TrainSpec(epochs=2, batch_size=10), LatencySpec(warmup_s=0.3, max_s=0.7))
    assert work.seconds(0.5) == pytest.approx(2 * 10 * 0.5 + 2)
    assert work.seconds(0.5, epochs=8) == pytest.approx(8 * 10 * 0.5 + 2)


def test_everything_is_shown(shown):
    """400 images: 300 to train on and 100 / 3 are 10.4 steps of 32, four times, and 2.75 s: 6.9 s a trial, 10 s to
    begin; 8 epochs to confirm: 11.1 s a training, three at a time of two."""
    lines = shown(planned(trials=5, budget="1m", constraints=["macs<=3e6", "top1>=50", "latency_ms<=8"]))
    text = "\n".join(lines)
    assert f"v2: {SPACE.size:,} networks" in lines[0]
    assert lines[1] == "data glyphs: 10 classes, 400 images, 32 px"
    assert lines[2] == "search 5 trials or 1m, 4 epochs a trial, 2 at a time on 2 CPU core(s)"
    assert lines[3] == "then confirmation of 2 networks, 3 seeds, 8 epochs"
    least, most = (found.macs / 1e6 for found in dryrun.extremes(SPACE, "macs", 10))
    assert re.search(rf"^MACs \(M\) {least:.3f} \d\.\d+ {most:.2f}$", text, re.M)
    assert re.search(r"^limits macs<=3e\+06: [\d,]+ of 2,000 sampled networks keep them \(0\.\d+\)$", text, re.M)
    assert "limits top1>=50 and latency_ms<=8: known only once a network is measured or trained" in lines
    assert re.search(r"^memory training the largest network takes about \d+ MB \(estimate\), 2 at a time$", text, re.M)
    assert "100 ms a training step at the median of MACs" in text
    assert "about 6.9 s for a trial of mean MACs" in text
    assert "about 31 s for 5 trials" in lines
    assert "about 14 trials fit into the budget of 1m" in lines
    assert "about 33 s for 6 trainings to confirm" in lines


def test_baselines_are_timed_as_they_are(shown, monkeypatch):
    """6.9 s a trial, and resnet18 with steps of 1 s: 4 * 10.4 s and 2.75 s, twice, on one of two cores; to confirm 33 s
    and three times 86.1 s on one of two."""
    monkeypatch.setattr(dryrun, "step_time_s", lambda arch, *_: 1.0 if arch.layout == "resnet" else 0.1)
    lines = shown(planned(trials=6, baselines=["resnet18"], repeats=2))
    assert lines[3:5] == [
        "then the same training of resnet18",
        "then confirmation of 2 networks and these, 3 seeds, 8 epochs",
    ]
    assert "about 44 s for 2 trainings of published networks" in lines
    assert "about 2.7 min for 9 trainings to confirm" in lines


def test_time_between_two_timed_networks_grows_with_macs(shown, monkeypatch):
    monkeypatch.setattr(dryrun, "step_time_s", lambda arch, *_: cost.count(arch, 10).macs / 1e8)
    a_plan = planned(trials=5)
    sample = dryrun.draw(SPACE, (), 10, seed=0)
    mean = sum(network.cost.macs for network in sample.drawn) / len(sample.drawn)
    trial_s = 4 * (300 + 100 / 3) / 32 * mean / 1e8 + 2.75
    assert f"about {trial_s:.2g} s for a trial of mean MACs" in "\n".join(shown(a_plan))


def test_a_slow_network_is_timed_alone(shown, monkeypatch):
    timed = []
    monkeypatch.setattr(dryrun, "step_time_s", lambda arch, *_: timed.append(arch) or 60.0)
    assert "60,000 ms a training step at the median of MACs; about" in "\n".join(shown(planned(trials=500)))
    assert len(timed) == 1


def test_limits_that_none_of_the_sampled_keeps(shown):
    assert "limits macs<=200000: none of 10,000 sampled networks" in shown(planned(constraints=["macs<=2e5"]))


def test_a_limit_that_no_network_can_keep_is_refused_by_the_plan():
    with pytest.raises(UserError, match=r"constraint: macs<=1000 rejects every network of space v2: .* at least 1"):
        planned(constraints=["macs<=1000"])


def test_nothing_is_trained_where_the_gpus_are_elsewhere(shown, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    a_plan = planned(trials=5)
    lines = shown(replace(a_plan, resources=replace(a_plan.resources, gpus=1, gpus_per_trial=1)))
    assert lines[-1] == "time not estimated: no GPU is visible here"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0.4 s"), (119, "120 s"), (600, "10 min"), (9000, "2.5 h"), (1e6, "12 days"), (1e9, "12,000 days")],
)
def test_durations(seconds, text):
    assert dryrun._duration(seconds) == f"about {text}"
