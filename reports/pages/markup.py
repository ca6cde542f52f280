"""Pieces of HTML. Every function here takes plain text and escapes it; what it returns is safe to join into a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from reports.specs import plain


def paragraph(text: str, kind: str = "") -> str:
    """kind: its CSS class."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def section(title: str, *parts: str, name: str = "") -> str:
    """``parts`` are HTML already. name: by which links find it."""
    return (
        f"<section{f' id={name!r}' if name else ''}>\n<h2>{escape(title)}</h2>\n"
        + "\n".join(part for part in parts if part)
        + "\n</section>"
    )


def folded(summary: str, body: str) -> str:
    """``body`` is HTML already; the reader opens it."""
    return f"<details><summary>{escape(summary)}</summary>\n{body}\n</details>"


def figure(drawing: go.Figure, name: str, caption: str, height: int) -> str:
    """A drawing, which the page's script draws. name: of its element; height: in pixels."""
    return choice({"": (drawing, caption)}, name, height)


def choice(
    drawings: Mapping[str, tuple[go.Figure, str]], name: str, height: int, label: str = "", title: str = ""
) -> str:
    """Several drawings with their captions in one place, of which the reader chooses one by its name; the first is
    shown. label: of the list; title: of all of them."""
    data = [data_script(f"{name}-{index}", drawing.to_json()) for index, (drawing, _) in enumerate(drawings.values())]
    options = "".join(
        f'<option value="{name}-{index}" data-caption="{escape(caption)}">{escape(shown)}</option>'
        for index, (shown, (_, caption)) in enumerate(drawings.items())
    )
    chooser = f'<label class="help">{escape(label)} <select data-shows="{name}">{options}</select></label>'
    _, caption = next(iter(drawings.values()))
    place = f'<div class="plot" id="{name}" data-figure="{name}-0" style="height:{height}px"></div>'
    heading = f"<h3>{escape(title)}</h3>"
    body = "\n".join([*[heading] * bool(title), *[chooser] * (len(drawings) > 1), place, *data])
    return f'<figure>\n{body}\n<figcaption class="help">{escape(caption)}</figcaption>\n</figure>'


def data_script(name: str, json_text: str) -> str:
    """JSON that the page's scripts read; nothing in it can end the element."""
    safe = json_text.replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{safe}</script>'


def table(columns: Mapping[str, str] | Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """``columns``: heading -> kind of its cells: ``number``, ``word`` (never broken), ``net`` (a network's text form),
    ``pin`` (a finished trial's number), ``wide``, or empty; as pairs where headings may be equal. On a narrow screen
    each row becomes a card whose values carry their headings."""
    kinds = list(columns.items()) if isinstance(columns, Mapping) else columns
    heads = "".join(f'<th class="{"number" if kind == "number" else ""}">{escape(name)}</th>' for name, kind in kinds)
    body = []
    for row in rows:
        cells = (_cell(name, kind, text) for (name, kind), text in zip(kinds, row, strict=True))
        body.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n" + "\n".join(body) + "\n</tbody>\n</table>"


def key(marks: Iterable[tuple[str, str, str]]) -> str:
    """What the marks of figures mean: (``open``, ``stairs``, ``cross``, ``diamond`` or nothing, CSS with the colour,
    text) each."""
    spans = (f'<span><i class="{kind}" style="{style}"></i>{escape(text)}</span>' for kind, style, text in marks)
    return f'<p class="key help">{"".join(spans)}</p>'


def cards(mapping: Mapping[str, Any]) -> str:
    """A nested mapping as cards: one for each value that is a mapping, one for all the others together."""
    plain = {key: value for key, value in mapping.items() if not isinstance(value, Mapping)}
    groups = {key: value for key, value in mapping.items() if isinstance(value, Mapping) and value}
    found = [("run", plain)] if plain else []
    boxes = (
        f'<div class="card"><h3>{escape(str(key))}</h3>{pairs(value)}</div>' for key, value in [*found, *groups.items()]
    )
    return '<div class="cards">' + "\n".join(boxes) + "</div>"


def pairs(mapping: Mapping[str, Any]) -> str:
    """A mapping as a list of terms and values; deeper mappings get dotted terms."""
    rows = (f"<dt>{escape(key)}</dt><dd>{escape(plain(value))}</dd>" for key, value in _dotted(mapping))
    return f"<dl>{''.join(rows)}</dl>"


def _dotted(mapping: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _cell(name: str, kind: str, text: str) -> str:
    content = escape(text)
    if kind == "pin":
        content = f'<button data-key="{content}" aria-label="pin trial {content}">pin</button>'
    if kind == "net":
        content = " ".join(f"<span>{part}</span>" for part in content.split())
    return f'<td class="{"net wide" if kind == "net" else kind}" data-name="{escape(name)}">{content}</td>'
