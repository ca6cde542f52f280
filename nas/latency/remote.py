"""Latency on a device elsewhere: the measuring protocol here, networks and clocks there.

An agent on the device (nas/latency/agent.py) runs what the protocol asks for and returns raw times, by block; a network
travels as ONNX or as an exported torch program. Nothing needs to be installed there but Python and the runtime.
"""

from __future__ import annotations

import copy
import getpass
import io
import os
import platform
import statistics
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache, partial
from types import TracebackType
from typing import Any

import torch
from torch import nn

from nas.latency import agent, protocol
from nas.latency.checks import Counters
from nas.latency.measure import REFERENCE, REFERENCE_PX, REMEMBERED
from nas.latency.modes import TO_ONNX, resolve
from nas.latency.protocol import Network
from nas.latency.runtimes import to_onnx
from nas.latency.transport import Connection
from nas.lease import HOLD_S, NO_LEASE, QUEUE_S, Deferred, Lease
from search_spaces import Arch, UserError
from search_spaces.build import build_model
from search_spaces.published import load
from studies.ledger import Latency
from studies.spec import LatencySpec

REFERENCE_SHAPE = (1, 3, REFERENCE_PX, REFERENCE_PX)
RUN_S, LOAD_S = 120.0, 300.0  # for one block of calls, for making a network ready to run
SILENCE_S = 60.0  # between two requests, after which a device that is locked takes its client for lost
RUNTIMES = {"onnxruntime": "onnxruntime", "eager": "torch"}  # by mode: what has to be installed on the device
FORMATS = {"onnxruntime": "onnx", "eager": "torch"}


class RemoteDevice:
    """A device as the protocol has it, behind ``address``; to be used as a context manager.

    description: what its agent says of it. lease: of this host, for a device that is this host itself (``local:``, or
    ssh to it), on which trainings of this project pause as they do for any measurement; of another one they are not
    known. held: from when to when it had the device, in seconds of the device's clock.
    """

    def __init__(self, address: str, lease: Lease = NO_LEASE) -> None:
        self.address, self._connection = address, Connection(address)
        self.description = self._connection.description
        self.is_this_host = self.description["host"] == agent.describe()["host"]
        self.unchecked: tuple[str, ...] = (
            *self.description["unchecked"],
            *(lease.unchecked if self.is_this_host else ()),
        )
        self._lease = lease if self.is_this_host else NO_LEASE
        self.held: list[tuple[float, float]] = []

    def __enter__(self) -> RemoteDevice:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    @contextmanager
    def exclusive(self, timeout_s: float = QUEUE_S, hold_s: float = HOLD_S) -> Iterator[float]:
        """The device for this client alone; seconds waited for it. Raises Deferred where others do not give it free.

        hold_s: how long other measurements and trainings of a device that is this host wait for it at most.
        """
        # The agent's lock before the lease, since trainings pause for the lease.
        silence_s = SILENCE_S if self._lease.path is None else 2 * QUEUE_S
        answer = self._connection.ask(
            "lock", limit_s=timeout_s + 10, timeout_s=timeout_s, silence_s=silence_s, who=_who()
        )
        if "deferred" in answer:
            raise Deferred(f"{self.address}: {answer['deferred']}")
        with ExitStack() as held:
            held.callback(self._unlock)
            yield answer["waited_s"] + held.enter_context(self._lease.measuring(hold_s=hold_s))

    def _unlock(self) -> None:
        if not self._connection.lost:
            begin, end = self._connection.ask("unlock")["held"]
            self.held.append((begin, end))

    def load(self, network: Network, form: str, program: bytes, shape: Sequence[int], threads: int) -> str:
        """Makes ``program`` ready to run there; to be called in ``exclusive``. The runtime's name with its version."""
        answer = self._connection.ask(
            "load", program, LOAD_S, network=network, form=form, shape=list(shape), threads=threads
        )
        return str(answer["runtime"])

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def run(self, network: Network, calls: int, lead_in: bool) -> Sequence[float]:
        answer = self._connection.ask("run", limit_s=RUN_S, network=network, calls=calls, lead_in=lead_in)
        times_ms: list[float] = answer["times_ms"]
        return times_ms

    def counters(self) -> Counters:
        answer = self._connection.ask("counters")
        threads = {thread: (ran_s, waited_s) for thread, ran_s, waited_s in answer.pop("threads")}
        return Counters(threads=threads, **answer)


