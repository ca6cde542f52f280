"""What a run says in plain words: the headline, what became of every trial, and how far its figures can be trusted."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reports.noise import Noise
from reports.units import UNITS, Z, digits, is_flagged, plural, quantity
from studies import rewards
from studies.ledger import STATUSES, UNCHECKED, TrialRecord
from studies.pareto import front

# Of a latency's key, what belongs to the network and therefore differs between the candidates of one search.
OWN_KEY = "resolution"
# What the network is called that is best by a metric; by any other name it is a reward.
BEST = {
    "top1": "most accurate",
    "val_loss": "one of the lowest loss",
    "latency_ms": "fastest",
    "macs": "smallest",
    "params": "smallest",
    "activations": "smallest",
    "step_time_s": "quickest to train",
    "peak_memory_mb": "one of the least memory",
}


def tally(trials: Iterable[TrialRecord]) -> dict[str, Counter[str]]:
    """For each status, ``running`` included, how many trials have which cause; every trial is counted once."""
    causes: dict[str, list[str]] = {status: [] for status in (*STATUSES, "running")}
    for trial in trials:
        causes[trial.status].append(cause(trial))
    return {status: alike(found) if status == "failed" else Counter(found) for status, found in causes.items()}


def alike(messages: Iterable[str]) -> Counter[str]:
    """Counts messages that differ only in their numbers as one, with N for the numbers: ``loss is nan at step N``."""
    groups: dict[str, list[str]] = {}
    for message in messages:
        groups.setdefault(re.sub(r"\b\d[\w.]*", "N", message), []).append(message)
    return Counter({same[0] if len(set(same)) == 1 else form: len(same) for form, same in groups.items()})


def counts(trials: Sequence[TrialRecord]) -> str:
    """``16 trials: 12 ok, 2 rejected, 0 stopped, 2 failed``; ``running`` only where there are any."""
    found = {status: sum(causes.values()) for status, causes in tally(trials).items()}
    parts = [f"{count} {status}" for status, count in found.items() if count or status != "running"]
    return f"{plural(len(trials), 'trial')}: {', '.join(parts)}"


def cause(trial: TrialRecord) -> str:
    """Why the trial has no result, in words that trials with the same fate share; empty for ``ok``."""
    outcome = trial.outcome
    if outcome is None:
        return "no result yet, or the run ended under it"
    if outcome.status == "ok":
        return ""
    if outcome.violations:
        return "breaks " + " and ".join(outcome.violations)
    if outcome.error:
        return _error_line(outcome.error)
    return f"after epoch {len(trial.epochs)}" if outcome.status == "stopped" else "no reason recorded"


def reason(trial: TrialRecord) -> str:
    """The cause with this trial's own figures: ``breaks latency_ms<=8 (9.310 ms)``; a flagged latency says so."""
    outcome = trial.outcome
    if outcome is None or not outcome.violations:
        return cause(trial)
    found = []
    for text in outcome.violations:
        metric = re.split("[<>]", text)[0]
        value = trial.metric(metric) if metric in UNITS else None
        flag = ", flagged" if metric == "latency_ms" and is_flagged(outcome.latency) else ""
        found.append(text if value is None else f"{text} ({quantity(metric, value)}{flag})")
    return "breaks " + " and ".join(found)


def headline(
    trials: Sequence[TrialRecord], objectives: Sequence[str], within: Sequence[str] = (), noise: Noise | None = None
) -> str:
    """How large the front is, and its end that is best by the first objective (and by the second). within: the search's
    limits. noise: of the accuracy."""
    finished = networks(trial for trial in trials if trial.status == "ok")
    if not finished:
        return "No network finished" if trials else "No trial yet"
    best = front(trials, objectives)
    if not best:
        return f"{plural(finished, 'network')} finished, none with a value for every objective"
    by_first = front(best, objectives[:1])[0]
    limits = f" within {' and '.join(within)}" if within else ""
    share = f"{networks(best)} of {plural(finished, 'finished network')} {'is' if networks(best) == 1 else 'are'}"
    if len(objectives) == 1:
        best_of = f"The best of {plural(finished, 'finished network')}{limits}"
        return f"{best_of} reaches {_described(by_first, objectives, noise)}"
    text = f"{share} on the front; the best{limits} reaches {_described(by_first, objectives, noise)}"
    if best[0].arch.id != by_first.arch.id:
        word = BEST.get(objectives[1], "one of the highest reward")
        text += f", the {word} {_described(best[0], objectives)}"
    return text


