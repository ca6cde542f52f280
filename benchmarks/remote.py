"""Latency on remote devices (nas.latency.remote): is it what it is here, and does the device always come free?

    python benchmarks/remote.py                       # 5 minutes
    python benchmarks/remote.py --address ssh:pi@pi5  # sessions and kills on another device

agreement: EfficientNet-B0 in ONNX Runtime, by an agent over loopback and in a process of nas.latency, in turn, as the
measuring protocol has it: the ratio of the two medians, each time with new processes, since the same network is a few
percent faster in one process than in the next, wherever its memory happens to lie. Judged is the median of the
ratios with status ok; where there are too few, the machine is too noisy to say.
sessions: two clients that connect, lock, load, run and leave, 100 times together; by the agents' own records of when
they held the device, never two at once.
kills: a client is killed (SIGKILL) in the middle of a run that would last for hours; how soon another has the device.

Exit code 1 where a bar is missed or the machine is too noisy. Needs the extra onnx.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from nas import environment
from nas.latency import protocol, runtimes
from nas.latency.checks import Counters
from nas.latency.protocol import Network
from nas.latency.remote import FORMATS, RemoteDevice, program
from nas.latency.transport import Connection
from nas.latency.watch import CpuWatch
from nas.lease import Lease
from search_spaces import command, load
from search_spaces.build import build_model
from studies.ledger import Latency
from studies.spec import LatencySpec

MODE, THREADS = "onnxruntime", 1
SHAPE, SMALL = (1, 3, 224, 224), (1, 3, 32, 32)
SPEC = LatencySpec(mode="onnxruntime", precision=0.01, max_s=10, warmup_s=0.5, block_ms=20, retries=3)
PAIRS, ENOUGH = 11, 7  # of processes, and how many of them must be ok
CLIENT = """
import json, sys
from pathlib import Path
from nas.latency.transport import Connection

address, path, shape, sessions, calls = sys.argv[1:]
for number in range(int(sessions)):
    agent = Connection(address)
    waited_s = agent.ask("lock", limit_s=700, timeout_s=600, silence_s=60, who="a client")["waited_s"]
    network = Path(path).read_bytes()
    agent.ask("load", network, network="candidate", form="onnx", shape=json.loads(shape), threads=1)
    print(number, flush=True)
    times = agent.ask("run", limit_s=3600, network="candidate", calls=int(calls), lead_in=True)["times_ms"]
    begin, end = agent.ask("unlock")["held"]
    print(json.dumps([begin, end, waited_s, sum(times) / 1e3]), flush=True)
    agent.close()
"""


class Plain:
    """The network in ONNX Runtime without an agent, by ``nas.latency.runtimes``, in a process that does nothing else,
    as an agent's does not: one that has done other work runs the same network 2% to 6% slower."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, end = context.Pipe()
        self._process = context.Process(target=_serve, args=(end,), daemon=True)
        self._process.start()
        self._pipe.recv()

    def ask(self, calls: int | None) -> Any:
        """The times of so many calls in ms; the process's counters where it is None."""
        self._pipe.send(calls)
        return self._pipe.recv()

    def close(self) -> None:
        self._process.kill()
        self._process.join()


def _serve(pipe: Any) -> None:
    torch.manual_seed(0)
    timer, watch = runtimes.timer(torch.device("cpu"), MODE), CpuWatch(THREADS)
    with runtimes.settings(THREADS):
        call = runtimes.prepare(build_model(load("efficientnet_b0")), torch.randn(SHAPE), MODE, THREADS)
        pipe.send("ready")
        while True:
            calls = pipe.recv()
            pipe.send(watch.read() if calls is None else timer(call, calls))


class HereAndThere:
    """The same network in a process of this project (the reference) and by an agent on this host (the candidate)."""

    def __init__(self, there: RemoteDevice, here: Plain) -> None:
        self._there, self._here = there, here
        self.unchecked = CpuWatch(THREADS).unchecked

    def now(self) -> float:
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def run(self, network: Network, calls: int, lead_in: bool) -> Sequence[float]:
        if network == "candidate":
            return self._there.run(network, calls, lead_in)
        times: Sequence[float] = self._here.ask(calls + lead_in)
        return times[lead_in:]

    def counters(self) -> Counters:
        """Of both processes, each of which waits while the other runs."""
        here, there = self._here.ask(None), self._there.counters()
        others_s = None if here.others_s is None or there.cpu_s is None else here.others_s - there.cpu_s
        return replace(here, cpu_s=None, threads={**here.threads, **there.threads}, others_s=others_s)


