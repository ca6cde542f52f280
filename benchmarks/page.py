"""How long the page of a search takes to build, to show and to answer: 20 and 10,000 made-up trials.

    python benchmarks/page.py            # two minutes; needs Chromium and playwright (the dev extra)

Prints, for each size: seconds to build the page (without importing, median of five), its size, and in headless Chromium
the first contentful paint, when the points are drawn, and how long after the pointer has come to a point its network is
shown (median and 95th percentile over 40 points of the front).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import made_up_run
from browser import CHROMIUM
from playwright.sync_api import sync_playwright

from nas import environment
from reports.pages.page import write

HOVERS = 40
BARS = {20: 2.0, 10_000: 15.0}  # seconds to build
PAINT_S, MEGABYTES = 3.0, 12.0
POINTS = """() => {
    const plot = document.getElementById("front"), full = plot._fullLayout, at = plot.getBoundingClientRect();
    return plot._fullData.filter((trace) => trace.customdata && trace.type === "scatter").flatMap((trace) =>
        Array.from(trace.x).map((x, index) => [
            at.left + full.xaxis._offset + full.xaxis.d2p(x),
            at.top + full.yaxis._offset + full.yaxis.d2p(trace.y[index]), String(trace.customdata[index])]));
}"""
SHOWN = """() => new Promise((done) => {
    const tip = document.querySelector(".tip"), start = performance.now();
    const look = () => tip.hidden && performance.now() - start < 2000
        ? setTimeout(look, 1) : requestAnimationFrame(() => done(performance.now() - start));
    document.addEventListener("mousemove", look, { once: true, capture: true });
})"""


def main() -> None:
    made = environment.describe(0)
    print(f"machine: {made['cpu']}, {made['cpus']} cores; Python {made['python']}", flush=True)
    failed = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for trials, bar in BARS.items():
            run = made_up_run.write(Path(folder) / str(trials), trials, images={"val": 400})
            write(run)  # what is imported on the way is start-up
            took = []
            for _ in range(5):
                start = time.perf_counter()
                path = write(run)
                took.append(time.perf_counter() - start)
            build, size = statistics.median(took), path.stat().st_size / 1e6
            print(f"{trials:,} trials: built in {build:.2f} s ({min(took):.2f} to {max(took):.2f}), {size:.1f} MB")
            opened = browser.new_page(viewport={"width": 1280, "height": 900})
            opened.goto(path.as_uri())
            opened.wait_for_selector("#front .main-svg")
            paint = opened.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000")
            drawn = opened.evaluate("performance.now() / 1000")
            answers = []
            for x, y, _ in opened.evaluate(POINTS)[:HOVERS]:
                opened.mouse.move(5, 5)
                opened.wait_for_function("document.querySelector('.tip').hidden")
                answer = opened.evaluate_handle(f"({{ promise: ({SHOWN})() }})")
                opened.mouse.move(x, y)
                answers.append(opened.evaluate("(held) => held.promise", answer))
            opened.close()
            answers.sort()
            late = answers[int(0.95 * (len(answers) - 1))]
            print(
                f"  first paint {paint:.2f} s, points by {drawn:.2f} s; a network under the pointer is shown after "
                f"{statistics.median(answers):.0f} ms (95%: {late:.0f} ms, {len(answers)} points)"
            )
            failed += [f"{trials}: {build:.1f} s"] * (build >= bar) + [f"{trials}: {size:.1f} MB"] * (size >= MEGABYTES)
            failed += [f"{trials}: first paint {paint:.1f} s"] * (paint >= PAINT_S)
        browser.close()
    if failed:
        sys.exit(f"beyond the bars: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
