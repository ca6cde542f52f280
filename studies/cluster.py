"""Which Ray a run uses: a quiet one of its own on this machine, or a cluster that runs already. Imports Ray."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Read by Ray when it is imported or started; a value that the user has set stays.
_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_worker_niceness": "0",  # at Ray's 15 a trial, and its latency, waits for whatever else runs in this session
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # hides the GPUs from a trial that asked for none
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard copies of what the ledger holds
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is handled by studies.interrupts
    "TUNE_GLOBAL_CHECKPOINT_S": "inf",  # no snapshots of the experiment: resuming reads the ledger
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)

_PASSED_ON = ("NAS_LEASE",)  # to workers on a cluster's machines, whose environment is not this one

import ray  # noqa: E402

from search_spaces import UserError  # noqa: E402
from studies.resources import Resources  # noqa: E402


@contextmanager
def connected(resources: Resources) -> Iterator[None]:
    """A Ray with these resources, shut down afterwards, or the cluster at their address, left running; one that this
    process is connected to already is used as it is. Raises UserError where that is another than asked for, or where no
    machine of it can hold a trial."""
    logging.getLogger("ray.tune").setLevel(logging.INFO if resources.verbose else logging.CRITICAL)
    ours = not ray.is_initialized()
    local = {} if resources.address else {"num_cpus": resources.cpus, "num_gpus": resources.gpus}
    _connect(resources.address or "local", resources.verbose, **local)
    try:
        _check_fit(resources)
        yield
    finally:
        if ours:
            _shut_down()


def _shut_down() -> None:
    """Ray ends the processes of a machine by SIGTERM, which they ignore here (``_own_sigterm``), and gives each of five
    a second before it kills it. Two need theirs: in it the agents see that the raylet is gone, tell the server and end.
    """
    if node := ray._private.worker._global_node:

        def end(**_: Any) -> None:
            for kind in ("raylet", "gcs_server"):
                if kind in node.all_processes:  # none is in a cluster that runs already
                    node._kill_process_type(kind, check_alive=False, allow_graceful=True)
            type(node).kill_all_processes(node, check_alive=False)

        node.kill_all_processes = end
    ray.shutdown()


def totals(address: str) -> tuple[int, int]:
    """CPUs and GPUs of the cluster at ``address``, to which this process stays connected. Raises UserError."""
    _connect(address, verbose=False)
    present = ray.cluster_resources()
    return int(present.get("CPU", 0)), int(present.get("GPU", 0))


_joined: set[str] = set()  # addresses by which this process has reached the Ray that it is connected to


def _connect(address: str, verbose: bool, **settings: Any) -> None:
    """Raises UserError where no cluster answers, our own does not start, or this process is connected to another."""
    answers = False
    try:
        answers = _knock(address)
        if not ray.is_initialized():
            _init(address, verbose, **settings)
    except Exception as error:  # of any kind: Ray names few
        reason = " ".join(str(error).split())[:160]
        if address == "local":
            raise UserError(f"Ray does not start on this machine ({reason}); --verbose shows its messages") from None
        if answers and "RAY_AUTH_MODE" not in os.environ:
            reason += "; if 'ray start' said that it wants a token: export RAY_AUTH_MODE=token"
        raise UserError(f"address: no Ray cluster answers at {address!r} ({reason})") from None
    present = ray.get_runtime_context().gcs_address
    if address not in ("local", "auto", present, *_joined):
        raise UserError(f"address: {address!r} is not the Ray that this process is connected to ({present})")


def _init(address: str, verbose: bool, **settings: Any) -> None:
    _joined.clear()
    if passed_on := {name: os.environ[name] for name in _PASSED_ON if address != "local" and name in os.environ}:
        settings["runtime_env"] = {"env_vars": passed_on}
    with _own_sigterm():
        ray.init(
            address=address,  # "local" unless asked for: a cluster that RAY_ADDRESS names is not ours to use
            include_dashboard=None if address != "local" else False,
            log_to_driver=verbose,
            logging_level="INFO" if verbose else "ERROR",
            **settings,
        )
    _joined.add(address)
    if not verbose:  # log_to_driver leaves out what workers print, but not Ray's own page of text on each that dies
        ray._private.worker.print_to_stdstream = lambda *_, **__: None


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Processes that Ray starts within it ignore SIGTERM, as they do Ctrl-C: ``timeout``, Slurm and systemd send it to
    all of a group, and the driver still needs them to end the run in order. Ray's handler, which exits, is put back."""
    handler, mask = signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _knock(address: str) -> bool:
    """Whether the address is one to knock at. Raises OSError at once where nothing answers, which Ray notices late and
    with many words."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        return False
    socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    return True


def _check_fit(resources: Resources) -> None:
    """A trial that no machine can hold would wait for ever, silently."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    wanted = {"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_trial}
    for kind, each in wanted.items():
        most = max((machine.get(kind, 0) for machine in machines), default=0)
        if each > most:
            raise UserError(f"{kind.lower()}s_per_trial: {each:g} is more than Ray has ({most:g})")