def agreement(console: Console) -> bool:
    torch.manual_seed(0)
    content, ratios = program(build_model(load("efficientnet_b0")), SHAPE, MODE), []
    for pair in range(PAIRS):
        latency = _one_agreement(content, pair)
        if latency.ratio and latency.ratio_ci95:
            low, high = latency.ratio_ci95
            console.print(
                f"B0 by agent {pair}: {latency.p50_ms:.2f} ms, over in-process {latency.ratio:.4f} "
                f"(95% {low:.4f} to {high:.4f}): {latency.status} {'; '.join(latency.reasons)}"
            )
            if latency.status == "ok":
                ratios.append(latency.ratio)
    if len(ratios) < ENOUGH:
        console.print(f"agreement: too noisy: {len(ratios)} of {PAIRS} measurements are ok")
        return False
    middle = statistics.median(ratios)
    console.print(
        f"agreement: {middle:.4f} (median of {len(ratios)} ok of {PAIRS}; {min(ratios):.4f} to {max(ratios):.4f}; "
        "bar 0.98 to 1.02)"
    )
    return abs(middle - 1) <= 0.02


def _one_agreement(content: bytes, seed: int) -> Latency:
    here = Plain()
    try:
        with RemoteDevice("local:", Lease.of_host()) as there:
            with there.exclusive():
                there.load("candidate", FORMATS[MODE], content, SHAPE, THREADS)
            return protocol.measure(HereAndThere(there, here), SPEC, {}, there.exclusive, seed=seed)[0]
    finally:
        here.close()


def _client(address: str, path: Path, sessions: int, calls: int) -> subprocess.Popen[str]:
    arguments = [address, str(path), json.dumps(SMALL), str(sessions), str(calls)]
    return subprocess.Popen([sys.executable, "-c", CLIENT, *arguments], stdout=subprocess.PIPE, text=True)


def sessions(console: Console, address: str, path: Path, count: int) -> bool:
    clients = [_client(address, path, count // 2, 100) for _ in range(2)]
    lines = [line for client in clients for line in client.communicate()[0].splitlines() if line.startswith("[")]
    held = sorted(json.loads(line) for line in lines)
    overlaps = sum(begin < end for (_, end, *_), (begin, *_) in itertools.pairwise(held))
    short = sum(end - begin < run_s for begin, end, _, run_s in held)
    waits = [waited_s for _, _, waited_s, _ in held if waited_s > 0.01]
    console.print(
        f"{len(held)} of {count} sessions of two clients, in {held[-1][1] - held[0][0]:.0f} s: {overlaps} began before "
        f"the last had ended (bar 0), {short} held the device for less than they ran; {len(waits)} had to wait, "
        f"{max(waits, default=0):.2f} s at most"
    )
    return len(held) == count and not overlaps and not short and len(waits) > 0


def kills(console: Console, address: str, path: Path, count: int = 10) -> bool:
    """The other client waits for the lock already, as it would in a queue."""
    times = []
    for _ in range(count):
        other = Connection(address)
        client = _client(address, path, 1, 10**9)
        assert client.stdout
        client.stdout.readline()
        time.sleep(0.5)  # in the run
        client.kill()
        start = time.monotonic()
        other.ask("lock", limit_s=70, timeout_s=60, silence_s=60, who="the other")
        times.append(time.monotonic() - start)
        client.communicate()
        other.close()
    console.print(f"after SIGKILL of a client in a run: free within {max(times):.2f} s, {count} times (bar 2 s)")
    return max(times) <= 2


def remote(console: Console, address: str = "local:", count: int = 100) -> bool:
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        path.write_bytes(program(torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3)), SMALL, MODE))
        holds = [sessions(console, address, path, count), kills(console, address, path)]
    return all([agreement(console), *holds])


def main(argv: Sequence[str]) -> None:
    parser = command.Parser("python benchmarks/remote.py", description=__doc__.split("\n")[0])
    parser.add_argument("--address", default="local:", help="of the device for sessions and kills (default local:)")
    parser.add_argument("--sessions", type=command.positive_int, default=100, help="of two clients (default 100)")
    args = parser.parse_args(argv)
    console = Console(soft_wrap=True)
    made = environment.describe(0)
    console.print(f"machine: {made['cpu']}, {made['cpus']} cores; torch {made['torch']}, Python {made['python']}")
    if not remote(console, args.address, args.sessions):
        sys.exit(1)


if __name__ == "__main__":
    command.run(main)
