"""``nas.load`` gives a network of a file as a torch module; all else are commands, ``python -m nas.<command>``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


def load(path: str | Path, num_classes: int | None = None) -> nn.Module:
    """The network of ``path`` in eval mode: a ``.json`` or ``.yaml`` file of an export, a run folder or of
    ``search_spaces show``, or a published network's name; with its weights where the file names some beside it.

    num_classes: where it has no weights; None: what the file says, or 1000. Raises UserError.
    """
    from nas.export.sources import network_of

    return network_of(str(path), num_classes=num_classes).model()
