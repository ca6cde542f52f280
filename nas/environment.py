"""What machine and which versions a number was made with."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

PROJECT = "nas-scaling"
PACKAGES = ("torch", "torchvision", "ray", "optuna", "fvcore", "numpy")


def cpu_count() -> int:
    """Cores that this process may use: affinity and a container's quota count."""
    import joblib

    return int(joblib.cpu_count())


def memory_bytes() -> int:
    """Physical memory, or the container's limit where that is lower."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(physical, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no cgroup, or "max"
        return physical


def cpu_name() -> str:
    """The processor's model as the system names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def gpu_count() -> int:
    """The CUDA devices that this process may use; asks the driver, and makes no context on any."""
    import torch

    return torch.cuda.device_count()


def this_device(gpus: int) -> str:
    """The name of the device that a run on so many GPUs measures latency on."""
    import torch

    return device_name(torch.device("cuda" if gpus else "cpu"))


def device_name(device: torch.device) -> str:
    """The model of the GPU or of the processor."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


def describe(gpus: int) -> dict[str, Any]:
    """Versions, hardware and the project's commit, for ``spec.yaml``."""
    return {
        PROJECT: _version(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cpus": cpu_count(),
        "gpus": gpus,
        "commit": _commit(),
    }


def _version() -> str | None:
    """None where a checkout is used that nobody has installed."""
    try:
        return metadata.version(PROJECT)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The project's own git commit, with ``+`` where the working tree differs; None outside a checkout.

    Installed in an environment that lies in the checkout of another project, it is not among that one's files.
    """
    here = Path(__file__)
    try:
        git = ["git", "-C", str(here.parent)]
        tracked = subprocess.run([*git, "ls-files", "--error-unmatch", here.name], capture_output=True, timeout=10)
        if tracked.returncode:
            return None
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=10)
        dirty = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "") if head.returncode == 0 else None
