"""Chromium, headless, for tests of pages: what a reader sees, and what goes wrong unseen."""

import os
import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = os.environ.get("BROWSER_PATH") or shutil.which("chromium") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here (apt-get install chromium)")
# What a machine without a graphics card says of WebGL is no fault of the page.
HARMLESS = "GL Driver Message"


@pytest.fixture(scope="module")
def browser():
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    with sync_playwright() as running:
        found = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@contextmanager
def opened(browser, path, width=1280, scheme="light", height=900):
    """The page, which must ask for nothing but itself, and complain of nothing until it is closed."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    requests, wrong = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda said: wrong.append(said.text) if HARMLESS not in said.text else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(path.as_uri())
    yield page
    page.close()
    assert set(requests) == {path.as_uri()}
    assert wrong == []


def draw_all(page):
    """Every figure, as if the reader had come to it; waits for them."""
    page.evaluate("Promise.all([...document.querySelectorAll('.plot')].map((place) => Figures.draw(place)))")


def overflow(page):
    """By how many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
