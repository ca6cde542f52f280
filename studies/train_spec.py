"""The part of a spec that says how a network is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from search_spaces import UserError
from studies.bounds import Count, NotNegative, Positive, Share


@dataclass(frozen=True)
class TrainSpec:
    """How a candidate is trained. The defaults are the recipe ``short``: for a few hundred steps, in which dropout and
    augmentation blur the ranking (benchmarks/noise.py).

    recipe: ``short``, ``v1``, ``v2``, ``finetune`` or your own .yaml file of these fields (studies/recipes); fields
        that are given besides replace the recipe's.
    seconds: a training ends after so many, however few its epochs; the schedule is shortened to that.
    learning_rate: the highest; for ``batch_reference`` images a step and then proportional to the batch, or as it is
        where that is None. After the warm-up (a share of all steps) it falls along a cosine to zero, or
        (``exponential``) by ``decay_rate`` every ``decay_epochs``.
    zero_init_residual: residual branches start at zero; without it deep and narrow networks stay at chance for hundreds
        of steps.
    crop: ``shift``, by up to an eighth of the side, or ``resized``, a random part of the image; with either, images are
        mirrored where the data allow it. policy: of torchvision. magnitude: of RandAugment, 0 to 30. mixup: its alpha.
    stages: of progressive learning (arXiv 2104.00298, Algorithm 1), with as many steps each; image side (``from_size``,
        a share of the last), magnitude, mixup and dropout begin with their ``from_`` and end as above.
    ema: decay of the averaged weights that are validated; 0: none. clip_norm: of the gradient; 0: not clipped.
    weights: file of a state dict to begin with, as far as it fits. frozen: share of the layers that do not learn.
    norm: ``frozen``, batch norm with the statistics of ``weights``, or ``group``, group norm instead.
    amp: half precision; True: on a GPU the best that it has. compile: by torch.compile, which pays in
        long trainings only (on one core after 5,000 to 20,000 steps, benchmarks/training.py), so no search's default.
    """

    recipe: str = "short"
    epochs: Count = 4
    seconds: Positive | None = None
    batch_size: Annotated[int, Ge(2)] = 32
    optimizer: Literal["adamw", "sgd", "rmsprop"] = "adamw"
    learning_rate: Positive = 1.5e-3
    batch_reference: Count | None = None
    weight_decay: NotNegative = 0.02
    momentum: Share = 0.9
    warmup: Share = 0.15
    schedule: Literal["cosine", "exponential"] = "cosine"
    decay_rate: Annotated[float, Gt(0), Le(1)] = 0.97
    decay_epochs: Positive = 2.4
    label_smoothing: Share = 0.1
    dropout: Share = 0.0
    drop_path: Share = 0.0
    zero_init_residual: bool = True
    crop: Literal["none", "shift", "resized"] = "none"
    policy: Literal["none", "autoaugment", "randaugment"] = "none"
    magnitude: Annotated[float, Ge(0), Le(30)] = 9.0
    mixup: NotNegative = 0.0
    stages: Count = 1
    from_size: Annotated[float, Gt(0), Le(1)] = 1.0
    from_magnitude: Annotated[float, Ge(0), Le(30)] | None = None
    from_mixup: NotNegative | None = None
    from_dropout: Share | None = None
    ema: Share = 0.0
    clip_norm: NotNegative = 0.0
    weights: str | None = None
    frozen: Share = 0.0
    norm: Literal["batch", "frozen", "group"] = "batch"
    amp: Literal[True, False, "bfloat16", "float16"] = True
    compile: bool = False


def check_training(train: TrainSpec) -> None:
    """What would silently do nothing, or harm, is a mistake."""
    if train.norm == "frozen" and not train.weights:
        raise UserError("train.norm: 'frozen' keeps the statistics of train.weights, which names no file")
    if train.frozen and not train.weights:
        raise UserError(f"train.frozen: {train.frozen} without train.weights would freeze random layers")
    if train.stages == 1 and train.from_size != 1:
        raise UserError(f"train.from_size: {train.from_size} is for train.stages of at least 2")
    if train.epochs < train.stages:
        raise UserError(f"train.stages: {train.stages} is more than train.epochs {train.epochs}")
