"""An ONNX file as a network to measure."""

from __future__ import annotations

from pathlib import Path

from nas.latency.runtimes import OnnxModel, onnx_inference
from search_spaces import UserError


def read(path: Path, resolution: int | None, batch_size: int) -> tuple[OnnxModel, int]:
    """The network, and the side of its images: the file's own, or ``resolution`` where the file leaves that open.

    Raises UserError where the file is none, or does not take such images.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        inputs = onnx_inference(content, threads=1).get_inputs()
    except Exception as error:  # ONNX Runtime names an error of its own for each thing that may be wrong
        raise UserError(f"{path}: ONNX Runtime cannot read it ({str(error).splitlines()[0]})") from None
    shape = inputs[0].shape if len(inputs) == 1 else []
    if len(shape) != 4 or shape[1] != 3 or inputs[0].type != "tensor(float)":
        found = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
        raise UserError(f"{path}: takes {found}, not images of shape (batch, 3, side, side)")
    batch, _, height, width = shape
    side = resolution or (height if isinstance(height, int) else None)
    if side is None:
        raise UserError(f"--resolution: {path} leaves it open, a number of pixels is needed")
    for given in (height, width):
        if isinstance(given, int) and given != side:
            raise UserError(f"--resolution: {path} takes images of {height} x {width}, not {side} x {side}")
    if isinstance(batch, int) and batch != batch_size:
        raise UserError(f"--batch: {path} takes {batch} images, not {batch_size}")
    return OnnxModel(content), side
