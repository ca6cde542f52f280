"""What does a training of ours lose to everything that is not arithmetic, and what does it gain over reading files?

    python benchmarks/training.py bare                                          # 5 minutes
    python benchmarks/training.py compile                                       # 8 minutes
    python benchmarks/training.py timm --photos DIR --script TRAIN.py --python PYTHON   # 15 minutes

bare: images a second of nas.training (batches read, normalised, trained, under the lease) over those of a bare loop of
forward, backward and optimizer step on one batch that lies in memory as floats; the same network, one thread, in turn.
compile: what torch.compile costs and saves, on the same networks; no bar.
timm: images a second of two trainings at once, as a search runs them, each with a core, over those of two runs of
timm's train.py, each with a core and one worker process of its loader; the same network, batch, resolution and
photographs (JPEGs of DIR, in class folders), without augmentation and with (random resized crops, mirroring,
RandAugment), in turn.
Validation and what comes before the second epoch are not counted. TRAIN.py: from timm's repository; PYTHON: of an
environment that has timm.

Prints medians over rounds with their range. Exit code 1 where a bar is missed.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console

from nas import data, environment
from nas.lease import Lease
from nas.training import train
from nas.training.augment import normaliser
from nas.training.optim import Optimizer
from search_spaces import Arch, command, cost, load
from search_spaces.build import build_model
from search_spaces.scaling import scale
from studies.train_spec import TrainSpec

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SHARE, GAIN = 0.92, 1.3  # the bars
AT_ONCE, EPOCHS = 2, 3
AUGMENTED = {"crop": "resized", "policy": "randaugment", "magnitude": 9}
RATE = re.compile(r"Train: (\d+) \[.*?Time: .*?\(([\d.]+)s,\s*([\d.]+)/s\)")


def network(name: str, width: float, side: int) -> Arch:
    return replace(scale(load(name), width=width), resolution=side)


def bare_rate(arch: Arch, images: data.ImageSet, spec: TrainSpec, steps: int) -> float:
    """Images a second."""
    model = _built(arch, images).train()
    x = normaliser(images, DEVICE)(torch.from_numpy(images.train.batch(np.arange(spec.batch_size))).to(DEVICE))
    y = torch.from_numpy(images.train.labels[: spec.batch_size]).to(DEVICE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    autocast = Optimizer(model, spec, DEVICE).autocast
    for step in range(steps + 3):
        if step == 3:
            _settle()
            start = time.perf_counter()
        with autocast():
            loss = F.cross_entropy(model(x), y, label_smoothing=0.1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    _settle()
    return steps * spec.batch_size / (time.perf_counter() - start)


def our_rate(arch: Arch, images: data.ImageSet, spec: TrainSpec, seed: int = 0) -> float:
    """Images a second in the epochs after the first."""
    model = _built(arch, images)
    history = train(model, images, spec, seed, DEVICE, lambda metrics: None, arch.resolution, lease=Lease.of_host())
    return spec.batch_size / statistics.fmean(metrics["step_time_s"] for metrics in history[1:])


def _built(arch: Arch, images: data.ImageSet) -> torch.nn.Module:
    model = build_model(arch, images.num_classes, zero_init_residual=True)
    return model.to(DEVICE).to(memory_format=torch.channels_last)


def _settle() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def bare(console: Console, rounds: int, settings: Sequence[tuple[str, float, int, int]]) -> bool:
    held = True
    for name, width, side, batch_size in settings:
        arch, spec = network(name, width, side), TrainSpec(epochs=2, batch_size=batch_size)
        images = data.load(f"glyphs:n={60 * batch_size}", side, 0)
        steps = len(images.train) // batch_size
        pairs = [(our_rate(arch, images, spec), bare_rate(arch, images, spec, steps)) for _ in range(rounds)]
        ratios = [ours / bare for ours, bare in pairs]
        middle = statistics.median(ratios)
        console.print(
            f"{name} x {width:g}, {side} px, batch {batch_size}: {statistics.median(ours for ours, _ in pairs):,.0f} "
            f"images/s, {middle:.3f} of the bare loop ({min(ratios):.3f} to {max(ratios):.3f}, {rounds} rounds; bar "
            f"{SHARE})"
        )
        held &= middle >= SHARE
    return held


def compiled(console: Console, rounds: int, settings: Sequence[tuple[str, float, int, int]]) -> bool:
    """Steps eagerly and compiled, in turn; after how many steps the time that compiling took has come back."""
    for name, width, side, batch_size in settings:
        x = torch.randn(batch_size, 3, side, side, device=DEVICE).contiguous(memory_format=torch.channels_last)
        y = torch.randint(0, 10, (batch_size,), device=DEVICE)
        eager, quick = (_stepper(network(name, width, side), x, y, compile) for compile in (False, True))
        eager()
        took_s = _timed(quick)
        pairs = [(_timed(eager), _timed(quick)) for _ in range(10 * rounds + 1)][1:]
        eager_s, quick_s = (statistics.median(times) for times in zip(*pairs, strict=True))
        saved_s = eager_s - quick_s
        after = f"pays after {took_s / saved_s:,.0f} steps" if saved_s > 0 else "never pays"
        console.print(
            f"{name} x {width:g}, {side} px, batch {batch_size}: compiled in {took_s:.0f} s, a step "
            f"{1e3 * quick_s:.0f} ms instead of {1e3 * eager_s:.0f}: {after}"
        )
    return True


def _stepper(arch: Arch, x: torch.Tensor, y: torch.Tensor, compile: bool) -> Callable[[], None]:
    model = build_model(arch, 10).to(DEVICE).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    call = torch.compile(model) if compile else model

    def step() -> None:
        loss = F.cross_entropy(call(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def _timed(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    _settle()
    return time.perf_counter() - start


def ours_at_once(folder: str, arch: Arch, side: int, settings: dict[str, Any]) -> float:
    """Images a second of all together."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(AT_ONCE) as pool:
        jobs = [pool.apply_async(_our_training, (folder, arch, side, settings, seed)) for seed in range(AT_ONCE)]
        return sum(job.get() for job in jobs)


