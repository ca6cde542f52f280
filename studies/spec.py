"""The spec: everything that decides a run, as frozen dataclasses, validated once where text or YAML becomes a spec.

A spec file and a run folder's ``spec.yaml`` are the same nested mapping; ``--set section.field=value`` changes a field.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Literal

import yaml
from annotated_types import Ge, Gt, Le, Lt

from search_spaces import UserError, constraint
from search_spaces.errors import meant
from search_spaces.space_file import WIDEST
from studies import objectives, recipes, rewards, samplers
from studies.bounds import Count, NotNegative, Positive, Share
from studies.checked import checked
from studies.train_spec import TrainSpec, check_training

_ON_DEVICE = {"latency_ms", "step_time_s", "peak_memory_mb"}
_DURATION = re.compile(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?")


@dataclass(frozen=True)
class SpaceSpec:
    """width multiplies the channels of the space; None: as its file has them."""

    name: str = "v2"
    width: Annotated[float, Gt(0), Le(WIDEST)] | None = None


@dataclass(frozen=True)
class DataSpec:
    """source: NAME or NAME:ARGUMENT (nas.data). resolution: image side in pixels; None: the source's own default.

    test_fraction: of the images that nothing looks at before the end, where the source has none of its own;
    val_fraction: of the others. max_per_class keeps so many images of each class, drawn with the run's seed. share: of
    each class's training images that are trained on; validation stays as it is.
    cache_gb: most that decoded images take on a host's disk, of this and of other runs (nas/data/cache.py); images that
    would take more are decoded again in every epoch.
    """

    source: str = "glyphs"
    resolution: Annotated[int, Ge(8), Le(4096)] | None = None
    val_fraction: Annotated[float, Gt(0), Lt(1)] = 0.25
    test_fraction: Share = 0.1
    max_per_class: Annotated[int, Ge(2)] | None = None
    share: Annotated[float, Gt(0), Le(1)] = 1.0
    cache_gb: NotNegative = 50.0


@dataclass(frozen=True)
class LatencySpec:
    """The measurement of one forward pass (nas/latency). The defaults are a search's: many networks are measured, and
    other trainings wait meanwhile. ``python -m nas.latency`` takes more time and asks for more.

    device: address of another device that measures (nas/latency/transport.py), None: where the network is trained.
    table: file of a predictor (nas/latency/predictor.py); networks that it says to break a limit on latency are not
        tried. None: such networks are only rejected when they have been measured.
    mode: None: eager on CPU, a CUDA graph on a GPU. dtype: None: float32 on CPU, float16 on a GPU.
    precision: half-width of the 95% interval, as a share of the median, at which sampling ends; max_s: when it ends
        anyway. warmup_s: at least; four times as long at most. block_ms: how long one network runs at a time, at least.
    retries: after a measurement that fails a check; in a search they wait until the network has trained, and only a
        training of twenty times a measurement's length pays for another.
    energy_s: for so long a GPU runs the network again, alone, for its energy, whose counter is slow; 0: not measured.
    """

    device: str | None = None
    table: str | None = None
    batch_size: Count = 1
    threads: Count = 1
    mode: Literal["eager", "compile", "cuda_graph", "onnxruntime"] | None = None
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    precision: Annotated[float, Gt(0), Lt(1)] = 0.03
    max_s: Positive = 0.7
    warmup_s: NotNegative = 0.15
    block_ms: Positive = 5.0
    retries: Annotated[int, Ge(0), Le(10)] = 1
    energy_s: NotNegative = 0.0


@dataclass(frozen=True)
class SearchSpec:
    """sampler: one of ``studies.samplers.SAMPLERS``.
    trials: None: 64, or without limit where there is a budget. budget: wall time of one command, a text such as
    ``2h``, ``90m``, ``1h30m`` or seconds as a number, without confirmation; no trial is started that would not end in
    it, and one that runs when it ends pauses once its state is saved.

    objectives: metrics or rewards (``studies.objectives``, ``studies.rewards``). constraints: METRIC<=NUMBER or >=; a
    network that breaks one is rejected as soon as the metric is known, before training where that can be.
    repeats: trials of each network, each with another seed.
    early_stop: ``asha`` stops the worse networks at epochs grace_epochs, grace_epochs * reduction, ...; of those that
    reach one of these, one in ``reduction`` goes on.
    warm_start: run folder whose trials the sampler learns from before its first proposal.
    baselines: published networks (search_spaces.published) that are trained and measured beside the candidates.
    population: of nsga2 and evolution; lag: see ``studies.proposer.Proposer``. None: derived from trials and from the
    trials at a time, and recorded, since they decide what is proposed.
    """

    sampler: str = "predictor"
    trials: Count | None = None
    budget: str | float | None = None
    objectives: tuple[str, ...] = ("top1", "latency_ms")
    constraints: tuple[str, ...] = ()
    repeats: Count = 1
    early_stop: Literal["none", "asha"] = "none"
    grace_epochs: Count = 1
    reduction: Annotated[int, Ge(2)] = 3
    warm_start: str | None = None
    baselines: tuple[str, ...] = ()
    population: Annotated[int, Ge(2)] | None = None
    lag: Annotated[int, Ge(0)] | None = None

    @property
    def budget_s(self) -> float | None:
        """In seconds; None: no limit."""
        return None if self.budget is None else seconds(self.budget)


@dataclass(frozen=True)
class ConfirmSpec:
    """After the search, ``networks`` of its best and the baselines are trained again, each with ``seeds`` seeds, for
    ``epochs`` epochs.

    networks: 0: none. epochs: None: four times those of the search.
    """

    networks: Annotated[int, Ge(0)] = 0
    epochs: Count | None = None
    seeds: Count = 3


@dataclass(frozen=True)
class ResourceSpec:
    """gpus, cpus: how many to use; None: all that are visible. On a GPU, trials may share one (a fraction).

    address: of a running Ray cluster (``auto``: the one on this machine); None: Ray is started for the run.
    retries: how often a trial begins again whose worker process died.
    """

    gpus: Annotated[int, Ge(0)] | None = None
    gpus_per_trial: Annotated[float, Gt(0), Le(64)] = 1.0
    cpus: Count | None = None
    cpus_per_trial: Count = 1
    address: str | None = None
    retries: Annotated[int, Ge(0)] = 2


@dataclass(frozen=True)
class Spec:
    """Everything that decides a run; ``parse`` makes one. seed: of proposals, data split and training."""

    space: SpaceSpec = field(default_factory=SpaceSpec)
    data: DataSpec = field(default_factory=DataSpec)
    train: TrainSpec = field(default_factory=TrainSpec)
    latency: LatencySpec = field(default_factory=LatencySpec)
    search: SearchSpec = field(default_factory=SearchSpec)
    confirm: ConfirmSpec = field(default_factory=ConfirmSpec)
    resources: ResourceSpec = field(default_factory=ResourceSpec)
    seed: Annotated[int, Ge(0), Lt(2**32)] = 0

    def to_dict(self) -> dict[str, Any]:
        """For YAML; ``parse`` reads it."""
        return asdict(self)

    @property
    def constraints(self) -> list[constraint.Constraint]:
        """``search.constraints``, read."""
        return [constraint.parse(text, objectives.METRICS) for text in self.search.constraints]

    @property
    def uses_device(self) -> bool:
        """Whether anything that was measured on the device decides: latency, step time or memory."""
        named = (*self.search.objectives, *(limit.metric for limit in self.constraints))
        parts = {part for name in named for part in rewards.INGREDIENTS.get(name.partition(":")[0], (name,))}
        return bool(_ON_DEVICE & parts)


# What a run folder's spec.yaml says beside the spec; ignored where it is read as one.
RECORDED = ("command", "created", "resumed", "space_size", "images", "environment", "fidelity", "scale")
RETIRED = {"sample_s", "min_calls"}  # fields of latency that there are no more


def parse(data: Mapping[str, Any]) -> Spec:
    """A spec from its nested mapping; fields left out take their defaults.

    Raises UserError that names the field with its path, the value and what is allowed.
    """
    if isinstance(data, Mapping) and any(key in RECORDED for key in data):
        data = _of_run({key: value for key, value in data.items() if key not in RECORDED})
    _check_names(Spec, data, "")
    data = recipes.applied(data, [f.name for f in fields(TrainSpec)])
    spec = checked(Spec, data)
    samplers.check_name(spec.search.sampler)
    objectives.check(spec.search.objectives)
    _ = spec.constraints, spec.search.budget_s
    if spec.search.early_stop == "asha":
        _check_early_stop(spec)
    check_training(spec.train)
    if (share := spec.resources.gpus_per_trial) > 1 and share % 1:
        raise UserError(f"resources.gpus_per_trial: {share} is neither a whole number nor at most 1")
    return spec


def _check_early_stop(spec: Spec) -> None:
    """Stopping that could never stop anything, or would make repeats mean something else, is a mistake."""
    search = spec.search
    if spec.train.seconds:
        raise UserError("search.early_stop: 'asha' compares at epochs, so it does not go with train.seconds")
    if search.grace_epochs >= spec.train.epochs:
        raise UserError(f"search.grace_epochs: {search.grace_epochs} is not less than train.epochs {spec.train.epochs}")
    if "peak_memory_mb" in search.objectives:
        raise UserError("search.early_stop: 'asha' cannot compare peak_memory_mb, which is known in the end only")
    if search.repeats > 1:
        raise UserError(f"search.early_stop: 'asha' goes with search.repeats 1, not {search.repeats}")


def seconds(duration: str | float) -> float:
    """``1h30m``, ``90m``, ``45s``, ``1.5h``, or a number of seconds, as seconds. Raises UserError."""
    text = str(duration).strip()
    parts = _DURATION.fullmatch(text)
    try:
        if parts and text:
            hours, minutes, rest = (float(part or 0) for part in parts.groups())
            total = 3600 * hours + 60 * minutes + rest
        else:
            total = float(text)
    except ValueError:
        total = 0.0
    if not 0 < total < math.inf:
        raise UserError(f"search.budget: {duration!r} is not a time > 0, such as 2h, 90m, 1h30m, 45s or seconds")
    return total


def override(data: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """``data`` with each ``section.field`` (or a field of the spec itself) of ``settings`` replaced."""
    result = {key: dict(value) if isinstance(value, Mapping) else value for key, value in data.items()}
    for path, value in settings.items():
        section, _, name = path.partition(".")
        if not name:
            result[section] = value
        elif isinstance(inner := result.setdefault(section, {}), dict):
            inner[name] = value
        else:
            raise UserError(f"{section}: {inner!r} is not a mapping")
    return result


def read_setting(text: str) -> tuple[str, Any]:
    """``section.field=value`` as path and value, the value read as YAML. Raises UserError."""
    path, equals, value = text.partition("=")
    if not equals or not all(path.strip().split(".")):
        raise UserError(f"--set: {text!r} is not of the form section.field=value")
    try:
        return path.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        raise UserError(f"--set: {value!r} in {text!r} is not a value") from None


def _of_run(data: dict[str, Any]) -> dict[str, Any]:
    """A run's spec.yaml, maybe of an earlier version, which had other fields and measured in one way only."""
    images, latency, train = data.get("data"), data.get("latency"), data.get("train")
    if isinstance(images, Mapping) and "test_fraction" not in images:  # no test images were taken out of the others
        data = data | {"data": {**images, "test_fraction": 0.0}}
    if isinstance(latency, Mapping) and RETIRED & latency.keys():
        kept = {name: value for name, value in latency.items() if name not in RETIRED}
        data = data | {"latency": {"mode": "eager", "dtype": "float32", **kept}}
    if isinstance(train, Mapping) and "augment" in train:
        kept = {name: value for name, value in train.items() if name != "augment"}
        data = data | {"train": {"crop": "shift" if train["augment"] else "none", **kept}}
    return data


def _check_names(cls: type, data: Any, where: str) -> None:
    if not isinstance(data, Mapping):
        raise UserError(f"{where.rstrip('.') or 'spec'}: {data!r} is not a mapping")
    known = {f.name: f for f in fields(cls)}
    for name, value in data.items():
        if name not in known:
            allowed = f"allowed are {', '.join(known)}"
            raise UserError(f"{where}{name}: unknown field, {meant(name, known, allowed)}")
        section = known[name].default_factory
        if isinstance(section, type) and is_dataclass(section):
            _check_names(section, value, f"{where}{name}.")
