"""A search's page in a real browser: figures, hovering, pinning, choosing, exporting; light, dark, narrow, printed."""

import json
import re
from dataclasses import replace

import made_up_run
import pytest
from browser import browser, draw_all, needs_chromium, opened, overflow  # noqa: F401
from test_baselines_report import folder as with_baselines
from test_report import HOSTILE, SPEC, ok, run

from reports.pages import page as search_page
from reports.run import read
from reports.units import figure
from search_spaces import load
from studies.ledger import Outcome
from studies.pareto import front

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """A run folder of 60 trials with its page."""
    images = {"train": 2000, "val": 400, "classes": 10}
    path = made_up_run.write(
        tmp_path_factory.mktemp("runs") / "a run", 60, constraints=["latency_ms<=3"], images=images
    )
    search_page.write(path)
    return path


@pytest.fixture
def shown(browser, search):  # noqa: F811
    with opened(browser, search / "report.html") as page:
        page.wait_for_selector("#front .main-svg")
        yield page


def marked(page, number):
    """Where the point of a trial stands in the window."""
    return page.evaluate(
        """(number) => {
            const plot = document.getElementById("front"), full = plot._fullLayout, at = plot.getBoundingClientRect();
            for (const trace of plot._fullData) {
                const index = Array.from(trace.customdata || []).findIndex((one) => String(one) === String(number));
                if (index < 0) continue;
                const place = (axis, value) => axis._offset + axis.d2p(value);
                return [at.left + place(full.xaxis, trace.x[index]), at.top + place(full.yaxis, trace.y[index])];
            }
        }""",
        number,
    )


def test_pinned_networks_show_their_own_numbers(shown, search):
    """Two of the front, by a click on a point and by a button of the table, beside the ledger's."""
    known = read(search)
    first, second = front(known.networks, known.objectives)[:2]
    shown.mouse.click(*marked(shown, first.number))
    shown.locator(f"button[data-key='{second.number}']").click()
    cards = shown.locator("#pins article")
    assert cards.count() == 2
    for card, trial in zip(cards.all(), (first, second), strict=True):
        text = card.inner_text()
        assert f"trial {trial.number}" in text
        assert trial.arch.id in text
        for metric in ("latency_ms", "macs", "params"):
            assert figure(trial, metric) in text
        assert f"{figure(trial, 'top1')} \u00b1" in text
        low, high = trial.outcome.latency.ci95_ms
        assert f"{low:.3f} to {high:.3f} ms" in text
        assert trial.outcome.latency.status in text
        assert f"{trial.epochs[-1]['top1']:.2f}".rstrip("0") in text.replace(" %", "")
        assert f"--network {trial.arch.id} --to timm" in text
        drawn = card.locator("svg.network rect").count()
        assert drawn == 2 + sum(min(stage.layers, 12) for stage in trial.arch.stages)
    cards.first.get_by_role("button", name="unpin").click()
    assert shown.locator("#pins article").count() == 1


def test_hovering_shows_the_network(shown, search):
    known = read(search)
    best = front(known.networks, known.objectives)[-1]
    shown.mouse.move(*marked(shown, best.number))
    tip = shown.locator(".tip")
    tip.wait_for(state="visible")
    assert best.arch.id in tip.inner_text()
    assert figure(best, "latency_ms") in tip.inner_text()
    assert tip.locator("svg.network").count() == 1
    shown.mouse.move(5, 5)
    tip.wait_for(state="hidden")


def test_another_axis(shown):
    assert "latency (ms)" in shown.locator("#front .xtitle").text_content()
    shown.select_option("#axis", "macs")
    shown.wait_for_function("document.querySelector('#front .xtitle').textContent === 'MACs (M)'")
    assert shown.locator("#limit-unit").inner_text() == "M MACs"
    assert "The front is by top1 and latency_ms" in shown.locator("#front-caption").inner_text()


def test_which_one_under_a_limit(shown, search):
    for most in (1.5, 2.5):
        shown.fill("#limit", str(most))
        fits = [trial for trial in read(search).networks if trial.status == "ok" and trial.metric("latency_ms") <= most]
        best = max(fits, key=lambda trial: trial.metric("top1"))
        text = shown.locator("#taken").inner_text()
        assert best.arch.id in text
        assert figure(best, "top1") in text
    shown.fill("#limit", "0.001")
    assert "None of the finished networks" in shown.locator("#taken").inner_text()


def test_export_command_names_the_run_in_a_shell(shown, search):
    command = shown.locator("#taken code").last
    assert re.fullmatch(rf"python -m nas.export '{search}' --network \w+ --to timm", command.inner_text())
    shown.locator("#taken select").select_option("onnx")
    assert command.inner_text().endswith("--to onnx")


def test_by_keyboard_alone(shown):
    shown.locator("#axis").focus()
    shown.keyboard.press("ArrowDown")
    shown.wait_for_function("document.querySelector('#front .xtitle').textContent === 'MACs (M)'")
    shown.locator("#the-front button").first.focus()
    shown.keyboard.press("Enter")
    assert shown.locator("#pins article").count() == 1


