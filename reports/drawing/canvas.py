"""What every drawing begins with: an empty figure in the pages' type, transparent, so that light and dark both fit."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

AXIS = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False, "automargin": True}
DARK = "#1b1f24"  # of text on white
# Okabe & Ito's palette, which colour-blind readers can tell apart, with a mark for each.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
FRONT, OTHER, LIMIT, PUBLISHED = PALETTE[0], "#999999", PALETTE[1], PALETTE[2]
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "star", "hexagon")


def empty(height: int, **more: Any) -> go.Figure:
    """height: in pixels. more: of the layout, instead of what is usual."""
    usual = {
        "template": "none",
        "height": height,
        "margin": {"l": 56, "r": 16, "t": 16, "b": 48},
        "showlegend": False,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12},
        "hoverlabel": {"bgcolor": "white", "font": {"color": DARK, "size": 11}, "align": "left"},
    }
    return go.Figure(layout=usual | more)
