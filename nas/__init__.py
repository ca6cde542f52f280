"""``nas.load`` gives a network of a file as a torch module; all else are commands, ``python -m nas.<command>``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


def load(path: str | Path, num_classes: int | None = None) -> nn.Module:
    """The network of ``path`` in eval mode, on CPU: a ``.json`` or ``.yaml`` file of an export, a run folder or of
    ``search_spaces show``, or a published network's name; with its weights where the file names some beside it, else
    freshly initialised. It maps images (N, 3, H, W) to logits (N, classes).

    num_classes: where it has no weights; None: what the file says, or 1000.

    Raises UserError that names the file and what is wrong with it, or where the weights are of another network.
    """
    from nas.export.sources import network_of

    return network_of(str(path), num_classes=num_classes).model()
