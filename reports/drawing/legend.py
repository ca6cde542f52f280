"""How the runs or groups of a drawing are told apart, not by colour alone, and the legend that names them."""

from __future__ import annotations

import html
from typing import Any

from reports.drawing.canvas import PALETTE, SYMBOLS

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
ROW = 20  # pixels of a row
LONGEST = 34  # letters that a phone shows in a row


def style(place: int) -> tuple[str, str, str]:
    """Colour, symbol and dash; where colours begin again, their symbols and dashes are others."""
    turn = (place + place // len(PALETTE)) % len(SYMBOLS)
    return PALETTE[place % len(PALETTE)], SYMBOLS[turn], DASHES[turn]


def below(height: int, rows: int) -> dict[str, Any]:
    """Of ``canvas.empty``'s layout: a legend of so many rows under a drawing of ``height`` pixels, which grows by
    it; beside or above it would leave a phone no room to draw."""
    plot = height - 80
    legend = {"orientation": "v", "x": 0, "xanchor": "left", "y": -52 / plot, "yanchor": "top", "itemwidth": 40}
    legend["traceorder"] = "normal"  # bands would turn it round
    margin = {"l": 56, "r": 16, "t": 16, "b": 64 + ROW * rows}
    return {"height": height + ROW * rows, "margin": margin, "showlegend": rows > 0, "legend": legend}


def label(name: str) -> str:
    """For Plotly, which reads tags; cut to what a row holds."""
    return html.escape(name if len(name) <= LONGEST else name[: LONGEST - 1] + "…", quote=False)
