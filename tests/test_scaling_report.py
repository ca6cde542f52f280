"""What a scaling run says, in tables, figures and on its page: values, not pixels, on made-up accuracies."""

from dataclasses import replace

import pytest
from html_page import Page
from made_up_scaling import BEST, HOSTILE, STEPS, family, surface, whole
from test_report import printed

from reports import scaling, scaling_study
from reports.drawing import scaling_figures
from reports.pages import scaling_page
from search_spaces.compound import PAPER, RULES
from studies.scaling_record import SCALING, Interval, read


def lines_of(table):
    return printed(table).splitlines()


def row_of(table, name):
    return next(line.split() for line in lines_of(table) if line.split()[:1] == [name])


@pytest.mark.parametrize(
    "table", [scaling.family_table, scaling.implied_table, scaling_study.study_table, scaling_study.rules_table]
)
@pytest.mark.parametrize("record", [family(), whole()], ids=["family", "study"])
def test_tables_fit_eighty_columns(table, record):
    assert "…" not in printed(table(record))
    assert max(map(len, lines_of(table(record)))) <= 80


def test_family_has_counted_beside_formula_and_no_empty_column():
    columns = scaling.family_columns(family())
    assert columns["name"] == ["base", *(f"b{index}" for index in range(1, 8))]
    assert columns["counted, x base"][:2] == ["1.000", "2.573"]
    assert columns["promised, x base"][:2] == ["1.000", "1.920"]
    assert columns["MACs, G"][0] == "0.386"
    assert not set(columns) & set(scaling.EXTRAS)
    found = scaling.family_columns(whole())
    assert found[scaling.PREDICTED] == ["-", *["77.90 (77.10 to 78.80)"] * 2]
    assert found["latency, ms"][1] == "12.34* ± 0.210"
    assert "77.90 12.34*" in " ".join(row_of(scaling.family_table(whole()), "b1"))
    assert "published top-1, %" not in found


def test_family_notes_say_why_and_what_was_missed():
    why, own = scaling.family_notes(family())
    assert "widths to multiples of 8" in why
    assert "furthest off: b1, counted 2.573 x the base, promised 1.920 x" in why
    assert own == f"a note {HOSTILE}"
    _, flagged, missed, chosen, _ = scaling.family_notes(whole())
    assert flagged.startswith("* this latency is flagged or not precise")
    assert missed == "b1: asked for 700.0 M MACs, has 992.6 M; the nearest two are 655.0 M and 1.002 G"
    assert chosen == "b1: phi by latency_ms<=20"
    others = replace(family(), rounding="nearest", max_resolution=480, later=True)
    assert "depths to the nearest whole layer" in scaling.family_notes(others)[0]
    assert "to the pixel and at most 480 px; layers are added to later" in scaling.family_notes(others)[0]
    assert scaling.family_notes(replace(family(), family=())) == [own]


def test_published_networks_imply_phi_of_their_own():
    row = row_of(scaling.implied_table(family()), "b1")
    assert row[:8] == ["b1", "1.100", "1.000", "240", "0.52", "0.00", "0.49", "0.687"]
    assert row[8:] == ["1.200", "1.100", "258", "0.993"]
    note = scaling.implied_note(family())
    assert note.startswith("The official b1 to b7 do not lie at whole phi of 1.2, 1.1, 1.15: ")
    assert note.endswith("so they were picked by hand.")
    others = replace(family(), coefficients=(1.3, 1.1, 1.1))
    assert scaling.implied_note(others).endswith("so they do not follow these coefficients.")
    assert scaling.implied_note(whole()) == ""
    none = replace(family().implied[0], phi_width=None, phi_depth=None)
    assert scaling.implied_columns(replace(family(), implied=(none,)))["phi: depth"] == ["-"]
    assert scaling.implied_note(replace(family(), implied=(none,))) == ""