def measure_remote(network: nn.Module | Arch, resolution: int, spec: LatencySpec, address: str) -> Latency:
    """Times ``network`` on the device at ``address``, in float32 on its CPU, on an input of (batch, 3, resolution,
    resolution); the ratio is to the reference network at batch 1. A module is left in eval mode; an Arch has 1000
    classes.

    By ``spec.mode``: ``onnxruntime``, or ``eager``, which is an exported torch program that torch runs there; None:
    the first of these that is installed there. ``deferred`` where another client keeps the device. Raises UserError
    where the device cannot be reached or cannot do it, and DeviceLost, which is one, where it fails on the way.
    """
    lease, shape = Lease.of_host(), (spec.batch_size, 3, resolution, resolution)
    with RemoteDevice(address, lease) as device:
        mode = _mode(spec, device)
        with lease.sharing():  # as all work here that would disturb a measurement
            model = build_model(network) if isinstance(network, Arch) else network
            candidate = program(model, shape, mode)
            reference = _reference(mode)
        key = _key(spec, device, mode) | {"resolution": resolution}
        try:
            with device.exclusive(hold_s=LOAD_S):
                device.load("reference", FORMATS[mode], reference, REFERENCE_SHAPE, spec.threads)
                device.load("candidate", FORMATS[mode], candidate, shape, spec.threads)
        except Deferred as error:
            return Latency(key, None, status="deferred", reasons=(str(error),))
        seen = _seen(address, key["runtime"], spec.threads)
        baseline_ms = statistics.median(seen) if seen else None
        exclusive = partial(device.exclusive, hold_s=HOLD_S + 3 * spec.max_s)
        latency, attempt = protocol.measure(device, spec, key, exclusive, baseline_ms)
    if attempt:
        seen.append(statistics.median(attempt.reference.ravel().tolist()))
    return latency


def ready(spec: LatencySpec, address: str) -> dict[str, Any]:
    """The key of what the device at ``address`` measures, but for the resolution; to be asked for before a search
    begins. Raises UserError where it cannot be reached or cannot measure as ``spec`` has it."""
    with RemoteDevice(address) as device:
        return _key(spec, device, _mode(spec, device))


def _key(spec: LatencySpec, device: RemoteDevice, mode: str) -> dict[str, Any]:
    runtime = RUNTIMES[mode]
    exported = "" if mode == "onnxruntime" else " exported"
    return {
        "device": device.description["device"],
        "runtime": f"{runtime} {device.description['runtimes'][runtime]}{exported}",
        "dtype": "float32",
        "batch": spec.batch_size,
        "threads": spec.threads,
        "memory_format": "contiguous" if mode == "onnxruntime" else "channels_last",
    }


def program(model: nn.Module, shape: Sequence[int], mode: str) -> bytes:
    """``model`` for inputs of ``shape`` as it travels: ONNX, or a torch program."""
    model.eval()
    if any(parameter.device.type != "cpu" or parameter.dtype != torch.float32 for parameter in model.parameters()):
        model = copy.deepcopy(model).to("cpu", torch.float32)
    if mode == "onnxruntime":
        return to_onnx(model, shape)
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = model.to(memory_format=torch.channels_last)
        x = torch.zeros(*shape).contiguous(memory_format=torch.channels_last)
        content = io.BytesIO()
        torch.export.save(torch.export.export(model, (x,)), content)
        return content.getvalue()


def _mode(spec: LatencySpec, device: RemoteDevice) -> str:
    if spec.mode not in (None, *RUNTIMES):
        raise UserError(
            f"latency.mode: {spec.mode!r} does not run on a remote device, allowed are {', '.join(RUNTIMES)}"
        )
    installed = [mode for mode, runtime in RUNTIMES.items() if device.description["runtimes"][runtime]]
    asked = (spec.mode,) if spec.mode else tuple(RUNTIMES)
    mode = next((mode for mode in asked if mode in installed), None)
    if mode is None:
        missing = " or ".join(RUNTIMES[mode] for mode in asked)
        raise UserError(f"device: {device.address}: {missing} is not installed there: pip install {RUNTIMES[asked[0]]}")
    resolve(replace(spec, mode=mode), "cpu", TO_ONNX if mode == "onnxruntime" else ())  # type: ignore[arg-type]
    if spec.threads > (cores := device.description["cores"]):
        raise UserError(f"latency.threads: {spec.threads} is more than the {cores} cores of {device.address}")
    return mode


@cache
def _reference(mode: str) -> bytes:
    """Built once in a process; the random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        return program(build_model(load(REFERENCE)), REFERENCE_SHAPE, mode)


@cache
def _seen(address: str, runtime: str, threads: int) -> deque[float]:
    """The reference's median ms in the last measurements of this process."""
    return deque(maxlen=REMEMBERED)


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{platform.node()}, process {os.getpid()},"
