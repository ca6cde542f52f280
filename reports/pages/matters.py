"""What a search tells beyond its front, as sections of its page."""

from __future__ import annotations

from collections.abc import Sequence

from reports.drawing.matters import Drawn, matters
from reports.pages import markup
from reports.pages.template import WIDE
from reports.run import Run

TITLES = {  # of several of a kind together
    "effects": "What each gene's values do",
    "pairs": "Two genes together",
    "errors": "Errors by a gene's value",
}
LABELS = {"effects": "Effect on", "pairs": "Two together:", "errors": "Networks by", "progress": "Found against"}
UNKNOWN = "How much of the spread each gene explains is unknown."


def sections(run: Run) -> list[str]:
    """HTML: what matters, and the networks' errors beside the way to the front."""
    told = matters(run)
    found: dict[str, list[Drawn]] = {}
    for one in told.drawings:
        found.setdefault(one.kind, []).append(one)
    places = {kind: _place(same) for kind, same in found.items()}
    unknown = [markup.paragraph(f"{UNKNOWN} {told.unknown}")] if told.unknown else []
    of_genes = ("importance", "effects", "pairs", "errors")
    return [
        _section("What matters", "matters", places, of_genes, ("parallel",), unknown),
        _section("How it went", "progress", places, ("progress", "learning"), ("timeline",)),
    ]


def _section(
    title: str,
    name: str,
    places: dict[str, str],
    beside: Sequence[str],
    whole: Sequence[str] = (),
    above: Sequence[str] = (),
) -> str:
    """Empty without anything in it. beside: kinds that stand beside one another; whole: that take the whole width;
    above: HTML."""
    grid, wide = ([places[kind] for kind in kinds if kind in places] for kinds in (beside, whole))
    if not grid and not wide and not above:
        return ""
    grid = [f'<div class="figures" style="{WIDE}">', *grid, "</div>"] if grid else []
    wide = [f'<div class="scroll">{part}</div>' for part in wide]
    return markup.section(title, *above, *grid, *wide, name=name)


def _place(same: Sequence[Drawn]) -> str:
    """All of one kind, of which the reader chooses."""
    kind = same[0].kind
    height = max(one.drawing.layout.height for one in same)
    drawings = {one.of: (one.drawing, one.caption) for one in same}
    title = TITLES.get(kind, same[0].title) if len(same) > 1 else same[0].title
    return markup.choice(drawings, f"drawn-{kind}", height, LABELS.get(kind, ""), title)
