"""How published networks are shown beside a front: the verdict, the diamonds, the tables; values, not pixels."""

import pytest
from rich.console import Console
from test_report import GOALS, HOSTILE, KEY, SPEC, ok
from test_report import run as run_of

from reports import baselines
from reports.baselines import BASELINES
from reports.drawing import pareto, pareto_figure
from reports.pages import page
from reports.run import Run
from search_spaces import load
from search_spaces.constraint import Constraint
from studies.ledger import Latency, Ledger, Outcome, TrialRecord, read
from studies.runfolder import write_yaml


def trial(name, outcome, number=0, seed=0):
    return TrialRecord(number, load(name).at(32), seed, 0.0, outcome=outcome)


def compared(trials, outcome, goals=GOALS, constraints=(), name="resnet18"):
    (one,) = baselines.compare({name: [trial(name, outcome)]}, trials, goals, constraints)
    return one


@pytest.fixture
def trials(tmp_path):
    """Front of top1 and latency: 80 at 1 ms, 90 at 4 ms, 93.1 at 6 ms, flagged; of top1 and MACs: 80 at 2 M, 85 at
    10 M, 90 at 30 M, 93.1 at 40 M."""
    return run_of(tmp_path)


def name_of(trials, number):
    return trials[number].arch.id


def test_the_most_accurate_that_is_nowhere_worse_beats(trials):
    assert (
        compared(trials, ok(86.9, 5.0, 10)).verdict == f"beaten by {name_of(trials, 1)}: +3.1 points at 0.8 x latency"
    )
    by_flagged = compared(trials, ok(86.9, 8.0, 10)).verdict
    assert by_flagged == f"beaten by {name_of(trials, 3)}: +6.2 points at 0.75* x latency"
    equal = compared(trials, ok(90.0, 8.0, 10)).verdict
    assert equal == f"beaten by {name_of(trials, 3)}: +3.1 points at 0.75* x latency"


def test_one_that_nothing_beats_says_how_many_it_beats(trials):
    assert compared(trials, ok(95.0, 3.0, 10)).verdict == "not beaten; beats 2 of 3 on the front"
    assert compared(trials, ok(99.0, 99.0, 10)).verdict == "not beaten; beats none of 3 on the front"
    assert compared(trials, ok(90.0, 4.0, 10)).verdict == "not beaten; beats none of 3 on the front"  # equal in all
    assert compared([], ok(90.0, 4.0, 10)).verdict == "no front to compare with"


@pytest.mark.parametrize(
    ("goals", "text"),
    [
        (["top1"], "+8.1 points at 1.2* x latency"),
        (["top1", "macs"], "+8.1 points at 0.8 x MACs"),
        (["top1", "params", "macs"], "+8.1 points at 0.8 x parameters and 0.8 x MACs"),
        (["mnasnet:5"], "+8.1 points and +6.92* reward mnasnet:5 at 1.2* x latency"),
        (["macs", "params"], "-5.0 points at 0.04 x MACs and 0.04 x parameters"),
    ],
    ids=["top1", "top1+macs", "top1+params+macs", "mnasnet", "macs+params"],
)
def test_what_is_compared_follows_from_the_objectives(trials, goals, text):
    assert compared(trials, ok(85.0, 5.0, 50_000_000), goals).verdict.split(": ", 1)[1] == text


def test_limits_failures_and_missing_figures_are_said(trials):
    limits = [Constraint("latency_ms", "<=", 8.0), Constraint("params", "<=", 1e6)]
    beyond = compared(trials, ok(86.9, 9.31, 20_000_000, flagged=True), constraints=limits)
    assert beyond.beyond == "breaks latency_ms<=8 (9.310 ms, flagged) and params<=1e+06 (2.000 M)"
    assert beyond.text.startswith(f"{beyond.beyond}; beaten by")
    failed = compared(trials, Outcome("failed", params=2_000_000, error="out of memory"), constraints=limits)
    assert failed.text == "breaks params<=1e+06 (2.000 M); failed: out of memory"
    deferred = Latency(KEY, None, status="deferred", reasons=("busy",))
    assert compared(trials, ok(90.0, 1.0, 10, latency=deferred)).verdict == "not compared, without latency"
    assert compared(trials, None, constraints=limits).text.startswith("running: no result yet")


def test_several_seeds_are_one_network_with_their_spread(trials):
    same = [trial("resnet18", ok(top1, 5.0, 10), seed, seed) for seed, top1 in enumerate([80.0, 82.0])]
    (one,) = baselines.compare({"resnet18": same}, trials, GOALS)
    assert (one.record.metric("top1"), one.figure("top1")) == (81.0, "81.00 ± 1.41 (2)")
    assert "+9.0 points" in one.verdict


