"""The memory of a network that only runs: its weights and input, and the most that calls hold beside them."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from dataclasses import replace
from multiprocessing.connection import Connection

import torch

from nas.latency import runtimes
from nas.latency.measure import call_of
from nas.memory import PeakMemory
from search_spaces import Arch
from search_spaces.build import build_model
from search_spaces.published import load
from studies.spec import LatencySpec

CALLS = 3
# Runs first, so that the code of the kernels and their scratch memory, which any network needs, do not count.
FIRST, FIRST_PX = "mobilenet_v2", 96


def peak_memory_mb(arch: Arch, spec: LatencySpec, device: torch.device) -> float | None:
    """In MB (1e6 bytes), in the mode, dtype and batch of ``spec``; without the runtime itself.

    CUDA: tensors that torch allocates, the libraries' workspaces and a graph's capture included. CPU: resident memory
    of a process of its own, so that nothing earlier hides a part of it; None on systems other than Linux. Varies by
    some MB from one time to the next. Raises MemoryError where the system ends that process, and what the network
    itself raises.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
        _run(*_first(spec), device)
        with PeakMemory(device) as peak:
            _run(arch, spec, device)
        return peak.mb
    if sys.platform != "linux":
        return None
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # imports torch once, for all networks
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(sender, arch, spec), daemon=True)
    child.start()
    sender.close()
    try:
        answer: float | Exception | None = receiver.recv()
    except EOFError:
        child.join()
        raise MemoryError(f"the process that ran it was ended by signal {-(child.exitcode or 0)}") from None
    finally:
        child.kill()
        child.join()
        receiver.close()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _measure(sender: Connection, arch: Arch, spec: LatencySpec) -> None:
    """In the child, which Ctrl-C leaves to its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sender.send(_on_cpu(arch, spec))
    except Exception as error:
        sender.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _on_cpu(arch: Arch, spec: LatencySpec) -> float | None:
    cpu = torch.device("cpu")
    with runtimes.settings(spec.threads):
        _run(*_first(spec), cpu)
        model = build_model(arch)
        own_bytes = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
        own_bytes += 4 * spec.batch_size * 3 * arch.resolution**2  # the input
        call = call_of(model, arch.resolution, spec, cpu)
        del model
        with PeakMemory(cpu) as peak:
            for _ in range(CALLS):
                call()
    return None if peak.mb is None else peak.mb + own_bytes / 1e6


def _first(spec: LatencySpec) -> tuple[Arch, LatencySpec]:
    return load(FIRST).at(FIRST_PX), replace(spec, batch_size=1)


def _run(arch: Arch, spec: LatencySpec, device: torch.device) -> None:
    with runtimes.settings(spec.threads):
        call = call_of(build_model(arch), arch.resolution, spec, device)
        for _ in range(CALLS):
            call()
