"""The state of a training that is under way, in a file that is whole or absent, so that it can be taken up again."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

EVERY_S = 10.0  # of training that a crash may cost; a shorter training is not worth its checkpoints


class Stateful(Protocol):
    """What torch's modules, optimizers and schedulers have in common."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any) -> Any: ...


class Checkpoint:
    """path: the file; None: nothing is saved. every_s: save at the first end of an epoch after so many seconds."""

    def __init__(self, path: Path | None, every_s: float = EVERY_S) -> None:
        self._path, self._every_s = path, every_s
        self._last = time.monotonic()

    def save(
        self, parts: Mapping[str, Stateful], draw: torch.Generator, device: torch.device, history: list[dict[str, Any]]
    ) -> None:
        """parts: what has a state, by name. history: the metrics of all epochs so far."""
        if self._path is None or time.monotonic() - self._last < self._every_s:
            return
        state = {
            "parts": {name: part.state_dict() for name, part in parts.items()},
            "random": [draw.get_state(), *_random_states(device)],
            "history": history,
            "device": device.type,
        }
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            with open(part, "wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self._path)
        except (OSError, RuntimeError):  # torch raises the latter where a write failed
            part.unlink(missing_ok=True)  # a full disk costs the checkpoint, not the trial
        self._last = time.monotonic()

    def resume(
        self, parts: Mapping[str, Stateful], draw: torch.Generator, device: torch.device
    ) -> list[dict[str, Any]]:
        """Sets all parts and random generators to the saved state and returns its history; empty, with nothing
        touched, where nothing (or nothing readable, or of another kind of device or training) is saved."""
        if self._path is None or not self._path.exists():
            return []
        try:
            state = torch.load(self._path, map_location=device, weights_only=True)
        except Exception:  # torch names no error of its own for a file that is damaged
            return []
        if state["device"] != device.type or state["parts"].keys() != parts.keys():  # of an earlier version
            return []
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
        own, cpu, *cuda = (random.cpu() for random in state["random"])
        draw.set_state(own)
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state(cuda[0], device)
        history: list[dict[str, Any]] = state["history"]
        return history


def _random_states(device: torch.device) -> list[torch.Tensor]:
    cuda = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *cuda]


NOWHERE = Checkpoint(None)
