"""Agents on devices with real processes: on this host, and behind a real sshd on loopback where there is one."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from devices import SHAPE, SMALL, until

from nas.latency.remote import program
from search_spaces.build import build_model

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")


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