def flagged_note(trials: Sequence[TrialRecord]) -> str:
    """How many measured latencies are flagged, why, and what that means."""
    measured = [trial.outcome.latency for trial in trials if trial.outcome and trial.outcome.latency]
    flagged = [latency for latency in measured if is_flagged(latency)]
    if not measured:
        return "No latency was measured."
    unchecked = sorted({text for latency in measured for text in latency.reasons if text.startswith(UNCHECKED)})
    rest = "".join(f" {text[0].upper()}{text[1:]}." for text in unchecked)
    if not flagged:
        return f"None of {len(measured)} latencies is flagged: every measurement passed its own checks.{rest}"
    found = ([text for text in latency.reasons if text not in unchecked] or [latency.status] for latency in flagged)
    commonest = alike(text for texts in found for text in texts)
    reasons = ", ".join(f"{name} ({count})" for name, count in commonest.most_common())
    if deferred := sum(latency.p50_ms is None for latency in measured):
        rest = f" {deferred} could not be measured at all.{rest}"
    are = "latency is" if len(measured) == 1 else "latencies are"
    return (
        f"{len(flagged)} of {len(measured)} {are} flagged (marked *, open markers): the measurement failed a check of "
        "its own or did not become as narrow as asked for, so the value may be wrong; measure again before relying on "
        f"it.{rest} Reasons: {reasons}."
    )


def macs_note(trials: Sequence[TrialRecord]) -> str:
    """The certificate: MACs by closed form (what the search uses) against fvcore's count of the built model."""
    counted = {t.arch.id: t.outcome for t in trials if t.outcome and t.outcome.macs_fvcore is not None}
    if not counted:
        return "MACs are counted by closed form; no network was counted by fvcore as well."
    differing = [
        f"{name} ({outcome.macs} by closed form, {outcome.macs_fvcore} by fvcore)"
        for name, outcome in counted.items()
        if outcome.macs != outcome.macs_fvcore
    ]
    if differing:
        return f"MACs of {len(differing)} of {plural(len(counted), 'network')} differ: {', '.join(differing)}."
    rest = networks(trials) - len(counted)
    skipped = f" {plural(rest, 'other')} (never built) counted by closed form only." if rest else ""
    return f"MACs of all {plural(len(counted), 'network')} counted by closed form and by fvcore agree.{skipped}"


def shared_and_varying(mappings: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Splits mappings into the items that all of them share and, for other keys, the distinct values found."""
    seen: dict[str, dict[str, Any]] = {}
    total = 0
    present: Counter[str] = Counter()
    for mapping in mappings:
        total += 1
        for key, value in mapping.items():
            present[key] += 1
            seen.setdefault(key, {}).setdefault(json.dumps(value, sort_keys=True, default=str), value)
    shared = {
        key: next(iter(found.values())) for key, found in seen.items() if len(found) == 1 and present[key] == total
    }
    varying = {key: list(found.values()) for key, found in seen.items() if key not in shared}
    return shared, varying


def networks(trials: Iterable[TrialRecord]) -> int:
    """Distinct networks; one network may be tried with several seeds."""
    return len({trial.arch.id for trial in trials})


def _described(trial: TrialRecord, objectives: Sequence[str], noise: Noise | None = None) -> str:
    """With the 95% interval of top1, as far as its noise is known."""
    parts = []
    for name in objectives:
        amount = quantity(name, trial.metric(name))
        if name == "top1" and noise and (error := noise.of(trial)) is not None:
            amount = f"{digits(name, trial.metric(name))} ± {digits(name, Z * error)} %"
        if kind := rewards.name(name):
            amount = f"a reward of {amount} ({name}: {_described(trial, rewards.INGREDIENTS[kind])})"
        noun = {"top1": " accuracy", "latency_ms": ""}.get(name, f" {UNITS[name].name}" if name in UNITS else "")
        flag = " (flagged)" if name == "latency_ms" and trial.outcome and is_flagged(trial.outcome.latency) else ""
        parts.append(amount + noun + flag)
    return " at ".join([parts[0], " and ".join(parts[1:])]) if len(parts) > 1 else parts[0]


def _error_line(error: str) -> str:
    """The line that names the exception: the last of a traceback, the first of anything else."""
    lines = [line.strip() for line in error.splitlines() if line.strip()] or ["empty error"]
    return lines[-1 if lines[0].startswith("Traceback") else 0]
