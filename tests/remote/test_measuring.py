"""How a device is reached, what is asked of it, and what a measurement on it says."""

import getpass
import io
import shutil
import subprocess
import sys
import venv

import numpy as np
import pytest
import torch
from devices import SHAPE, SMALL, loaded

from nas.latency import transport
from nas.latency.remote import RemoteDevice, measure_remote, ready
from nas.latency.transport import Connection, device_of
from nas.lease import Deferred, Lease
from search_spaces import UserError
from studies.spec import LatencySpec

ort = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


# --- addresses


def test_addresses():
    assert device_of("local:")("x") == [sys.executable, "-c", "x"]
    assert device_of("local:/opt/python")("x") == ["/opt/python", "-c", "x"]
    for address, end in {
        "ssh:pi5": ["--", "pi5", "exec python3 -c 'a b'"],
        "ssh:pi@pi5.lan": ["-l", "pi", "--", "pi5.lan", "exec python3 -c 'a b'"],
        "ssh:pi@10.0.0.2:2222": ["-p", "2222", "-l", "pi", "--", "10.0.0.2", "exec python3 -c 'a b'"],
        "ssh:pi@[fe80::1]:22/my venv/python": ["--", "fe80::1", "exec '/my venv/python' -c 'a b'"],
    }.items():
        assert device_of(address)("a b")[-len(end) :] == end


@pytest.mark.parametrize(
    "address", ["", "pi5", "adb:1234", "ssh:", "ssh:-oProxyCommand=x", "ssh:a@-b", "ssh:pi:port", "local:python3"]
)
def test_what_is_no_address(address):
    with pytest.raises(UserError, match=r"^device: .* is not an address of a device, allowed are local:.* or ssh:.*"):
        device_of(address)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("local:/no/such/python", "/no/such/python cannot be run here: No such file or directory"),
        ("local:/bin/false", "no agent starts there: its agent ended with code 1"),
        ("local:/bin/echo", "something else than the agent answers: '-c import sys"),
        ("ssh:127.0.0.1:1", "Connection refused"),
    ],
)
def test_a_device_that_cannot_be_had_is_an_error_of_one_line(address, reason):
    if address.startswith("ssh") and not shutil.which("ssh"):
        pytest.skip("no ssh here")
    with pytest.raises(UserError, match=f"^device: {address}: .*{reason}") as error:
        Connection(address)
    assert "\n" not in str(error.value)


def test_a_python_without_runtimes(tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    address = f"local:{tmp_path}/bare/bin/python"
    spec = LatencySpec()
    with pytest.raises(UserError, match=r"onnxruntime or torch is not installed there: pip install onnxruntime$"):
        ready(spec, address)
    with RemoteDevice(address) as device, device.exclusive(), pytest.raises(UserError, match="No module named '"):
        loaded(device, b"")


def test_a_python_that_is_too_old():
    """The bootstrap says so in any Python; here this one is too old."""
    asked = transport.BOOTSTRAP.format(0).replace("(3, 9)", "(4, 9)")
    ended = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (
        1,
        f"Python {sys.version_info[0]}.{sys.version_info[1]} is too old, the agent needs 3.9 or newer\n",
    )


def test_what_does_not_travel():
    with pytest.raises(UserError, match=r"^latency.mode: 'compile' does not run on a remote device, allowed are onnxr"):
        measure_remote(SMALL, 16, LatencySpec(mode="compile"), "local:")
    with pytest.raises(UserError, match=r"^latency.dtype: 'float16' is not measured"):
        measure_remote(SMALL, 16, LatencySpec(dtype="float16"), "local:")
    with pytest.raises(UserError, match=r"^latency.threads: 4096 is more than the \d+ cores of local:$"):
        measure_remote(SMALL, 16, LatencySpec(threads=4096), "local:")


# --- measuring


def test_a_measurement_from_end_to_end(model):
    spec = LatencySpec(max_s=0.3, warmup_s=0.05, block_ms=5, retries=0, batch_size=2)
    latency = measure_remote(model, 16, spec, "local:")
    assert latency.key == {
        "device": ready(spec, "local:")["device"],
        "runtime": f"onnxruntime {ort.__version__}",
        "dtype": "float32",
        "batch": 2,
        "resolution": 16,
        "threads": 1,
        "memory_format": "contiguous",
    }
    assert 0 < latency.p50_ms < 1000
    assert 0 < latency.ratio < 1  # the reference is larger
    assert latency.n >= 2 * latency.rounds > 0
    with Lease.of_host().measuring(pause_s=1), RemoteDevice("local:") as device, device.exclusive(timeout_s=1):
        pass


def test_programs_compute_what_the_model_does(model, programs):
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = model(x).numpy()
    session = ort.InferenceSession(programs["onnx"], providers=["CPUExecutionProvider"])
    assert np.allclose(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0], expected, atol=1e-5)
    exported = torch.export.load(io.BytesIO(programs["torch"])).module()
    assert np.allclose(exported(x).detach().numpy(), expected, atol=1e-5)


def test_runs_are_timed_and_only_they_are_counted(programs):
    with RemoteDevice("local:") as device, device.exclusive():
        for form, runtime in (("onnx", "onnxruntime "), ("torch", "torch ")):
            assert loaded(device, programs[form], form).startswith(runtime)
            before = device.counters()
            times = device.run("candidate", 20, True)
            after = device.counters()
            assert len(times) == 20
            assert min(times) > 0
            assert after.wall_s - before.wall_s >= sum(times) / 1e3
            assert after.cpu_s > before.cpu_s
            assert device.counters() == after
        assert list(after.threads) == [device.description["pid"]]
        loaded(device, programs["onnx"])
        device.load("candidate", "onnx", programs["onnx"], SHAPE, threads=2)
        device.run("candidate", 20, True)
        assert device.counters().cpu_s is None
        assert len(device.counters().threads) > 1


def test_a_device_behind_ssh(sshd, programs):
    with RemoteDevice(sshd) as device, RemoteDevice("local:") as local:
        assert device.is_this_host
        assert device.description["device"] == local.description["device"]
        with device.exclusive():
            assert loaded(device, programs["onnx"]) == f"onnxruntime {ort.__version__}"
            assert len(device.run("candidate", 20, True)) == 20
            with pytest.raises(Deferred, match=f"^local:: {getpass.getuser()}@"), local.exclusive(timeout_s=0.1):
                pytest.fail("two at once")
        with local.exclusive(timeout_s=10):
            pass
