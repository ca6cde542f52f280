"""What every target has in common: it refuses what it cannot express, writes, and reads back what it wrote."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nas.export.network import Network
from search_spaces import Arch

CODE, WEIGHTS = "network.py", "weights.pt"


@dataclass(frozen=True)
class Loaded:
    """An export as its user has it. count: its parameters, and its MACs at the network's resolution; None: nothing can
    be counted in it. run: images (N, 3, R, R) to logits (N, classes), float32 on the CPU. module: where it is one of
    torch."""

    count: Callable[[], tuple[int, int]] | None
    run: Callable[[Tensor], Tensor]
    module: nn.Module | None = None


class Target(Protocol):
    """packages: what the export's user needs. tolerance: by how much outputs of order 1 may differ. batches: numbers of
    images for which outputs are compared."""

    packages: tuple[str, ...]
    tolerance: float
    batches: tuple[int, ...]

    def obstacle(self, arch: Arch) -> str | None:
        """Why the target cannot express the network, naming the stage; None where it can."""

    def write(self, network: Network, model: nn.Module, folder: Path) -> None:
        """Writes ``model``, which is ``network`` with any weights, into an empty folder."""

    def load(self, network: Network, folder: Path) -> Loaded:
        """What ``write`` wrote, as another program would read it."""

    def more(self, network: Network, folder: Path) -> Mapping[str, Any]:
        """Whatever else is made of what was written and proven; each has a ``text`` and a ``to_dict``."""
        return {}


def stage_name(index: int, arch: Arch) -> str:
    """As errors name it: with its text."""
    return f"stage {index} ({arch.stages[index].text})"


def unknown_block(arch: Arch, known: Collection[str]) -> str | None:
    """The first stage whose block a target does not have, as an obstacle."""
    for index, stage in enumerate(arch.stages):
        if stage.block not in known:
            return f"{stage_name(index, arch)}: block {stage.block!r} is not one of {', '.join(known)}"
    return None


def torch_loaded(model: nn.Module, resolution: int) -> Loaded:
    """A torch module as what exports are compared by."""
    model.eval()

    def run(x: Tensor) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = model(x)
        return logits

    return Loaded(partial(counted, model, resolution), run, model)


def counted(model: nn.Module, resolution: int) -> tuple[int, int]:
    """Parameters; and multiply-adds of convolutions and linear layers for one image, by torch's counter, which counts
    two for each."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        copy.deepcopy(model).to("meta").eval()(torch.zeros(1, 3, resolution, resolution))
    return sum(parameter.numel() for parameter in model.parameters()), int(counter.get_total_flops()) // 2


def in_order(tensors: dict[str, Tensor], names: dict[str, Tensor]) -> dict[str, Tensor]:
    """``tensors`` under ``names``, of a network whose layers come in the same order. Raises ValueError where a shape
    says that they do not."""
    if [t.shape for t in tensors.values()] != [t.shape for t in names.values()]:
        raise ValueError("the layers of the two networks differ")
    return dict(zip(names, tensors.values(), strict=True))


def save_in_order(model: nn.Module, folder: Path) -> None:
    """The weights of ``model`` under the names of the network that the generated code of ``folder`` builds."""
    with torch.device("meta"):
        names = run_code(folder).build().state_dict()
    torch.save(in_order(model.state_dict(), names), folder / WEIGHTS)


def run_code(folder: Path) -> ModuleType:
    """The module that ``write`` has generated."""
    spec = importlib.util.spec_from_file_location("exported", folder / CODE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
