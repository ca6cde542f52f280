"""Trains every network of a small space with three seeds, so that its true front and every learning curve are known.

    python benchmarks/table.py                # 432 networks, 1,296 runs: two hours on two free cores
    python benchmarks/table.py --limit 12     # the first 12 of the same random order: 4 minutes

The space is benchmarks/data/known_space.yaml, the rows go to benchmarks/data/known_space.csv as they come: one for each
network and seed, with its cost and the validation top-1 (percent) and loss (nats) after each of the 9 epochs. A rerun
trains only what is missing; an interruption loses the rows in work. What a sampler or a stopping rule would have found
can then be replayed in seconds, against the truth (the mean over the seeds).

Runs are those of nas.search (AdamW, warm-up, cosine; images from seed 0, weights and order from the run's own), with a
setting of their own: 630 short steps, so that top-1 is still far from its ceiling for most networks, and a warm-up
short enough for the first epoch to tell networks apart. On two cores of an AMD EPYC, torch 2.15, a run takes 9 s
(median); the std of the last top-1 is 12.6 points between networks and 3.4 between seeds (ratio 3.7).
"""

from __future__ import annotations

import csv
import itertools
import random
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import moocore
import numpy as np
import torch
from noise import split_variance
from rich.console import Console
from rich.progress import track
from rich.table import Table

from nas import data, environment
from nas.training import Diverged, train
from search_spaces import Arch, command, cost
from search_spaces.build import build_model
from search_spaces.space import GENES, SearchSpace
from search_spaces.space_file import load_space
from studies.train_spec import TrainSpec

SPACE = Path(__file__).parent / "data" / "known_space.yaml"
SEEDS = range(3)
DATA = "glyphs:classes=20,n=3000,clutter=2,noise=9,contrast=60-160,size=0.55-0.9"
VAL_FRACTION = 0.3  # 900 images: with fewer, their choice would blur small differences
TRAIN = TrainSpec(epochs=9, batch_size=30, learning_rate=4e-3, warmup=0.05)
EPOCHS = range(1, TRAIN.epochs + 1)
TOP1, VAL_LOSS = [f"top1_{epoch}" for epoch in EPOCHS], [f"val_loss_{epoch}" for epoch in EPOCHS]
COLUMNS = ["network", "seed", "params", "macs", "activations", *TOP1, *VAL_LOSS, "train_s"]

_images: data.ImageSet


def networks(space: SearchSpace) -> Iterator[Arch]:
    """All ``space.size`` networks of the space."""
    stages = [
        [replace(base, **dict(zip(GENES, genes, strict=True))) for genes in itertools.product(*(own[g] for g in GENES))]
        for base, own in zip(space.base.stages, space.choices, strict=True)
    ]
    for resolution, chosen in itertools.product(space.resolutions, itertools.product(*stages)):
        yield replace(space.base, stages=chosen, resolution=resolution)


def _load(resolution: int) -> None:
    global _images
    torch.set_num_threads(1)
    _images = data.load(DATA, resolution, seed=0, val_fraction=VAL_FRACTION)


