"""Generated Python: templates with values put in as literals, so that no text of a user can become code."""

from __future__ import annotations

import pprint
import re
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any

from nas.export.network import Network
from search_spaces import Arch

TEMPLATES = Path(__file__).parent / "templates"
WIDTH = 100
PLAIN = re.compile(r"[^A-Za-z0-9_.+ -]")


def generated(template: str, network: Network, **values: str) -> str:
    """The file ``templates/<template>.txt`` with ``$name`` replaced: by code of ``values``, and by what every generated
    file tells of the network."""
    text = (TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")
    return Template(text).substitute(values | {"about": about(network), "images": images(network)})


def about(network: Network) -> str:
    """For a docstring."""
    figures = network.figures
    size = f"{figures.params / 1e6:.2f} M parameters, {figures.macs / 1e6:,.0f} M MACs at {network.arch.resolution} px"
    name = PLAIN.sub("?", network.name)
    origin = PLAIN.sub("?", network.origin)
    return f"{name}: {size}.\n\nWritten by nas-scaling {version('nas-scaling')}; weights: {origin}."


def images(network: Network) -> str:
    """Constants: what the network takes and gives."""
    lines = [
        f"RESOLUTION = {network.arch.resolution}  # pixels, the side of the square image",
        f"MEAN = {network.mean!r}  # subtracted from RGB channels scaled to 0..1",
        f"STD = {network.std!r}  # then divided by",
        f"NUM_CLASSES = {network.num_classes}",
    ]
    if network.classes:
        lines.append(f"CLASSES = {literal(network.classes)}")
    return "\n".join(lines)


def literal(value: Any) -> str:
    """Plain data as Python source; Python escapes what could end the text or would not be seen."""
    return pprint.pformat(value, width=WIDTH, sort_dicts=False)


def call(name: str, *arguments: Any, **keywords: Any) -> str:
    """``name(...)`` with plain data as literals."""
    parts = [literal(one) for one in arguments] + [f"{key}={literal(value)}" for key, value in keywords.items()]
    return f"{name}({', '.join(parts)})"


def norm(arch: Arch) -> str:
    return f"partial(nn.BatchNorm2d, eps={arch.norm_eps!r}, momentum={arch.norm_momentum!r})"
