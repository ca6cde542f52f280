"""A made-up run folder of any size: networks of a real space, costs as they are, accuracies and latencies invented."""

import json
import random

import numpy as np
import yaml

from search_spaces import cost
from search_spaces.space_file import load_space
from studies.ledger import SCHEMA, Latency, Outcome

GOALS = ("top1", "latency_ms")
NOISE = 1.0  # points between seeds


def write(folder, trials, seed=0, objectives=GOALS, constraints=(), repeats=1, **more):
    """One of every ten trials is rejected, and one in twenty failed or was stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, noise = random.Random(seed), np.random.default_rng(seed)
    space = load_space("v2", width=0.25, resolution=32)
    key = {"device": "cpu", "threads": 1, "batch": 1, "dtype": "float32"}
    lines, time = [], 1.75e9
    for number in range(trials):
        if number % repeats == 0:
            arch = space.sample(rng)
            counted = cost.count(arch, 10)
            true = 95 - 12 * (counted.macs / 1e6) ** -0.7 + 2 * (arch.stages[3].kernel == 5) + noise.normal()
            p50 = 0.4 + counted.macs / 2e6 + 0.1 * noise.random()
        top1 = float(np.clip(true + NOISE * noise.normal(), 1, 99.9))
        latency = Latency(key, p50, 0.02, p50 - 0.03, 64, ci95_ms=(p50 * 0.99, p50 * 1.01), rounds=8)
        if number % 7 == 3:
            latency = Latency(key, p50, 0.2, p50, 64, "flagged", ("drift of 4%",), (p50 * 0.9, p50 * 1.1), rounds=8)
        figures = {"params": counted.params, "macs": counted.macs, "activations": counted.activations}
        figures |= {"macs_fvcore": counted.macs, "timings": {"train_s": 30.0, "latency_s": 1.5}}
        done = Outcome("ok", latency=latency, top1=top1, val_loss=1.0, step_time_s=0.02, **figures)
        if number % 10 == 9 or (constraints and p50 > 3):
            done = Outcome("rejected", latency=latency, violations={"latency_ms<=3": 0.2}, **figures)
        elif number % 40 == 12:
            done = Outcome("failed", error="ValueError: loss is nan at step 7", **figures)
        elif number % 40 == 32:
            done = Outcome("stopped", top1=top1, latency=latency, **figures)
        events = [{"event": "started", "seed": number, "arch": arch.to_dict()}]
        curve = [top1 * share for share in (0.5, 0.8, 0.95, 1.0)] if done.status == "ok" else []
        events += [{"event": "epoch", "metrics": {"epoch": e, "top1": v}} for e, v in enumerate(curve, 1)]
        events.append({"event": "finished", "outcome": done.to_dict()})
        for event in events:
            time += 5
            lines.append(json.dumps({"schema": SCHEMA, "trial": number} | event | {"time": time}))
    (folder / "trials.jsonl").write_text("".join(line + "\n" for line in lines))
    (folder / "space.yaml").write_text(yaml.safe_dump(space.to_dict()))
    search = {"objectives": list(objectives), "constraints": list(constraints), "repeats": repeats, "sampler": "nsga2"}
    spec = {"command": "python -m nas.search", "space": {"name": "v2", "width": 0.25}, "search": search} | more
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
    return folder
