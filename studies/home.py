"""Where what outlives a run is kept on this machine."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "NAS_CACHE"


def cache_root() -> Path:
    """``$NAS_CACHE``, else ``$XDG_CACHE_HOME/nas-scaling``, else ``~/.cache/nas-scaling``; it may not exist yet."""
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache").expanduser().absolute() / "nas-scaling"
