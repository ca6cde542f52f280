"""To ONNX: by torch's exporter, with a free batch size; checked by onnx, run in ONNX Runtime."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.data import ImageSet
from nas.export.int8 import check, quantise
from nas.export.network import Network
from nas.export.target import Loaded, Target
from nas.latency.runtimes import NotExported, onnx_inference, to_onnx
from search_spaces import Arch

FILE, ABOUT = "network.onnx", "network.json"


class Onnx(Target):
    """int8: images to quantise with; None: no such file is written."""

    packages, tolerance, batches = ("onnx", "onnxscript", "onnxruntime"), 1e-5, (1, 8)

    def __init__(self, int8: ImageSet | None = None) -> None:
        self._int8 = int8

    def obstacle(self, arch: Arch) -> str | None:
        return None

    def write(self, network: Network, model: nn.Module, folder: Path) -> None:
        import onnx

        if self._int8 is not None:
            check(self._int8, network)
        side = network.arch.resolution
        try:
            content = to_onnx(model.eval(), (2, 3, side, side), free_batch=True)
        except NotExported as error:
            raise NotExported(f"{network.name}: {error}") from error
        onnx.checker.check_model(content, full_check=True)
        (folder / FILE).write_bytes(content)
        write_about(network, folder)

    def load(self, network: Network, folder: Path) -> Loaded:
        import onnx

        graph = onnx.shape_inference.infer_shapes(onnx.load(folder / FILE), strict_mode=True).graph
        session = onnx_inference(str(folder / FILE), threads=torch.get_num_threads())

        def run(x: Tensor) -> Tensor:
            return torch.from_numpy(session.run(None, {"images": x.numpy()})[0])

        def count() -> tuple[int, int]:
            params, macs, norms = _counted(graph)
            # The exporter folds a batch norm that follows a convolution into it: scale and shift become a bias.
            folded = sum(m.num_features for m in network.model().modules() if isinstance(m, _BatchNorm)) - norms
            return params + folded, macs

        return Loaded(count, run)

    def more(self, network: Network, folder: Path) -> Mapping[str, Any]:
        if self._int8 is None:
            return {}
        return {"int8": quantise(network, folder / FILE, self._int8)}


def write_about(network: Network, folder: Path) -> None:
    """What a file of operators does not say: how images are prepared, and what the outputs mean."""
    about = {"name": network.name, "input": "images", "output": "logits", "resolution": network.arch.resolution}
    about |= {"mean": network.mean, "std": network.std, "classes": network.classes, "origin": network.origin}
    (folder / ABOUT).write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _counted(graph: Any) -> tuple[int, int, int]:
    """Parameters and multiply-adds for one image of convolutions and matrix products, and channels of batch norms."""
    values = [*graph.value_info, *graph.output, *graph.input]
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values}
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    params = macs = norms = 0
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm", "BatchNormalization"):
            continue
        weights = [math.prod(shapes[name]) for name in node.input[1:3] if name]
        params += sum(weights)
        if node.op_type == "BatchNormalization":
            norms += weights[0]
        else:
            outputs = shapes[node.output[0]][1:]  # without the batch
            per_output = weights[0] // outputs[0] if node.op_type == "Conv" else weights[0] // outputs[-1]
            macs += math.prod(outputs) * per_output
    return params, macs, norms
