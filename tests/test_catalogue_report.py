"""The catalogue on a device: what keeps the limits, as table, page and JSON, on made-up figures."""

import json
from io import StringIO

import pytest
from html_page import Page
from made_up_catalogue import ABOUT, HUGE, LARGE, NETWORKS, SECRET, SLOW, SMALL, TINY, entries
from rich.console import Console

from reports import catalogue
from reports.drawing import catalogue_figure
from reports.pages import catalogue_page


def names(found):
    return [entry.network.name for entry in found]


def by_name(found):
    return {entry.network.name: entry for entry in found}


def test_the_front_is_of_what_keeps_the_limits_and_has_a_published_accuracy():
    found, limits = entries()
    assert names(catalogue.front(found)) == [TINY, SMALL, LARGE]
    assert catalogue.verdict(found, limits).startswith("most accurate: large (80.0% published top-1, 9.000 ms, 90")
    assert catalogue.verdict(found, limits).endswith("measure it again, its latency is flagged")
    found, limits = entries("peak_memory_mb<=15")
    assert names(catalogue.front(found)) == [TINY]
    assert by_name(found)[SMALL].status == "not_converged, breaks peak_memory_mb<=15 by 33%"
    assert catalogue.verdict(found, limits) == "best that fits: tiny (60.0% published top-1, 2.000 ms, 10.00 MB)"


def test_a_flagged_latency_beyond_the_limit_is_in_doubt_where_its_fastest_call_is_not():
    found, limits = entries("latency_ms<=8")
    large = by_name(found)[LARGE]
    assert (large.fits, large.doubtful) == (False, True)
    assert large.status == "flagged, may fit: its fastest call took 7.000 ms"
    assert catalogue.verdict(found, limits).startswith("best that fits: small")
    assert catalogue.verdict(found, limits).endswith("may fit as well, if measured undisturbed: large")
    found, _ = entries("latency_ms<=6.5")
    assert not by_name(found)[LARGE].doubtful
    found, _ = entries("latency_ms<=8", "peak_memory_mb<=50")
    assert not by_name(found)[LARGE].doubtful


def test_what_is_known_beforehand_leaves_networks_out():
    params = int(by_name(entries()[0])[SLOW].figures["params"])
    found, _ = entries(f"params<={params}", "top1>=62", outcomes={})
    assert [entry.left_out for entry in found] == [True, False, False, True, True, True]
    assert [entry.status for entry in found[1:3]] == ["not measured yet"] * 2
    assert found[0].status == "not measured: breaks top1>=62 by 3.2%"
    assert "no top1 is published" in found[3].status
    assert catalogue.left_out(found).endswith("or not published: tiny, secret, large, huge")
    assert not any(entry.left_out for entry in entries("latency_ms<=0.1", outcomes={})[0])


def test_where_none_fits_the_nearest_is_named():
    found, limits = entries("latency_ms<=1.5")
    assert catalogue.verdict(found, limits) == "none fits; the nearest is tiny (breaks latency_ms<=1.5 by 33%)"
    assert catalogue.verdict(*entries(outcomes={})) == "no network with a published accuracy was measured"


@pytest.mark.parametrize("limits", [(), ("latency_ms<=8", "peak_memory_mb<=25")], ids=["no limit", "limits"])
def test_table_fits_eighty_columns(limits):
    found, constraints = entries(*limits)
    out = StringIO()
    Console(file=out, width=80).print(catalogue.table(found, constraints))
    text = out.getvalue()
    rows = {line.split()[0].strip("●"): line for line in text.splitlines() if line.strip()}
    assert rows[TINY].split() == [
        "●tiny",
        "16",
        "0.0",
        "0.00",
        "60.0",
        "2.000",
        "2.0%",
        "10",
        "fits" if limits else "ok",
    ]
    assert ("4.000*" in rows[SMALL], "not_converged" in rows[SMALL]) == (True, True)
    assert "failed: MemoryError:" in rows[HUGE]
    assert ("breaks memory" in rows[SECRET]) == bool(limits)


def test_json_says_what_the_table_says():
    found, limits = entries("latency_ms<=8", "peak_memory_mb<=50")
    data = json.loads(json.dumps(catalogue.to_json(found, limits), allow_nan=False))
    assert (data["best"], data["front"]) == (SMALL, [TINY, SMALL])
    assert data["constraints"] == ["latency_ms<=8", "peak_memory_mb<=50"]
    assert {each["name"]: each["fits"] for each in data["networks"]} == {
        TINY: True,
        SMALL: True,
        SLOW: True,
        SECRET: True,
        LARGE: False,
        HUGE: None,
    }
    assert data["networks"][0]["latency"]["p50_ms"] == data["networks"][0]["latency_ms"] == 2.0


def test_panel_fades_what_breaks_a_limit():
    found, limits = entries("latency_ms<=20", "peak_memory_mb<=50")
    panel = catalogue_figure.panel(found, limits)
    points = {point.number: point for point in panel.points}
    assert [(p.on_front, p.flagged, p.faded) for p in points.values()] == [
        (True, False, False),
        (True, True, False),
        (False, False, False),
        (False, True, True),
    ]
    assert panel.stairs == ((2.0, 60.0), (4.0, 60.0), (4.0, 70.0), (9.0, 70.0))
    assert panel.limits == (("x", 20.0, "latency_ms<=20"),)
    assert panel.missing == 1
    assert "drift of &lt;i&gt;" in points[1].hover
    assert "run delay" not in points[1].hover


@pytest.mark.parametrize("limits", [(), ("latency_ms<=3",), ("latency_ms<=0.1",)], ids=str)
def test_page_shows_every_network_and_escapes(limits):
    text = catalogue_page.render(*entries(*limits), ABOUT)
    shown = Page(text)
    for each in NETWORKS:
        assert each.name in shown.text
        assert each.source in shown.text
    assert "<b>chip" not in text.replace("\\u003cb", "<b").split("</script>")[-1]
    assert "own training recipe" in shown.text
    assert "no accuracy is published: secret" in shown.text
    assert "torch eager" in shown.text
    assert ("beyond a limit" in shown.text) == bool(limits)


def test_page_without_a_measurement():
    text = catalogue_page.render(*entries(outcomes={}), ABOUT)
    assert "There is nothing to plot" in text
    assert len(text) < 100_000
