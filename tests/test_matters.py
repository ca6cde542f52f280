"""What matters and how it went: which genes are shown for which objective and why, and the page's headings."""

import re
from html import unescape

import made_up_run
import numpy as np
import pytest
from made_up_genes import V2, drawn, trials

from reports import run as runs
from reports.drawing.matters import MOST_GENES, MOST_PAIRED, matters
from reports.pages import matters as page
from reports.run import Run

SPEC = {"search": {"objectives": ["top1", "macs"], "sampler": "random"}}
NAMES = list(V2.parameters)
ACCURATE, CHEAP = 7, 25  # genes that decide about accuracy and about MACs


def searched(count, noise=0.1):
    rng = np.random.default_rng(0)
    places = drawn(V2, count, rng)
    top1 = 70 + (noise < 1) * 5.0 * places[:, ACCURATE] + noise * rng.normal(size=count)
    macs = 1e6 * (5 + places[:, CHEAP] + 0.01 * rng.random(count))
    return Run(trials(V2, places, top1, macs=macs), SPEC, space=V2)


@pytest.fixture(scope="module")
def known():
    return matters(searched(60))


def genes_of(drawn):
    return re.findall(r"\((s\d+\.\w+)\)", " ".join(drawn.drawing.data[0].hovertext))


def named(told):
    return {one.name: one for one in told.drawings}


def test_each_objective_s_effects_are_of_its_own_genes(known):
    found = named(known)
    assert genes_of(found["effects-top1"])[0] == NAMES[ACCURATE]
    assert genes_of(found["effects-macs"])[0] == NAMES[CHEAP]
    every = len(NAMES)
    said = f"Effects of the {MOST_GENES} of {every} genes that explain most of"
    assert f"{said} top-1 accuracy." in found["effects-top1"].caption
    assert f"{said} MACs." in found["effects-macs"].caption
    assert f"errors-{NAMES[ACCURATE]}" in found
    assert not known.unknown
    pairs = [one for one in known.drawings if one.kind == "pairs"]
    assert len(pairs) == MOST_PAIRED * (MOST_PAIRED - 1) / 2
    assert all(f"Pairs of the {MOST_PAIRED} of {every} genes that explain" in one.caption for one in pairs)
    assert re.search(rf"Axes of the \d+ of {every} genes that explain most of top-1", found["parallel"].caption)


def test_without_importance_the_first_genes_are_shown_and_that_is_said():
    told = matters(searched(12))
    found = named(told)
    assert "importance" not in found
    why = f"of the first {MOST_GENES} of {len(NAMES)} genes, since nothing is known of their importance for"
    assert f"Effects {why} top-1 accuracy." in found["effects-top1"].caption
    assert f"Errors by one {why} top-1 accuracy." in found[f"errors-{NAMES[0]}"].caption
    assert "nothing can be said from 12 trials" in told.unknown
    text = unescape("".join(page.sections(searched(12))))
    assert re.search(r"<p>How much of the spread .* is unknown\. Top-1 accuracy: nothing can be said from 12", text)


def test_an_objective_of_noise_does_not_lend_another_s_genes():
    told = matters(searched(60, noise=3.0))
    found = named(told)
    assert "mostly noise" in found["importance"].caption
    assert "first 6 of" in found["effects-top1"].caption
    assert "that explain most of MACs" in found["effects-macs"].caption
    assert all("that explain most of MACs" in one.caption for one in told.drawings if one.kind == "errors")


def test_a_run_without_trials_says_why():
    first, second = page.sections(Run([], SPEC, space=V2))
    assert "nothing can be said from 0 trials" in first
    assert 'class="figures"' not in first
    assert second == ""


def test_bands_need_a_search_that_only_chance_decides(known):
    name = f"errors-{NAMES[ACCURATE]}"
    assert "Shaded" in named(known)[name].caption
    search = SPEC["search"] | {"early_stop": "asha"}
    stopped = matters(Run(searched(60).trials, {"search": search}, space=V2))
    assert "Where trials were stopped early" in named(stopped)[name].caption


def test_every_figure_has_its_heading_on_the_page(tmp_path):
    run = runs.read(made_up_run.write(tmp_path, 60))
    text = unescape("".join(page.sections(run)))
    figures = re.findall(r"<figure>.*?</figure>", text, re.DOTALL)
    headings = [re.search(r"^<figure>\n<h3>(.+?)</h3>", one) for one in figures]
    assert all(headings)
    told = {one.kind: one.title for one in matters(run).drawings}
    expected = {"What was found by when", "How networks learned", "When each trial ran", "All networks at once"}
    assert {one[1] for one in headings} >= expected
    assert len(figures) == len(told)
    assert "device-hours" in text
    assert "processor hours" not in text
