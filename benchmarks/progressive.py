"""Progressive learning against a fixed image size at equal wall time (arXiv 2104.00298, section 4).

    python benchmarks/progressive.py                 # 20 minutes
    python benchmarks/progressive.py --seeds 8 --epochs 24

One network (the base of space v2 at a quarter of its width) on glyphs, with as many epochs of each kind as take equally
long: those of progressive learning, with its smaller images, take less time, so that it gets more of them. Both train
as the recipe ``short`` does, with RandAugment at the same final magnitude; the progressive one begins with half the
image side and a third of the magnitude. For each seed both are trained in turn; printed are their accuracies on the
validation images, their training times, and the mean difference with its 95% interval (Student's t over seeds).

Exit code 1 where the interval lies below zero: progressive learning is worse.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace

import torch
from rich.console import Console
from scipy import stats

from nas import data, environment
from nas.training import train
from search_spaces import Arch, command
from search_spaces.build import build_model
from search_spaces.space_file import load_space
from studies.train_spec import TrainSpec

CPU = torch.device("cpu")
SIDE, WIDTH, STAGES, FROM = 96, 0.25, 4, 0.5
FIXED = TrainSpec(policy="randaugment", magnitude=6, learning_rate=0.003)
PROGRESSIVE = replace(FIXED, stages=STAGES, from_size=FROM, from_magnitude=2)


def trained(arch: Arch, images: data.ImageSet, spec: TrainSpec, seed: int) -> tuple[float, float]:
    """Top-1 in percent, and seconds of training steps."""
    torch.manual_seed(seed)
    model = build_model(arch, images.num_classes, zero_init_residual=True).to(memory_format=torch.channels_last)
    history = train(model, images, spec, seed, CPU, lambda metrics: None)
    steps = len(images.train) // spec.batch_size
    return history[-1]["top1"], sum(steps * metrics["step_time_s"] for metrics in history)


def main(argv: Sequence[str]) -> None:
    parser = command.Parser("python benchmarks/progressive.py", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=command.positive_int, default=5)
    parser.add_argument("--epochs", type=command.positive_int, default=10, help="of the fixed size (default 10)")
    parser.add_argument("--data", default="glyphs:classes=32,n=3200,noise=9,contrast=60-160,size=0.5-0.9")
    args = parser.parse_args(argv)
    console = Console(soft_wrap=True)
    made = environment.describe(0)
    console.print(f"machine: {made['cpu']}, {made['cpus']} cores; torch {made['torch']}, Python {made['python']}")
    torch.set_num_threads(1)
    arch = load_space("v2", width=WIDTH, resolution=SIDE).base
    images = data.load(args.data, SIDE, 0)
    fixed = replace(FIXED, epochs=args.epochs)
    epoch_s = [trained(arch, images, replace(spec, epochs=STAGES), 99)[1] for spec in (FIXED, PROGRESSIVE)]
    growing = replace(PROGRESSIVE, epochs=round(args.epochs * epoch_s[0] / epoch_s[1]))
    console.print(f"{fixed.epochs} epochs of {SIDE} px against {growing.epochs} of {round(SIDE * FROM)} to {SIDE} px")
    differences = []
    for seed in range(args.seeds):
        (plain, plain_s), (grown, grown_s) = (trained(arch, images, spec, seed) for spec in (fixed, growing))
        differences.append(grown - plain)
        console.print(
            f"seed {seed}: fixed {plain:.2f}% in {plain_s:.0f} s, progressive {grown:.2f}% in {grown_s:.0f} s"
        )
    mean, error = statistics.fmean(differences), stats.sem(differences)
    low, high = stats.t.interval(0.95, len(differences) - 1, mean, error)
    console.print(f"progressive minus fixed: {mean:+.2f} points (95% {low:+.2f} to {high:+.2f}, {args.seeds} seeds)")
    if high < 0:
        sys.exit(1)


if __name__ == "__main__":
    command.run(main)
