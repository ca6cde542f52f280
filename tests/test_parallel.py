"""Parallel coordinates: what the lines are, and that a browser draws them."""

import shutil

import numpy as np
import pytest
from made_up_genes import V2, drawn, trials, unusable
from plotly.offline import get_plotlyjs

from reports.drawing import parallel as lines_of
from reports.drawing.parallel import parallel
from search_spaces import UserError

GENES = list(V2.parameters)[:6]
GOALS = ("top1", "macs")


def some(count, seed=0):
    rng = np.random.default_rng(seed)
    costs = {"macs": rng.integers(10**6, 10**8, count).tolist(), "params": rng.integers(10**5, 10**6, count).tolist()}
    return trials(V2, drawn(V2, count, rng), rng.uniform(60, 95, count).tolist(), **costs)


def test_axes_are_genes_costs_and_accuracy():
    every = some(30)
    data = parallel([*every, *unusable()], V2, GOALS, GENES)
    labels = [
        "stage 1 block",
        "stage 1 kernel",
        "stage 1 expansion",
        "stage 1 SE ratio",
        "stage 1 layers",
        "stage 2 block",
    ]
    assert [axis.label for axis in data.axes] == [*labels, "MACs (M)", "parameters (M)", "top-1 accuracy (%)"]
    assert data.axes[0].ticks == ((0.0, "MBConv"), (1.0, "Fused-MBConv"))
    assert data.axes[-1].values.tolist() == [trial.outcome.top1 for trial in every]
    assert data.axes[-3].values.tolist() == [trial.outcome.macs / 1e6 for trial in every]
    told = [V2.parameters["s0.expansion"][int(place)] for place in data.axes[2].values]
    assert told == [trial.arch.stages[0].expansion for trial in every]
    assert data.absent == ("latency",)
    assert dict(data.left_out)["without a result"] == 4
    assert "most networks lack it: latency" in lines_of.caption(data)


def test_the_front_is_chosen_to_begin_with():
    every = trials(V2, drawn(V2, 4, np.random.default_rng(0)), [90, 80, 70, 95], macs=[5, 1, 4, 9], params=[1] * 4)
    data = parallel(every, V2, GOALS, GENES)
    assert data.on_front.tolist() == [True, True, False, True]
    (drawing,) = lines_of.draw(data).data
    front = drawing.dimensions[-1]
    low, high = front.constraintrange
    assert [low <= value <= high for value in front["values"]] == data.on_front.tolist()
    for axis, dimension in zip(data.axes, drawing.dimensions, strict=False):  # lines stand apart, beside their tick
        assert np.abs(dimension["values"] - axis.values).max() < (0.3 if axis.ticks else 1e-5)


def test_genes_give_way_where_axes_are_too_many():
    data = parallel(some(5), V2, GOALS, list(V2.parameters), most=8)
    assert [axis.label for axis in data.axes][:4] == [
        *["stage 1 block", "stage 1 kernel", "stage 1 expansion"],
        "stage 1 SE ratio",
    ]
    assert len(lines_of.draw(data).data[0].dimensions) == 8


def test_of_very_many_lines_the_front_stays():
    every = some(3000)
    data, again = (parallel(every, V2, GOALS, GENES) for _ in range(2))
    assert len(data.numbers) == lines_of.MOST_LINES
    assert data.numbers == again.numbers == tuple(sorted(data.numbers))
    assert data.on_front.sum() == len(lines_of.front(every, GOALS))
    assert data.left_out == (("drawn at random, since more would cover one another", 1000),)


@pytest.mark.parametrize(("every", "shown"), [([], 0), (some(1), 1), (some(2), 2), (unusable(), 0)])
@pytest.mark.parametrize("goals", [["top1"], ["macs"], ["mnasnet:8", "top1"]])
def test_any_trials_are_drawn(every, shown, goals):
    data = parallel(every, V2, goals, GENES)
    assert len(data.numbers) == shown
    assert bool(lines_of.draw(data).data) == bool(shown)
    assert ("nothing to show" in lines_of.caption(data)) == (not shown)


def test_an_unknown_gene_is_refused():
    with pytest.raises(UserError, match=r"genes: 'kernel' is not one of"):
        parallel([], V2, GOALS, ["kernel"])


@pytest.fixture(scope="module")
def chromium():
    browser = shutil.which("chromium")
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not browser:
        pytest.skip("needs Debian's chromium")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        yield running
        running.close()


def opened(chromium, tmp_path, drawing, on_error=print):
    """A page with nothing but the drawing, once that is there."""
    page = chromium.new_page(viewport={"width": 1280, "height": 600})
    page.on("console", lambda message: on_error(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: on_error(str(error)))
    (tmp_path / "page.html").write_text(
        f'<meta charset="utf-8"><div id="plot"></div><script>{get_plotlyjs()}</script>'
        f"<script>Plotly.newPlot('plot', {drawing.to_json()}).then(() => window.drawn = true)</script>"
    )
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function("window.drawn", timeout=60_000)
    return page


@pytest.mark.parametrize("count", [1, 20, 10_000])
def test_a_browser_draws_it_without_an_error(chromium, tmp_path, count):
    drawing = lines_of.draw(parallel(some(count), V2, GOALS, GENES))
    errors = []
    page = opened(chromium, tmp_path, drawing, errors.append)
    assert page.locator(".parcoords .axis-title").all_text_contents() == [
        *[d.label for d in drawing.data[0].dimensions]
    ]
    assert "Fused-MBConv" in page.locator(".parcoords .axis text").all_text_contents()
    assert errors == []
    page.close()


def test_a_browser_lets_whole_values_be_chosen(chromium, tmp_path):
    """All lines of a value are chosen with it, though they stand apart; and the front is chosen already."""
    drawing = lines_of.draw(parallel(some(50), V2, GOALS, GENES))
    page = opened(chromium, tmp_path, drawing)
    chosen = "document.getElementById('plot').data[0].dimensions.map(axis => axis.constraintrange)"
    brushes = page.locator(".parcoords .axis-brush .background")
    drag(page, brushes.nth(1).bounding_box(), 0.8, 0.65)
    page.wait_for_function(f"{chosen}[1]")
    low, high = page.evaluate(chosen)[1]
    kernels = drawing.data[0].dimensions[1]["values"].tolist()
    assert [low <= value <= high for value in kernels] == [round(value) == 0 for value in kernels]
    front = drawing.data[0].dimensions[-1]
    box = brushes.last.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.9)  # chooses all again
    page.wait_for_function(f"!{chosen}.at(-1)")
    drag(page, box, 0.2, 0.4)
    page.wait_for_function(f"{chosen}.at(-1)")
    assert page.evaluate(chosen)[-1] == pytest.approx(front.constraintrange)
    page.close()


def drag(page, box, start, end):
    """From one height to another along an axis, as shares of it from the top."""
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, box["y"] + box["height"] * start)
    page.mouse.down()
    page.mouse.move(x, box["y"] + box["height"] * end, steps=5)
    page.mouse.up()
