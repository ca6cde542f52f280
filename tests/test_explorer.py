"""What a search's page knows of its networks, by columns; and the certificates beside them."""

import json
from dataclasses import replace

import pytest
from test_report import GOALS, SPEC, ok, run

from reports import baselines
from reports.certificates import certificates
from reports.noise import Noise
from reports.pages import explorer, trust
from reports.run import Run
from reports.units import figure
from studies.ledger import Outcome


def test_columns_hold_what_the_ledger_does(tmp_path):
    trials = run(tmp_path)
    found = explorer.networks(trials, GOALS, noise=Noise(1.0, "", True))
    assert found["key"] == ["0", "1", "2", "3"]  # what finished
    assert found["front"] == ["0", "1", "3"]
    assert found["id"] == [trial.arch.id for trial in trials[:4]]
    for place, trial in enumerate(trials[:4]):
        assert [found["texts"][one] for one in found["stages"][place]] == [stage.text for stage in trial.arch.stages]
        assert found["shown"]["latency_ms"][place] == figure(trial, "latency_ms")
        assert found["values"]["macs"][place] == trial.metric("macs")
    assert found["error"] == [1.96] * 4
    assert found["curve"][0] == [[1, 50.0]]
    status, interval, calls, rounds, reasons = found["latency"][3]
    assert (found["said"][status], interval, calls, rounds) == ("flagged", "", 64, 0)
    assert [found["said"][one] for one in reasons] == ["drift"]
    assert found["metrics"]["macs"] == ["MACs", "M", 1e6]
    json.dumps(found, allow_nan=False)


def test_what_is_unknown_is_null(tmp_path):
    outcomes = [ok(None, 1.0, 10, latency=None), ok(float("inf"), 1.0, 10)]
    trials = run(tmp_path, [ok(1.0, 1.0, 10)] * 2)
    found = explorer.networks([replace(t, outcome=o) for t, o in zip(trials, outcomes, strict=True)], GOALS)
    assert found["values"]["top1"] == [None, None]
    assert found["latency"][0] is None
    assert found["shown"]["latency_ms"][0] == "-"
    assert found["error"] == [None, None]
    json.dumps(found, allow_nan=False)


def test_long_curves_keep_their_ends(tmp_path):
    (trial,) = run(tmp_path, [ok(90.0, 1.0, 10)])
    long = replace(trial, epochs=tuple({"epoch": n, "top1": n / 10} for n in range(1, 301)))
    ((first, *_, last),) = explorer.networks([long], GOALS)["curve"]
    assert (first, last) == ([1, 0.1], [300, 30.0])
    assert len(explorer.networks([long], GOALS)["curve"][0]) == explorer.MOST_EPOCHS


def states(found):
    return {one.name: one.state for one in certificates(found)}


def test_certificates_of_a_bare_search(tmp_path):
    found = Run(run(tmp_path), SPEC)
    assert states(found) == {
        "accuracy": "unknown",
        "short training": "unknown",
        "latency": "doubt",
        "MACs": "ok",
        "test": "unknown",
        "machine": "unknown",
    }
    text = trust.section(certificates(found))
    for word in ("--repeats 2", "--confirm 3", "python -m nas.fidelity", "1 of 5 latencies are flagged"):
        assert word in text


def test_certificates_of_a_confirmed_search(tmp_path):
    machine = {"device": "Fast <GPU>", "torch": "3", "threads": 1}
    trials = run(tmp_path, [ok(80.0, 1.0, 10, environment=machine | {"weights_taken": 0.5}), ok(81.0, 1.0, 20)])
    (tmp_path / "confirm").mkdir()
    again = run(tmp_path / "confirm", [ok(90.0, 1.0, 10, test_top1=89.0)])
    found = Run(trials, SPEC | {"images": {"val": 100}}, confirmation=again, epochs=40)
    assert states(found) | {"accuracy": "doubt", "test": "ok", "machine": "ok"} == states(found)
    assert "all trials alike, Fast &lt;GPU&gt;" in trust.card(certificates(found))
    other = run(tmp_path / "confirm", [ok(1.0, 1.0, 10, environment=machine | {"torch": "2"})])
    assert states(Run([*trials, *other], SPEC))["machine"] == "doubt"


def test_a_different_count_is_a_doubt(tmp_path):
    trials = run(tmp_path, [ok(80.0, 1.0, 2_000_000, macs_fvcore=2_000_001)])
    assert states(Run(trials, SPEC))["MACs"] == "doubt"


@pytest.mark.parametrize(
    ("beside", "words"),
    [
        (ok(84.0, 6.0, 10), "; at no less accuracy than resnet18 1.5 x faster"),
        (ok(95.0, 6.0, 10), ""),  # more accurate than all
        (ok(70.0, 0.5, 10), ""),  # faster than all
        (Outcome("failed", error="x"), ""),
    ],
)
def test_the_headline_s_advantage(tmp_path, beside, words):
    trials = run(tmp_path)
    (tmp_path / "beside").mkdir()
    found = baselines.compare({"resnet18": run(tmp_path / "beside", [beside])}, trials, GOALS)
    assert baselines.advantage(found, trials, GOALS) == words
