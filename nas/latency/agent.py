"""The agent: times networks on the device that it runs on, for a client elsewhere (nas/latency/remote.py).

One file that needs Python 3.9 or newer on Linux or macOS, and onnxruntime or torch; the client sends it over, nothing
of it stays on the device. It reads requests from stdin and answers on stdout, each a JSON object and maybe bytes.

One agent at a time loads and times networks: it holds a lock on a file in the device's temporary directory, a POSIX
record lock, which the kernel frees as soon as the process ends. The process ends
- with its input, even in the middle of a run: a thread waits for that, so a client that is killed frees the device;
- when a request takes longer than the client said, by SIGALRM, which stops native code as well;
- when it hears nothing for long: the network between is broken, or the client is stopped.

Covered: all agents of a device with one temporary directory, of any user. Not covered: what knows nothing of agents,
such as a training on the device. For that there are the checks of a measurement, so the agent counts what the system
did while it ran.
"""

from __future__ import annotations

import gc
import importlib.util
import io
import json
import os
import platform
import queue
import signal
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from importlib import metadata
from io import BufferedReader
from typing import IO, Any

FRAME = struct.Struct(">4sIQ")  # before a message: MAGIC, length of the JSON object, length of the bytes that follow it
MAGIC = b"nas1"
SILENCE_S = 900.0  # without a request, while the lock is not held
POLL_S = 0.05  # between two looks at a lock that another agent holds
LOCK = "nas-latency-agent.lock"


class Garbled(Exception):
    """What came is no message; the text is its beginning."""


def send(file: IO[bytes], head: dict[str, Any], payload: bytes = b"") -> None:
    text = json.dumps(head).encode()
    file.write(FRAME.pack(MAGIC, len(text), len(payload)) + text)
    file.write(payload)
    file.flush()


