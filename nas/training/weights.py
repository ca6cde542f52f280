"""Fine-tuning: weights from a file, parts that do not learn, and what becomes of batch norm."""

from __future__ import annotations

import math
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas.data import ImageSet
from search_spaces import UserError
from studies.train_spec import TrainSpec

GROUPS = 32  # of group norm at most (arXiv 1803.08494), and at least as many channels in each as
CHANNELS = 4
ABOUT = ("classes", "mean", "std")  # what ``save`` writes beside the tensors
NORMS = (nn.BatchNorm2d, nn.GroupNorm)


def prepare(model: nn.Module, spec: TrainSpec) -> float | None:
    """Changes ``model`` in place as ``spec`` has it; the share of its parameters that came from ``spec.weights``.

    A network of a search has other kernels and widths than the one that the file is of: what agrees in name and shape
    is taken, the rest begins afresh. Raises UserError for a file that cannot be read or of which nothing agrees.
    """
    share = load_weights(model, spec.weights) if spec.weights else None
    if spec.norm == "group":
        to_group_norm(model)
    if spec.frozen:
        freeze(model, spec.frozen)
    return share


def read_weights(path: str) -> dict[str, Tensor]:
    """The tensors of a state dict, alone or under ``state_dict``, ``model`` or ``ema``. Raises UserError."""
    return read_file(path, "train.weights")[0]


def read_file(path: str, field: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, and what else ``save`` has written beside them. Nothing in the file is run. field: for errors."""
    file = Path(path).expanduser()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that torch did not write, which are refused below
            content = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except FileNotFoundError:
        raise UserError(f"{field}: no file {path}") from None
    except Exception as error:  # torch names no error of its own for a file that is something else
        reason = str(error).strip().partition("\n")[0].partition(". ")[0]
        reason = reason if " " in reason else "it has another form"
        raise UserError(f"{field}: {path} is not a state dict that torch.save wrote: {reason}") from None
    found = content
    for name in ("ema", "model", "state_dict"):
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    tensors = {k: v for k, v in found.items() if isinstance(v, Tensor)} if isinstance(found, dict) else {}
    if not tensors:
        raise UserError(f"{field}: {path} holds no tensors by name")
    about = {name: content[name] for name in ABOUT if name in content}
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}, about


def save(path: Path, model: nn.Module, images: ImageSet) -> None:
    """The state of ``model``, and how the images were prepared that it was trained with; whole or not at all: a full
    disk, or a host that does not see the folder, costs the file and not the training."""
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    about = {"classes": list(images.classes), "mean": list(images.mean), "std": list(images.std)}
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(exist_ok=True)
        torch.save({"state_dict": state, **about}, part)
        os.replace(part, path)
    except (OSError, RuntimeError):  # torch raises the latter where a write failed
        part.unlink(missing_ok=True)


def load_weights(model: nn.Module, path: str) -> float:
    """Takes what fits from the file; the share of the parameters that it gave. Raises UserError where nothing fits."""
    own, found = model.state_dict(), read_weights(path)
    fitting = {name: tensor for name, tensor in found.items() if name in own and own[name].shape == tensor.shape}
    parameters = dict(model.named_parameters())
    taken = sum(parameters[name].numel() for name in fitting if name in parameters)
    if not taken:
        example = next((name for name in found if name in own), None)
        why = f"{example} is {tuple(found[example].shape)}, here {tuple(own[example].shape)}" if example else "by name"
        raise UserError(f"train.weights: {path} fits no layer of this network ({why})")
    model.load_state_dict(fitting, strict=False)
    return taken / sum(parameter.numel() for parameter in parameters.values())


def to_group_norm(model: nn.Module) -> None:
    """Every batch norm becomes a group norm with its scale and shift: statistics of an image, not of a tiny batch."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                norm = nn.GroupNorm(groups_of(child.num_features), child.num_features, child.eps)
                norm.load_state_dict({"weight": child.weight, "bias": child.bias})
                setattr(parent, name, norm.to(child.weight.device))


def groups_of(channels: int) -> int:
    """The most that divide the channels, at most ``GROUPS``, with at least ``CHANNELS`` channels in each."""
    return max(
        (n for n in range(1, GROUPS + 1) if channels % n == 0 and channels // n >= min(CHANNELS, channels)), default=1
    )


def freeze(model: nn.Module, share: float) -> None:
    """The first ``share`` of the layers with weights learn no more; the classifier always learns."""
    layers = [x for x in model.modules() if isinstance(x, (nn.Conv2d, nn.Linear, *NORMS))][:-1]
    for layer in layers[: math.floor(share * len(layers))]:
        layer.requires_grad_(False)


def train_mode(model: nn.Module, norm: str) -> None:
    """``model.train()``, but for batch norms that are frozen (all where ``norm`` says so): their statistics stay."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and (norm == "frozen" or not module.weight.requires_grad):
            module.eval()
