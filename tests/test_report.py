"""Reports from a real ledger with made-up outcomes: values, not pixels."""

import re

import yaml
from rich.console import Console

from reports import summary
from reports.drawing import pareto, pareto_figure
from reports.table import COLUMNS, trials_frame
from reports.terminal import front_table, summary_line
from reports.units import figure, quantity
from search_spaces import Arch, Stage
from search_spaces.constraint import Constraint
from studies import ledger
from studies.ledger import Latency, Ledger, Outcome
from studies.pareto import front

GOALS = ("top1", "latency_ms")
KEY = {"device": "cpu", "threads": 1, "batch": 1, "dtype": "float32"}
HOSTILE = "ValueError: </script><script>alert('x')</script> [/bold] & more"
SPEC = {
    "command": "python -m nas.search --constraint 'latency_ms<=8'",
    "space": {"name": "v2", "size": 123456, "stages": {"first": {"kernels": [3, 5]}}},
    "search": {"objectives": list(GOALS), "constraints": ["latency_ms<=8"]},
    "environment": {"torch": "2.9.1", "gpu": None, "note": "<b>bold</b>"},
}


def arch(channels):
    stages = (Stage("fused_mbconv", 3, 1, 1, 8, 1), Stage("mbconv", 3, 2, 4, channels, 2, se_ratio=0.25))
    return Arch(stages, stem_channels=8, head_channels=64, resolution=32)


