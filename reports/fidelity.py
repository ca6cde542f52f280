"""What a fidelity study says, in words and as a table for the terminal; and what a search says of its own training.

``fidelity_page`` draws the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from reports.terminal import narrow_table
from reports.units import plural
from studies.fidelity import Agreement, Estimate
from studies.fidelity_record import COMMAND, Failure, Proxy, Study, Training, flags

CHOSEN = "●"
COSTS = {"macs": "MACs alone", "params": "parameters alone"}
CEILING = "another long seed"
MOST_MISSING = 5  # that the terminal names


def number(estimate: Estimate | None) -> str:
    """The value alone; ``-`` where it is undefined."""
    return "-" if estimate is None else f"{estimate.value:.2f}"


def interval(estimate: Estimate | None) -> str:
    """``0.42 to 0.88``"""
    if estimate is None or estimate.low is None or estimate.high is None:
        return "-"
    return f"{estimate.low:.2f} to {estimate.high:.2f}"


def with_interval(estimate: Estimate | None) -> str:
    """``0.71 (0.42 to 0.88)``; ``unknown`` without a value."""
    return "unknown" if estimate is None else f"{number(estimate)} ({interval(estimate)})"


def percent(share: float | None) -> str:
    """Of the long training's time, to two digits."""
    if share is None:
        return "-"
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{100 * share:.2g}%"


def noise(training: Training) -> str:
    """Standard deviation between networks over that between seeds, in points; a dash with a single seed."""
    spread = training.spread
    if spread is None:
        return "-"
    parts = f"{spread.networks:.2f} / {spread.seeds:.2f}"
    return parts if spread.ratio is None else f"{parts} = {spread.ratio.value:.1f}"


def by_cost(study: Study) -> list[Proxy]:
    """The dearest first."""
    return sorted(study.proxies, key=lambda proxy: -(proxy.cost or 0.0))


def rows(study: Study) -> list[list[str]]:
    """name, cost, tau, its interval, rho and recall with theirs, networks, std: the proxies, then the ceiling and what
    costs no training."""

    def row(name: str, cost: str, found: Agreement, spread: str) -> list[str]:
        rho, recall = ("-" if one is None else with_interval(one) for one in (found.rho, found.recall))
        return [name, cost, number(found.tau), interval(found.tau), rho, recall, str(found.networks), spread]

    found = [row(one.name, percent(one.cost), one.agreement, noise(one.training)) for one in by_cost(study)]
    found.append(row(CEILING, "100%", study.ceiling, noise(study.long)))
    return found + [row(COSTS[name], "0%", value, "-") for name, value in study.by_cost.items()]


def table(study: Study) -> Table:
    """Narrow enough for 80 columns: the other intervals are on the page."""
    drawn = narrow_table(f"Fidelity: agreement with {_long(study)}")
    drawn.add_column("training", overflow="fold")
    for heading in ("time", "tau", "95%", "rho", f"top {study.top}\nrecall", "n", "std networks\n/ seeds"):
        drawn.add_column(heading, justify="right", no_wrap=True)
    for name, cost, tau, ends, rho, recall, count, spread in rows(study):
        mark = f"{CHOSEN} " if name == study.chosen else "  "
        drawn.add_row(
            Text(mark + name.replace(",", ", ")),
            cost,
            tau,
            ends,
            rho.split(" ")[0],
            recall.split(" ")[0],
            count,
            spread,
        )
    drawn.caption = "tau: Kendall's tau-b; rho: Spearman's; n: networks with a figure in both"
    return drawn


def notes(study: Study) -> list[str]:
    """What follows from the table, in lines: trainings without a figure, the verdict, how to search so."""
    every = missing(study)
    lost = [(name, failure) for name, failure in every if failure.status != "running"]
    found = [f"no figure: {described(name, failure)}" for name, failure in lost[:MOST_MISSING]]
    if len(lost) > MOST_MISSING:
        found.append(f"and {len(lost) - MOST_MISSING} more without a figure, see the report")
    if left := len(every) - len(lost):
        found.append(f"{plural(left, 'training')} still to be made; what is said here is of the others")
    proxy = study.proxy(study.chosen)
    return [*found, verdict(study)] + ([f"to search so: {proxy.command}"] if proxy else [])


def missing(study: Study) -> list[tuple[str, Failure]]:
    """Every training without a figure, with the name of how it trains."""
    trainings = [("long", study.long), *((proxy.name, proxy.training) for proxy in study.proxies)]
    return [(name, failure) for name, training in trainings for failure in training.missing]


def described(name: str, failure: Failure) -> str:
    """A failure in a line. name: of the training."""
    return f"{name}: network {failure.network}, seed {failure.seed}: {failure.status}, {failure.reason}"


def verdict(study: Study) -> str:
    """The cheapest proxy that reaches the threshold, and what speaks against relying on it; or the one that comes
    nearest."""
    proxy, limit = study.proxy(study.chosen), f"{study.threshold:g}"
    if proxy is None:
        best = nearest(study)
        if best is None:
            return "no proxy can be judged yet: fewer than three networks have figures, or all are alike"
        return f"no proxy reaches tau {limit}; the nearest is {best.name}, {_figures(best)}{_beside(study, best)}"
    doubt = ""
    if (tau := proxy.agreement.tau) and (tau.low is None or tau.low < study.threshold):
        doubt = f"; its interval reaches below {limit}, more networks would tell"
    return f"cheapest proxy with tau >= {limit}: {proxy.name}, {_figures(proxy)}{doubt}{_beside(study, proxy)}"


def nearest(study: Study) -> Proxy | None:
    """The one of the highest tau."""
    known = [(tau.value, proxy) for proxy in study.proxies if (tau := proxy.agreement.tau)]
    return max(known, key=lambda pair: pair[0])[1] if known else None


def _figures(proxy: Proxy) -> str:
    return f"tau {with_interval(proxy.agreement.tau)}, {percent(proxy.cost)} of the long training's time"


def _beside(study: Study, proxy: Proxy) -> str:
    """Ranking by a cost needs no training, so that a proxy which ranks no better is worth nothing."""
    tau = proxy.agreement.tau
    better = [name for name, found in study.by_cost.items() if found.tau and tau and found.tau.value >= tau.value]
    return "".join(f"; {COSTS[name]} ranks as well ({number(study.by_cost[name].tau)})" for name in better)


def told(study: Study | None, spec: Mapping[str, Any]) -> str:
    """What is known of the fidelity of a search's training, in a line. study: that its folder holds; spec: the mapping
    of its ``spec.yaml``."""
    proxy = study.proxy(study.own) if study else None
    if study is None or proxy is None:
        return f"fidelity: unknown; {' '.join(filter(None, (COMMAND, flags(spec))))} tells"
    found = proxy.agreement
    beside = ", ".join(f"{COSTS[name]} {number(value.tau)}" for name, value in study.by_cost.items() if name == "macs")
    return (
        f"fidelity of this training ({proxy.training.epochs} epochs): Kendall tau {with_interval(found.tau)} with "
        f"{study.long.epochs} epochs over {found.networks} networks; {beside}"
    )


def _long(study: Study) -> str:
    seeds = plural(len(study.long.seeds), "seed")
    return f"{study.long.epochs} epochs (mean of {seeds}), {plural(len(study.networks), 'network')}"
