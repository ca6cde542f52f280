"""Error distributions: by hand with ties, their bands on known noise, and groups by a gene of a real space."""

import math
import random
from collections import Counter

import pytest
from made_up import search, space
from test_report import HOSTILE, arch, ok

from reports.drawing import edf
from reports.drawing.canvas import PALETTE
from reports.drawing.edf import OTHERS, by_gene, caption, corners, distributions, draw, half_band, left_out
from search_spaces import UserError
from studies.ledger import Outcome, TrialRecord


def test_shares_worked_by_hand():
    (curve,) = distributions({"a": [80.0, 90.0, 80.0, 60.0]}).curves
    assert curve.errors == (10.0, 20.0, 20.0, 40.0)
    # Less, not less or equal (eq. 1): at an error that networks have, those do not count.
    expected = {5: 0, 10: 0, 10.1: 0.25, 20: 0.25, 20.1: 0.75, 40: 0.75, 41: 1.0}
    assert {error: curve.below(error) for error in expected} == expected
    xs, ys = corners(curve)
    assert (list(xs), list(ys)) == ([10.0, 20.0, 40.0], [0.25, 0.75, 1.0])  # right after the errors


def test_what_is_no_accuracy_is_left_out_and_counted():
    data = distributions({"a": [80.0, float("nan"), float("inf"), None], "b": [], "c": [float("nan")]})
    assert [(curve.name, curve.errors) for curve in data.curves] == [("a", (20.0,))]
    assert (data.without, data.empty) == (4, ("b", "c"))
    said = caption(data, {"failed": 2})
    assert "Not counted: 2 failed, 4 without a finite accuracy." in said
    assert "Nothing in b, c." in said


@pytest.mark.parametrize("groups", [{}, {"a": []}, {"a": [float("nan")]}])
def test_nothing_to_plot_is_said(groups):
    data = distributions(groups)
    assert caption(data).startswith("There is nothing to plot")
    assert len(draw(data).data) == 0


def test_more_groups_than_colours_merge_the_smallest():
    groups = {f"g{n}": [50.0 + n] * n for n in range(1, len(PALETTE) + 3)}
    data = distributions(groups)
    assert [curve.name for curve in data.curves] == [f"g{n}" for n in range(3, 9)] + [OTHERS]
    assert data.merged == ("g1", "g2")
    assert data.curves[-1].errors == (48.0, 48.0, 49.0)
    assert "The 2 smallest groups are one curve, others." in caption(data)
    assert len(draw(data).data) == 7
    one = distributions({name: groups[name] for name in list(groups)[1:]})
    assert one.curves[-1].name == "g2"  # alone, so it keeps its name


def test_half_band_is_massarts():
    assert half_band(100) == pytest.approx(math.sqrt(math.log(2 / 0.05) / 200))
    assert half_band(100) == pytest.approx(0.1358, abs=1e-4)


@pytest.mark.parametrize("n", [10, 100])
def test_the_band_holds_the_whole_true_curve_as_often_as_it_says(n):
    """Of uniform errors the true curve is known, F(e) = e / 100; the inequality is nearly tight, so it is neither less
    than 95% nor much more."""
    rng = random.Random(n)
    held = 0
    for _ in range(2000):
        (curve,) = distributions({"a": [rng.uniform(0, 100) for _ in range(n)]}, at_random={"a"}).curves
        after = enumerate(curve.errors)  # the distance is largest right before or right after an error
        off = max(max(abs(place / n - error / 100), abs((place + 1) / n - error / 100)) for place, error in after)
        held += off <= curve.half_band
    assert 0.94 <= held / 2000 <= 0.985


def test_bands_are_drawn_for_few_groups_that_were_drawn_at_random():
    groups = {"a": [80.0, 90.0], "b": [70.0, 60.0]}
    data = distributions(groups, at_random=groups)
    assert data.banded
    shown = draw(data).data
    assert [trace.fill for trace in shown] == [None, "tonexty", None] * 2
    assert max(shown[1].y) <= 1
    assert min(shown[0].y) >= 0
    assert "Shaded: 95% band" in caption(data)
    assert "a sampler" not in caption(data)
    searched = distributions(groups)
    assert not searched.banded
    assert len(draw(searched).data) == 2
    assert "the sampler (nsga2) chose by what was found before" in caption(searched, sampler="nsga2")
    many = {str(n): [80.0, 90.0] for n in range(4)}
    data = distributions(many, at_random=many)
    assert not data.banded
    assert "No bands, since those of more than 3 curves" in caption(data)


