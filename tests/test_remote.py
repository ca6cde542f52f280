"""Agents on devices with real processes: on this host, and behind a real sshd on loopback where there is one."""

import getpass
import io
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import venv
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.latency import transport
from nas.latency.remote import RemoteDevice, measure_remote, program, ready
from nas.latency.transport import Connection, DeviceLost, device_of
from nas.lease import NO_LEASE, Deferred, Lease
from search_spaces import Arch, Stage, UserError
from search_spaces.build import build_model
from studies.spec import LatencySpec

ort = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
SMALL = Arch((Stage("fused_mbconv", 3, 2, 2, 8, 1), Stage("mbconv", 3, 2, 2, 16, 1, 0.25)), 8, 32, 16)
SHAPE = (1, 3, 16, 16)
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
FOREVER = 10**9  # calls
CLIENT = """
import sys
from pathlib import Path
from nas.latency.transport import Connection

agent = Connection(sys.argv[1])
agent.ask("lock", timeout_s=60, silence_s=60, who="the client")
shape, network = (1, 3, 16, 16), Path(sys.argv[2]).read_bytes()
agent.ask("load", network, network="candidate", form=sys.argv[3], shape=shape, threads=1)
print(agent.description["pid"], flush=True)
agent.ask("run", limit_s=3600, network="candidate", calls=10**9, lead_in=True)
"""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model(SMALL, 10).eval()


@pytest.fixture(scope="module")
def programs(model):
    return {form: program(model, SHAPE, mode) for form, mode in (("onnx", "onnxruntime"), ("torch", "eager"))}


@pytest.fixture(autouse=True)
def own_lock(tmp_path, monkeypatch):
    """Agents of a test and its lease share nothing with what else runs on this host."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("NAS_LEASE", str(tmp_path / "lease"))


@pytest.fixture
def address(request):
    """``local:``, or of an sshd of the test's own (indirectly, by ``ssh``)."""
    if getattr(request, "param", "local") == "local":
        return "local:"
    return request.getfixturevalue("sshd")


