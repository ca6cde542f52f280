"""The certificates of a search on its page: beside the figure in a few words, and below in full."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from reports.certificates import WORDS, Certificate
from reports.pages import markup


def card(found: Sequence[Certificate]) -> str:
    """The certificates in short, as HTML for the head of the page."""
    items = (
        f'<li class="{one.state}"><b>{escape(one.name)}</b>: {escape(one.short)}'
        f'<span class="sr"> ({WORDS[one.state]})</span></li>'
        for one in found
    )
    return (
        '<div class="card"><h3>Can I trust it?</h3><ul class="trust">' + "".join(items) + "</ul>"
        '<p class="help"><a href="#certificates">How each is known</a></p></div>'
    )


def section(found: Sequence[Certificate]) -> str:
    """The certificates with their reasons, as HTML."""
    rows = [[one.name, WORDS[one.state], one.text] for one in found]
    return markup.section(
        "What the figures rest on",
        markup.table({"": "word", "state": "word", "why": "wide"}, rows),
        name="certificates",
    )