@pytest.mark.parametrize(
    ("search", "why"),
    [
        ({"sampler": "random"}, ""),
        ({"sampler": "random", "early_stop": "none", "constraints": []}, ""),
        ({"sampler": "nsga2"}, "the sampler (nsga2) chose by what was found before, a curve"),
        ({"sampler": "random", "early_stop": "asha"}, "Where trials were stopped early for their accuracy, a curve"),
        ({"sampler": "random", "constraints": ["macs<=1e6"]}, "Where networks beyond limits were rejected, a curve"),
        ({"sampler": "random", "early_stop": "asha", "constraints": ["macs<=1e6"]}, "accuracy or networks beyond"),
    ],
)
def test_no_band_where_more_than_chance_decided(search, why):
    groups, reasons = {"a": [80.0, 90.0]}, edf.selected(search)
    data = distributions(groups, () if reasons else groups, reasons)
    said = caption(data, sampler=search["sampler"])
    assert data.banded == (not why)
    assert ("Shaded" in said) == (not why)
    assert why in said
    assert ("so it has no band" in said) == bool(why)


def test_drawing_names_sizes_and_escapes_names():
    drawing = draw(distributions({HOSTILE: [80.0] * 1200, "b" * 60: [70.0]}))
    assert drawing.data[0].name.endswith("(n = 1,200)")
    assert "<script>" not in drawing.to_json()
    assert len(drawing.data[1].name) < 50  # fits a phone
    assert drawing.layout.xaxis.title.text == "top-1 error (%)"
    assert drawing.data[0].line.dash != drawing.data[1].line.dash


def test_ten_thousand_networks_are_drawn_small_and_nearly_exactly():
    rng = random.Random(0)
    data = distributions({"a": [rng.gauss(80, 5) for _ in range(10_000)]})
    assert len(draw(data).to_json()) < 60_000
    xs, ys = corners(data.curves[0])
    assert len(xs) <= edf.CORNERS
    assert ys[-1] == 1.0
    assert xs[-1] == data.curves[0].errors[-1]
    for x, y in zip(xs, ys, strict=True):
        assert data.curves[0].below(math.nextafter(x, math.inf)) == pytest.approx(y)


# Groups of a space


def test_groups_by_a_gene(tmp_path):
    trials = search(tmp_path, 30)
    found = by_gene(trials, space(), "s0.kernel")
    assert list(found) == [str(value) for value in space().parameters["s0.kernel"]]
    assert sum(map(len, found.values())) == 30
    for value in space().parameters["s0.kernel"]:
        mine = [t.metric("top1") for t in trials if space().genes(t.arch)["s0.kernel"] == value]
        assert found[str(value)] == mine


def test_trials_that_are_in_no_group_are_counted(tmp_path):
    inside = search(tmp_path, 3)[0].arch
    trials = [
        TrialRecord(0, inside, 0, 0.0, outcome=ok(80.0, 1.0, 10)),
        TrialRecord(1, arch(16), 0, 0.0, outcome=ok(90.0, 1.0, 10)),  # other stages
        TrialRecord(2, inside, 0, 0.0, outcome=ok(float("nan"), 1.0, 10)),
        TrialRecord(3, inside, 0, 0.0, outcome=ok(None, 1.0, 10)),
        TrialRecord(4, inside, 0, 0.0, outcome=Outcome("stopped", top1=99.0)),
        TrialRecord(5, inside, 0, 0.0),
    ]
    assert [top1 for values in by_gene(trials, space(), "s0.kernel").values() for top1 in values] == [80.0]
    expected = {"not in the space": 1, "without an accuracy": 2, "stopped": 1, "running": 1}
    assert left_out(trials, space()) == expected
    assert Counter(left_out(trials)) == Counter(expected) - Counter({"not in the space": 1})


def test_an_unknown_gene_names_the_known_ones():
    with pytest.raises(UserError, match=r"gene: 'depth' is not one of s0\.block, s0\.kernel"):
        by_gene([], space(), "depth")
