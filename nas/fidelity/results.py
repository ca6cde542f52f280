"""From the ledgers of a study's arms to what they say."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.fidelity.arms import Arm, Settings
from search_spaces import Arch, cost
from studies import fidelity, fidelity_record, ledger
from studies.fidelity_record import Failure, Network, Proxy, Study, Training
from studies.ledger import TrialRecord

Records = Mapping[tuple[str, int], TrialRecord]
"""By the id of the network as it was trained, and the seed."""


def found_so_far(every: Sequence[Arm], settings: Settings, folder: Path, about: Mapping[str, Any]) -> Study:
    """What the ledgers hold, however much that is; ``every``: the long arm first. about: the folder's spec.yaml."""
    records = [_records(arm, folder) for arm in every]
    names = [arch.id for arch in every[0].archs]
    long, *others = (_training(arm, names, found) for arm, found in zip(every, records, strict=True))
    target, k = _array(long.top1), settings.top
    networks = tuple(_network(arch, every[0].plan.outline.classes) for arch in every[0].archs)
    costs = {name: np.array([[float(getattr(one, name))] for one in networks]) for name in ("macs", "params")}
    proxies = tuple(
        Proxy(
            arm.name,
            fidelity_record.key_of(arm.plan.space, arm.plan.spec),
            f"python -m nas.search {fidelity_record.flags(arm.plan.spec.to_dict())}",
            training,
            fidelity.agreement(_array(training.top1), target, k),
            _share(arm, own, every[0], records[0]),
        )
        for arm, training, own in zip(every[1:], others, records[1:], strict=True)
    )
    best = fidelity_record.cheapest(proxies, settings.threshold)
    space = every[1].plan.space
    return Study(
        created=about["created"],
        command=about["command"],
        space={
            "name": space.name,
            "width": space.width,
            "resolutions": list(space.resolutions),
        },
        data=about["data"],
        train=about["train"],
        environment=about["environment"],
        networks=networks,
        long=long,
        ceiling=fidelity.ceiling(target, k),
        by_cost={name: fidelity.agreement(values, target, k) for name, values in costs.items()},
        proxies=proxies,
        threshold=settings.threshold,
        top=k,
        chosen=best.name if best else None,
        complete=not any(failure.status == "running" for one in (long, *others) for failure in one.missing),
    )


def _array(top1: Sequence[Sequence[float | None]]) -> np.ndarray:
    """(networks, seeds), NaN where there is no figure."""
    return np.array([[np.nan if value is None else value for value in row] for row in top1], float)


def _records(arm: Arm, folder: Path) -> Records:
    if not (folder / arm.folder / ledger.LEDGER).exists():
        return {}
    return {(record.arch.id, record.seed): record for record in ledger.read(folder / arm.folder)}


def _network(arch: Arch, num_classes: int) -> Network:
    counted = cost.count(arch, num_classes)
    return Network(arch.id, arch.text, arch.resolution, counted.params, counted.macs)


def _training(arm: Arm, names: Sequence[str], records: Records) -> Training:
    """names: of the networks in the study; narrower ones have others."""
    top1, missing, seconds = [], [], []
    for name, arch in zip(names, arm.archs, strict=True):
        row: list[float | None] = []
        for seed in arm.seeds:
            record = records.get((arch.id, seed))
            row.append(record.metric("top1") if record and record.status == "ok" else None)
            if row[-1] is None:
                missing.append(_failure(name, seed, record))
            elif record and (took := _seconds(record)):
                seconds.append(took)
        top1.append(tuple(row))
    spec, space = arm.plan.spec, arm.plan.space
    return Training(
        epochs=spec.train.epochs,
        resolution=max(space.resolutions),
        width=space.width,
        share=spec.data.share,
        seeds=arm.seeds,
        top1=tuple(top1),
        seconds=statistics.fmean(seconds) if seconds else None,
        missing=tuple(missing),
        spread=fidelity.spread(_array(top1)),
    )


def _failure(network: str, seed: int, record: TrialRecord | None) -> Failure:
    if record is None or record.outcome is None:
        return Failure(network, seed, "running", "not trained yet")
    return Failure(network, seed, record.status, record.outcome.error or "no accuracy")


def _seconds(record: TrialRecord) -> float | None:
    """Of all its epochs with validation, whatever process trained them; None: not recorded."""
    found = [float(metrics["time_s"]) for metrics in record.epochs if "time_s" in metrics]
    return sum(found) if found and len(found) == len(record.epochs) else None


def _share(arm: Arm, own: Records, long: Arm, longer: Records) -> float | None:
    """Seconds of the arm's trainings as a share of the long ones', of the networks that have both."""
    pairs = []
    for here, there in zip(arm.archs, long.archs, strict=True):
        pair = _mean_seconds(arm, here.id, own), _mean_seconds(long, there.id, longer)
        if None not in pair:
            pairs.append(pair)
    total = sum(there or 0.0 for _, there in pairs)
    return sum(here or 0.0 for here, _ in pairs) / total if total else None


def _mean_seconds(arm: Arm, network: str, records: Records) -> float | None:
    found = [_seconds(records[network, seed]) for seed in arm.seeds if (network, seed) in records]
    known = [value for value in found if value is not None]
    return statistics.fmean(known) if known else None
