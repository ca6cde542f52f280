"""Reads the system's counters for ``checks``: the scheduler's, the machine's and, where NVML is installed, a GPU's."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from nas.latency.agent import machine, threads_of
from nas.latency.checks import Counters, Gpu
from studies.ledger import UNCHECKED

if TYPE_CHECKING:
    import torch


class CpuWatch:
    """Of the calling thread and, where the work uses more than one, all others of this process."""

    def __init__(self, threads: int) -> None:
        self._alone = threads == 1
        self._cores = os.cpu_count() or 1
        checks = {"run delay": threads_of(True), "stolen time and other processes": machine()}
        self.unchecked = tuple(f"{UNCHECKED} here: {name}" for name, found in checks.items() if not found)

    def read(self) -> Counters:
        steal_s, busy_s = machine() or (None, None)
        return Counters(
            time.perf_counter(),
            time.thread_time() if self._alone else None,
            threads_of(self._alone),
            steal_s,
            None if busy_s is None else busy_s - time.process_time(),
            self._cores,
        )

    def energy_mj(self) -> float | None:
        """None: not known of a CPU."""
        return None


class GpuWatch:
    """By NVML (package nvidia-ml-py). launches: whether the calling thread's launches are part of what is timed."""

    def __init__(self, device: torch.device, launches: bool) -> None:
        self._cpu = CpuWatch(1) if launches else None
        self.unchecked: tuple[str, ...] = self._cpu.unchecked if self._cpu else ()
        self._nvml: Any = None
        try:
            import pynvml
            import torch

            pynvml.nvmlInit()
            uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
            self._nvml, self._handle = pynvml, pynvml.nvmlDeviceGetHandleByUUID(uuid.encode())
            self._seen = _sample_time(self._processes(0))
            self._gpu()
        except ImportError:
            self._lack("the package nvidia-ml-py is not installed")
        except Exception as error:  # NVMLError, made at import; a driver may lack any part
            self._lack(str(error))

    def read(self) -> Counters:
        gpu = None
        if nvml := self._nvml:
            try:
                gpu = self._gpu()
            except nvml.NVMLError as error:
                self._lack(str(error))
        if not self._cpu:
            return Counters(time.perf_counter(), gpu=gpu)
        own = self._cpu.read()
        return Counters(own.wall_s, None, own.threads, own.steal_s, None, own.cores, gpu)

    def energy_mj(self) -> float | None:
        """What the GPU has drawn since its driver was loaded; None: it has no such counter."""
        try:
            return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) if self._nvml else None
        except self._nvml.NVMLError:
            return None

    def _lack(self, reason: str) -> None:
        self._nvml = None
        self.unchecked += (f"{UNCHECKED} here: other processes on the GPU, its slowdown and clock ({reason})",)

    def _gpu(self) -> Gpu:
        nvml = self._nvml
        causes = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle)
        slow = (
            nvml.nvmlClocksThrottleReasonSwThermalSlowdown
            | nvml.nvmlClocksThrottleReasonHwThermalSlowdown
            | nvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown
        )
        clock_mhz = nvml.nvmlDeviceGetClockInfo(self._handle, nvml.NVML_CLOCK_SM)
        return Gpu(float(clock_mhz), bool(causes & slow), self._foreign())

    def _foreign(self) -> int:
        """Processes, without this one, that used the multiprocessors since the last call. In a container this one's
        number may be another than it knows; then one that works is taken for it."""
        samples = self._processes(self._seen)
        self._seen = max(self._seen, _sample_time(samples))
        working = {sample.pid for sample in samples if sample.smUtil}
        return len(working - {os.getpid()}) if os.getpid() in working else max(0, len(working) - 1)

    def _processes(self, since_us: int) -> list[Any]:
        try:
            return list(self._nvml.nvmlDeviceGetProcessUtilization(self._handle, since_us))
        except self._nvml.NVMLError_NotFound:  # no sample since then
            return []


def _sample_time(samples: list[Any]) -> int:
    return max((sample.timeStamp for sample in samples), default=0)
