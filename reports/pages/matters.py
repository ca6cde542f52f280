"""What a search tells beyond its front: which genes matter, what their values do, and how it came to its front. As
figures for the page and for files alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import plotly.graph_objects as go

from reports import comparable
from reports.drawing import edf, effects, genes, importance, learning, pairs, parallel, progress, timeline
from reports.pages import markup
from reports.pages.template import WIDE
from reports.run import Run
from reports.units import unit

MOST_GENES = 6  # whose effects are shown, and by whose values errors are
MOST_PAIRED = 4  # of which each pair is shown; of more pairs, some would seem to interact by chance
TITLES = {
    "importance": "How much of the spread each gene explains",
    "parallel": "All networks at once",
    "progress": "What was found by when",
    "learning": "How networks learned",
    "timeline": "When each trial ran",
}


LABELS = {
    "effects": "What a value does to",
    "pairs": "Two together:",
    "errors": "Errors of the networks by",
    "progress": "Found against",
}


@dataclass(frozen=True)
class Drawn:
    """kind: drawings of one kind show the same of different things, and ``of`` is the thing."""

    kind: str
    of: str
    name: str
    title: str
    drawing: go.Figure
    caption: str


def drawings(run: Run) -> Iterator[Drawn]:
    """Those that have anything to show."""
    repeats = run.spec["search"].get("repeats", 1) > 1
    processors = comparable.processors(run)
    data = progress.progress(run.trials, run.objectives, processors=processors, repeats=repeats)
    if data.steps:
        for against, words in (("trials", "trials"), ("hours", "processor hours")):
            drawn, said = progress.draw(data, against), progress.caption(data, against)  # type: ignore[arg-type]
            yield Drawn("progress", words, f"progress-{against}", TITLES["progress"], drawn, said)
    curves = learning.learning(run.trials, run.objectives, repeats)
    if curves.curves:
        drawn, said = learning.draw(curves), learning.caption(curves)
        yield Drawn("learning", "", "learning", TITLES["learning"], drawn, said)
    ran = timeline.timeline(run.trials)
    if ran.bars:
        drawn, said = timeline.draw(ran), timeline.caption(ran)
        yield Drawn("timeline", "", "timeline", TITLES["timeline"], drawn, said)
    if run.space is not None:
        yield from _of_genes(run)


def _of_genes(run: Run) -> Iterator[Drawn]:
    assert run.space is not None
    shares = importance.importances(run.networks, run.space, run.objectives)
    best = list(dict.fromkeys(share.gene for one in shares[:1] for share in one.shares)) or list(run.space.parameters)
    if any(one.shares for one in shares):
        drawn, said = importance.draw(shares), importance.caption(shares)
        yield Drawn("importance", "", "importance", TITLES["importance"], drawn, said)
    for metric in run.objectives:
        found = effects.effects(run.networks, run.space, metric, best[:MOST_GENES])
        if found.trials and found.effects:
            words = unit(metric).name
            title = f"What each gene's values do to {words}"
            yield Drawn("effects", words, f"effects-{metric}", title, effects.draw(found), effects.caption(found))
    excluded = edf.left_out(run.networks, run.space)
    for gene in best[:MOST_GENES]:
        groups = edf.by_gene(run.networks, run.space, gene)
        sampler = str(run.spec["search"].get("sampler", ""))
        curves = edf.distributions(groups, at_random=groups if sampler == "random" else ())
        if curves.curves:
            said = edf.caption(curves, excluded, sampler)
            title = f"Errors by {genes.name(gene)}"
            yield Drawn("errors", genes.name(gene), f"errors-{gene}", title, edf.draw(curves), said)
    sample = genes.sample(run.networks, run.space, ["top1"])
    for first, second in combinations(best[:MOST_PAIRED], 2):
        both = pairs.of_sample(sample, run.space, "top1", first, second)
        if not both.trials:
            continue
        words = f"{genes.name(first)} and {genes.name(second)}"
        drawn, said = pairs.draw(both), pairs.caption(both)
        yield Drawn("pairs", words, f"pairs-{first}-{second}", f"Top-1 accuracy by {words}", drawn, said)
    lines = parallel.parallel(run.networks, run.space, run.objectives, best)
    if lines.numbers:
        yield Drawn("parallel", "", "parallel", TITLES["parallel"], parallel.draw(lines), parallel.caption(lines))


def sections(run: Run) -> list[str]:
    """HTML: what matters, and the networks' errors beside the way to the front."""
    found: dict[str, list[Drawn]] = {}
    for one in drawings(run):
        found.setdefault(one.kind, []).append(one)
    places = {kind: _place(same, LABELS.get(kind, "")) for kind, same in found.items()}
    return [
        _section("What matters", "matters", places, ("importance", "effects", "pairs", "errors"), ("parallel",)),
        _section("How it went", "progress", places, ("progress", "learning"), ("timeline",)),
    ]


def _section(title: str, name: str, places: dict[str, str], beside: Sequence[str], whole: Sequence[str] = ()) -> str:
    """Empty without a figure. beside: kinds that stand beside one another; whole: that take the whole width."""
    grid, wide = ([places[kind] for kind in kinds if kind in places] for kinds in (beside, whole))
    if not grid and not wide:
        return ""
    wide = [f'<div class="scroll">{part}</div>' for part in wide]
    return markup.section(title, f'<div class="figures" style="{WIDE}">', *grid, "</div>", *wide, name=name)


def _place(same: list[Drawn], label: str) -> str:
    height = max(one.drawing.layout.height for one in same)
    return markup.choice({one.of: (one.drawing, one.caption) for one in same}, f"drawn-{same[0].kind}", height, label)
