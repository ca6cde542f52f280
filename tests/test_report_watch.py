"""``python -m nas.report --watch``: a page that follows its run, while the run is written by another process."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import made_up
import made_up_run
import pytest
from browser import browser, needs_chromium, opened  # noqa: F401
from made_up import recording
from run_folders import make_search

from reports import live
from reports.pages import page as search_page
from reports.run import read
from studies.recorder import Limits

ROOT = Path(__file__).parents[1]

RELOADS = "location.reload()"


def watching(folder, *arguments):
    line = [sys.executable, "-m", "nas.report", str(folder), "--watch", "0.2", *map(str, arguments)]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(condition, process, limit_s=60):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(f"not within {limit_s} s")


def shows(page, count):
    """Whether the page tells of so many trials; one that is being replaced is whole, whenever it is read."""
    if not page.exists():
        return False
    text = page.read_text(encoding="utf-8")
    assert text.endswith("</html>\n")
    return f"{count} trials: " in text and RELOADS in text


def test_a_page_follows_the_ledger_and_ends_with_the_run(tmp_path):
    make_search(tmp_path, 2)
    page = tmp_path / "report.html"
    with recording(tmp_path, limits=Limits(5)) as recorder:
        process = watching(tmp_path)
        until(lambda: shows(page, 2), process)
        for done in (3, 4):
            task = recorder.next()
            recorder.finish(task.number, made_up.evaluate(task.arch, 0, None, Silent()))
            until(lambda done=done: shows(page, done), process)
    printed, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert RELOADS not in page.read_text(encoding="utf-8")
    assert "4 of 4 trials have ended, the run is not going on" in printed.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".report")] == []


def test_a_watch_that_is_interrupted_is_done(tmp_path):
    make_search(tmp_path / "a", 2)
    page = tmp_path / "page.html"
    with recording(tmp_path / "a", limits=Limits(5)):
        process = watching(tmp_path / "a", "--out", page)
        until(lambda: shows(page, 2), process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert RELOADS not in page.read_text(encoding="utf-8")
    assert not (tmp_path / "a" / "report.html").exists()


def test_a_run_that_nobody_writes_to_is_over(tmp_path):
    make_search(tmp_path, 2)
    assert not live.goes_on(tmp_path)
    with recording(tmp_path, limits=Limits(2)):
        assert live.goes_on(tmp_path)
    seen = []
    live.follow(tmp_path, 0.01, seen.append)
    assert seen == [False]


class Silent:
    """A session that tells nobody."""

    def measured(self, known):
        pass

    def epoch(self, metrics):
        pass


def test_a_reloading_page_is_the_page_and_a_script():
    page = "<html>\n<head><title>x</title>\n</head>\n<body></head></body></html>"
    found = live.reloading(page, 2.5)
    assert re.sub(r"<script>.*?</script>\n", "", found, flags=re.DOTALL) == page
    assert "2500" in found


RELOAD_S = 1.5
READING = {
    "a field": "document.querySelector('input').focus()",
    "a choice": "document.querySelector('select').focus()",
    "a button": "document.querySelector('button[data-key]').focus()",
    "what was folded": "document.querySelector('details').open = true",
    "text": "getSelection().selectAllChildren(document.querySelector('h1'))",
}
DONE = """
document.activeElement.blur();
getSelection().removeAllRanges();
document.querySelectorAll('details').forEach((one) => (one.open = false));
"""


@pytest.fixture
def followed(browser, tmp_path):  # noqa: F811
    """A page that loads itself anew, just loaded; and how often it is from now on."""
    path, loads = tmp_path / "report.html", []
    text = search_page.render(read(made_up_run.write(tmp_path / "a", 40)))
    path.write_text(live.reloading(text, RELOAD_S), encoding="utf-8")
    with opened(browser, path) as page:
        page.on("load", lambda _: loads.append(1))
        yield page, loads


@needs_chromium
def test_a_page_that_is_left_alone_loads_anew_where_it_was(followed):
    page, _ = followed
    page.evaluate("scrollTo(0, 900)")
    page.wait_for_event("load", timeout=20_000)
    page.wait_for_function("document.readyState === 'complete' && scrollY === 900", timeout=5000)  # maybe it loads now


@needs_chromium
def test_a_page_that_is_read_stays(followed):
    page, loads = followed
    for what, begin in READING.items():
        page.evaluate(DONE + begin)
        page.wait_for_timeout(1200 * RELOAD_S)
        assert not loads, what
    page.evaluate(DONE)
    page.wait_for_event("load", timeout=20_000)
