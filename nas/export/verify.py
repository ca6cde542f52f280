"""Is an export the same network? Parameters, multiply-adds, and outputs with all weights and statistics transferred."""

from __future__ import annotations

import copy
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.export.network import Network
from nas.export.target import Loaded, Target, counted

SCALE = 0.2  # of batch norms in a randomised network, where fresh ones have 1: activations stay in their linear part


@dataclass(frozen=True)
class Verification:
    """max_abs_diff: the largest difference of an output of order 1 (``output_std``) with randomised weights and batch
    norm statistics; max_abs_diff_exported: with the weights that were written."""

    target: str
    params_equal: bool | None
    macs_equal: bool | None
    max_abs_diff: float
    max_abs_diff_exported: float
    tolerance: float
    output_std: float
    params: int
    macs: int
    resolution: int
    batches: tuple[int, ...]
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        close = max(self.max_abs_diff, self.max_abs_diff_exported) <= self.tolerance
        return close and self.params_equal is not False and self.macs_equal is not False

    def to_dict(self) -> dict[str, object]:
        return {"passed": self.passed} | asdict(self)

    @property
    def text(self) -> str:
        counts = f"parameters {_equal(self.params_equal)}, MACs {_equal(self.macs_equal)}"
        if self.params_equal is None:
            counts = "nothing to count in the file"
        return f"{counts}, outputs within {max(self.max_abs_diff, self.max_abs_diff_exported):.1e}"


def verified(name: str, target: Target, network: Network, model: nn.Module, folder: Path) -> Verification:
    """Of what ``target`` has written of ``model`` to ``folder``; and of a copy with random weights, written elsewhere,
    since weights fresh from initialisation and their statistics (means of 0, variances of 1) hide mistakes."""
    resolution = network.arch.resolution
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(max(target.batches), 3, resolution, resolution, generator=generator)
    disguised = randomised(model, x)
    with tempfile.TemporaryDirectory() as scratch:
        target.write(network, disguised, Path(scratch))
        loaded = target.load(network, Path(scratch))
        off, std = difference(disguised, loaded, x, target.batches)
        found = loaded.count() if loaded.count else (None, None)
    off_exported, _ = difference(model, target.load(network, folder), x, target.batches)
    params, macs = counted(model, resolution)
    return Verification(
        name,
        params_equal=None if found[0] is None else params == found[0],
        macs_equal=None if found[1] is None else macs == found[1],
        max_abs_diff=off,
        max_abs_diff_exported=off_exported,
        tolerance=target.tolerance,
        output_std=std,
        params=params,
        macs=macs,
        resolution=resolution,
        batches=target.batches,
        versions=_versions(target),
    )


@torch.no_grad()
def randomised(model: nn.Module, x: Tensor, seed: int = 1) -> nn.Module:
    """A copy all of whose weights, and batch norms' statistics, differ from how they begin. The statistics are near
    those of ``x`` as it comes through, so that values stay of order 1 to any depth, and outputs have a standard
    deviation of 1. Scales are small, as ``SCALE`` says, or rounding errors of float32 would grow to 1e-4."""
    model, draw = copy.deepcopy(model).eval(), torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.ndim == 1:  # biases, scales and shifts
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for module in norms:
        module.weight.mul_(SCALE)

    def disturb(norm: _BatchNorm, inputs: tuple[Tensor, ...]) -> None:
        mean, power = inputs[0].mean((0, 2, 3)), inputs[0].square().mean()
        usual = inputs[0].var((0, 2, 3)).mean().clamp(min=0.1 * float(power))  # a channel's own may be next to nothing
        variance = usual * (0.5 + torch.rand(mean.shape, generator=draw))
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean + 0.2 * variance.sqrt() * torch.randn(mean.shape, generator=draw))
        norm.running_var.copy_(variance)

    hooks = [norm.register_forward_pre_hook(disturb) for norm in norms]
    outputs = model(x)
    for hook in hooks:
        hook.remove()
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    scale = 1 / outputs.std().clamp(min=1e-12)
    last.weight.mul_(scale)
    last.bias.mul_(scale)
    return model


@torch.no_grad()
def difference(model: nn.Module, loaded: Loaded, x: Tensor, batches: Sequence[int]) -> tuple[float, float]:
    """The largest over all batches, as a share of the outputs' standard deviation where that is above 1; and that."""
    model.eval()
    std = float(model(x).std())
    largest = max(float((loaded.run(x[:size]) - model(x[:size])).abs().max()) for size in batches)
    return largest / max(1.0, std), std


def _versions(target: Target) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("nas-scaling", "torch", *target.packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _equal(equal: bool | None) -> str:
    return "equal" if equal else "DIFFER"