def test_panel_has_them_apart_from_the_candidates(trials):
    published = baselines.compare(
        {
            "resnet18": [trial("resnet18", ok(86.9, 9.0, 50_000_000), 0)],
            "mobilenet_v2": [trial("mobilenet_v2", ok(70.0, 0.5, 20_000_000, flagged=True), 1)],
            "densenet121": [trial("densenet121", Outcome("failed", error="x"), 2)],
        },
        trials,
        GOALS,
        limits := [Constraint("latency_ms", "<=", 8.0)],
    )
    alone, data = (pareto.panel(trials, GOALS, "latency_ms", limits, also) for also in ((), published))
    assert data.points == alone.points
    assert [(p.label, p.x, p.y, p.on_front, p.flagged, p.faded) for p in data.beside] == [
        ("resnet18", 9.0, 86.9, False, False, True),
        ("mobilenet_v2", 0.5, 70.0, False, True, False),
    ]
    assert data.stairs == (*alone.stairs, (9.0, 93.1))  # the front's, as far as the dearest of all
    assert pareto_figure.name_sides(data) == ["top left", "top right"]
    lines = data.beside[0].hover.split("<br>")
    assert lines[0] == f"<b>resnet18</b> {load('resnet18').at(32).id}"
    assert lines[2].startswith("breaks latency_ms&lt;=8 (9.000 ms); beaten by")
    drawing = pareto_figure.draw(data)
    marks = {
        trace.name: (trace.marker.symbol, tuple(trace.text), tuple(trace.marker.opacity)) for trace in drawing.data[-2:]
    }
    assert marks == {
        "published network": ("diamond", ("resnet18",), (0.5,)),
        "published network, latency flagged": ("diamond-open", ("mobilenet_v2",), (1.0,)),
    }
    assert len(pareto_figure.draw(alone).data) == len(drawing.data) - 2


def test_names_stay_apart_and_inside_the_panel():
    def point(x, y, label):
        return pareto.Point(0, x, y, False, False, "", label)

    near = (point(9.0, 99.0, "resnet18"), point(10.0, 99.5, "densenet121"), point(1.0, 50.0, "mobilenet_v2"))
    data = pareto.Panel("macs", (point(5.0, 70.0, ""),), (), (), 0, near)
    assert pareto_figure.name_sides(data) == ["top left", "bottom left", "top right"]
    assert pareto_figure.name_sides(pareto.Panel("macs", (), (), (), 0, near[:1])) == ["top right"]
    assert pareto_figure.name_sides(pareto.Panel("macs", (), (), (), 0)) == []


def folder(tmp_path, outcomes):
    """A run folder with made-up trials and baselines."""
    trials = run_of(tmp_path)
    (tmp_path / BASELINES).mkdir()
    with Ledger(tmp_path / BASELINES) as writer:
        for number, (name, outcome) in enumerate(outcomes.items()):
            writer.started(number, load(name).at(32), seed=0)
            writer.finished(number, outcome)
    search = SPEC["search"] | {"baselines": ["resnet18", "densenet121", "mobilenet_v2"]}
    write_yaml(tmp_path / BASELINES / "spec.yaml", {"search": search})
    return trials


def test_read_names_them_and_the_page_shows_them(tmp_path):
    outcomes = {"resnet18": ok(86.9, 9.0, 50_000_000), "densenet121": Outcome("failed", error=HOSTILE)}
    outcomes["efficientnet_b0"] = ok(70.0, 0.5, 20_000_000, latency=Latency(KEY | {"threads": 2}, 0.5, 0.1, 0.4, 64))
    trials = folder(tmp_path, outcomes)
    unnamed = load("efficientnet_b0").at(32).id  # the spec does not have it, as where the catalogue was another
    found = baselines.read(tmp_path)
    assert list(found) == ["resnet18", "densenet121", unnamed]
    text = page.write(tmp_path).read_text(encoding="utf-8")
    assert text.count("published networks, trained alike") == 1
    assert "<script>alert" not in text
    assert "breaks latency_ms&lt;=8 (9.000 ms); beaten by" in text
    assert "under different conditions" in text  # the one with two threads
    assert baselines.read(tmp_path / BASELINES) == {}
    assert "published networks" not in page.render(Run(trials, SPEC))
    only = page.render(Run(trials[4:], SPEC, beside=found))
    assert "resnet18" in only
    assert "no front to compare with" in only


def test_terminal_table_fits_and_says_what_a_star_means(tmp_path):
    outcomes = {"resnet18": ok(86.9, 9.0, 50_000_000, flagged=True), "densenet121": Outcome("failed", error=HOSTILE)}
    found = baselines.compare({name: [trial(name, one)] for name, one in outcomes.items()}, folder(tmp_path, {}), GOALS)
    console = Console(width=80)
    with console.capture() as capture:
        console.print(baselines.table(found, GOALS))
    text = capture.get()
    rows = [line.split() for line in text.splitlines()]
    assert ["resnet18", "86.90", "9.000", "±", "0.050*", "50.00", "5.000"] in [row[:7] for row in rows]
    assert "this latency failed a check" in text
    assert max(map(len, text.splitlines())) <= 80
    assert read(tmp_path / BASELINES) == []