def ok(top1, latency_ms, macs, flagged=False, **more):
    latency = Latency(KEY, latency_ms, 0.05, latency_ms, 64, *(("flagged", ("drift",)) if flagged else ()))
    figures = {"params": macs // 10, "macs": macs, "activations": macs // 20, "macs_fvcore": macs, "latency": latency}
    return Outcome("ok", top1=top1, timings={"train_s": 12.5}, **figures | more)


OUTCOMES = [
    ok(80.0, 1.0, 2_000_000),
    ok(90.0, 4.0, 30_000_000),
    ok(85.0, 5.0, 10_000_000),  # beaten in latency_ms by trial 1, on the front of top1 against MACs
    ok(93.1, 6.0, 40_000_000, flagged=True),
    Outcome(
        "rejected", 9_000_000, 90_000_000, latency=Latency(KEY, 9.31, 0.1, 9, 64), violations={"latency_ms<=8": 0.16}
    ),
    Outcome("stopped", 2_000_000, 20_000_000, top1=99.0),
    Outcome("failed", error=f"Traceback (most recent call last):\n  File\n{HOSTILE}"),
    Outcome("failed", error=HOSTILE),
    None,  # runs
]


def run(tmp_path, outcomes=tuple(OUTCOMES), spec=SPEC):
    with Ledger(tmp_path) as writer:
        for number, outcome in enumerate(outcomes):
            writer.started(number, arch(16 + 8 * number), seed=number)
            if outcome is None or outcome.status != "rejected":
                writer.epoch(number, {"epoch": 1, "top1": 50.0})
            if outcome is not None:
                writer.finished(number, outcome)
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    return ledger.read(tmp_path)


# Tables


def test_frame_has_a_row_for_every_trial(tmp_path):
    frame = trials_frame(run(tmp_path), GOALS)
    assert list(frame.columns) == list(COLUMNS)
    assert list(frame.trial[frame.on_front]) == [0, 1, 3]
    assert frame.status.value_counts().to_dict() == {"ok": 4, "failed": 2, "rejected": 1, "stopped": 1, "running": 1}
    flagged = frame.loc[3]
    assert (flagged.top1, flagged.latency_ms, flagged.latency_iqr_ms) == (93.1, 6.0, 0.05)
    assert (flagged.latency_status, flagged.macs, flagged.train_time_s) == ("flagged", 40_000_000, 12.5)
    assert flagged.text == "cn_r1_k3_s1_e1_c8_skip ir_r2_k3_s2_e4_c40_se0.25"
    assert frame.loc[8, ["top1", "latency_ms", "macs", "error"]].isna().all()
    assert HOSTILE in frame.error[7]
    assert trials_frame([], GOALS).empty


def test_frame_holds_what_training_measured(tmp_path):
    outcomes = [ok(80.0, 1.0, 10, val_loss=0.5, step_time_s=0.02, peak_memory_mb=210.5), ok(80.0, 1.0, 10)]
    frame = trials_frame(run(tmp_path, outcomes), ["v2"])
    assert frame.loc[0, ["val_loss", "step_time_s", "peak_memory_mb"]].to_list() == [0.5, 0.02, 210.5]
    assert frame.loc[1, ["val_loss", "step_time_s", "peak_memory_mb"]].isna().all()
    assert list(frame.on_front) == [True, False]


def printed(renderable, width=80):
    console = Console(width=width)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_front_table_marks_flagged_latencies(tmp_path):
    trials = run(tmp_path)
    text = printed(front_table(trials, GOALS))
    rows = [line.split() for line in text.splitlines() if re.match(r" *[0-9a-f]{12} ", line)]
    assert [row[0] for row in rows] == [arch(c).id for c in (16, 24, 40)]
    assert rows[1][1:7] == ["90.00", "4.000", "±", "0.050", "30.00", "3.000"]
    assert "6.000 ± 0.050*" in text
    assert "* this latency failed a check" in text
    assert "ir_r2_k3_s2_e4_c16_se0.25" in text  # whole, in 80 columns
    assert "*" not in printed(front_table(trials[:3], GOALS))


def heads(trials, goals, *limits):
    """The metrics' headings of the front table, each in one line."""
    columns = front_table(trials, goals, limits).columns[1:-1]
    return [column.header.replace("\n", " ") for column in columns]


def test_front_table_has_columns_for_what_is_asked(tmp_path):
    trials = run(tmp_path)
    usual = ["latency ms ± IQR", "MACs M", "params M"]
    assert heads(trials, GOALS) == ["top-1 %", *usual]
    assert heads(trials, ["macs", "val_loss"]) == ["top-1 %", "loss nats", *usual]
    assert heads(trials, ["mnasnet:8"]) == ["top-1 %", "reward mnasnet:8", *usual]
    assert heads(trials, ["v2"]) == ["top-1 %", "reward v2", *usual, "step ms"]
    memory = Constraint("peak_memory_mb", "<=", 500.0)
    assert heads(trials, GOALS, memory) == ["top-1 %", *usual, "memory MB"]


def test_a_reward_that_rests_on_a_flagged_latency_is_marked(tmp_path):
    (trial,) = run(tmp_path, [ok(80.0, 10.0, 10_000_000, flagged=True, step_time_s=1.0)])
    assert (figure(trial, "mnasnet"), figure(trial, "v2")) == ("80.00*", "80.00")


def test_figures_have_units():
    assert quantity("step_time_s", 0.01234) == "12.34 ms"
    assert quantity("peak_memory_mb", 512.34) == "512.3 MB"
    assert quantity("val_loss", 1.2342) == "1.234 nats"
    assert quantity("mnasnet:8", 81.234) == "81.23"
    assert quantity("v2", None) == "-"


def test_summary_line_counts_every_trial_and_groups_causes(tmp_path):
    line = summary_line(run(tmp_path))
    assert line.plain == (
        "9 trials: 4 ok, 1 rejected (breaks latency_ms<=8: 1), 1 stopped (after epoch 1: 1), "
        f"2 failed ({HOSTILE}: 2), 1 running (no result yet, or the run ended under it: 1)"
    )
    assert "[/bold]" in printed(line)
    assert summary_line([]).plain == "0 trials: 0 ok, 0 rejected, 0 stopped, 0 failed"


def test_summary_line_counts_the_causes_that_it_does_not_name(tmp_path):
    trials = run(tmp_path, [Outcome("failed", error=f"error {kind}") for kind in "abcdefg"])
    assert "error e: 1; 2 other reasons: 2)" in summary_line(trials).plain


# Figures


def test_panel_of_an_objective_is_the_front(tmp_path):
    data = pareto.panel(run(tmp_path), GOALS, "latency_ms", [Constraint("latency_ms", "<=", 8.0)])
    assert data.stairs == ((1.0, 80.0), (4.0, 80.0), (4.0, 90.0), (6.0, 90.0), (6.0, 93.1))
    assert [(point.number, point.x, point.y) for point in data.points] == [
        (0, 1, 80),
        (1, 4, 90),
        (2, 5, 85),
        (3, 6, 93.1),
    ]
    assert [point.on_front for point in data.points] == [True, True, False, True]
    assert [point.flagged for point in data.points] == [False, False, False, True]
    assert data.limits == (("x", 8.0, "latency_ms<=8"),)
    assert data.log_x  # 1 to 8


def test_panel_of_another_cost_has_its_own_stairs_but_the_same_front(tmp_path):
    constraints = [Constraint("latency_ms", "<=", 8.0), Constraint("macs", "<=", 5e7), Constraint("top1", ">=", 75.0)]
    data = pareto.panel(run(tmp_path), GOALS, "macs", constraints)
    assert (10.0, 85.0) in data.stairs
    assert [point.on_front for point in data.points] == [True, True, False, True]
    assert data.limits == (("x", 50.0, "macs<=5e+07"), ("y", 75.0, "top1>=75"))


def test_stairs_reach_the_dearest_point_and_missing_ones_are_counted(tmp_path):
    outcomes = [ok(90.0, 2.0, 10), ok(80.0, 3.0, 10), ok(99.0, 1.0, 10, latency=None)]
    data = pareto.panel(run(tmp_path, outcomes), ("top1", "macs"), "latency_ms")
    assert data.stairs == ((2.0, 90.0), (3.0, 90.0))
    assert data.missing == 1
    assert not data.log_x


def test_hover_says_all_and_escapes_what_is_free_text(tmp_path):
    latency = Latency(KEY, 4.2, 0.03, 4.1, 64, "flagged", ("<i>drift</i>",))
    text = pareto.hover(run(tmp_path, [ok(93.1, 4.2, 12_345_678, latency=latency)])[0])
    assert text.split("<br>") == [
        f"<b>trial 0</b> {arch(16).id}",
        "top-1 93.10 %",
        "latency 4.200 ± 0.030* ms (p50 ± IQR)",
        "* flagged, &lt;i&gt;drift&lt;/i&gt;",
        "MACs 12.35 M, parameters 1.235 M",
        "32 px, stem 8, head 64",
        "cn_r1_k3_s1_e1_c8_skip",
        "ir_r2_k3_s2_e4_c16_se0.25",
    ]


def test_hover_names_objectives_that_it_does_not_show_anyway(tmp_path):
    (trial,) = run(tmp_path, [ok(80.0, 10.0, 10, step_time_s=0.0123, val_loss=1.5)])
    lines = pareto.hover(trial, ["mnasnet", "top1", "val_loss", "step_time_s"]).split("<br>")
    assert lines[4:7] == ["reward mnasnet 80.00", "validation loss 1.500 nats", "training step 12.30 ms"]


def test_drawing_has_units_and_open_markers(tmp_path):
    data = pareto.panel(run(tmp_path), GOALS, "latency_ms", [Constraint("latency_ms", "<=", 8.0)])
    drawing = pareto_figure.draw(data)
    assert (drawing.layout.xaxis.title.text, drawing.layout.yaxis.title.text) == ("latency (ms)", "top-1 accuracy (%)")
    assert drawing.layout.xaxis.type == "log"
    line, shade = drawing.layout.shapes
    assert (line.x0, line.x1, shade.x0) == (8.0, 8.0, 8.0)
    assert shade.x1 > 8.0  # beyond the limit, and beyond the axis
    assert 10 ** drawing.layout.xaxis.range[1] < shade.x1
    marks = {trace.name: (trace.marker.symbol, tuple(trace.x)) for trace in drawing.data if trace.mode == "markers"}
    assert marks == {
        "other": ("circle", (5.0,)),
        "on the front": ("circle", (1.0, 4.0)),
        "on the front, latency flagged": ("circle-open", (6.0,)),
    }
    assert pareto_figure.draw(pareto.panel([], GOALS, "macs")).data[0].x == ()


# Words


def test_headline_names_both_ends_of_the_front(tmp_path):
    trials = run(tmp_path)
    assert summary.headline(trials, GOALS) == (
        "3 of 4 finished networks are on the front; the best reaches 93.10 % accuracy at 6.000 ms (flagged), "
        "the fastest 80.00 % accuracy at 1.000 ms"
    )
    assert summary.headline(trials, ["top1"]) == "The best of 4 finished networks reaches 93.10 % accuracy"
    assert summary.headline(trials, ["mnasnet:2"]) == (
        "The best of 4 finished networks reaches a reward of 86.21 (mnasnet:2: 93.10 % accuracy at 6.000 ms (flagged))"
    )
    assert summary.headline(trials, ["macs", "params"]) == (
        "1 of 4 finished networks is on the front; the best reaches 2.000 M MACs at 0.200 M parameters"
    )
    assert summary.headline(trials[4:], GOALS) == "No network finished"
    assert summary.headline([], GOALS) == "No trial yet"


def test_messages_that_differ_in_numbers_only_count_as_one():
    messages = ["loss is nan at step 3", "loss is nan at step 12.5", "float32 is not float16", "1 of 2", "1 of 2"]
    assert summary.alike(messages) == {"loss is nan at step N": 2, "float32 is not float16": 1, "1 of 2": 2}


def test_notes_on_flags_and_on_the_certificate(tmp_path):
    trials = run(tmp_path)
    assert summary.flagged_note(trials).startswith("1 of 5 latencies are flagged")
    assert summary.flagged_note(trials).endswith("Reasons: drift (1).")
    assert summary.macs_note(trials).startswith("MACs of all 4 networks counted by closed form and by fvcore agree. 5")
    other = tmp_path / "other"
    other.mkdir()
    (wrong,) = run(other, [ok(90.0, 1.0, 100, macs_fvcore=101)])
    assert summary.macs_note([*trials, wrong]).startswith("MACs of 1 of")


def test_a_deferred_latency_is_no_number_and_says_so(tmp_path):
    deferred = Latency(KEY, None, status="deferred", reasons=("a training did not pause",))
    unchecked = Latency(KEY, 4.0, 0.1, 3.9, 64, reasons=("not checked here: run delay",))
    trials = run(tmp_path, [ok(90.0, 1.0, 10_000_000, latency=deferred), ok(80.0, 4.0, 20_000_000, latency=unchecked)])
    assert [trial.number for trial in front(trials, GOALS)] == [1]
    assert figure(trials[0], "latency_ms") == "-*"
    assert "* deferred, a training did not pause" in pareto.hover(trials[0])
    assert pareto.panel(trials, ("top1", "macs"), "latency_ms").missing == 1
    note = summary.flagged_note(trials)
    assert note.startswith("1 of 2 latencies are flagged")
    assert "1 could not be measured at all. Not checked here: run delay." in note
    assert note.endswith("Reasons: a training did not pause (1).")
