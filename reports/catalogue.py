"""The published networks on one device: which keep the limits, which are on the front, which is the best; as plain
data, as a table for the terminal and as JSON. ``catalogue_page`` draws the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from reports.terminal import narrow_table
from reports.units import FLAG, digits, is_flagged
from search_spaces import constraint, cost
from search_spaces.constraint import Constraint
from search_spaces.published import Published
from studies import pareto
from studies.ledger import Latency, Outcome, TrialRecord

METRICS = ("latency_ms", "peak_memory_mb", "params", "macs", "activations", "top1", "resolution")
MEASURED = ("latency_ms", "peak_memory_mb")  # of these; the others are known of every network, but top1 of most
SHORT = {"latency_ms": "latency", "peak_memory_mb": "memory"}
OBJECTIVES = ("top1", "latency_ms")


@dataclass(frozen=True)
class Entry:
    """A published network and what is known of it here.

    record: what was measured; its outcome is None where nothing was (yet). figures: by METRICS, None: unknown.
    broken: share over the limit by constraint text. unknown: limits whose figure is unknown. doubtful: the only limits
        broken are on a flagged latency whose fastest call keeps them.
    """

    network: Published
    record: TrialRecord
    figures: Mapping[str, float | None]
    broken: Mapping[str, float]
    unknown: tuple[Constraint, ...]
    doubtful: bool

    @property
    def latency(self) -> Latency | None:
        """None: not measured (yet), or the measurement failed."""
        return self.record.outcome.latency if self.record.outcome else None

    @property
    def measured(self) -> bool:
        """Whether there is a latency to compare."""
        return self.figures["latency_ms"] is not None

    @property
    def left_out(self) -> bool:
        """Not to be measured: what is known of it without rules it out."""
        return not self.measured and bool(self.broken or self._unpublished)

    @property
    def fits(self) -> bool:
        """Measured, and within every limit."""
        return self.measured and not self.broken and not self.unknown

    @property
    def _unpublished(self) -> list[Constraint]:
        return [limit for limit in self.unknown if limit.metric not in MEASURED]

    @property
    def status(self) -> str:
        """In words: what came of it, and of each limit that it breaks by how much."""
        outcome, latency = self.record.outcome, self.latency
        why = [f"breaks {text} {_by(amount)}" for text, amount in self.broken.items()]
        why += [f"{limit}: no {limit.metric} is published" for limit in self._unpublished]
        if outcome is None:
            return f"not measured: {', '.join(why)}" if self.left_out else "not measured yet"
        if outcome.error:
            return f"failed: {outcome.error}"
        assert latency
        words = [] if latency.status == "ok" else [latency.status]
        if self.doubtful:
            return f"{latency.status}, may fit: its fastest call took {digits('latency_ms', latency.min_ms)} ms"
        why += [f"{limit} was not measured" for limit in self.unknown if limit.metric in MEASURED]
        return ", ".join(words + why) or "ok"


def judge(
    networks: Iterable[Published], records: Mapping[str, TrialRecord], constraints: Sequence[Constraint]
) -> list[Entry]:
    """Every network, the one of fewest MACs first; ``records`` of those that were measured, by the Arch's id. Costs are
    counted with 1000 classes, at each network's own resolution."""
    found = []
    counted = [(cost.count(network.arch), network) for network in networks]
    for number, (costs, network) in enumerate(sorted(counted, key=lambda pair: pair[0].macs)):
        record = records.get(network.arch.id) or TrialRecord(number, network.arch, 0, 0.0)
        outcome = record.outcome or Outcome("ok")
        figures = costs._asdict() | {"top1": network.top1, "resolution": network.arch.resolution}
        figures |= {metric: outcome.metric(metric) for metric in MEASURED}
        broken = constraint.violations(constraints, figures)
        unknown = tuple(limit for limit in constraints if figures[limit.metric] is None)
        latency = outcome.latency
        doubtful = bool(broken) and latency is not None and latency.status == "flagged"
        if doubtful and latency:
            doubtful = not constraint.violations(constraints, figures | {"latency_ms": latency.min_ms})
        found.append(Entry(network, record, figures, broken, unknown, doubtful))
    return found


def front(entries: Iterable[Entry]) -> list[Entry]:
    """Of those that keep the limits and have a published accuracy: what no other beats in accuracy and latency, the
    fastest first."""
    fitting = {entry.record.number: entry for entry in entries if entry.fits}
    return [fitting[record.number] for record in pareto.front([e.record for e in fitting.values()], OBJECTIVES)]


def best(entries: Iterable[Entry]) -> Entry | None:
    """The most accurate that keeps the limits, which is the last of the front."""
    found = front(entries)
    return found[-1] if found else None


def verdict(entries: Sequence[Entry], constraints: Sequence[Constraint]) -> str:
    """One line: the best network that fits, or which comes nearest."""
    top = best(entries)
    if top:
        name = ("best that fits" if constraints else "most accurate") + so_far(entries)
        again = f"; measure it again, its latency is {top.latency.status}" if top.latency and flagged(top) else ""
        return f"{name}: {top.network.name} ({described(top)}){again}{_better(entries, top)}"
    if not constraints:
        return "no network with a published accuracy was measured"
    tried = [entry for entry in entries if entry.measured and entry.broken]
    if not tried:
        return "none was found to fit"
    near = min(tried, key=lambda entry: max(entry.broken.values()))
    return f"none fits{so_far(entries)}; the nearest is {near.network.name} ({near.status})"


def so_far(entries: Iterable[Entry]) -> str:
    """To be said of a result while networks are still to be measured."""
    return " so far" if any(entry.record.outcome is None and not entry.left_out for entry in entries) else ""


