"""Static quantisation of an ONNX file to int8 by ONNX Runtime, and what it costs in accuracy."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas.data import ImageSet, Split
from nas.export.network import Network
from nas.latency.runtimes import onnx_inference
from search_spaces import UserError

INT8, CALIBRATION, BATCH = "network.int8.onnx", 256, 32  # file; images that activations' ranges are taken from


@dataclass(frozen=True)
class Quantised:
    """top1: percent of ``images`` validation images, before and after. mb: of the files, 1e6 bytes."""

    data: str
    calibration: int
    images: int
    top1: float
    top1_int8: float
    mb: float
    mb_int8: float

    @property
    def text(self) -> str:
        return (
            f"int8: top-1 {self.top1:.2f}% to {self.top1_int8:.2f}% on {self.images} validation images of {self.data}, "
            f"{self.mb:.1f} to {self.mb_int8:.1f} MB"
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def check(images: ImageSet, network: Network) -> None:
    """Raises UserError where the images are not those that the network tells apart."""
    check_number(images.name, images.num_classes, network)
    if network.classes and network.classes != images.classes:
        raise UserError(f"--int8: the classes of {images.name} are not those that the weights were trained for")


def check_number(source: str, classes: int, network: Network) -> None:
    """Raises UserError where the images of ``source`` are of more or fewer classes, which is known before any is
    read."""
    if classes != network.num_classes:
        raise UserError(f"--int8: {source} has {classes} classes, the network {network.num_classes}")


def quantise(network: Network, source: Path, images: ImageSet) -> Quantised:
    """Writes ``INT8`` beside ``source``: weights by channel, activations with ranges that ``CALIBRATION`` training
    images give, both by their minimum and maximum."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    count = min(CALIBRATION, len(images.train))
    chosen = np.linspace(0, len(images.train) - 1, count).astype(int)

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = _batches(network, images.train, chosen)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(({"images": x} for x, _ in self._batches), None)

    target = source.with_name(INT8)
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        before = logging.root.level
        logging.root.setLevel(logging.ERROR)  # it tells whatever it leaves as it was
        try:
            quant_pre_process(str(source), str(prepared))
            types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
            quantize_static(str(prepared), str(target), Reader(), per_channel=True, **types)
        finally:
            logging.root.setLevel(before)
    return Quantised(
        images.name,
        count,
        len(images.val),
        _top1(network, source, images.val),
        _top1(network, target, images.val),
        source.stat().st_size / 1e6,
        target.stat().st_size / 1e6,
    )


def _top1(network: Network, file: Path, split: Split) -> float:
    session, right = onnx_inference(str(file), threads=torch.get_num_threads()), 0
    for x, labels in _batches(network, split, np.arange(len(split))):
        right += int((session.run(None, {"images": x})[0].argmax(1) == labels).sum())
    return 100.0 * right / len(split)


def _batches(network: Network, split: Split, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images as the network takes them, float32 (n, 3, R, R), and labels."""
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (network.mean, network.std))
    for start in range(0, len(chosen), BATCH):
        positions = chosen[start : start + BATCH]
        yield (split.batch(positions).astype(np.float32) / 255 - mean) / std, split.labels[positions]
