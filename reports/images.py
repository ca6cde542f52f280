"""Figures as image files, through Plotly's exporter (kaleido), which draws in a Chromium."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import plotly.graph_objects as go

from search_spaces import UserError

Format = Literal["png", "svg"]
SCALE = 2  # pixels of a file a pixel of the layout, so that a PNG can be printed
NO_BROWSER = "needs Chrome or Chromium: install one, or name its executable in BROWSER_PATH"


def check(flag: str) -> None:
    """Raises UserError where the exporter or its browser is missing. flag: that asked for images."""
    try:
        from choreographer.browsers.chromium import Chromium
        from plotly.io._kaleido import kaleido_available
    except ImportError:
        raise UserError(f"{flag}: needs kaleido: pip install 'nas-scaling[images]'") from None
    if not kaleido_available():
        raise UserError(f"{flag}: needs kaleido >= 1.0: pip install 'nas-scaling[images]'")
    browser = Chromium.find_browser(skip_local=False)
    if not browser:
        raise UserError(f"{flag}: {NO_BROWSER}")
    if not os.access(browser, os.X_OK):
        raise UserError(f"{flag}: {browser} cannot be run; {NO_BROWSER}")


def write(figures: Mapping[str, go.Figure], folder: Path, form: Format) -> list[Path]:
    """``NAME.png`` or ``NAME.svg`` of each into the folder, which exists; a reader sees none half written. Nothing is
    fetched from elsewhere. Raises UserError where the browser does not do it."""
    import plotly.io
    from kaleido.errors import BrowserClosedError, BrowserFailedError, ChromeNotFoundError, KaleidoError

    names, chatter = list(figures), logging.getLogger("choreographer")  # of a browser that is closed while it speaks
    before_level = chatter.level
    with tempfile.TemporaryDirectory(prefix=".images", dir=folder) as part:
        before, plotly.io.defaults.mathjax = plotly.io.defaults.mathjax, False  # which would be fetched
        chatter.setLevel(logging.CRITICAL)
        try:
            plotly.io.write_images(
                fig=list(figures.values()),
                file=[Path(part) / f"{name}.{form}" for name in names],
                width=[figure.layout.width for figure in figures.values()],
                height=[figure.layout.height for figure in figures.values()],
                scale=SCALE if form == "png" else 1,
            )
        except (BrowserClosedError, BrowserFailedError, ChromeNotFoundError, KaleidoError, RuntimeError) as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(f"--{form}: the browser did not draw the figures ({said}); {NO_BROWSER}") from None
        finally:
            plotly.io.defaults.mathjax = before
            chatter.setLevel(before_level)
        for name in names:
            os.replace(Path(part) / f"{name}.{form}", folder / f"{name}.{form}")
    return [folder / f"{name}.{form}" for name in names]
