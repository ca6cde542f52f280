"""What a command prints last: the front as a table, and one line that accounts for every trial."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.summary import tally
from reports.units import FLAG, columns, costs, figure, is_flagged, plural
from search_spaces.constraint import Constraint
from studies.ledger import TrialRecord
from studies.pareto import front

MOST_CAUSES = 5
ROOM = 100  # columns of a terminal from which on the figures have bars beside them
BAR = 8  # columns of a bar
EIGHTHS = " ▏▎▍▌▋▊▉█"
FLAGGED = (
    f"{FLAG} this latency failed a check of its own measurement or is less precise than asked for; "
    "measure again before relying on it"
)
# Two lines, so that the longest usual block string still fits beside the figures in 80 columns.
HEADINGS = {
    "top1": "top-1\n%",
    "val_loss": "loss\nnats",
    "latency_ms": "latency\nms ± IQR",
    "macs": "MACs\nM",
    "params": "params\nM",
    "activations": "activ.\nM",
    "step_time_s": "step\nms",
    "peak_memory_mb": "memory\nMB",
}


def say(console: Console, line: str, style: str | None = None) -> None:
    """Prints a line as it is: nothing in it is markup, and a path in it stays whole."""
    console.print(line, style=style, soft_wrap=True, markup=False)


def narrow_table(title: str | None = None) -> Table:
    """An empty table whose cells stand as close as 80 columns ask for."""
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.title_justify = table.caption_justify = "left"
    return table


def front_table(
    trials: Sequence[TrialRecord],
    objectives: Sequence[str],
    constraints: Sequence[Constraint] = (),
    width: int = 80,
    ascii_only: bool = False,
) -> Table:
    """The front in the order of ``front``, a row a trial. Where a latency is flagged, the caption says what * means.

    width: of the terminal, in columns; where there is ``ROOM``, what is gained and what it costs stand side by side as
    bars from the front's least value to its most: where the first grow no longer, more cost buys little.
    """
    best = front(trials, objectives)
    finished = sum(trial.status == "ok" for trial in trials)
    table = narrow_table(f"Pareto front ({', '.join(objectives)}): {len(best)} of {plural(finished, 'ok trial')}")
    metrics = columns(objectives, constraints)
    table.add_column("id", no_wrap=True)
    for name in metrics:
        table.add_column(HEADINGS.get(name, f"reward\n{name}"), justify="right", no_wrap=True)
    priced = costs(objectives, constraints)
    beside = _bars(best, objectives, priced, ascii_only) if width >= ROOM else {}
    for heading in beside:
        table.add_column(heading, no_wrap=True, min_width=BAR)
    table.add_column("network", overflow="fold")
    for place, trial in enumerate(best):
        network = f"{trial.arch.text} @{trial.arch.resolution}"
        drawn = (Text(bars[place]) for bars in beside.values())
        table.add_row(trial.arch.id, *(figure(trial, name) for name in metrics), *drawn, Text(network))
    if any(trial.outcome and is_flagged(trial.outcome.latency) for trial in best):
        table.caption = FLAGGED
    return table


def bar(share: float, ascii_only: bool = False) -> str:
    """``share``, from 0 to 1, of ``BAR`` columns; never empty, since the least of a front is not nothing."""
    if ascii_only:
        return "#" * max(1, round(share * BAR))
    whole, part = divmod(max(1, round(share * BAR * 8)), 8)
    return (EIGHTHS[-1] * whole + EIGHTHS[part]).rstrip()


def _bars(
    best: Sequence[TrialRecord], objectives: Sequence[str], priced: Sequence[str], ascii_only: bool
) -> dict[str, list[str]]:
    """By heading, the first objective of a front with several networks and the first cost, an objective if one is."""
    others = [name for name in priced if name != objectives[0]]
    cost = next((name for name in others if name in objectives), others[0])
    found = {}
    for name in (objectives[0], cost):
        values = [trial.metric(name) for trial in best]
        known = [value for value in values if value is not None and math.isfinite(value)]
        if len(known) > 1 and (span := max(known) - min(known)) > 0:
            low = min(known)
            drawn = ["" if value not in known else bar((value - low) / span, ascii_only) for value in values]
            found[f"{HEADINGS.get(name, name).splitlines()[0]}\nbar"] = drawn
    return found


def summary_line(trials: Sequence[TrialRecord]) -> Text:
    """``16 trials: 12 ok, 2 rejected (breaks macs<=6e+06: 2), 0 stopped, 2 failed (ValueError: ...: 2)``, ``running``
    only where there are any; the commonest causes by name, the number of the others after them.

    Text, not str: error messages may hold brackets that rich would take for markup.
    """
    parts = []
    for status, causes in tally(trials).items():
        total = sum(causes.values())
        shown = [f"{name}: {count}" for name, count in causes.most_common(MOST_CAUSES) if name]
        rest = causes.most_common()[MOST_CAUSES:]
        if rest:
            shown.append(f"{len(rest)} other reasons: {sum(count for _, count in rest)}")
        if total or status != "running":
            parts.append(f"{total} {status}" + (f" ({'; '.join(shown)})" if shown else ""))
    return Text(f"{plural(len(trials), 'trial')}: {', '.join(parts)}")