def _our_training(folder: str, arch: Arch, side: int, settings: dict[str, Any], seed: int) -> float:
    torch.set_num_threads(1)
    images = data.load(f"imagefolder:{folder}", side, 0)
    return our_rate(arch, images, TrainSpec(epochs=EPOCHS, **settings), seed)


def timm_at_once(script: Path, python: str, folder: str, params: int, flags: list[str]) -> float:
    with tempfile.TemporaryDirectory() as out:
        command_line = [python, str(script), "--data-dir", folder, "--output", out, *flags]
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        runs = [
            subprocess.Popen(
                [*command_line, "--experiment", str(number)],
                env=env,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for number in range(AT_ONCE)
        ]
        return sum(_rate(run.communicate()[0], params) for run in runs)


def _rate(text: str, params: int) -> float:
    """Images a second of the epochs after the first, from the running means in the last line of each."""
    if f"param count:{params}" not in text:
        sys.exit(f"train.py did not train a network of {params} parameters:\n{text[-2000:]}")
    last = {int(epoch): float(rate) for epoch, _, rate in RATE.findall(text)}
    if EPOCHS - 1 not in last:
        sys.exit(f"train.py did not end as expected:\n{text[-2000:]}")
    return statistics.fmean(rate for epoch, rate in last.items() if epoch)


def against_timm(console: Console, rounds: int, photos: str, script: Path, python: str) -> bool:
    side, batch_size, classes = 64, 32, data.check(f"imagefolder:{photos}").classes
    arch = network("mobilenet_v2", 0.5, side)
    params = cost.count(arch, classes).params
    common = (
        f"--model mobilenetv2_050 --img-size {side} -b {batch_size} "
        f"--num-classes {classes} --epochs {EPOCHS} --warmup-epochs 0 --opt adamw "
        "--lr 1e-3 --smoothing 0.1 --color-jitter 0 --channels-last --device cpu --workers 1 --log-interval 10 --seed 0"
    )
    ways: dict[str, tuple[dict[str, Any], str]] = {
        "without augmentation": ({}, "--no-aug"),
        "augmented": (AUGMENTED, "--aa rand-m9-n2 --scale 0.25 1.0 --hflip 0.5"),
    }
    held = True
    for name, (ours, theirs) in ways.items():
        flags, pairs = [*common.split(), *theirs.split()], []
        for _ in range(rounds):
            mine = ours_at_once(photos, arch, side, {"batch_size": batch_size, **ours})
            pairs.append((mine, timm_at_once(script, python, photos, params, flags)))
        ratios = [mine / other for mine, other in pairs]
        middle = statistics.median(ratios)
        console.print(
            f"{name}: {statistics.median(mine for mine, _ in pairs):,.0f} images/s, timm "
            f"{statistics.median(other for _, other in pairs):,.0f}: {middle:.2f} times ({min(ratios):.2f} to "
            f"{max(ratios):.2f}, {rounds} rounds; bar {GAIN})"
        )
        held &= middle > GAIN
    return held


def main(argv: Sequence[str]) -> None:
    parser = command.Parser("python benchmarks/training.py", description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=("bare", "compile", "timm"))
    parser.add_argument("--rounds", type=command.positive_int, default=5)
    parser.add_argument("--photos", help="folder of class folders")
    parser.add_argument("--script", type=Path, help="timm's train.py")
    parser.add_argument("--python", default=sys.executable, help="of an environment with timm")
    args = parser.parse_args(argv)
    console = Console(soft_wrap=True)
    made = environment.describe(int(DEVICE.type == "cuda"))
    console.print(f"machine: {made['cpu']}, {made['cpus']} cores; torch {made['torch']}, Python {made['python']}")
    torch.set_num_threads(1)
    if args.part in ("bare", "compile"):
        large = [(name, 1.0, side, 256) for name in ("efficientnet_b0", "efficientnet_v2_s") for side in (128, 224)]
        small = [("efficientnet_b0", 0.25, 32, 32), ("efficientnet_b0", 0.25, 64, 32), ("efficientnet_b0", 1.0, 64, 32)]
        measure = bare if args.part == "bare" else compiled
        held = measure(console, args.rounds, large if DEVICE.type == "cuda" else small)
    else:
        held = against_timm(console, args.rounds, args.photos, args.script, args.python)
    if not held:
        sys.exit(1)


if __name__ == "__main__":
    command.run(main)
