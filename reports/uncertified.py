"""The numbers of a search that no certificate covers, one by one, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reports import certificates
from reports.run import Run
from reports.summary import networks
from reports.units import is_flagged, plural, quantity
from studies.ledger import TrialRecord
from studies.pareto import front

OF_ALL = {  # by certificate, what all trials have of it; latencies and MACs are listed one by one
    "accuracy": "top-1 of every trial",
    "short training": "the order of all networks by top-1",
    "test": "the best network's top-1",
    "machine": "every figure, compared between trials",
}


@dataclass(frozen=True)
class Uncertified:
    """number: what it is, with its value. where: ``trial 3``; empty: of the search. front: whether the network is on
    the front. why: one reason or several."""

    number: str
    where: str
    front: bool
    why: tuple[str, ...]


def numbers(run: Run) -> list[Uncertified]:
    """Those of the whole search first, then those of the front, then the others."""
    found = {one.name: one for one in certificates.certificates(run) if one.state != "ok"}
    whole = [Uncertified(number, "", False, (found[name].text,)) for name, number in OF_ALL.items() if name in found]
    if unbuilt := [t for t in run.trials if t.outcome and t.outcome.macs is not None and t.outcome.macs_fvcore is None]:
        of = plural(networks(unbuilt), "network")
        whole.append(Uncertified("MACs and parameters", of, False, ("never built: counted in closed form alone",)))
    best = {trial.arch.id for trial in front(run.networks, run.objectives)}
    single = [one for trial in run.trials for one in _of_trial(trial, trial.arch.id in best)]
    return whole + sorted(single, key=lambda one: not one.front)


def _of_trial(trial: TrialRecord, on_front: bool) -> Iterator[Uncertified]:
    outcome, where = trial.outcome, f"trial {trial.number} ({trial.arch.id})"
    if outcome is None:
        return
    if (latency := outcome.latency) and is_flagged(latency):
        value = f"latency {quantity('latency_ms', latency.p50_ms)}"
        yield Uncertified(value, where, on_front, latency.failed or latency.reasons or (latency.status,))
    if outcome.macs_fvcore is not None and outcome.macs != outcome.macs_fvcore:
        yield Uncertified(f"MACs {outcome.macs:,}", where, on_front, (f"fvcore counts {outcome.macs_fvcore:,}",))
    if outcome.status == "stopped" and outcome.top1 is not None:
        value = f"top-1 {quantity('top1', outcome.top1)}"
        why = f"stopped after epoch {len(trial.epochs)}: of an unfinished training"
        yield Uncertified(value, where, on_front, (why,))
