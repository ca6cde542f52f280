"""A page that follows a run: rebuilt when the ledger has grown, and loading itself anew in the browser meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from reports.folder import ledgers
from reports.units import plural
from studies import ledger

LOCK = ".lock"  # which whoever writes to a run folder holds (studies.ledger, studies.runfolder)
HEAD = "</head>"
# A file cannot ask whether there is a newer one. A page that is read closely, or that nobody sees, waits; the place on
# it is kept here, since browsers lose it where figures are drawn late.
RELOAD = """<script>
addEventListener("load", () => {{
  if (history.state) scrollTo(0, history.state.place);
  setInterval(() => {{
    const busy = document.querySelector(":is(input, select, textarea, button, summary):focus, details[open]");
    if (document.hidden || busy || getSelection().toString()) return;
    history.replaceState({{place: scrollY}}, "");
    location.reload();
  }}, {milliseconds});
}});
</script>
"""


def goes_on(run_dir: Path) -> bool:
    """Whether a process writes to the run. The lock is held to find out, for some microseconds. Raises OSError where it
    cannot be opened, so that this cannot be told."""
    if not (run_dir / LOCK).exists():
        return False
    try:
        with FileLock(str(run_dir / LOCK), timeout=0):
            return False
    except Timeout:
        return True


def follow(run_dir: Path, seconds: float, rebuild: Callable[[bool], None]) -> None:
    """Rebuilds at once, then whenever the ledgers have grown, as long as the run goes on; and once more when it is
    over. rebuild: is told whether the run goes on. seconds: between looks."""
    seen: list[int] | None = None
    while goes_on(run_dir):
        began = time.monotonic()
        if (now := _sizes(run_dir)) != seen:
            rebuild(True)
            seen = now
        time.sleep(max(seconds, time.monotonic() - began))  # a large page is not all that the machine does
    rebuild(False)


def counted(run_dir: Path) -> str:
    """How many trials have ended, in words."""
    trials = ledger.read(run_dir)
    return f"{sum(trial.outcome is not None for trial in trials)} of {plural(len(trials), 'trial')} have ended"


def reloading(page: str, seconds: float) -> str:
    """The page as one that loads itself anew."""
    return page.replace(HEAD, RELOAD.format(milliseconds=round(1000 * seconds)) + HEAD, 1)


def _sizes(run_dir: Path) -> list[int]:
    return [path.stat().st_size if path.exists() else 0 for path in ledgers(run_dir)]
