"""The Arch itself as JSON or YAML, beside its weights: what ``nas.load`` and ``search_spaces.load`` read."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import yaml
from torch import nn

from nas.export.network import Network
from nas.export.target import WEIGHTS, Loaded, Target, torch_loaded
from search_spaces import Arch
from studies.runfolder import plain


class Json(Target):
    """The network itself, as ``nas.load`` and ``search_spaces.load`` read it, and weights."""

    packages, tolerance, batches, name = ("torch", "torchvision"), 0.0, (1, 2), "network.json"

    def obstacle(self, arch: Arch) -> str | None:
        return None

    def write(self, network: Network, model: nn.Module, folder: Path) -> None:
        figures = network.figures._asdict()
        about: dict[str, object] = {"name": network.name, "id": network.arch.id, "text": network.arch.text}
        about |= figures | {"num_classes": network.num_classes, "mean": list(network.mean), "std": list(network.std)}
        about |= {"classes": list(network.classes), "origin": network.origin, "weights": WEIGHTS}
        (folder / self.name).write_text(self.text(about | {"arch": network.arch.to_dict()}), encoding="utf-8")
        torch.save(dict(model.state_dict()), folder / WEIGHTS)

    def text(self, content: dict[str, object]) -> str:
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    def load(self, network: Network, folder: Path) -> Loaded:
        import nas

        return torch_loaded(nas.load(folder / self.name), network.arch.resolution)


class Yaml(Json):
    """The same as YAML."""

    name = "network.yaml"

    def text(self, content: dict[str, object]) -> str:
        return yaml.safe_dump(plain(content), sort_keys=False, allow_unicode=True)
