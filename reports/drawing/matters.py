"""What a search tells beyond its front: which genes matter, what their values do, and how it came to its front. As
figures for the page and for files alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import plotly.graph_objects as go

from reports import comparable
from reports.drawing import edf, effects, genes, importance, learning, pairs, parallel, progress, timeline
from reports.run import Run
from reports.units import unit
from search_spaces.space import SearchSpace

MOST_GENES = 6  # whose effects are shown, and by whose values errors are
MOST_PAIRED = 4  # of which each pair is shown; of more pairs, some would seem to interact by chance


@dataclass(frozen=True)
class Drawn:
    """kind: drawings of one kind show the same of different things, and ``of`` is the thing."""

    kind: str
    of: str
    name: str
    title: str
    drawing: go.Figure
    caption: str


@dataclass(frozen=True)
class Matters:
    """drawings: those that have anything to show. unknown: why nothing can be said of any gene's importance."""

    drawings: tuple[Drawn, ...]
    unknown: str = ""


@dataclass(frozen=True)
class Ranking:
    """genes: all of the space, those first that are the most important for ``objective``; in the space's own order
    where their importance is not ``known``."""

    objective: str
    genes: tuple[str, ...]
    known: bool

    def said(self, shown: int, of: str) -> str:
        """Which genes are shown and why these, for a caption; of: what is shown, such as ``Effects``."""
        if shown >= len(self.genes):
            return ""
        about, every = unit(self.objective).name, len(self.genes)
        if self.known:
            return f"{of} of the {shown} of {every} genes that explain most of {about}."
        return f"{of} of the first {shown} of {every} genes, since nothing is known of their importance for {about}."


def matters(run: Run) -> Matters:
    """What goes with a search's accuracy: figures of trials, then genes where the space is known."""
    way = tuple(_of_trials(run))
    if run.space is None:
        return Matters(way)
    found = importance.importances(run.networks, run.space, run.objectives)
    known = any(one.shares for one in found)
    return Matters((*way, *_of_genes(run, run.space, found)), "" if known else importance.caption(found))


def _of_trials(run: Run) -> Iterator[Drawn]:
    repeats = run.spec["search"].get("repeats", 1) > 1
    processors = comparable.processors(run)
    data = progress.progress(run.trials, run.objectives, processors=processors, repeats=repeats)
    if data.steps:
        for against, words in (("trials", "trials"), ("hours", "device-hours")):
            drawn, said = progress.draw(data, against), progress.caption(data, against)  # type: ignore[arg-type]
            yield Drawn("progress", words, f"progress-{against}", "What was found by when", drawn, said)
    curves = learning.learning(run.trials, run.objectives, repeats)
    if curves.curves:
        drawn, said = learning.draw(curves), learning.caption(curves)
        yield Drawn("learning", "", "learning", "How networks learned", drawn, said)
    ran = timeline.timeline(run.trials)
    if ran.bars:
        yield Drawn("timeline", "", "timeline", "When each trial ran", timeline.draw(ran), timeline.caption(ran))


def _of_genes(run: Run, space: SearchSpace, found: Sequence[importance.Importance]) -> Iterator[Drawn]:
    if any(one.shares for one in found):
        drawn, said = importance.draw(found), importance.caption(found)
        yield Drawn("importance", "", "importance", "How much of the spread each gene explains", drawn, said)
    rankings = {one.objective: _ranking(one, space) for one in found}
    yield from _effects(run, space, rankings)
    ranking = min(rankings.values(), key=lambda one: (not one.known, one.objective != "top1"))
    yield from _errors(run, space, ranking)
    yield from _pairs(run, space, ranking)
    lines = parallel.parallel(run.networks, space, run.objectives, ranking.genes)
    if lines.numbers:
        shown = sum(bool(axis.ticks) for axis in lines.axes)
        said = _joined(parallel.caption(lines), ranking.said(shown, "Axes"))
        yield Drawn("parallel", "", "parallel", "All networks at once", parallel.draw(lines), said)


def _ranking(one: importance.Importance, space: SearchSpace) -> Ranking:
    ranked = tuple(share.gene for share in one.shares)
    return Ranking(one.objective, ranked or tuple(space.parameters), bool(ranked))


def _effects(run: Run, space: SearchSpace, rankings: dict[str, Ranking]) -> Iterator[Drawn]:
    for metric, ranking in rankings.items():
        found = effects.effects(run.networks, space, metric, ranking.genes[:MOST_GENES])
        if found.trials and found.effects:
            words = unit(metric).name
            said = _joined(effects.caption(found), ranking.said(len(found.effects), "Effects"))
            yield Drawn(
                "effects",
                words,
                f"effects-{metric}",
                f"What each gene's values do to {words}",
                effects.draw(found),
                said,
            )


def _errors(run: Run, space: SearchSpace, ranking: Ranking) -> Iterator[Drawn]:
    """Of the networks with each value of a gene."""
    excluded, search = edf.left_out(run.networks, space), run.spec["search"]
    selected = edf.selected(search)
    shown = ranking.genes[:MOST_GENES]
    for gene in shown:
        groups = edf.by_gene(run.networks, space, gene)
        curves = edf.distributions(groups, () if selected else groups, selected)
        if curves.curves:
            said = edf.caption(curves, excluded, str(search.get("sampler", "")))
            said = _joined(said, ranking.said(len(shown), "Errors by one"))
            yield Drawn(
                "errors", genes.name(gene), f"errors-{gene}", f"Errors by {genes.name(gene)}", edf.draw(curves), said
            )


def _pairs(run: Run, space: SearchSpace, ranking: Ranking) -> Iterator[Drawn]:
    sample = genes.sample(run.networks, space, ["top1"])
    shown = ranking.genes[:MOST_PAIRED]
    for first, second in combinations(shown, 2):
        both = pairs.of_sample(sample, space, "top1", first, second)
        if both.trials:
            words = f"{genes.name(first)} and {genes.name(second)}"
            said = _joined(pairs.caption(both), ranking.said(len(shown), "Pairs"))
            name = f"pairs-{first}-{second}"
            yield Drawn("pairs", words, name, f"Top-1 accuracy by {words}", pairs.draw(both), said)


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))
