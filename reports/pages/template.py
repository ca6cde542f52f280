"""The frame of every page: one file that needs nothing but a browser. What is drawn comes as data and is drawn when the
reader gets there, so that the words are there at once."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template

ASSETS = Path(__file__).parent / "assets"
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<main>
<h1>$headline</h1>
<p class="lead">$lead</p>
$sections
</main>
$scripts</body>
</html>
""")

# Of figures that stand two beside one another.
WIDE = "grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr))"


def page(title: str, headline: str, lead: str, sections: Iterable[str], scripts: Iterable[str] = ()) -> str:
    """The whole file. ``sections`` are HTML already, all else is text. scripts: names of assets beside that which draws
    figures; plotly.js is there only where something is drawn."""
    body = "\n".join(part for part in sections if part)
    code = []
    if 'class="plot"' in body:
        from plotly.offline import get_plotlyjs

        code = [get_plotlyjs(), *map(asset, ("figures.js", *scripts))]
    return PAGE.substitute(
        title=escape(title),
        style=asset("page.css"),
        headline=escape(headline),
        lead=escape(lead),
        sections=body,
        scripts="".join(f"<script>\n{text}\n</script>\n" for text in code),
    )


def asset(name: str) -> str:
    """The text of a file in ``assets``."""
    return (ASSETS / name).read_text(encoding="utf-8")
