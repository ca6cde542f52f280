"""What a search's figures rest on: a certificate each for accuracy, its proxy, latency, MACs, the test, the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reports import fidelity, summary
from reports.run import Run
from reports.units import is_flagged, plural

State = Literal["ok", "doubt", "unknown"]
WORDS = {"ok": "certified", "doubt": "in doubt", "unknown": "unknown"}
ENVIRONMENT = ("device", "torch", "threads")  # of a trial, what its figures depend on


@dataclass(frozen=True)
class Certificate:
    """short: in a few words. text: all of it."""

    name: str
    state: State
    short: str
    text: str


def certificates(run: Run) -> list[Certificate]:
    """All of a search's, those of accuracy first."""
    return [_accuracy(run), _proxy(run), _latency(run), _macs(run), _test(run), _machine(run)]


def _accuracy(run: Run) -> Certificate:
    noise = run.noise
    if noise.std is None:
        return Certificate("accuracy", "unknown", "its noise is unknown", f"Noise of an accuracy: {noise.text}.")
    short = (
        f"\u00b1 {noise.std:.2f} points between trainings" if noise.certain else f"noise {noise.std:.2f} points or more"
    )
    text = f"Standard deviation of one training's top-1: {noise.std:.2f} points, {noise.text}."
    return Certificate("accuracy", "ok" if noise.certain else "doubt", short, text)


def _proxy(run: Run) -> Certificate:
    text = fidelity.told(run.study, run.spec)
    proxy = run.study.proxy(run.study.own) if run.study else None
    tau = proxy.agreement.tau if proxy else None
    if tau is None:
        return Certificate("short training", "unknown", "not known to rank like a long one", f"{text}.")
    short = f"rank agreement with a long one: tau {fidelity.with_interval(tau)}"
    held = run.study is not None and tau.value >= run.study.threshold and tau.low is not None and tau.low > 0
    return Certificate("short training", "ok" if held else "doubt", short, f"{text}.")


def _latency(run: Run) -> Certificate:
    note = summary.flagged_note(run.trials)
    measured = [trial.outcome.latency for trial in run.trials if trial.outcome and trial.outcome.latency]
    if not measured:
        return Certificate("latency", "unknown", "not measured", note)
    flagged = sum(is_flagged(latency) for latency in measured)
    short = f"{len(measured) - flagged} of {len(measured)} passed every check"
    return Certificate("latency", "doubt" if flagged else "ok", short, note)


def _macs(run: Run) -> Certificate:
    note = summary.macs_note(run.trials)
    counted = [t.outcome for t in run.trials if t.outcome and t.outcome.macs_fvcore is not None]
    if not counted:
        return Certificate("MACs", "unknown", "counted in closed form alone", note)
    same = all(outcome.macs == outcome.macs_fvcore for outcome in counted)
    return Certificate("MACs", "ok" if same else "doubt", "two counts agree" if same else "two counts differ", note)


def _test(run: Run) -> Certificate:
    tested = {t.arch.id for t in run.confirmation if t.status == "ok" and t.metric("test_top1") is not None}
    if tested:
        among = plural(len(tested), "network")
        text = f"{among} trained again for {run.epochs} epochs and tested on images that nothing was chosen by."
        return Certificate("test", "ok", f"{among} confirmed on unseen images", text)
    text = (
        "No network was tested on images that the search has not seen: its accuracies are those of validation, and the "
        "best of many are too good. --confirm 3 trains the best again, longer, and tests them."
    )
    return Certificate("test", "unknown", "none on unseen images yet", text)


def _machine(run: Run) -> Certificate:
    machines = [trial.outcome.environment for trial in run.trials if trial.outcome and trial.outcome.environment]
    shared, varying = summary.shared_and_varying(
        {name: value for name, value in one.items() if name in ENVIRONMENT} for one in machines
    )
    if not machines:
        return Certificate("machine", "unknown", "not recorded", "The trials have recorded no environment.")
    name = str(shared.get("device", "one machine"))
    if varying:
        text = f"Trials ran in different environments: {', '.join(sorted(varying))} differ."
        return Certificate("machine", "doubt", "environments differ", text)
    return Certificate("machine", "ok", f"all trials alike, {name}", "All trials ran in the same environment.")
