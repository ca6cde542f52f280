"""The published networks that were trained beside a search's candidates, and whether a network of the front beats them;
as plain data, as a table for the terminal and for the page. ``pareto`` draws the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.table import Table
from rich.text import Text

from reports import specs, summary
from reports.terminal import FLAGGED, HEADINGS, narrow_table
from reports.units import FLAG, columns, figure, is_flagged, spread, unit
from search_spaces import Arch, constraint
from search_spaces.constraint import Constraint
from search_spaces.published import catalogue, read_yaml
from studies import ledger
from studies.ledger import TrialRecord
from studies.objectives import METRICS, direction, values
from studies.pareto import front
from studies.repeats import networks
from studies.runfolder import BASELINES, SPEC

LEAST_GAIN = 1.05  # of an advantage that is worth a headline
NOTE = (
    "Trained on the same images, with the settings and as many seeds as the candidates instead of recipes of their "
    "own, and measured by the same protocol. They are no part of the search: its sampler never heard of them, and they "
    "stand on no front."
)


@dataclass(frozen=True)
class Baseline:
    """One published network.

    name: in the catalogue. record: what was found of it, with the means over its seeds. top1: of each seed, percent.
    beyond: which limits of the search it breaks; empty where it keeps them. verdict: how the front stands to it.
    """

    name: str
    record: TrialRecord
    top1: tuple[float, ...]
    beyond: str
    verdict: str

    @property
    def text(self) -> str:
        """Both in a sentence; empty where there is nothing to say."""
        return "; ".join(filter(None, (self.beyond, self.verdict)))

    def figure(self, metric: str) -> str:
        """For a table cell; the accuracy of several seeds comes with its spread."""
        return spread(self.top1) if metric == "top1" and len(self.top1) > 1 else figure(self.record, metric)


def read(run_dir: Path) -> dict[str, list[TrialRecord]]:
    """By name, the trainings of the networks that a run folder holds as baselines; empty where there are none."""
    path = run_dir / BASELINES / SPEC
    if not path.is_file():
        return {}
    names = specs.texts(path, read_yaml(path), "search.baselines")
    found: dict[str, list[TrialRecord]] = {}
    for record in ledger.read(path.parent):
        found.setdefault(_name(record.arch, names), []).append(record)
    return found


def _name(arch: Arch, names: Sequence[str]) -> str:
    """The network's among those of the catalogue that were asked for; its id where the catalogue has become another."""
    for name in names:
        published = catalogue()[name].arch if name in catalogue() else None
        if published and arch == replace(published, resolution=arch.resolution, norm_momentum=arch.norm_momentum):
            return name
    return arch.id


def compare(
    beside: Mapping[str, Sequence[TrialRecord]],
    trials: Sequence[TrialRecord],
    objectives: Sequence[str],
    constraints: Sequence[Constraint] = (),
) -> list[Baseline]:
    """Each of ``beside`` (as ``read`` gives it) against the front of ``trials``, in the order in which they began."""
    best, found = front(trials, objectives), []
    for name, same in beside.items():
        (record,) = networks(same)
        top1 = tuple(v for one in same if one.status == "ok" and (v := one.metric("top1")) is not None)
        found.append(Baseline(name, record, top1, _beyond(record, constraints), verdict(record, best, objectives)))
    return found


def _beyond(record: TrialRecord, constraints: Sequence[Constraint]) -> str:
    if record.outcome is None:
        return ""
    broken = constraint.violations(constraints, {limit.metric: record.metric(limit.metric) for limit in constraints})
    return summary.reason(replace(record, outcome=replace(record.outcome, violations=broken))) if broken else ""


def verdict(record: TrialRecord, best: Sequence[TrialRecord], objectives: Sequence[str]) -> str:
    """``beaten by ID: +3.1 points at 0.8 x latency``: by the most accurate of those on the front that are nowhere worse
    and somewhere better; or how many of the front it beats itself; or why it has no figures."""
    if record.status != "ok":
        return f"{record.status}: {summary.cause(record)}"
    if values(record, objectives) is None:
        absent = [unit(name).name for name in objectives if record.metric(name) is None]
        return f"not compared, without {' and '.join(absent)}"
    rivals = [trial for trial in best if beats(trial, record, objectives)]
    if rivals:
        rival = max(rivals, key=lambda trial: trial.metric("top1") or 0.0)
        return f"beaten by {rival.arch.id}: {difference(rival, record, objectives)}"
    beaten = sum(beats(record, trial, objectives) for trial in best)
    return f"not beaten; beats {beaten or 'none'} of {len(best)} on the front" if best else "no front to compare with"


