"""Whether searches can be compared: what their specs and ledgers tell of how their figures came about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reports.run import Run
from reports.specs import plain
from reports.summary import OWN_KEY, shared_and_varying
from reports.units import plural, unit
from studies import objectives, rewards

SETTINGS = ("space", "data", "train", "latency", "search")  # what decides a run, but for the seed
IDLE = ("data.cache_gb",)  # decides nothing
NAMED = 4  # differences that one line names


def field(run: Run, section: str, name: str, otherwise: Any = None) -> Any:
    """Of the spec; ``otherwise`` where it is not there."""
    part = run.spec.get(section)
    value = part.get(name) if isinstance(part, Mapping) else None
    return otherwise if value is None else value


def processors(run: Run) -> float:
    """Cores or GPUs that a trial holds."""
    each = "gpus_per_trial" if field(run, "resources", "gpus", 0) else "cpus_per_trial"
    return float(field(run, "resources", each, 1.0))


def conditions(run: Run) -> dict[str, list[str]]:
    """What the latencies were measured with: the distinct values of each part of their keys."""
    latencies = [trial.outcome.latency for trial in run.trials if trial.outcome and trial.outcome.latency]
    found = _distinct(latency.key for latency in latencies if latency.p50_ms is not None)
    return {name: values for name, values in found.items() if name != OWN_KEY}


def trained_on(run: Run) -> list[str]:
    """The devices that trials were trained on, each once."""
    return _distinct(trial.outcome.environment for trial in run.trials if trial.outcome).get("device", [])


def device(run: Run) -> str:
    """What latency was measured on; where none was, what the networks were trained on."""
    return ", ".join(conditions(run).get("device") or trained_on(run)) or "-"


def limits(run: Run) -> str:
    """The run's constraints in one text that equal ones share."""
    return " and ".join(sorted(map(str, run.constraints)))


def _distinct(mappings: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for mapping in mappings:
        for name, value in mapping.items():
            found.setdefault(name, set()).add(str(value))
    return {name: sorted(values) for name, values in found.items()}


def table_of_differences(runs: Sequence[Run]) -> list[list[str]]:
    """A row a field of the spec in which the runs differ: its name, and each run's value."""
    flats = [flat(run.spec, (*SETTINGS, "resources")) | {"seed": run.spec.get("seed")} for run in runs]
    _, varying = shared_and_varying(flats)
    return [[name, *(plain(one.get(name)) for one in flats)] for name in varying]


def differences(runs: Sequence[Run], goals: Sequence[str]) -> tuple[list[str], list[str]]:
    """Barriers and warnings."""
    uses = {part for name in goals for part in rewards.INGREDIENTS.get(rewards.name(name) or "", (name,))}
    trained = any(objectives.METRICS[name].known == "trained" for name in uses)
    barriers, warnings = list[str](), list[str]()
    for section, about in (("data", "They did not see the same images"), ("train", "They did not train alike")):
        if parts := _unlike(runs, {run.name: flat(run.spec, [section]) for run in runs}):
            text = f"{about}, so their accuracies do not mean the same: {parts}."
            (barriers if trained else warnings).append(text)
    measured = {run.name: key for run in runs if (key := conditions(run))}
    if parts := _unlike(runs, measured):
        text = f"Latencies were measured under different conditions and should not be compared: {parts}."
        (barriers if "latency_ms" in uses else warnings).append(text)
    machines = {run.name: {"device": names} for run in runs if (names := trained_on(run))}
    on_device = sorted(uses & {"step_time_s", "peak_memory_mb"})
    if on_device and (parts := _unlike(runs, machines)):
        said = " and ".join(unit(name).name for name in on_device)
        barriers.append(f"They trained on different devices, whose {said} should not be compared: {parts}.")
    if parts := _unlike(runs, {run.name: {"objectives": ", ".join(run.objectives)} for run in runs}):
        shared = " and ".join(goals)
        warnings.append(f"They did not search for the same, and are compared by {shared} only: {parts}.")
    if parts := _unlike(runs, {run.name: {"limits": limits(run) or "none"} for run in runs}):
        warnings.append(f"They searched under different limits, which a front cannot go beyond: {parts}.")
    if parts := _unlike(runs, {run.name: {"repeats": field(run, "search", "repeats", 1)} for run in runs}):
        warnings.append(f"The best of single trainings look better than means of several: {parts}.")
    return barriers, warnings


def _unlike(runs: Sequence[Run], mappings: Mapping[str, Mapping[str, Any]]) -> str:
    """``data.source: glyphs (a, b), digits (c)``: what differs, by runs; empty where nothing does."""
    _, varying = shared_and_varying(mappings.values())
    parts = []
    for key in varying:
        held: dict[str, list[str]] = {}
        for run in runs:
            if run.name in mappings:
                held.setdefault(plain(mappings[run.name].get(key)), []).append(run.name)
        parts.append(f"{key}: " + ", ".join(f"{value} ({', '.join(names)})" for value, names in held.items()))
    more = [plural(len(parts) - NAMED, "more setting")] if len(parts) > NAMED else []
    return "; ".join(parts[:NAMED] + more)


def flat(spec: Mapping[str, Any], sections: Iterable[str]) -> dict[str, Any]:
    """``section.field`` -> value; what decides nothing is left out."""
    found = {}
    for section in sections:
        part = spec.get(section)
        for name, value in (part if isinstance(part, Mapping) else {}).items():
            if (key := f"{section}.{name}") not in IDLE:
                found[key] = list(value) if isinstance(value, tuple) else value
    return found
