"""Real measurements, as short as they can be, and ``python -m nas.latency``; how true they are, benchmarks/latency.py
says."""

import json
import re
import sys
import time
from importlib.util import find_spec
from typing import get_args, get_type_hints

import pytest
import torch

from nas.latency import __main__ as latency_command
from nas.latency import modes, protocol, runtimes
from nas.latency.measure import REFERENCE, REFERENCE_PX, Local, measure
from nas.latency.watch import CpuWatch
from search_spaces import Arch, Stage, UserError, load
from search_spaces.build import build_model
from studies.ledger import Latency
from studies.spec import LatencySpec

CPU = torch.device("cpu")
SMALL = Arch(
    stem_channels=8,
    stages=(Stage(block="mbconv", kernel=3, stride=2, expansion=2, channels=8, layers=1, se_ratio=0.25),),
    head_channels=16,
    resolution=16,
)
QUICK = {"warmup_s": 0.0, "max_s": 0.02, "block_ms": 1.0, "retries": 0}
FLAGS = ["--precision", "0.5", "--max-seconds", "0.05"]
STATUSES = ("ok", "not_converged", "flagged", "deferred")


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.json"
    path.write_text(json.dumps(SMALL.to_dict()))
    return str(path)


@pytest.fixture
def printed(capsys, monkeypatch, tmp_path):
    """Runs the command in this process, under a lease of its own; its output, with ``--json`` as data."""
    monkeypatch.setenv("NAS_LEASE", str(tmp_path / "lease"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(protocol, "BACKOFF_S", 0.0)

    def run(*arguments):
        latency_command.main(arguments)
        text = capsys.readouterr().out
        return json.loads(text) if "--json" in arguments else text

    return run


def test_it_is_measured_as_asked():
    torch.set_num_threads(2)
    result = measure(build_model(SMALL, 10), 16, LatencySpec(batch_size=4, **QUICK), CPU)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert not torch.is_inference_mode_enabled()
    assert 0 < result.min_ms <= result.p50_ms
    assert (result.key["batch"], result.key["threads"], result.key["resolution"]) == (4, 1, 16)
    assert result.status in STATUSES
    assert bool(result.reasons) or result.status == "ok"


def test_the_whole_call_counts():
    class Sleepy(torch.nn.Module):
        def forward(self, x):
            time.sleep(0.003)
            return x

    result = measure(Sleepy(), 8, LatencySpec(**QUICK), CPU)
    assert result.min_ms >= 3
    assert result.status == "flagged"
    assert any(reason.startswith(("not running", "run delay")) for reason in result.reasons)


def test_a_model_is_left_as_it_was():
    model = build_model(SMALL, 10)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.random.get_rng_state()
    measure(model, 16, LatencySpec(**QUICK), CPU)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(state, torch.random.get_rng_state())
    model.train()(torch.randn(2, 3, 16, 16)).sum().backward()


def test_a_network_takes_as_long_as_itself():
    """Loosely, since the machine may be busy; benchmarks/latency.py aa says how well."""
    model = build_model(SMALL, 10)
    spec = LatencySpec(warmup_s=0.0, max_s=0.3, block_ms=2.0, retries=0)
    assert 0.5 < measure(model, 16, spec, CPU, against=(model, 16)).ratio < 2


@pytest.mark.skipif(any(find_spec(name) is None for name in modes.ONNX), reason="the extra onnx is not installed")
def test_onnxruntime_computes_the_same():
    model, x = build_model(SMALL, 10).eval(), torch.randn(2, 3, 16, 16)
    with runtimes.settings(1):
        session = runtimes.onnx_session(model, x, threads=1)
        outputs = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
        torch.testing.assert_close(torch.from_numpy(outputs), model(x), rtol=1e-3, atol=1e-4)


def test_onnxruntime_has_a_key_of_its_own(monkeypatch):
    monkeypatch.setattr(modes, "find_spec", lambda name: "found")
    eager, onnx = (modes.key_of(LatencySpec(mode=mode), 16, "x", "cpu") for mode in ("eager", "onnxruntime"))
    assert {name for name in eager if eager[name] != onnx[name]} == {"runtime", "memory_format"}


def test_every_mode_of_a_spec_has_a_runtime():
    names, _ = get_args(get_type_hints(LatencySpec)["mode"])
    assert get_args(names) == tuple(modes.RUNTIMES)
    assert {kind for runtime in modes.RUNTIMES.values() for kind in runtime.kinds} == set(modes.MODES)


def test_json_holds_the_contract(printed, small):
    found = printed(small, "--json", *FLAGS)
    assert list(found)[: len(latency_command.KEYS)] == list(latency_command.KEYS)
    assert list(found["key"]) == ["device", "runtime", "dtype", "batch", "resolution", "threads", "memory_format"]
    assert (found["key"]["resolution"], found["key"]["runtime"]) == (16, "torch eager")
    assert found["ci95_ms"][0] <= found["p50_ms"] <= found["ci95_ms"][1]
    assert found["ratio_ci95"][0] <= found["ratio"] <= found["ratio_ci95"][1]
    assert found["status"] in STATUSES
    assert found["against"] == f"{REFERENCE} at {REFERENCE_PX} px, batch 1"
    assert found["environment"]["torch"] == torch.__version__.split("+")[0]


def test_against_another_network_crosses_no_key(printed, small, monkeypatch):
    """Both are measured under the same key but for the resolution, which is the network's own."""
    prepared = []
    prepare = runtimes.prepare

    def heard(model, x, mode, threads):
        prepared.append((tuple(x.shape), x.dtype, x.device, mode, threads))
        return prepare(model, x, mode, threads)

    monkeypatch.setattr(runtimes, "prepare", heard)
    flags = ["--batch", "2", "--against", small, "--json", *FLAGS]
    found = printed("mobilenet_v2", "--resolution", "32", *flags)
    assert {each[0] for each in prepared[:1] + prepared[-1:]} == {(2, 3, 32, 32)}
    assert len({each[1:] for each in prepared}) == 1
    assert (found["against"], found["key"]["batch"]) == (small, 2)


def test_text_says_value_interval_status_and_reasons(printed, small):
    text = printed(small, *FLAGS)
    assert "95% interval" in text
    assert f"to {REFERENCE} at {REFERENCE_PX} px, batch 1" in text
    assert re.search(rf"^status +({'|'.join(STATUSES)}) *$", text, re.M)


def test_a_deferred_number_is_none(printed, small, monkeypatch):
    monkeypatch.setattr("nas.latency.measure.HOLD_S", -1.0)  # what takes longer than this is too long
    found = printed(small, "--json", *FLAGS)
    assert (found["status"], found["p50_ms"], found["ratio"], found["n"]) == ("deferred", None, None, 0)
    assert "others wait" in found["reasons"][0]
    text = printed(small, *FLAGS)
    assert "deferred" in text
    assert "p50" not in text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_missing_is_a_mistake():
    with pytest.raises(UserError, match="--device: 'cuda' asked for"):
        latency_command.main(["resnet18", "--device", "cuda"])


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(modes, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs onnx, onnxscript, onnxruntime, install the extra: .*\[onnx\]"):
        modes.resolve(LatencySpec(mode="onnxruntime"), "cpu")


def test_defaults_of_each_kind_of_device():
    assert modes.resolve(LatencySpec(), "cpu") == ("eager", "float32")
    assert modes.resolve(LatencySpec(), "cuda") == ("cuda_graph", "float16")


def test_counters_count_this_process():
    watch = CpuWatch(1)
    before = watch.read()
    end = time.thread_time() + 0.05
    while time.thread_time() < end:
        pass
    after = watch.read()
    assert after.wall_s - before.wall_s >= after.cpu_s - before.cpu_s >= 0.05
    if sys.platform == "linux":
        assert watch.unchecked == ()
        assert len(after.threads) == 1
        assert after.steal_s >= before.steal_s


class Wattmeter:
    """5 mJ a call."""

    def __init__(self, calls):
        self.calls = calls

    def energy_mj(self):
        return 5.0 * len(self.calls)


def test_energy_is_that_of_one_call():
    calls = []
    local = Local({"candidate": lambda: calls.append(0)}, CPU, "eager", 1)
    assert local.energy_mj(0.01) is None  # of a CPU it is not known
    local._watch = Wattmeter(calls)
    assert local.energy_mj(0.01) == 5.0
    assert measure(build_model(SMALL, 10), 16, LatencySpec(**QUICK, energy_s=0.1), CPU).energy_mj is None


def test_without_a_lease_a_result_says_so(printed, small, monkeypatch):
    monkeypatch.setenv("NAS_LEASE", "off")
    found = printed(small, *FLAGS, "--json")
    assert "not checked: whether trainings beside it pause (NAS_LEASE is off)" in found["reasons"]


def test_a_missing_compiler_is_a_mistake(printed, small, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/nowhere/g++"))
    with pytest.raises(UserError, match=r"latency.mode: 'compile' does not work here: .*C\+\+ compiler"):
        printed(small, "--mode", "compile")


def test_an_older_ledger_s_latency_is_read():
    old = {"key": {"device": "x"}, "p50_ms": 2.0, "iqr_ms": 0.1, "min_ms": 1.9, "n": 50, "status": "ok", "reasons": []}
    assert Latency.from_dict(old) == Latency({"device": "x"}, 2.0, 0.1, 1.9, 50)


def test_the_reference_is_small():
    assert load(REFERENCE).at(REFERENCE_PX).resolution == 96