def beats(one: TrialRecord, other: TrialRecord, objectives: Sequence[str]) -> bool:
    """Whether it is at least as good in every objective and better in one."""
    mine, theirs = values(one, objectives), values(other, objectives)
    if mine is None or theirs is None:
        return False
    signs = [1 if direction(name) == "maximize" else -1 for name in objectives]
    gains = [sign * (a - b) for sign, a, b in zip(signs, mine, theirs, strict=True)]
    return min(gains) >= 0 and max(gains) > 0


def difference(one: TrialRecord, other: TrialRecord, objectives: Sequence[str]) -> str:
    """What ``one`` has more than ``other``: ``+3.1 points at 0.8 x latency``. Accuracy always, and a cost always: the
    latency, or MACs where that is unknown, if no objective is one. What rests on a flagged latency has a *."""
    costs = [name for name in objectives if _is_cost(name)]
    if not costs:
        costs = ["latency_ms" if None not in (one.metric("latency_ms"), other.metric("latency_ms")) else "macs"]
    gains = list(dict.fromkeys(("top1", *(name for name in objectives if not _is_cost(name)))))
    parts = (" and ".join(filter(None, (_more(one, other, name) for name in names))) for names in (gains, costs))
    return " at ".join(filter(None, parts))


def advantage(found: Sequence[Baseline], trials: Sequence[TrialRecord], objectives: Sequence[str]) -> str:
    """``; at no less accuracy than NAME, 1.8 x faster``: the largest gain of the front over a published network, by the
    first cost that is an objective (else by latency); empty where there is none."""
    cost = next((name for name in objectives if _is_cost(name)), "latency_ms")
    gains = []
    for one in found:
        top1, theirs = one.record.metric("top1"), one.record.metric(cost)
        if one.record.status != "ok" or top1 is None or not theirs:
            continue
        for trial in front(trials, objectives):
            mine = trial.metric(cost)
            flagged = any(figure(record, cost).endswith(FLAG) for record in (trial, one.record))
            if mine and not flagged and (trial.metric("top1") or 0.0) >= top1:
                gains.append((theirs / mine, one.name))
    ratio, name = max(gains, default=(1.0, ""))
    if ratio < LEAST_GAIN:
        return ""
    word = {"latency_ms": "faster", "step_time_s": "quicker to train"}.get(cost, f"less {unit(cost).name}")
    return f"; at no less accuracy than {name} {ratio:.{1 if ratio < 10 else 0}f} x {word}"


def _is_cost(name: str) -> bool:
    return name in METRICS and name not in ("top1", "val_loss")


def _more(one: TrialRecord, other: TrialRecord, name: str) -> str:
    mine, theirs = one.metric(name), other.metric(name)
    if mine is None or theirs is None:
        return ""
    if name == "top1":
        return f"{mine - theirs:+.1f} points"
    flag = FLAG if any(figure(trial, name).endswith(FLAG) for trial in (one, other)) else ""
    if not _is_cost(name):
        return f"{mine - theirs:+.3g}{flag} {unit(name).name}"
    return f"{mine / theirs:.2g}{flag} x {unit(name).name}" if theirs else ""


def table(found: Sequence[Baseline], objectives: Sequence[str], constraints: Sequence[Constraint] = ()) -> Table:
    """For the terminal, a row a network."""
    drawn = narrow_table("Published networks, trained and measured alike")
    metrics = columns(objectives, constraints)
    drawn.add_column("network", no_wrap=True)
    for name in metrics:
        drawn.add_column(HEADINGS.get(name, f"reward\n{name}"), justify="right", no_wrap=True)
    drawn.add_column("beside the front", overflow="fold")
    for one in found:
        drawn.add_row(one.name, *map(one.figure, metrics), Text(one.text))
    if any(one.record.outcome and is_flagged(one.record.outcome.latency) for one in found):
        drawn.caption = FLAGGED
    return drawn