def test_study_table_has_the_best_by_the_surface():
    points = scaling_study.by_fitted(whole().study)
    values = [point.fitted for point in points]
    assert values == sorted(values, reverse=True)
    table = scaling_study.study_table(whole())
    assert len(table.rows) == min(scaling_study.MOST_POINTS, len(points))
    assert printed(table).count(scaling_study.ALIKE) == 1 + sum(
        point.like_best for point in points[: scaling_study.MOST_POINTS]
    )
    unfitted = replace(whole().study, points=tuple(replace(point, fitted=None) for point in points))
    means = [scaling.mean(point.top1) for point in scaling_study.by_fitted(unfitted)]
    assert means[-1] is None
    assert means[:-1] == sorted(means[:-1], reverse=True)


def test_study_lines_say_what_the_data_tell():
    lines = scaling_study.study_lines(whole())
    assert lines[0].startswith("best fitted: alpha 1.32 (1.")
    assert lines[0].endswith("top-1 there 61.50 (61.10 to 61.90) %")
    assert lines[1].startswith("its alpha * beta^2 * gamma^2 is 2.00; its 95% region is ")
    assert lines[2] == "the paper's 1.2,1.1,1.15 (1.214,1.107,1.16 at a growth of 2) is not in the 95% region"
    assert lines[3].startswith("std of one seed: 0.41 points; ")
    assert lines[5] == "5 trainings ended without a figure"
    assert "half as wide, 64 instead of 224 px, the study's proxy" in lines[6]
    assert lines[7:] == [surface().verdict]
    everywhere = tuple(replace(place, inside=True) for place in surface().mesh)
    alone = replace(surface(), mesh=everywhere, seed_std=None, enough=False)
    found = scaling_study.study_lines(replace(whole(), study=replace(whole().study, surface=alone, complete=False)))
    assert found[0].endswith("too few data to rely on it")
    assert "is in the 95% region" in found[2]
    assert found[3].startswith("std of one seed: unknown with one seed")
    assert any("not complete" in line for line in found)
    none = scaling_study.study_lines(replace(whole(), study=replace(whole().study, surface=None)))
    assert none[0].startswith("no surface")
    assert scaling_study.study_lines(family()) == []


def test_rules_begin_with_the_base():
    columns = scaling_study.rules_columns(whole())
    assert columns["rule"][:3] == ["base", "compound", "compound"]
    assert columns["x base"][:3] == ["1", "2", "4"]
    assert columns["top-1, %"][0] == "55.27 ± 0.57 (3)"
    assert columns["predicted, %"][:2] == ["-", "-"]
    assert columns["predicted, %"][2] == "65.30 (64.10 to 66.50)"


def test_all_is_printed_whatever_others_wrote():
    text = "".join(printed(part) for part in scaling_study.printed(whole()))
    for title in ("Family of efficientnet_b0", "Grid of twice", "best fitted: alpha", "Rules at equal cost"):
        assert title in text
    assert "[/bold]" in text
    assert len(scaling_study.printed(family())) == 5
    assert scaling_study.printed(replace(family(), family=(), implied=(), notes=())) == []


def test_family_panel_has_both_costs_and_the_published():
    data = scaling_figures.family_panel(family())
    assert [(mark.x, mark.name) for mark in data.counted[:2]] == [(0, "base"), (1, "b1")]
    assert data.promised[1].y == pytest.approx(PAPER.growth)
    assert data.counted[1].y == pytest.approx(2.573, abs=1e-3)
    assert (data.published[0].name, data.published[0].x) == ("b1", 1)
    assert len(scaling_figures.draw_family(data).data) == 3
    assert scaling_figures.family_panel(replace(family(), source="published")).published == ()


def test_map_has_region_points_best_and_paper():
    data = scaling_figures.map_panel(whole().study)
    assert len(data.places) == (STEPS + 1) * (STEPS + 2) / 2
    for spot in (*data.places, *data.points, data.best, data.paper):
        assert sum(spot.shares) == pytest.approx(1)
        assert min(spot.shares) >= 0
    assert data.best.shares == pytest.approx(BEST)
    assert data.paper.shares == pytest.approx(PAPER.shares)
    inside = [spot for spot in data.places if spot.inside]
    assert 0 < len(inside) < len(data.places)
    assert sum(spot.value is None for spot in data.points) == 1
    lines = data.points[0].hover.split("<br>")
    assert lines[0].startswith("alpha 1")
    assert lines[1].startswith("growth by depth 0%, width ")
    assert lines[4].startswith("top-1 by seed: -, ")
    traces = scaling_figures.draw_map(data).data
    assert {trace.type for trace in traces} == {"scatterternary"}
    assert [len(trace.a) for trace in traces[:3]] == [len(data.places), len(inside), len(inside)]
    assert traces[1].marker.size > traces[2].marker.size
    assert scaling_figures.map_panel(replace(whole().study, surface=None)) is None


