"""``python -m nas.latency --catalogue``: what keeps the limits, on made-up figures; and two networks measured."""

import json
import subprocess
import sys
from dataclasses import replace
from io import StringIO

import pytest
import yaml
from rich.console import Console
from test_report_page import Tags

from nas.latency import __main__ as latency_command
from nas.latency import catalogue as job
from nas.latency import footprint, protocol
from reports import catalogue, catalogue_page
from search_spaces import Arch, Stage, UserError
from search_spaces.constraint import parse
from search_spaces.published import Published
from studies import ledger
from studies.ledger import Latency, Outcome, TrialRecord
from studies.spec import LatencySpec

KEY = {"device": "a <b>chip</b>", "runtime": "torch eager", "dtype": "float32", "batch": 1, "resolution": 16}
ABOUT = {"command": "python -m nas.latency --catalogue", "created": "then", "constraints": [], "latency": {}}
ABOUT |= {"environment": {"torch": "2.9"}}
TWO = ["--constraint", "params<=4e6", "--max-seconds", "0.02", "--precision", "0.5", "--device", "cpu"]


def network(name, top1, channels):
    stage = Stage("mbconv", 3, 2, 2, channels, 1, 0.25)
    return Published(name, Arch((stage,), stem_channels=8, head_channels=16, resolution=16), top1, f"paper of {name}")


NETWORKS = tuple(
    network(name, top1, 8 * (number + 1))
    for number, (name, top1) in enumerate(
        [("tiny", 60.0), ("small", 70.0), ("slow", 65.0), ("secret", None), ("large", 80.0), ("huge", 90.0)]
    )
)
TINY, SMALL, SLOW, SECRET, LARGE, HUGE = (each.name for each in NETWORKS)


def measured(p50_ms, memory_mb, status="ok", min_ms=None):
    reasons = () if status == "ok" else ("drift of <i>4%</i>", "not checked here: run delay")
    latency = Latency(KEY, p50_ms, 0.1, min_ms or p50_ms, 64, status, reasons, (0.98 * p50_ms, 1.01 * p50_ms))
    return Outcome("ok", latency=latency, peak_memory_mb=memory_mb)


OUTCOMES = {
    TINY: measured(2.0, 10.0),
    SMALL: measured(4.0, 20.0, "not_converged"),
    SLOW: measured(5.0, 20.0),
    SECRET: measured(6.0, 30.0),
    LARGE: measured(9.0, 90.0, "flagged", min_ms=7.0),
    HUGE: Outcome("failed", error="MemoryError: too <large>"),
}


def entries(*limits, outcomes=OUTCOMES):
    records = {
        each.arch.id: TrialRecord(number, each.arch, 0, 0.0, outcome=replace(outcomes[each.name], top1=each.top1))
        for number, each in enumerate(NETWORKS)
        if each.name in outcomes
    }
    constraints = [parse(text, catalogue.METRICS) for text in limits]
    return catalogue.judge(NETWORKS, records, constraints), constraints


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
    panel = catalogue_page.panel(found, limits)
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
    tags = Tags(text)
    for each in NETWORKS:
        assert each.name in tags.text
        assert each.source in tags.text
    assert "<b>chip" not in text.replace("\\u003cb", "<b").split("</script>")[-1]
    assert "own training recipe" in tags.text
    assert "no accuracy is published: secret" in tags.text
    assert "torch eager" in tags.text
    assert ("beyond a limit" in tags.text) == bool(limits)


def test_page_without_a_measurement():
    text = catalogue_page.render(*entries(outcomes={}), ABOUT)
    assert "There is nothing to plot" in text
    assert len(text) < 100_000


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """A job on the made-up networks, whose measurements take no time; ``calls`` hears of each."""
    calls = []

    def measure(arch, _):
        name = next(each.name for each in NETWORKS if each.arch == arch)
        calls.append(name)
        if name == HUGE:
            raise MemoryError("too <large>")
        if name == SECRET and calls.count(SECRET) == 1:
            raise KeyboardInterrupt
        outcome = OUTCOMES[name]
        return Latency.from_dict(vars(outcome.latency) | {"key": key | {"resolution": 16}}), outcome.peak_memory_mb

    key = job._key(job.Job((), "cpu", LatencySpec(), (), tmp_path))
    monkeypatch.setattr(job, "_measured", measure)
    limits = (parse("latency_ms<=8", catalogue.METRICS), parse("top1>=1", catalogue.METRICS))
    made = job.Job(NETWORKS, "cpu", LatencySpec(), limits[:1], tmp_path / "run", json=True)
    return made, calls


