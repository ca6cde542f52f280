"""The page of several searches: its figures and tables, and whatever a run folder may hold."""

from dataclasses import replace

import pytest
from html_page import Page
from run_folders import make_comparison
from test_comparison import GOOD, POOR, compared, folder
from test_report import HOSTILE, KEY, ok

from reports import comparison
from reports.drawing import comparison_figures
from reports.drawing.legend import style
from search_spaces import UserError
from studies.ledger import Latency, Outcome


def page(tmp_path, *folders):
    return Page(make_comparison(folders, tmp_path / "comparison.html").read_text(encoding="utf-8"))


# Names


def test_names_are_unique(tmp_path):
    paths = [tmp_path / name for name in ("x/run", "y/run", "z")]
    assert comparison.unique_names(paths) == ["x/run", "y/run", "z"]
    again = [tmp_path / "1/x/run", tmp_path / "2/x/run", tmp_path / "2/x/run"]
    assert comparison.unique_names(again) == ["x/run", "x/run (2)", "x/run (3)"]


def test_what_others_wrote_is_shown_as_text(tmp_path):
    name = "<script>alert(1)< §µ %{x} run"
    one = folder(tmp_path / name, [*GOOD, Outcome("failed", error=HOSTILE)], command=HOSTILE, data={"source": HOSTILE})
    path = make_comparison([one, folder(tmp_path / "b", POOR)], tmp_path / "comparison.html")
    text = Page(path.read_text(encoding="utf-8"))
    assert name in text.words
    assert HOSTILE in text.words
    assert "<script>alert" not in path.read_text(encoding="utf-8")
    assert not [attrs for _, attrs in text.tags if {"src"} & set(attrs)]


# Figures and tables


def test_fronts_are_those_of_accuracy_and_the_cost(tmp_path):
    rows = [*GOOD, ok(95.0, 4.0, 50, flagged=True), ok(60.0, 1.0, 1, latency=None)]
    runs = comparison.read([folder(tmp_path / "a", rows), folder(tmp_path / "b", POOR)])
    data = comparison_figures.fronts(runs, "latency_ms")
    first, second = data.lines
    assert [(mark.number, mark.x, mark.y, mark.flagged) for mark in first.marks] == [
        (0, 1.0, 80.0, False),
        (1, 2.0, 90.0, False),
        (3, 4.0, 95.0, True),
    ]
    assert (first.end, first.beaten, first.missing) == (4.0, 1, 1)
    assert [mark.number for mark in second.marks] == [0, 1]
    assert not data.log_x
    said = comparison_figures.caption(data)
    assert "Open marks: latency flagged." in said
    assert said.endswith("Not shown: 1 finished networks that others of their run beat, 1 without this figure.")
    drawing = comparison_figures.draw(data)
    marks = [trace for trace in drawing.data if trace.mode == "markers"]
    assert list(marks[0].marker.symbol) == ["circle", "circle", "circle-open"]
    assert marks[1].marker.symbol == "square"  # runs differ in more than colour
    assert [trace.name for trace in drawing.data if trace.showlegend] == ["a", "b"]
    assert drawing.layout.xaxis.title.text == "latency (ms)"
    assert comparison_figures.common_costs(runs) == ["latency_ms", "macs", "params"]


def test_styles_never_repeat_within_thirty_six_runs():
    assert len({style(place) for place in range(36)}) == 36


def test_only_costs_that_two_runs_know_get_a_figure(tmp_path):
    without = [ok(80.0, 1.0, 10, latency=None)]
    runs = comparison.read([folder(tmp_path / "a", GOOD), folder(tmp_path / "b", without)])
    assert comparison_figures.common_costs(runs) == ["macs", "params"]


def test_page_has_a_row_a_run_and_every_figure(tmp_path):
    timed = [replace(ok(80.0, 1.0, 10), timings={"train_s": 7200.0})]
    machine = {"gpus": 2, "gpus_per_trial": 0.25}
    text = page(
        tmp_path,
        folder(tmp_path / "a", timed, resources=machine, seed=7),
        folder(tmp_path / "b", POOR, search={"sampler": "random"}),
    )
    cells = [attrs["data-name"] for tag, attrs in text.tags if tag == "td"]
    assert cells.count("sampler") == 2
    plots = [attrs["id"] for tag, attrs in text.tags if attrs.get("class") == "plot"]
    assert plots == ["fronts", "errors", "progress-trials", "progress-hours"]
    assert "1 / 1" in text.words
    assert " 0.5 " in text.words  # hours of a quarter of a GPU
    assert "times the cores or GPUs that it holds" in text.words
    assert "search.sampler nsga2 random" in " ".join(text.words.split())
    assert "the sampler (nsga2) chose by what was found before" in text.words


@pytest.mark.parametrize(
    "figures",
    [
        [],
        [Outcome("failed", error="x")],
        [ok(12345.5, 1.0, 10)],
        [ok(80.0, 54321.5, 10)],
        [ok(None, 1.0, 10)],
        [ok(80.0, 1.0, 10, latency=Latency(KEY, None, status="deferred"))],
    ],
    ids=["no trial", "failed", "NaN", "infinite", "no accuracy", "no latency"],
)
def test_pages_of_bad_data_are_pages(tmp_path, figures):
    both = folder(tmp_path / "a", figures), folder(tmp_path / "b", figures, search={"sampler": "random"})
    for one in both:  # what this program never writes
        ledger = (one / "trials.jsonl").read_text().replace("12345.5", "NaN").replace("54321.5", "Infinity")
        (one / "trials.jsonl").write_text(ledger)
    assert "None of 2 runs has finished" in page(tmp_path, *both).words
    beside = page(tmp_path, both[0], folder(tmp_path / "c", POOR, search={"sampler": "tpe"}))
    assert "c alone has finished networks" in beside.words


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone"):
        comparison.read([folder(tmp_path / "a", GOOD), tmp_path / "gone"])


def test_a_run_may_be_named_as_a_heading(tmp_path):
    runs = [folder(tmp_path / "setting", GOOD), folder(tmp_path / "run", POOR, search={"sampler": "random"})]
    words = " ".join(page(tmp_path, *runs).words.split())
    assert "What differs setting setting run search.sampler nsga2 random" in words


def test_page_shows_settings_with_their_spread_and_warnings(tmp_path):
    goal = {"objectives": ["top1"]}
    runs = [folder(tmp_path / str(seed), [(90.0 + seed, 1.0)], search=goal, seed=seed) for seed in range(3)]
    runs.append(folder(tmp_path / "other", [(80.0, 1.0)], search=goal | {"sampler": "random"}, train={"epochs": 8}))
    words = page(tmp_path, *runs).words
    assert "epochs 4, sampler nsga2 (0, 1, 2)" in words
    assert "91.00 ± 1.00" in words
    for text in (*compared(*runs).barriers, *compared(*runs).warnings):
        assert text in words