def _row(arch: Arch, seed: int) -> dict[str, object]:
    """One short training as nas.evaluate does it. Raises Diverged."""
    torch.manual_seed(seed)
    model = build_model(arch, _images.num_classes, TRAIN.dropout, TRAIN.drop_path, TRAIN.zero_init_residual)
    model = model.to(memory_format=torch.channels_last)
    row: dict[str, object] = {"network": arch.id, "seed": seed, **cost.count(arch, _images.num_classes)._asdict()}

    def keep(metrics: dict[str, float]) -> None:
        row[f"top1_{metrics['epoch']}"] = round(metrics["top1"], 2)
        row[f"val_loss_{metrics['epoch']}"] = round(metrics["val_loss"], 4)

    start = time.perf_counter()
    train(model, _images, TRAIN, seed, torch.device("cpu"), keep, arch.resolution)
    return row | {"train_s": round(time.perf_counter() - start, 2)}


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table; a last line that an interruption cut short is dropped, from the file too."""
    if not path.exists():
        path.write_text(",".join(COLUMNS) + "\n")
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    return list(csv.DictReader(whole.splitlines()))


def fill(path: Path, archs: Sequence[Arch], resolution: int, workers: int) -> None:
    """Appends a row for each network and seed that the table lacks, as each run ends."""
    done = {(row["network"], int(row["seed"])) for row in read(path)}
    missing = [(arch, seed) for arch in archs for seed in SEEDS if (arch.id, seed) not in done]
    if not missing:
        return
    failed = []
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _load, (resolution,))
    try:
        jobs = {pool.submit(_row, arch, seed): (arch, seed) for arch, seed in missing}
        for job in track(as_completed(jobs), "training", len(jobs), disable=not sys.stderr.isatty()):
            try:
                row = job.result()
            except Diverged as error:
                failed.append(f"{jobs[job][0].id} with seed {jobs[job][1]}: {error}")
                continue
            with path.open("a", newline="") as file:
                csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(row)
    finally:
        pool.shutdown(cancel_futures=True)
    if failed:
        sys.exit(f"{len(failed)} runs diverged, the table lacks them: {'; '.join(failed)}")


def show(rows: Sequence[dict[str, str]], archs: Sequence[Arch], console: Console) -> None:
    """Spread, noise and the front of the mean over seeds."""
    known = {(row["network"], int(row["seed"])): row for row in rows}
    curves = np.array([[[float(known[a.id, seed][name]) for name in TOP1] for seed in SEEDS] for a in archs])
    macs = np.array([int(known[arch.id, 0]["macs"]) for arch in archs])
    train_s = np.array([float(row["train_s"]) for row in rows])
    top1 = curves[:, :, -1].mean(axis=1)

    on_front = moocore.is_nondominated(np.column_stack([macs, -top1]))
    front = Table("network", "M MACs", "top-1, %", "side", "stages", title="front of the mean over seeds")
    for i in sorted(map(int, np.flatnonzero(on_front)), key=lambda i: macs[i]):
        front.add_row(archs[i].id, f"{macs[i] / 1e6:.3f}", f"{top1[i]:.2f}", str(archs[i].resolution), archs[i].text)
    console.print(front)
    made = environment.describe(0)
    console.print(f"machine: {made['cpu']}, {made['cpus']} cores; torch {made['torch']}, Python {made['python']}")
    console.print(f"setting: {DATA}, val_fraction {VAL_FRACTION}, {TRAIN}")
    console.print(f"{len(archs)} networks x {len(SEEDS)} seeds; {on_front.sum()} networks on the front")
    console.print(
        f"M MACs {macs.min() / 1e6:.3f} to {macs.max() / 1e6:.3f}; top-1 {top1.min():.1f} to {top1.max():.1f}"
    )
    console.print(f"one run trains {np.median(train_s):.1f} s (median), all {train_s.sum() / 60:.0f} core minutes")
    for epoch in (1, 3, TRAIN.epochs):
        between, within = split_variance(curves[:, :, epoch - 1])
        spread = f"std between networks {between:.2f}, between seeds {within:.2f}"
        console.print(f"epoch {epoch}: {spread}, ratio {between / within:.2f}")


def main(argv: Sequence[str]) -> None:
    parser = command.Parser("python benchmarks/table.py", description=__doc__.split("\n")[0])
    parser.add_argument("--limit", type=command.positive_int, help="only so many networks, drawn at random")
    parser.add_argument("--workers", type=command.positive_int, default=environment.cpu_count(), help="(default cores)")
    args = parser.parse_args(argv)
    space = load_space(str(SPACE))
    archs = list(networks(space))
    random.Random(0).shuffle(archs)  # so that a part of the table stands for the whole
    archs = archs[: args.limit]
    path = SPACE.with_suffix(".csv")
    fill(path, archs, max(space.resolutions), args.workers)
    wanted = {arch.id for arch in archs}
    show([row for row in read(path) if row["network"] in wanted], archs, Console(width=130, highlight=False))


if __name__ == "__main__":
    command.run(main)
