"""From the uint8 images of a batch to what a network trains on: cropped, flipped, recoloured, mixed on the device."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from nas.data import ImageSet
from nas.training.schedule import Stage
from studies.train_spec import TrainSpec

ALIKE = 8  # images that share one draw of crop and policy on a GPU, where calls cost more than pixels


class Augmentation:
    """What a training batch goes through, by ``spec``; everything is drawn from ``draw`` and torch's own generator."""

    def __init__(self, spec: TrainSpec, images: ImageSet, draw: torch.Generator) -> None:
        self._spec, self._flip, self._draw, self._classes = spec, images.flip, draw, images.num_classes
        self._normalise = normaliser(images, draw.device)

    def __call__(self, x: Tensor, y: Tensor, stage: Stage) -> tuple[Tensor, Tensor]:
        """x: uint8 (N, 3, R, R), y: int64 (N,); back come floats (N, 3, S, S), S ``stage.side``, and y as it was or,
        where images were mixed, floats (N, classes)."""
        spec, side = self._spec, stage.side
        change = _transform(spec.crop, spec.policy, side, round(stage.magnitude), self._flip)
        x = resized(x, side) if change is None else _in_groups(change, x, 1 if x.device.type == "cpu" else ALIKE)
        x = self._normalise(x)
        if spec.crop == "shift":
            x = _shift(x, self._flip, self._draw)
        if stage.mixup > 0:
            x, y = v2.MixUp(alpha=stage.mixup, num_classes=self._classes)(x, y)
        return x, y


def normaliser(images: ImageSet, device: torch.device) -> Callable[[Tensor], Tensor]:
    """From uint8 to floats of mean 0 and standard deviation 1 over the training images, channel by channel."""
    mean = torch.tensor(images.mean, device=device).view(1, -1, 1, 1) * 255
    scale = 1 / (torch.tensor(images.std, device=device).view(1, -1, 1, 1) * 255)
    return lambda x: ((x.float() - mean) * scale).contiguous(memory_format=torch.channels_last)


def resized(x: Tensor, side: int) -> Tensor:
    """(N, 3, S, S) at another side, antialiased."""
    return x if x.shape[-1] == side else v2.functional.resize(x, [side, side], antialias=True)


@lru_cache(maxsize=64)
def _transform(crop: str, policy: str, side: int, magnitude: int, flip: bool) -> Callable[[Tensor], Tensor] | None:
    """torchvision's, which draw once for all images that they are given; None: there is nothing but to resize."""
    steps: list[torch.nn.Module] = []
    if crop == "resized":
        steps += [v2.RandomResizedCrop(side, scale=(0.25, 1.0), antialias=True)]
        steps += [v2.RandomHorizontalFlip()] if flip else []
    elif policy != "none":
        steps += [v2.Resize(side, antialias=True)]
    if policy == "autoaugment":
        steps.append(v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET))
    elif policy == "randaugment":
        steps.append(v2.RandAugment(num_ops=2, magnitude=magnitude))
    return v2.Compose(steps) if steps else None


def _in_groups(change: Callable[[Tensor], Tensor], x: Tensor, size: int) -> Tensor:
    """Batches are shuffled, so that other images are alike in the next epoch."""
    return torch.cat([change(part) for part in x.split(size)])


def _shift(x: Tensor, flip: bool, draw: torch.Generator) -> Tensor:
    """Each image shifted by up to an eighth of its side (edges reflected) and, if ``flip``, mirrored half the time."""
    n, _, side, _ = x.shape
    reach = side // 8
    padded = F.pad(x, (reach,) * 4, mode="reflect")
    top, left = torch.randint(0, 2 * reach + 1, (2, n, 1), generator=draw, device=x.device)
    line = torch.arange(side, device=x.device)
    columns = left + line
    if flip:
        mirrored = torch.rand(n, 1, generator=draw, device=x.device) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    image = torch.arange(n, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, (top + line)[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
