"""One client at a time has a device, and whatever dies, hangs or talks nonsense leaves it free."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from devices import lives, loaded, until

from nas.latency import transport
from nas.latency.remote import RemoteDevice
from nas.latency.transport import Connection, DeviceLost
from nas.lease import NO_LEASE, Deferred, Lease
from search_spaces import UserError

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
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
