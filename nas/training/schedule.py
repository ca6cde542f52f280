"""What changes while a network trains, as pure functions of how much of the training is done."""

from __future__ import annotations

import math
from dataclasses import dataclass

from studies.train_spec import TrainSpec


def learning_rate(spec: TrainSpec, done: float, steps: int, steps_per_epoch: int) -> float:
    """Of the step that comes after ``done`` of ``steps`` steps.

    A linear warm-up over ``spec.warmup`` of all steps; then a cosine to zero (with the warm-up: one cycle), or
    ``spec.decay_rate`` once every ``spec.decay_epochs`` epochs, in a staircase, as both papers have it.
    """
    peak = spec.learning_rate * (spec.batch_size / spec.batch_reference if spec.batch_reference else 1)
    warmup = max(1, round(spec.warmup * steps))
    if done < warmup:
        return peak * min(1.0, (done + 1) / warmup)
    if spec.schedule == "exponential":
        return peak * spec.decay_rate ** math.floor(done / steps_per_epoch / spec.decay_epochs)
    return peak * 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(1, steps - warmup)))


@dataclass(frozen=True)
class Stage:
    """One stage of progressive learning: side of the images in pixels, RandAugment's magnitude, mixup's alpha, rate of
    the dropout before the classifier."""

    side: int
    magnitude: float
    mixup: float
    dropout: float


def stages(spec: TrainSpec, side: int) -> list[Stage]:
    """Progressive learning (arXiv 2104.00298, Algorithm 1): in stage i of M, size and regularisation are what they
    begin with plus i / (M - 1) of the way to what they end with; each stage lasts for as many steps.

    side: that of the last stage. Sizes are rounded to whole pixels. One stage is training as usual.
    """
    first = Stage(
        round(side * spec.from_size),
        spec.magnitude if spec.from_magnitude is None else spec.from_magnitude,
        spec.mixup if spec.from_mixup is None else spec.from_mixup,
        spec.dropout if spec.from_dropout is None else spec.from_dropout,
    )
    last = Stage(side, spec.magnitude, spec.mixup, spec.dropout)
    if spec.stages == 1:
        return [last]
    parts = [number / (spec.stages - 1) for number in range(spec.stages)]
    return [
        Stage(
            round(first.side + (last.side - first.side) * part),
            first.magnitude + (last.magnitude - first.magnitude) * part,
            first.mixup + (last.mixup - first.mixup) * part,
            first.dropout + (last.dropout - first.dropout) * part,
        )
        for part in parts
    ]


def stage_at(number_of_stages: int, done: float, steps: int) -> int:
    """Index of the stage that the step after ``done`` of ``steps`` steps belongs to."""
    return min(number_of_stages - 1, math.floor(number_of_stages * done / steps))
