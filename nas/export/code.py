"""Generated Python: templates with values put in as literals, so that no text of a user can become code."""

from __future__ import annotations

import pprint
import re
import textwrap
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any

from nas.export.network import Network
from search_spaces import Arch

TEMPLATES = Path(__file__).parent / "templates"
WIDTH = 100
ACTIVATIONS = {"silu": "SiLU", "relu": "ReLU", "relu6": "ReLU6", "hardswish": "Hardswish"}  # in torch.nn
PLAIN = re.compile(r"[^A-Za-z0-9_.+ -]")


def template(name: str) -> str:
    """The text of a file in ``templates``."""
    return (TEMPLATES / f"{name}.txt").read_text(encoding="utf-8")


def generated(name: str, network: Network, **values: str) -> str:
    """The template ``name`` with ``$name`` replaced: by code of ``values``, and by what every generated file tells of
    the network."""
    return Template(template(name)).substitute(values | {"about": about(network), "images": images(network)})


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


def why(builder: str, reason: str) -> str:
    """For a docstring: why torchvision's own ``builder`` is not used."""
    return textwrap.fill(f"torchvision's own {builder} does not have such a network: {reason}.", WIDTH)


def norm(arch: Arch) -> str:
    """Python that makes the network's batch normalisation."""
    return f"partial(nn.BatchNorm2d, eps={arch.norm_eps!r}, momentum={arch.norm_momentum!r})"