@pytest.fixture
def sshd(tmp_path, monkeypatch):
    """An sshd of this user on a free port, and an ssh that knows it; the address of this Python behind it."""
    if not (SSHD and shutil.which("ssh") and shutil.which("ssh-keygen")):
        pytest.skip("no sshd here: install openssh-server and openssh-client")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    shutil.copy(tmp_path / "user.pub", tmp_path / "authorized_keys")
    (tmp_path / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/authorized_keys"
        f"\nStrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\nSetEnv TMPDIR={tmp_path}\n"
    )
    (tmp_path / "ssh_config").write_text(
        f"IdentityFile {tmp_path}/user\nUserKnownHostsFile {tmp_path}/known\nStrictHostKeyChecking accept-new\n"
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {tmp_path}/ssh_config "$@"\n')
    (tmp_path / "bin" / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with open(tmp_path / "sshd.log", "w") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", tmp_path / "sshd_config"], stderr=log)
    try:
        until(lambda: "listening" in (tmp_path / "sshd.log").read_text() or server.poll() is not None)
        assert server.poll() is None, (tmp_path / "sshd.log").read_text()
        yield f"ssh:{getpass.getuser()}@127.0.0.1:{port}{sys.executable}"
    finally:
        server.terminate()
        server.wait()


def until(happened, timeout_s=60):
    end = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def loaded(device, program, form="onnx"):
    return device.load("candidate", form, program, SHAPE, threads=1)


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


def test_nothing_runs_without_the_lock(programs):
    with RemoteDevice("local:") as device:
        with pytest.raises(UserError, match="the device is not locked"):
            loaded(device, programs["onnx"])
        with device.exclusive():
            loaded(device, programs["onnx"])
        with pytest.raises(UserError, match="the device is not locked"):
            device.run("candidate", 1, False)


# --- one client at a time


def test_a_second_client_waits_or_is_deferred(programs):
    with RemoteDevice("local:") as one, RemoteDevice("local:") as other:
        with one.exclusive():
            with pytest.raises(Deferred, match=r"local:: .*process \d+, held the device for all of 0.2 s"):
                other.exclusive(timeout_s=0.2).__enter__()
            asked = other.exclusive(timeout_s=60)
            waiting = threading.Thread(target=asked.__enter__)
            waiting.start()
            time.sleep(0.2)
            assert waiting.is_alive()
        waiting.join()
        with pytest.raises(Deferred):
            one.exclusive(timeout_s=0.1).__enter__()


def test_clients_are_never_at_it_at_once(programs):
    devices = [RemoteDevice("local:") for _ in range(2)]

    def work(device):
        for _ in range(5):
            with device.exclusive():
                loaded(device, programs["onnx"])
                device.run("candidate", 10, True)

    clients = [threading.Thread(target=work, args=(device,)) for device in devices]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    held = sorted(times for device in devices for times in device.held)
    for device in devices:
        device.__exit__(None, None, None)
    assert len(held) == 10
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(held))


def test_a_device_that_is_this_host_is_measured_on_under_its_lease(tmp_path):
    lease = Lease(tmp_path / "lease")
    with RemoteDevice("local:", lease) as device, device.exclusive():
        assert device.is_this_host
        with pytest.raises(Deferred), Lease(tmp_path / "lease").measuring(pause_s=0.1, queue_s=0.1):
            pytest.fail("two measure at once")
    with lease.measuring(pause_s=1):
        pass


@pytest.mark.parametrize(
    ("address", "form"), [("local", "onnx"), ("local", "torch"), ("ssh", "onnx")], indirect=["address"]
)
def test_a_client_that_is_killed_in_a_long_run_frees_the_device(address, form, programs, tmp_path):
    path = tmp_path / "network"
    path.write_bytes(programs[form])
    command = [sys.executable, "-c", CLIENT, address, str(path), form]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    agent = int(client.stdout.readline())
    time.sleep(0.3)  # it is at it
    client.kill()
    client.communicate()
    with RemoteDevice(address) as device, device.exclusive(timeout_s=20):
        assert not lives(agent)


# --- what goes wrong on the way


def run_forever(device, program):
    with device.exclusive():
        loaded(device, program)
        device.run("candidate", FOREVER, False)


def test_an_agent_that_dies_is_an_error(programs):
    with RemoteDevice("local:") as device:
        threading.Timer(3, os.kill, (device.description["pid"], signal.SIGKILL)).start()
        with pytest.raises(DeviceLost, match=r"^device: local:: cannot .*: its agent ended with code -9$"):
            run_forever(device, programs["onnx"])
        with pytest.raises(DeviceLost, match="gone"):
            device.counters()


def test_an_agent_that_hangs_ends_itself(programs, monkeypatch):
    monkeypatch.setattr("nas.latency.remote.RUN_S", 0.5)
    with RemoteDevice("local:") as device:
        with pytest.raises(DeviceLost, match=r"cannot run: no answer within 0.5 s$"):
            run_forever(device, programs["onnx"])
        until(lambda: not lives(device.description["pid"]))


def test_a_stopped_agent_is_given_up(monkeypatch):
    monkeypatch.setattr(transport, "ANSWER_S", 0.3)
    with RemoteDevice("local:") as device:
        os.kill(device.description["pid"], signal.SIGSTOP)
        with pytest.raises(DeviceLost, match=r"no answer within 0.2 s$"):
            device._connection.ask("counters", limit_s=0.2)
        until(lambda: not lives(device.description["pid"]))


def test_a_stopped_holder_defers_others():
    with RemoteDevice("local:") as one, RemoteDevice("local:") as other, one.exclusive():
        os.kill(one.description["pid"], signal.SIGSTOP)
        try:
            with pytest.raises(Deferred):
                other.exclusive(timeout_s=0.3).__enter__()
        finally:
            os.kill(one.description["pid"], signal.SIGCONT)


def test_a_client_that_is_silent_loses_the_device(monkeypatch):
    monkeypatch.setattr("nas.latency.remote.SILENCE_S", 0.3)
    with RemoteDevice("local:") as one, RemoteDevice("local:", NO_LEASE) as other:
        held = one.exclusive()
        held.__enter__()
        with other.exclusive(timeout_s=60):
            pass
        with pytest.raises(DeviceLost, match=r"the agent ended: no request for 0.3 s"):
            one.counters()


def test_an_agent_that_talks_nonsense_is_an_error(tmp_path):
    python = tmp_path / "python"
    python.write_text(
        textwrap.dedent(f"""\
        #!/bin/sh
        echo Welcome to this device, which greets everybody who comes
        exec {sys.executable} "$@"
        """)
    )
    python.chmod(0o755)
    with pytest.raises(UserError, match=r"^device: .*: something else than the agent answers: 'Welcome to this "):
        Connection(f"local:{python}")


def test_what_cannot_be_loaded_is_an_error_and_the_agent_goes_on(programs):
    with RemoteDevice("local:") as device, device.exclusive():
        with pytest.raises(UserError, match=r"^device: local:: InvalidProtobuf: ") as error:
            loaded(device, b"no network")
        assert "\n" not in str(error.value)
        loaded(device, programs["onnx"])
        assert len(device.run("candidate", 3, False)) == 3