def receive(file: BufferedReader) -> tuple[dict[str, Any], bytes]:
    """The next message. Raises EOFError at the end of ``file``, and Garbled."""
    if not (frame := file.read(FRAME.size)):
        raise EOFError
    with suppress(struct.error, ValueError):
        magic, length, size = FRAME.unpack(frame)
        if magic == MAGIC:
            return json.loads(file.read(length)), file.read(size)
    raise Garbled((frame + file.peek()[:80]).decode(errors="replace"))


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    gc.disable()
    agent, requests = Agent(), queue.SimpleQueue[Any]()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    try:
        while True:
            request, program = requests.get(timeout=agent.silence_s)
            signal.setitimer(signal.ITIMER_REAL, request["limit_s"])
            try:
                answer = agent.answer(request, program)
            except Exception as error:
                answer = {"refused": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
            signal.setitimer(signal.ITIMER_REAL, 0)
            send(answers, answer)
    except queue.Empty:
        _end(f"no request for {agent.silence_s:g} s")
    except BaseException as error:
        _end(repr(error))


def _listen(file: BufferedReader, requests: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            requests.put(receive(file))
    except EOFError:
        _end("end of input")
    except BaseException as error:
        _end(repr(error))


def _end(reason: str) -> None:
    """At once, whatever other threads do."""
    os.write(2, f"the agent ended: {reason}\n".encode())
    os._exit(1)


class Agent:
    """silence_s: how long to wait for the next request."""

    def __init__(self) -> None:
        self.silence_s = SILENCE_S
        self._networks: dict[str, Network] = {}
        self._lock: int | None = None
        self._held_since: float | None = None
        self._counted = Counted()

    def answer(self, request: dict[str, Any], program: bytes) -> dict[str, Any]:
        what = {name: value for name, value in request.items() if name not in ("do", "limit_s")}
        requests: dict[str, Callable[..., dict[str, Any]]] = {
            "describe": describe,
            "lock": self.lock,
            "unlock": self.unlock,
            "load": partial(self.load, program),
            "run": self.run,
            "counters": self._counted.to_dict,
        }
        if request["do"] in ("unlock", "load", "run") and self._held_since is None:
            raise RuntimeError("the device is not locked")
        return requests[request["do"]](**what)

    def lock(self, timeout_s: float, silence_s: float, who: str) -> dict[str, Any]:
        """Waits until no other agent holds it; ``deferred`` says who did for all of ``timeout_s``.

        silence_s: without a request, until the client is taken for lost. who: the client, of whom others are told.
        """
        import fcntl

        if self._lock is None:
            self._lock = _open(os.path.join(tempfile.gettempdir(), LOCK))
        asked = time.monotonic()
        while True:
            try:
                fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except (BlockingIOError, PermissionError):
                if time.monotonic() - asked >= timeout_s:
                    other = os.pread(self._lock, 200, 0).decode(errors="replace") or "another client"
                    return {"deferred": f"{other} held the device for all of {timeout_s:g} s"}
            time.sleep(POLL_S)
        self._held_since = time.monotonic()
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, who.encode()[:200], 0)
        self.silence_s = silence_s
        return {"waited_s": self._held_since - asked}

    def unlock(self) -> dict[str, Any]:
        """held: from when to when, in seconds on a clock that all processes of the device share."""
        import fcntl

        held = self._held_since, time.monotonic()
        self._held_since, self.silence_s = None, SILENCE_S
        fcntl.lockf(self._lock, fcntl.LOCK_UN)  # type: ignore[arg-type]
        return {"held": held}

    def load(self, program: bytes, network: str, form: str, shape: Sequence[int], threads: int) -> dict[str, Any]:
        """Makes ``program`` ready to run on an input of ``shape``; the runtime with its version."""
        self._counted.alone = threads == 1
        self._networks[network], runtime = {"onnx": _onnx, "torch": _torch}[form](program, shape, threads)
        gc.collect()
        return {"runtime": runtime}

    def run(self, network: str, calls: int, lead_in: bool) -> dict[str, Any]:
        """Times of so many calls in ms, after one that is not timed where ``lead_in``."""
        call, mode = self._networks[network]
        clock, times = time.perf_counter_ns, []
        with mode(), self._counted.run():
            if lead_in:
                call()
            for _ in range(calls):
                start = clock()
                call()
                times.append((clock() - start) / 1e6)
        return {"times_ms": times}


def _open(path: str) -> int:
    """A file that all users of the device may lock. One that is there is opened as it is: Linux lets nobody open a file
    of another user in /tmp as if to make it."""
    if os.path.exists(path):
        return os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
    os.fchmod(file, 0o666)
    return file


Network = tuple[Callable[[], Any], Callable[[], AbstractContextManager[Any]]]  # a call, and what to make calls in


def _onnx(program: bytes, shape: Sequence[int], threads: int) -> tuple[Network, str]:
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    session = onnxruntime.InferenceSession(program, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    x = numpy.random.default_rng(0).standard_normal(shape, dtype=numpy.float32)
    binding.bind_cpu_input(session.get_inputs()[0].name, x)
    binding.bind_output(session.get_outputs()[0].name)
    return (lambda: session.run_with_iobinding(binding), nullcontext), f"onnxruntime {onnxruntime.__version__}"


def _torch(program: bytes, shape: Sequence[int], threads: int) -> tuple[Network, str]:
    import torch

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    model = torch.export.load(io.BytesIO(program)).module()
    x = torch.randn(*shape).contiguous(memory_format=torch.channels_last)
    return (lambda: model(x), torch.inference_mode), f"torch {torch.__version__} exported"


def describe() -> dict[str, Any]:
    """device: the board's name where it has one, else the processor's. runtimes: version by name, None: not there.

    host: the same for all processes of one running system. unchecked: what this system does not count.
    """
    lines = [line.partition(":") for line in _read("/proc/cpuinfo").splitlines()]
    models = [value.strip() for name, _, value in lines if name.strip() == "model name"]
    cpu = (models or [platform.processor() or platform.machine()])[0]
    checks = {"run delay": threads_of(True), "stolen time and other processes": machine()}
    return {
        "device": _read("/sys/firmware/devicetree/base/model") or cpu,
        "cpu": cpu,
        "cores": os.cpu_count(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or None,
        "pid": os.getpid(),
        "host": _read("/proc/sys/kernel/random/boot_id") or platform.node(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "runtimes": {name: _version(name) for name in ("onnxruntime", "torch")},
        "unchecked": [f"not checked there: {name}" for name, found in checks.items() if not found],
    }


def _version(module: str) -> str | None:
    """Without importing it, which takes long and would disturb whoever measures."""
    for package in (module, f"{module}-gpu"):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(package)
    return "unknown" if importlib.util.find_spec(module) else None


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip("\0\n ")
    except (OSError, UnicodeDecodeError):
        return ""


class Counted:
    """What the system counted during all runs so far, as nas.latency.checks.Counters has it: of the time between them,
    in which the client decides what is next, nothing. alone: whether runs use the calling thread only."""

    def __init__(self) -> None:
        self.alone = True
        self._sums = dict.fromkeys(("wall_s", "cpu_s", "steal_s", "others_s"), 0.0)
        self._threads: dict[int, tuple[float, float]] = {}

    @contextmanager
    def run(self) -> Iterator[None]:
        threads, before = threads_of(self.alone), _moment()
        yield
        after = _moment()
        for name, value in after.items():
            self._sums[name] += value - before[name]
        for thread, now in threads_of(self.alone).items():
            then, so_far = threads.get(thread, (0.0, 0.0)), self._threads.get(thread, (0.0, 0.0))
            self._threads[thread] = so_far[0] + now[0] - then[0], so_far[1] + now[1] - then[1]

    def to_dict(self) -> dict[str, Any]:
        sums = self._sums if machine() else {**self._sums, "steal_s": None, "others_s": None}
        threads = [[thread, *times] for thread, times in self._threads.items()]
        cpu_s = self._sums["cpu_s"] if self.alone else None
        return {**sums, "cpu_s": cpu_s, "threads": threads, "cores": os.cpu_count() or 1}


def _moment() -> dict[str, float]:
    stolen_s, busy_s = machine() or (0.0, 0.0)
    others_s = busy_s - time.process_time()
    return {"steal_s": stolen_s, "others_s": others_s, "cpu_s": time.thread_time(), "wall_s": time.perf_counter()}


def threads_of(alone: bool) -> dict[int, tuple[float, float]]:
    """Seconds that threads of this process ran, and waited for a core; empty where the system does not count them."""
    try:
        ids = [threading.get_native_id()] if alone else [int(name) for name in os.listdir("/proc/self/task")]
    except OSError:
        return {}
    texts = {thread: _read(f"/proc/self/task/{thread}/schedstat") for thread in ids}
    return {i: (int(text.split()[0]) / 1e9, int(text.split()[1]) / 1e9) for i, text in texts.items() if text}


def machine() -> tuple[float, float] | None:
    """Core seconds that were stolen, and that all processes ran; None where the system does not say. ``man 5 proc``."""
    text = _read("/proc/stat")
    if not text:
        return None
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    user, nice, system, _, _, irq, softirq, steal = (int(number) for number in text.split()[1:9])
    return steal / ticks_per_s, (user + nice + system + irq + softirq) / ticks_per_s


if __name__ == "__main__":
    main()
