"""A plan: a spec with everything resolved that decides a run, checked against this machine (or its cluster)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import baselines, data, environment
from nas.latency.modes import key_of, resolve, without
from nas.lease import Lease
from search_spaces import UserError
from search_spaces.feasible import check_feasible
from search_spaces.space import SearchSpace
from search_spaces.space_file import load_space
from studies import proposer, samplers
from studies.resources import Resources
from studies.spec import Spec

if TYPE_CHECKING:
    from nas.latency.predictor import Predictor

KNOWN = 0.5  # of a space's networks: for so many at least a table must hold enough blocks
TRIALS = 64  # where neither trials nor a budget are given


@dataclass(frozen=True)
class Plan:
    """latency_key: of the latencies that are measured, but for what is each network's own, and for the device's name
    where machines of a cluster may differ. predictor: of latencies, from ``latency.table``."""

    spec: Spec
    space: SearchSpace
    outline: data.Outline
    resources: Resources
    latency_key: dict[str, Any]
    predictor: Predictor | None = None

    def differences(self, key: Mapping[str, Any]) -> list[str]:
        """Why a latency under ``key`` must not be compared with those of this plan, as far as that is known here:
        ``threads 4, here 1``."""
        own = self.latency_key.items()
        return [f"{name} {key.get(name)}, here {value}" for name, value in own if key.get(name) != value]

    @property
    def resolution(self) -> int:
        """Side of the images as they are read, in pixels; networks for smaller ones get them resized."""
        return max(self.space.resolutions)

    @property
    def together(self) -> str:
        """How many trials run at a time on what."""
        lag, spec = self.spec.search.lag or 0, self.spec.resources
        devices = f"{spec.gpus} GPU(s)" if spec.gpus else f"{spec.cpus} CPU core(s)"
        held = f"; search.lag={lag} allows no more" if lag + 1 < self.resources.concurrency else ""
        where = f" of the cluster at {spec.address}" if spec.address else ""
        return f"{min(self.resources.concurrency, lag + 1)} at a time on {devices}{where}{held}"

    @property
    def amount(self) -> str:
        """``64 trials``, ``2h``, or both."""
        search = self.spec.search
        limits = [f"{search.trials} trials"] * (search.trials is not None)
        return " or ".join([*limits, f"{search.budget}"] if search.budget is not None else limits)


def plan(spec: Spec, space: SearchSpace | None = None, verbose: bool = False) -> Plan:
    """Checks a spec against this machine. ``space``: that of the run that is resumed.

    Raises UserError on an unknown space, unusable data, missing GPUs, a latency.mode that they do not have, a
    latency.device that does not answer, a latency.table of other latencies or blocks than are measured here, unknown
    baselines or such as need larger images, or constraints that no network can satisfy.
    """
    outline = data.check(spec.data.source)
    fallback = data.default_resolution(spec.data.source)
    space = space or load_space(spec.space.name, spec.space.width, spec.data.resolution, fallback)
    check_feasible(space, spec.constraints, outline.classes)
    baselines.networks(spec.search.baselines, space)
    if spec.train.weights:
        from nas.training.weights import read_weights

        read_weights(spec.train.weights)
        path = str(Path(spec.train.weights).expanduser().absolute())  # workers may start in another folder
        spec = replace(spec, train=replace(spec.train, weights=path))
    resources = _resources(spec, verbose)
    search = replace(spec.search, baselines=tuple(dict.fromkeys(spec.search.baselines)))
    if search.trials is None and search.budget is None:
        search = replace(search, trials=TRIALS)
    search = replace(
        search,
        population=search.population or samplers.population_for(search.trials),
        lag=proposer.lag_for(resources.concurrency) if search.lag is None else search.lag,
    )
    resolved = replace(spec.resources, gpus=resources.gpus, cpus=resources.cpus)
    spec = replace(spec, space=replace(spec.space, width=space.width))
    if len(space.resolutions) == 1:
        spec = replace(spec, data=replace(spec.data, resolution=space.resolutions[0]))
    key = _latency_key(spec, resources)
    planned = Plan(replace(spec, search=search, resources=resolved), space, outline, resources, key)
    return replace(planned, predictor=_predictor(planned)) if spec.latency.table else planned


def _predictor(plan: Plan) -> Predictor:
    from nas.latency.predictor import load

    path = plan.spec.latency.table
    found = load(str(path))
    if not any(limit.metric == "latency_ms" for limit in plan.spec.constraints):
        raise UserError("latency.table: is for a limit on latency, such as --constraint 'latency_ms<=8'; there is none")
    if different := plan.differences(found.table.key):
        raise UserError(f"latency.table: {path} holds latencies with {different[0]}")
    if found.table.classes != plan.outline.classes:
        raise UserError(f"latency.table: {path} is for {found.table.classes} classes, here {plan.outline.classes}")
    if 2 * found.disturbed > (networks := len(found.about["networks"])):
        raise UserError(
            f"latency.table: {path}: {found.disturbed} of the {networks} networks that it was fitted on were measured "
            "while something disturbed; fit one on a quiet machine"
        )
    if (known := found.table.share_of(plan.space)) < KNOWN:
        raise UserError(
            f"latency.table: {path} holds the blocks of {known:.0%} of the networks of space {plan.space.name} "
            f"(width {plan.space.width:g}, {plan.space.resolutions} px), of at least {KNOWN:.0%} is needed"
        )
    return found


def _latency_key(spec: Spec, resources: Resources) -> dict[str, Any]:
    if spec.latency.device:
        from nas.latency.gateway import ready

        return ready(spec.latency, spec.latency.device)
    kind = "cuda" if resources.gpus else "cpu"
    if resources.address:
        return without(key_of(spec.latency, 0, "", kind), "resolution", "device")
    return without(key_of(spec.latency, 0, environment.this_device(resources.gpus), kind), "resolution")


def _resources(spec: Spec, verbose: bool) -> Resources:
    wanted = spec.resources
    if wanted.address:
        from studies import cluster

        where = f"the cluster at {wanted.address}"
        cores, gpus = cluster.totals(wanted.address)
    else:
        where = "this machine"
        cores, gpus = environment.cpu_count(), 0 if wanted.gpus == 0 else environment.gpu_count()
    if (wanted.gpus or 0) > gpus:
        raise UserError(f"gpus: {wanted.gpus} asked for, but {where} has {gpus}")
    if (wanted.cpus or 0) > cores:
        raise UserError(f"cpus: {wanted.cpus} asked for, but {where} has {cores}")
    used = gpus if wanted.gpus is None else wanted.gpus
    Lease.of_host()  # what is wrong with it would only show in the workers
    if not spec.latency.device:
        resolve(spec.latency, "cuda" if used else "cpu")
    if not (used or spec.latency.device) and spec.latency.threads > wanted.cpus_per_trial:
        raise UserError(
            f"latency.threads: {spec.latency.threads} is more than resources.cpus_per_trial ({wanted.cpus_per_trial}), "
            "so that it would measure on cores that other trials use"
        )
    return Resources(
        wanted.cpus_per_trial,
        wanted.gpus_per_trial if used else 0,
        wanted.cpus or cores,
        used,
        wanted.address,
        wanted.retries,
        verbose,
    )
