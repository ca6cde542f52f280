"""To ExecuTorch: a program for phones, lowered to XNNPACK, run here in ExecuTorch's own host runtime."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from nas.export.network import Network
from nas.export.onnx_file import write_about
from nas.export.target import Loaded, Target
from search_spaces import Arch

FILE = "network.pte"


class ExecuTorch(Target):
    """One image a call. Nothing can be counted in the file, whose weights are packed for XNNPACK."""

    packages, tolerance, batches = ("executorch",), 1e-5, (1,)

    def obstacle(self, arch: Arch) -> str | None:
        return None

    def write(self, network: Network, model: nn.Module, folder: Path) -> None:
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        side, before = network.arch.resolution, logging.root.level
        logging.root.setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
                warnings.simplefilter("ignore")
                program = torch.export.export(model.eval(), (torch.zeros(1, 3, side, side),))
                lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
        finally:
            logging.root.setLevel(before)
        (folder / FILE).write_bytes(lowered.buffer)
        write_about(network, folder)

    def load(self, network: Network, folder: Path) -> Loaded:
        from executorch.runtime import Runtime

        program = Runtime.get().load_program(folder / FILE)
        method = program.load_method("forward")

        def run(x: Tensor) -> Tensor:
            logits: Tensor = method.execute([x.contiguous()])[0]
            return logits.clone()

        return Loaded(None, run)