def test_ctrl_c_keeps_what_was_measured_and_resume_measures_the_rest(made_up, capsys):
    made, calls = made_up
    with pytest.raises(KeyboardInterrupt):
        job.begin(made, "the command")
    printed = capsys.readouterr()
    assert json.loads(printed.out)["best"] == SMALL
    assert "so far" in (made.folder / "report.html").read_text(encoding="utf-8").split("</title>")[0]
    assert f"interrupted; to go on: python -m nas.latency --catalogue --resume {made.folder}" in printed.err
    assert "[3/6] slow: 5.000 ms, 20.00 MB; about" in printed.err
    assert calls == [TINY, SMALL, SLOW, SECRET]
    assert (made.folder / "report.html").is_file()

    job.resume(NETWORKS, made.folder, (), "again", True)
    assert calls[4:] == [SECRET, LARGE, HUGE]
    assert "so far" not in (made.folder / "report.html").read_text(encoding="utf-8").split("</title>")[0]
    statuses = {each["name"]: each["status"] for each in json.loads(capsys.readouterr().out)["networks"]}
    assert statuses[SECRET] == "ok"
    assert statuses[HUGE] == "failed: MemoryError: too <large>"
    assert "MemoryError" in (made.folder / "log.txt").read_text()

    job.resume(NETWORKS, made.folder, (parse("latency_ms<=3", catalogue.METRICS),), "again", True)
    assert calls[7:] == [HUGE]  # what failed is tried again, what was measured never
    assert json.loads(capsys.readouterr().out)["front"] == [TINY]
    about = yaml.safe_load((made.folder / "spec.yaml").read_text())
    assert (about["command"], about["resumed"], about["constraints"]) == (
        "the command",
        ["again"] * 2,
        ["latency_ms<=3"],
    )
    assert [record.status for record in ledger.read(made.folder)] == ["ok"] * 5 + ["failed"]


def test_no_folder_is_overwritten_and_nothing_else_is_resumed(made_up, tmp_path):
    made, calls = made_up
    with pytest.raises(KeyboardInterrupt):
        job.begin(made, "")
    with pytest.raises(UserError, match="already holds a run"):
        job.begin(made, "")
    with pytest.raises(UserError, match="holds no measurements of the catalogue"):
        job.resume(NETWORKS, tmp_path, (), "", True)
    with pytest.raises(UserError, match="the catalogue has changed"):
        job.resume(NETWORKS[1:], made.folder, (), "", True)
    path = made.folder / "spec.yaml"
    path.write_text(path.read_text().replace("torch: ", "torch: 0."))
    with pytest.raises(UserError, match=r"was measured with torch 0\..*begin a new folder"):
        job.resume(NETWORKS, made.folder, (), "", True)
    assert len(calls) == 4


def test_a_device_that_is_away_ends_the_run(made_up, monkeypatch):
    made, calls = made_up
    there = job.Job(NETWORKS, "ssh:pi", LatencySpec(), (), made.folder)
    monkeypatch.setattr("nas.latency.remote.ready", lambda spec, address: {"device": "pi"} if not calls else away())

    def away():
        raise UserError("device: ssh:pi: cannot be reached")

    monkeypatch.setattr(job, "_measured", lambda arch, _: (calls.append(arch), away()))
    with pytest.raises(UserError, match="cannot be reached"):
        job.begin(there, "")
    assert len(calls) == 1


def test_larger_ones_that_will_hardly_fit_are_said(made_up, capsys):
    made, _ = made_up
    slow = job.Job(NETWORKS, "cpu", LatencySpec(), (parse("latency_ms<=0.9", catalogue.METRICS),), made.folder, True)
    with pytest.raises(KeyboardInterrupt):
        job.begin(slow, "")
    assert "the last 3 took more than twice latency_ms<=0.9" in capsys.readouterr().err


MISTAKES = {
    "nothing": ([], "NAME: missing"),
    "a name": (["--catalogue", "resnet18"], "NAME: 'resnet18' does not go with --catalogue"),
    "resolution": (["--catalogue", "--resolution", "96"], "--resolution: 96 does not go with --catalogue"),
    "against": (["--catalogue", "--against", "resnet18"], "--against: 'resnet18' does not go with --catalogue"),
    "no catalogue": (["resnet18", "--constraint", "params<=1"], "--constraint: ['params<=1'] is for --catalogue"),
    "metric": (["--catalogue", "--constraint", "watts<=3"], "unknown metric 'watts'"),
    "form": (["--catalogue", "--constraint", "params=3"], "'params=3' is not of the form"),
    "none": (["--catalogue", "--constraint", "params<=1e3"], "no published network is within params<=1000"),
    "memory there": (
        ["--catalogue", "--device", "ssh:nowhere", "--constraint", "peak_memory_mb<=9"],
        "peak_memory_mb<=9: memory is not measured on another device",
    ),
    "fixed": (["--catalogue", "--resume", "x", "--batch", "2"], "--batch: 2 stays as it was with --resume"),
    "resume": (["--catalogue", "--resume", "none"], "holds no measurements of the catalogue"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        latency_command.main(arguments)
    assert message in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_mistake_is_one_line(tmp_path):
    command = [sys.executable, "-m", "nas.latency", "--catalogue", "--resolution", "96"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


def test_two_real_networks(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(protocol, "BACKOFF_S", 0.0)
    latency_command.main(["--catalogue", "--out", str(tmp_path / "run"), "--json", *TWO])
    data = json.loads(capsys.readouterr().out)
    found = {each["name"]: each for each in data["networks"] if each["latency"]}
    assert sorted(found) == ["mnasnet_a1", "mobilenet_v2"]
    for each in found.values():
        assert each["latency_ms"] > 0
        assert each["peak_memory_mb"] > 4 * each["params"] / 1e6 or sys.platform != "linux"
        assert each["fits"]
    assert (data["key"]["threads"], data["key"]["runtime"]) == (1, "torch eager")
    assert "mnasnet_a1" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux")
def test_a_process_that_the_system_ends_is_a_memory_error(monkeypatch):
    monkeypatch.setattr(footprint, "_measure", ended)
    with pytest.raises(MemoryError, match="ended by signal 9"):
        footprint.peak_memory_mb(NETWORKS[0].arch, LatencySpec(), footprint.torch.device("cpu"))


def ended(*_):
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)