def test_rules_of_one_cost_stand_beside_one_another():
    lines = scaling_figures.rules_panel(whole())
    assert [line.rule for line in lines] == ["compound", *RULES]
    first, fourth = lines[0].entries
    assert len(first.seeds) == 3
    assert first.measured.low < first.measured.y < first.measured.high
    assert (first.told, fourth.told.low) == (None, pytest.approx(64.1))
    xs = [line.entries[1].measured.x / whole().rules[2 * place + 1].network.macs for place, line in enumerate(lines)]
    assert xs == sorted(xs)
    assert xs[2] == pytest.approx(1e-6)
    assert {line.base.y for line in lines} == {lines[0].base.y}
    found = scaling_figures.checks(lines)
    assert [place for place, _, _ in found] == [0, 1, 2, 3, 4]
    assert scaling_figures.rules_panel(family()) == ()


def test_figures_without_intervals_or_base():
    rules = tuple(replace(rule, predicted=Interval(60.0), top1=rule.top1[:1]) for rule in whole().rules)
    record = replace(whole(), rules=rules, study=replace(whole().study, base_top1=(None,)))
    lines = scaling_figures.rules_panel(record)
    assert lines[0].base is None
    assert {(one.told.low, one.told.high) for line in lines for one in line.entries} == {(60.0, 60.0)}
    assert scaling_figures.draw_rules(lines, [2.0, 4.0]).data
    assert scaling_figures.draw_checks(scaling_figures.checks(lines)).data


def figures(shown):
    return [attrs["id"] for tag, attrs in shown.tags if tag == "div" and "id" in attrs]


def test_page_is_whole_and_self_contained(tmp_path):
    path = scaling_page.write(tmp_path, whole())
    assert path == tmp_path / "report.html"
    shown = Page(path.read_text(encoding="utf-8"))
    assert figures(shown) == ["family", "map", "rules", "predicted"]
    assert shown.outside == []
    for words in ("To double the cost of efficientnet_b0: depth x 1.32", "All ", whole().command, "half as wide"):
        assert words in shown.text
    for point in whole().study.points:
        assert point.network.text.split()[0] in shown.text


def test_page_escapes_what_others_wrote():
    text = scaling_page.render(whole())
    shown = Page(text)
    assert shown.text.count(HOSTILE) == 5  # base_from twice, verdict, note, environment
    assert "<script>alert" not in text
    assert sum(tag == "script" for tag, _ in shown.tags) == text.count("</script>")


def test_page_without_a_study_has_the_family_only():
    shown = Page(scaling_page.render(family()))
    assert figures(shown) == ["family"]
    assert "7 larger networks from efficientnet_b0, up to " in shown.text
    assert "picked by hand" in shown.text
    assert "map of directions" not in shown.text


def test_page_of_too_small_a_study_says_so():
    shown = Page(scaling_page.render(whole(enough=False)))
    assert "The study is too small to tell in which direction efficientnet_b0 should grow" in shown.text
    assert "do not read this map" in shown.text
    nothing = replace(whole(), study=replace(whole().study, surface=None), rules=(), family=(), coefficients=None)
    text = scaling_page.render(nothing)
    assert "no surface could be fitted" in text
    assert "no coefficients are known yet" in text
    assert len(text) < 100_000  # no plotly.js for nothing


def test_a_record_is_read_back_and_shown_alike(tmp_path):
    for record in (family(), whole()):
        (tmp_path / SCALING).write_text(record.to_json())
        found = read(tmp_path / SCALING)
        assert found == record
        assert scaling_study.study_lines(found) == scaling_study.study_lines(record)