def test_a_page_built_anew_is_as_the_reader_left_it(shown, search):
    shown.locator("#the-front button").nth(1).click()
    shown.select_option("#axis", "macs")
    shown.fill("#limit", "2")
    kept = shown.locator("#pins h3").inner_text()
    before = search_page.render(read(search))  # the same run, a moment later
    (search / "report.html").write_text(before, encoding="utf-8")
    shown.evaluate("location.reload()")
    shown.wait_for_selector("#pins h3")
    assert shown.locator("#pins h3").inner_text() == kept
    assert shown.locator("#limit").input_value() == "2"
    assert shown.locator("#axis").input_value() == "macs"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_fits_and_can_be_read(browser, search, width, scheme):  # noqa: F811
    with opened(browser, search / "report.html", width, scheme) as page:
        page.wait_for_selector("#front .main-svg")
        draw_all(page)
        assert overflow(page) == 0
        ink, paper = page.evaluate(
            "[getComputedStyle(document.querySelector('#front .ytick text')).fill, "
            "getComputedStyle(document.body).backgroundColor]"
        )
        assert contrast(ink, paper) > 7  # WCAG's AAA


def contrast(one, other):
    """WCAG 2's ratio of two CSS colours."""

    def luminance(colour):
        channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_printing_draws_every_figure(shown):
    shown.emulate_media(media="print")
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    shown.wait_for_function(
        "[...document.querySelectorAll('.plot')].every((place) => place.querySelector('.main-svg'))"
    )


SCRIPT = "<script>document.title='stolen'</script>"


def test_what_others_wrote_stays_text(browser, tmp_path):  # noqa: F811
    """Names of runs, errors, and the reasons of a latency."""
    path = tmp_path / "<img src=x onerror=alert(1)> r\u00e9seau \u7f51\u7edc"
    path.mkdir()
    run(path)
    ledger = path / "trials.jsonl"
    ledger.write_text(ledger.read_text().replace("drift", json.dumps(SCRIPT)[1:-1]))
    search_page.write(path)
    written = path / "report.html"
    page = browser.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.goto(written.as_uri())
    page.wait_for_selector("#front .main-svg")
    page.locator("button[data-key='3']").click()  # the flagged one
    assert SCRIPT in page.locator("#pins").inner_text()
    assert HOSTILE in page.locator("#others").inner_text() or HOSTILE in page.locator("#others").text_content()
    assert "<img src=x" in page.title()
    assert page.title() != "stolen"
    assert page.locator("main img").count() == 0
    assert "<img" in page.locator("#pins code").last.inner_text()
    assert wrong == []
    page.close()


def test_published_networks_are_pinned_too(browser, tmp_path):  # noqa: F811
    with_baselines(tmp_path, {"resnet18": ok(86.9, 9.0, 50_000_000)})
    search_page.write(tmp_path)
    with opened(browser, tmp_path / "report.html") as page:
        page.wait_for_selector("#front .main-svg")
        page.mouse.click(*marked(page, "b0"))
        text = page.locator("#pins").inner_text()
        assert "resnet18" in text
        assert f"--network {load('resnet18').at(32).id} --to timm" in text


ODD = {
    "no trial": ([], ["top1", "latency_ms"]),
    "one trial": ([ok(80.0, 1.0, 2_000_000)], ["top1", "latency_ms"]),
    "all failed": ([Outcome("failed", error=HOSTILE)] * 3, ["top1", "latency_ms"]),
    "one objective": ([ok(80.0, 1.0, 2_000_000), ok(90.0, 2.0, 3_000_000)], ["top1"]),
    "no accuracy": ([ok(None, 1.0, 2_000_000), ok(None, 2.0, 3_000_000)], ["top1", "latency_ms"]),
    "no latency": ([replace(ok(80.0 + n, 1.0, 2_000_000 + n), latency=None) for n in range(3)], ["top1", "macs"]),
    "all alike": ([ok(80.0, 1.0, 2_000_000)] * 12, ["top1", "latency_ms"]),
    "running": ([None, None], ["top1", "latency_ms"]),
    "a reward": ([ok(80.0, 1.0, 2_000_000), ok(90.0, 4.0, 3_000_000)], ["mnasnet:2"]),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_runs_have_a_correct_page(browser, tmp_path, case):  # noqa: F811
    outcomes, goals = ODD[case]
    trials = run(tmp_path, outcomes, SPEC | {"search": {"objectives": goals}, "images": {"val": 400}})
    with opened(browser, search_page.write(tmp_path)) as page:
        draw_all(page)
        text = page.locator("main").inner_text()
        drawable = sum(t.status == "ok" and t.metric("top1") is not None for t in trials)
        assert ("There is nothing to plot" in text) == (drawable == 0)
        assert "NaN" not in text
        assert "undefined" not in text
        assert "null" not in text
        if drawable:
            page.locator("#the-front button").first.click()
            assert page.locator("#pins article").count() == 1
        assert overflow(page) == 0
