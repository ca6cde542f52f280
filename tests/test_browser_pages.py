"""The other pages in a real browser: scaling, fidelity, catalogue and comparison; wide, narrow, light and dark."""

from pathlib import Path

import made_up_run
import pytest
from browser import browser, draw_all, needs_chromium, opened, overflow  # noqa: F401
from made_up_catalogue import ABOUT, entries
from made_up_scaling import family, whole
from run_folders import make_comparison

from reports.pages import catalogue_page, fidelity_page, scaling_page
from studies import fidelity_record

pytestmark = needs_chromium
STUDY = Path(__file__).parent / "data" / "fidelity.json"  # a real one: space v2 at a quarter of its width, glyphs


def scaling(folder):
    return scaling_page.write(folder, whole())


def family_alone(folder):
    return scaling_page.write(folder, family())


def small_scaling(folder):
    return scaling_page.write(folder, whole(enough=False))


def fidelity(folder):
    return fidelity_page.write(folder, fidelity_record.read(STUDY))


def catalogue(folder):
    found, limits = entries("latency_ms<=8")
    return catalogue_page.write(folder, found, limits, ABOUT)


def comparison(folder):
    runs = [made_up_run.write(folder / f"run {seed}", 40, seed) for seed in range(3)]
    return make_comparison(runs, folder / "comparison.html")


PAGES = {made.__name__: made for made in (scaling, family_alone, small_scaling, fidelity, catalogue, comparison)}


@pytest.fixture(scope="module", params=PAGES)
def page_file(request, tmp_path_factory):
    return PAGES[request.param](tmp_path_factory.mktemp(request.param))


def test_every_page_loads_draws_and_fits(browser, page_file):  # noqa: F811
    """On the narrowest screen, in the dark."""
    with opened(browser, page_file, 390, "dark") as page:
        draw_all(page)
        drawn = page.locator(".plot .main-svg").count()
        assert drawn
        assert page.locator(".plot").count() == page.locator(".plot:has(.main-svg)").count()
        assert overflow(page) == 0
        text = page.locator("main").inner_text()
        assert not [word for word in ("undefined", "NaN", "[object") if word in text]
        for caption in page.locator("figcaption").all():
            assert caption.inner_text().strip()


def test_hovering_a_point_says_what_it_is(browser, tmp_path):  # noqa: F811
    with opened(browser, scaling(tmp_path)) as page:
        draw_all(page)
        place = page.locator("#rules .scatterlayer .point").last
        place.scroll_into_view_if_needed()
        place.hover(force=True)
        said = page.locator("#rules .hovertext")
        said.wait_for()
        assert "MACs" in said.first.text_content()


def test_the_comparison_s_axis_can_be_chosen(browser, tmp_path):  # noqa: F811
    with opened(browser, comparison(tmp_path)) as page:
        choice = page.locator("select[data-shows]").first
        place = page.locator(f"#{choice.get_attribute('data-shows')}")
        place.scroll_into_view_if_needed()
        draw_all(page)
        before = place.locator(".xtitle").first.text_content()
        choice.select_option(index=1)
        page.wait_for_function(
            "([id, before]) => document.querySelector(`#${id} .xtitle`).textContent !== before",
            arg=[choice.get_attribute("data-shows"), before],
        )
