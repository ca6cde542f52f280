"""A search and the command measure on another device (here: an agent on this host)."""

import json
from dataclasses import replace

import pytest

from nas import data, warmstart
from nas.evaluate import evaluate
from nas.latency.__main__ import main
from nas.latency.runtimes import NotExported
from nas.plan import plan
from nas.run import _check_latencies
from search_spaces import Arch, Stage, UserError
from search_spaces.space_file import load_space
from studies.ledger import Latency, Outcome, TrialRecord
from studies.session import NoRun
from studies.spec import parse

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
SMALL = Arch((Stage("mbconv", 3, 2, 2, 16, 1, 0.25),), 8, 32, 16, norm_eps=1e-3)
QUICK = {"warmup_s": 0.0, "max_s": 0.02, "block_ms": 1.0, "retries": 0, "mode": "eager"}
TRAIN = {"epochs": 1, "batch_size": 64}
SEARCH = {"objectives": ["top1", "latency_ms"]}


@pytest.fixture(autouse=True)
def own_lock(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", 16, seed=0, max_per_class=20)


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("nas.latency.protocol.BACKOFF_S", 0.0)
    (tmp_path / "small.json").write_text(json.dumps(SMALL.to_dict()))
    main([str(tmp_path / "small.json"), "--device", "local:", "--mode", "eager", "--max-seconds", "0.1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["key"]["runtime"].endswith("exported")
    assert found["p50_ms"] > 0


def test_a_trial_is_measured_there(digits):
    spec = parse({"train": TRAIN, "latency": QUICK | {"device": "local:"}})
    outcome = evaluate(SMALL, 0, digits, NoRun(), spec=spec)
    assert outcome.status == "ok"
    assert outcome.latency.p50_ms > 0
    assert not plan(replace(spec, resources=replace(spec.resources, gpus=0))).differences(outcome.latency.key)


def test_what_was_measured_there_is_not_measured_again(digits):
    spec = parse({"train": TRAIN, "latency": QUICK | {"device": "local:"}})
    session = NoRun()
    session.latency = replace(evaluate(SMALL, 0, digits, session, spec=spec).latency, status="ok")
    assert evaluate(SMALL, 1, digits, session, spec=spec).latency == session.latency
    other = evaluate(SMALL, 1, digits, session, spec=parse({"train": TRAIN, "latency": QUICK}))  # another key
    assert other.latency.key != session.latency.key


def test_a_device_that_is_away_costs_no_trial(digits):
    away = QUICK | {"device": "local:/nowhere/python"}
    outcome = evaluate(SMALL, 0, digits, NoRun(), spec=parse({"train": TRAIN, "latency": away}))
    assert (outcome.status, outcome.latency.status, outcome.latency_ms) == ("ok", "deferred", None)
    limited = parse({"train": TRAIN, "latency": away, "search": SEARCH | {"constraints": ["latency_ms<=8"]}})
    outcome = evaluate(SMALL, 0, digits, NoRun(), spec=limited)
    assert outcome.status == "failed"
    assert "latency_ms<=8 not checked" in outcome.error


def test_a_network_that_cannot_be_exported_fails_its_trial_at_once(digits, monkeypatch):
    """Unlike a device that is away: no other time is better."""
    monkeypatch.setattr("torch.onnx.export", lambda *_, **__: 1 / 0)
    spec = parse({"train": TRAIN, "latency": QUICK | {"device": "local:", "mode": "onnxruntime"}})
    with pytest.raises(NotExported, match="cannot write this network"):
        evaluate(SMALL, 0, digits, NoRun(), spec=spec)


def measured_under(key, number=0):
    latency = Latency(key, 1.0, 0.1, 0.9, 64)
    outcome = Outcome("ok", top1=50.0, macs=1, params=1, latency=latency, environment={"device": "trainer"})
    return TrialRecord(number, load_space("v2", 0.25, 32).base, 0, 0.0, outcome=outcome)


def test_latencies_of_the_device_and_of_this_machine_do_not_meet():
    there = plan(parse({"latency": QUICK | {"device": "local:"}, "search": SEARCH, "resources": {"gpus": 0}}))
    same, phone = there.latency_key | {"resolution": 32}, there.latency_key | {"device": "a phone"}
    assert same["runtime"].endswith("exported")
    _check_latencies(there, [measured_under(same)])
    with pytest.raises(UserError, match="the run was measured with device a phone, here"):
        _check_latencies(there, [measured_under(phone)])
    with pytest.raises(UserError, match="the run was measured with threads 4, here 1"):
        _check_latencies(there, [measured_under(same | {"threads": 4})])
    assert warmstart._translated(measured_under(phone), there, "trainer").outcome.latency is None
    assert warmstart._translated(measured_under(same), there, "trainer").outcome.latency


def test_a_device_that_does_not_answer_is_named_before_anything_is_done():
    with pytest.raises(UserError, match="device: "):
        plan(parse({"latency": {"device": "local:/nowhere/python"}}))