def _better(entries: Iterable[Entry], top: Entry) -> str:
    """Those more accurate of which nobody knows whether they fit."""
    names = [e.network.name for e in entries if e.doubtful and (e.network.top1 or 0) > (top.network.top1 or 0)]
    return f"; may fit as well, if measured undisturbed: {', '.join(names)}" if names else ""


def described(entry: Entry) -> str:
    """An entry's figures in words: ``77.1% published top-1, 8.31 ms``."""
    memory = entry.figures["peak_memory_mb"]
    held = "" if memory is None else f", {digits('peak_memory_mb', memory)} MB"
    return f"{percent(entry)}% published top-1, {digits('latency_ms', entry.figures['latency_ms'])} ms{held}"


def percent(entry: Entry) -> str:
    """As published, to a tenth; a dash where nothing is."""
    return "-" if entry.network.top1 is None else f"{entry.network.top1:.1f}"


def flagged(entry: Entry) -> bool:
    """Whether its latency failed a check of its own."""
    return is_flagged(entry.latency)


def interval(entry: Entry) -> str:
    """The 95% interval of the latency in ms, ``-`` where there is none."""
    ends = entry.latency.ci95_ms if entry.latency else None
    return f"{digits('latency_ms', ends[0])} to {digits('latency_ms', ends[1])}" if ends else "-"


def reasons(entry: Entry) -> list[str]:
    """Why its latency is marked; what the system does not let us check is no reason."""
    return list(entry.latency.failed) if entry.latency else []


def by_latency(entries: Iterable[Entry]) -> list[Entry]:
    """The measured ones, the fastest first."""
    return sorted((e for e in entries if e.measured), key=lambda entry: entry.figures["latency_ms"] or 0.0)


def table(entries: Sequence[Entry], constraints: Sequence[Constraint]) -> Table:
    """The measured networks by latency, then those that failed or are still to come; ``left_out`` names the others. The
    figures take 58 columns, so that a terminal of 80 has some for the status."""
    best_ones, measured = front(entries), by_latency(entries)
    drawn = narrow_table()
    drawn.add_column("network", no_wrap=True)
    for name in ("px", "par.\nM", "MACs\nG", "top1\n%", "p50\nms", "95%\n±", "mem.\nMB"):
        drawn.add_column(name, justify="right", no_wrap=True)
    drawn.add_column("status", overflow="fold")
    for entry in [*measured, *(entry for entry in entries if not entry.measured and not entry.left_out)]:
        latency, memory = (entry.figures[name] for name in MEASURED)
        drawn.add_row(
            ("●" if entry in best_ones else " ") + entry.network.name,
            str(entry.network.arch.resolution),
            f"{(entry.figures['params'] or 0) / 1e6:.1f}",
            f"{(entry.figures['macs'] or 0) / 1e9:.2f}",
            percent(entry),
            "-" if latency is None else f"{latency:#.4g}".rstrip(".") + (FLAG if flagged(entry) else ""),
            _width(entry),
            "-" if memory is None else f"{memory:.0f}",
            Text(_brief(entry, constraints)),
            style="" if entry.fits else "dim",
        )
    notes = ["● on the front: none that fits is as accurate and faster"]
    if any(map(flagged, measured)):
        notes.append(f"{FLAG} failed a check or is not precise: measure again before relying on it")
    drawn.caption = "\n".join(notes)
    return drawn


def left_out(entries: Iterable[Entry]) -> str:
    """The networks that were not to be measured, by name; empty where there are none."""
    names = [entry.network.name for entry in entries if entry.left_out]
    return f"not measured, beyond a limit as published, or not published: {', '.join(names)}" if names else ""


def _brief(entry: Entry, constraints: Sequence[Constraint]) -> str:
    """Its status where columns are few: which limits it breaks, the figures beside it say by how much."""
    if entry.doubtful:
        return entry.status.split(":")[0]
    if entry.fits and constraints:
        return "fits" if entry.status == "ok" else f"fits, {entry.status}"
    if not entry.measured or not entry.broken or not entry.latency:
        return entry.status
    metrics = dict.fromkeys(limit.metric for limit in constraints if str(limit) in entry.broken)
    breaks = f"breaks {', '.join(SHORT.get(metric, metric) for metric in metrics)}"
    return breaks if entry.latency.status == "ok" else f"{entry.latency.status}, {breaks}"


def _by(amount: float) -> str:
    """A violation in words; ``amount``: share over the limit."""
    return f"by {100 * amount:.2g}%" if amount < 1 else f"({1 + amount:.3g} times)"


def _width(entry: Entry) -> str:
    """The longer arm of the interval, as a share of the median."""
    latency = entry.latency
    if latency is None or latency.p50_ms is None or latency.ci95_ms is None:
        return "-"
    arm = max(abs(end - latency.p50_ms) for end in latency.ci95_ms) / latency.p50_ms
    return f"{100 * arm:.1f}%" if arm < 0.1 else f"{100 * arm:.0f}%"


def to_json(entries: Sequence[Entry], constraints: Sequence[Constraint]) -> dict[str, Any]:
    """What ``--json`` prints of the networks; ``fits`` is None where that could not be said."""
    best_ones, top = front(entries), best(entries)
    return {
        "constraints": [str(limit) for limit in constraints],
        "best": top.network.name if top else None,
        "front": [entry.network.name for entry in best_ones],
        "networks": [
            {
                "name": entry.network.name,
                "id": entry.network.arch.id,
                **{name: entry.figures[name] for name in METRICS},
                "source": entry.network.source,
                "latency": asdict(entry.latency) if entry.latency else None,
                "status": entry.status,
                "fits": None if entry.doubtful or not (entry.measured or entry.broken) else entry.fits,
                "on_front": entry in best_ones,
            }
            for entry in entries
        ],
    }
