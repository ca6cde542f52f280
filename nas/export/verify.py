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

TINY = 1e-30
SCALE = 0.2  # of batch norms in a randomised network, where fresh ones have 1: activations stay near their linear part
FEW, SMALL = 8, 128  # images that statistics are of, up to which side in pixels: maps of one pixel have one value each


@dataclass(frozen=True)
class Verification:
    """max_abs_diff: the largest difference of an output of order 1 (``output_std``) with randomised weights and
    statistics; max_abs_diff_exported: with those that were written, as a share of the outputs' standard deviation.

    rounding: by how much our own outputs differ from those in float64, where that had to be known because a difference
    was above ``tolerance``: what is no more than twice as large is the float32 of the network, not another network.
    settings_equal: eps and momentum of batch norms, where the target has such modules.
    """

    target: str
    params_equal: bool | None
    macs_equal: bool | None
    settings_equal: bool | None
    max_abs_diff: float
    max_abs_diff_exported: float
    tolerance: float
    rounding: float
    rounding_exported: float
    output_std: float
    params: int
    macs: int
    resolution: int
    batches: tuple[int, ...]
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        close = self.max_abs_diff <= max(self.tolerance, 2 * self.rounding)
        kept = self.max_abs_diff_exported <= max(self.tolerance, 2 * self.rounding_exported)
        return close and kept and False not in (self.params_equal, self.macs_equal, self.settings_equal)

    def to_dict(self) -> dict[str, object]:
        return {"passed": self.passed} | asdict(self)

    @property
    def text(self) -> str:
        counts = f"parameters {_equal(self.params_equal)}, MACs {_equal(self.macs_equal)}"
        if self.params_equal is None:
            counts = "nothing to count in the file"
        if self.settings_equal is False:
            counts += ", batch norm settings DIFFER"
        rounding = f" (float32 itself {self.rounding:.1e})" if self.rounding else ""
        return (
            f"{counts}, outputs within {self.max_abs_diff:.1e}{rounding}, as written {self.max_abs_diff_exported:.1e}"
        )


def verified(name: str, target: Target, network: Network, model: nn.Module, folder: Path) -> Verification:
    """Of what ``target`` has written of ``model`` to ``folder``; and of a ``randomised`` copy, written elsewhere, since
    fresh biases and statistics (means of 0, variances of 1) hide mistakes."""
    resolution = network.arch.resolution
    generator = torch.Generator().manual_seed(0)
    count = max(*target.batches, FEW if resolution <= SMALL else 2)
    x = torch.randn(count, 3, resolution, resolution, generator=generator)
    disguised = randomised(model, x)
    with tempfile.TemporaryDirectory() as scratch:
        target.write(network, disguised, Path(scratch))
        loaded = target.load(network, Path(scratch))
        off, rounding, std = difference(disguised, loaded, x, target.batches, target.tolerance)
        settings = None if loaded.module is None else _settings(disguised) == _settings(loaded.module)
        found = loaded.count() if loaded.count else (None, None)
    written = target.load(network, folder)
    off_exported, rounding_exported, _ = difference(model, written, x, target.batches, target.tolerance)
    params, macs = counted(model, resolution)
    return Verification(
        name,
        params_equal=None if found[0] is None else params == found[0],
        macs_equal=None if found[1] is None else macs == found[1],
        settings_equal=settings,
        max_abs_diff=off,
        max_abs_diff_exported=off_exported,
        tolerance=target.tolerance,
        rounding=rounding,
        rounding_exported=rounding_exported,
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
    deviation of 1. Scales and shifts are small, or rounding errors of float32 would grow to 1e-4 in deep networks."""
    model, draw = copy.deepcopy(model).eval(), torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.ndim == 1:  # biases, scales and shifts
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for module in norms:
        module.weight.mul_(SCALE)
        module.bias.add_(SCALE / 2)

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
def difference(
    model: nn.Module, loaded: Loaded, x: Tensor, batches: Sequence[int], tolerance: float
) -> tuple[float, float, float]:
    """The largest over all batches, as a share of the outputs' standard deviation; where that is above the tolerance,
    our own rounding in the same unit, else 0; and the deviation. Not finite where an output is not."""
    model.eval()
    outputs, theirs = [model(x[:size]) for size in batches], [loaded.run(x[:size]) for size in batches]
    std = float(model(x).std())
    off = _largest(outputs, theirs) / max(std, TINY)
    if off <= tolerance:
        return off, 0.0, std
    exact = copy.deepcopy(model).double()
    return off, _largest(outputs, [exact(x[:size].double()) for size in batches]) / max(std, TINY), std


def _largest(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    return float(torch.stack([(one - other).abs().max() for one, other in zip(ours, theirs, strict=True)]).max())


def _settings(model: nn.Module) -> list[tuple[float, float | None]]:
    return [(module.eps, module.momentum) for module in model.modules() if isinstance(module, _BatchNorm)]


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
