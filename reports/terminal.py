"""What a command prints last: the front as a table, and one line that accounts for every trial."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from reports.summary import plural, tally
from reports.units import FLAG, columns, figure, is_flagged
from search_spaces.constraint import Constraint
from studies.ledger import TrialRecord
from studies.pareto import front

MOST_CAUSES = 5
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


def narrow_table(title: str | None = None) -> Table:
    """An empty table whose cells stand as close as 80 columns ask for."""
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.title_justify = table.caption_justify = "left"
    return table


def front_table(
    trials: Sequence[TrialRecord], objectives: Sequence[str], constraints: Sequence[Constraint] = ()
) -> Table:
    """The front in the order of ``front``, a row a trial. Where a latency is flagged, the caption says what * means."""
    best = front(trials, objectives)
    finished = sum(trial.status == "ok" for trial in trials)
    table = narrow_table(f"Pareto front ({', '.join(objectives)}): {len(best)} of {plural(finished, 'ok trial')}")
    metrics = columns(objectives, constraints)
    table.add_column("id", no_wrap=True)
    for name in metrics:
        table.add_column(HEADINGS.get(name, f"reward\n{name}"), justify="right", no_wrap=True)
    table.add_column("network", overflow="fold")
    for trial in best:
        network = f"{trial.arch.text} @{trial.arch.resolution}"
        table.add_row(trial.arch.id, *(figure(trial, name) for name in metrics), Text(network))
    if any(trial.outcome and is_flagged(trial.outcome.latency) for trial in best):
        table.caption = FLAGGED
    return table


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
