"""The reverse of an export: networks of timm and torchvision, read into an Arch and proven to be the same.

A network is read from what its modules are, not from its name: stem, blocks by their convolutions, head.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Sequence

import torch
from torch import nn

from nas.export.network import Network
from nas.export.reading_dense import dense
from nas.export.reading_mobile import mobile
from nas.export.reading_parts import Unreadable
from nas.export.reading_residual import arrange, residual
from nas.export.target import in_order, torch_loaded
from nas.export.verify import difference, randomised
from search_spaces import Arch, UserError
from search_spaces.build import build_model

FAMILIES: tuple[Callable[[nn.Module, int], Arch | None], ...] = (dense, residual, mobile)
TOLERANCE = 1e-5
PLAIN = re.compile(r"[A-Za-z0-9_.]+")


def read(text: str) -> Network:
    """The network of ``timm:NAME`` or ``torchvision:NAME``, freshly initialised. Raises UserError where there is none,
    or where an Arch cannot express it."""
    builder, _, name = text.partition(":")
    if builder not in BUILDERS or not name:
        raise UserError(f"--from: {text!r} is not of the form {' or '.join(f'{one}:NAME' for one in BUILDERS)}")
    return read_module(name, *BUILDERS[builder](name))


def read_module(name: str, model: nn.Module, side: int) -> Network:
    """The network that ``model`` is, for images of ``side`` pixels; ``model`` may be rearranged (``arrange``). Raises
    UserError that says what of it an Arch cannot express."""
    try:
        arch = arch_of(model, side)
        classes = _classes(model)
        _check_same(arch, model, classes)
    except (Unreadable, UserError) as error:
        raise UserError(f"--from: {name}: {error}") from None
    return Network(name, arch, classes)


def arch_of(model: nn.Module, side: int) -> Arch:
    """As ``read_module``, without the proof. Raises Unreadable, or UserError where an Arch does not take a value."""
    arrange(model)
    for family in FAMILIES:
        if arch := family(model, side):
            return arch
    raise Unreadable(
        f"{type(model).__name__} is of a family that is not read (EfficientNet, MobileNetV2, MnasNet, ResNet and "
        "DenseNet are)"
    )


def _classes(model: nn.Module) -> int:
    found = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not found:
        raise Unreadable("it has no linear classifier")
    return found[-1].out_features


def _timm(name: str) -> tuple[nn.Module, int]:
    if importlib.util.find_spec("timm") is None:
        raise UserError("--from: timm is not installed here: pip install 'nas-scaling[timm]'")
    import timm

    if not PLAIN.fullmatch(name) or not timm.is_model(name.partition(".")[0]):  # others would be looked for elsewhere
        raise UserError(f"--from: timm has no network {name!r}")
    model = timm.create_model(name, pretrained=False)
    about = model.pretrained_cfg
    return model, int((about.get("test_input_size") or about["input_size"])[-1])


def _torchvision(name: str) -> tuple[nn.Module, int]:
    from torchvision import models
    from torchvision.models import get_model, get_model_weights, list_models

    if name not in list_models(module=models):  # those of segmentation and detection would load a backbone
        raise UserError(f"--from: torchvision has no network {name!r}")
    try:
        crop = get_model_weights(name).DEFAULT.transforms().crop_size
        side = crop[0] if isinstance(crop, Sequence) else crop
    except (ValueError, AttributeError):
        side = 224
    return get_model(name, weights=None), int(side)


BUILDERS: dict[str, Callable[[str], tuple[nn.Module, int]]] = {"timm": _timm, "torchvision": _torchvision}


def _check_same(arch: Arch, model: nn.Module, classes: int) -> None:
    ours = build_model(arch, classes).eval()
    side = min(arch.resolution, 2 * 64)  # enough for all strides, and quick
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    try:
        disguised = randomised(model, x)
        ours.load_state_dict(in_order(disguised.state_dict(), ours.state_dict()))
        off, rounding, _ = difference(ours, torch_loaded(disguised, side), x, (2,), TOLERANCE)
    except ValueError as error:
        raise Unreadable(f"{error}; an Arch does not have it") from None
    if not off <= max(TOLERANCE, 2 * rounding):
        raise Unreadable(f"outputs differ by {off:.1e}; it has something that an Arch does not")
