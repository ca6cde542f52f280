"""The page: complete, self-contained, and safe whatever an error message holds."""

import os
import subprocess
import sys

import pytest
from html_page import Page
from test_report import HOSTILE, KEY, OUTCOMES, SPEC, ok, run

from reports.pages import page
from reports.run import Run
from search_spaces import UserError
from studies.ledger import Latency

USUAL = ("latency_ms", "macs", "params")


def test_page_shows_every_trial_and_is_self_contained(tmp_path):
    trials = run(tmp_path)
    path = page.write(tmp_path)
    assert path == tmp_path / "report.html"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".report")]
    text = path.read_text(encoding="utf-8")
    found = Page(text)
    for trial in trials:
        if trial.status != "ok" or trial.number in (0, 1, 3):
            assert trial.arch.id in found.text
    assert found.outside == []
    assert [attrs["value"] for tag, attrs in found.tags if tag == "option"][:3] == ["latency_ms", "macs", "params"]
    assert "breaks latency_ms<=8 (9.310 ms)" in found.text
    assert "6.000 ± 0.050*" in found.text
    assert "1 of 5 latencies are flagged" in found.text
    assert SPEC["command"] in found.text
    assert "stages.first.kernels" in found.text


@pytest.mark.parametrize(
    ("goals", "constraints", "costs", "words"),
    [
        (["mnasnet:8"], [], [*USUAL], ["reward mnasnet:8", "The front is by mnasnet:8", "82.65"]),
        (
            ["v2"],
            ["peak_memory_mb<=500"],
            [*USUAL, "step_time_s", "peak_memory_mb"],
            ["reward v2", "training step, ms", "training memory, MB"],
        ),
        (
            ["val_loss", "step_time_s"],
            ["top1>=75", "val_loss<=2"],
            [*USUAL, "step_time_s"],
            ["validation loss, nats", "0.500 nats"],
        ),
        (
            ["activations", "macs"],
            ["step_time_s<=0.5"],
            [*USUAL, "activations", "step_time_s"],
            ["activations, M", "on the front"],
        ),
        (["peak_memory_mb"], [], [*USUAL, "peak_memory_mb"], ["210.0 MB"]),
    ],
    ids=lambda value: "+".join(map(str, value)) if isinstance(value, list) else str(value),
)
def test_page_with_other_objectives(tmp_path, goals, constraints, costs, words):
    trained = [
        ok(80.0 + number, 8.0 - 2 * number, 10_000_000, val_loss=0.5, step_time_s=0.02, peak_memory_mb=210.0)
        for number in range(2)
    ]
    text = page.render(Run(run(tmp_path, trained), {"search": {"objectives": goals, "constraints": constraints}}))
    found = Page(text)
    axes = [attrs["value"] for tag, attrs in found.tags if tag == "option"][:6]
    assert axes[: len(costs)] == costs  # what is asked for, and then what else was measured
    assert set(axes) == {"latency_ms", "macs", "params", "activations", "step_time_s", "peak_memory_mb"}
    for word in words:
        assert word in found.text.replace("\u00a0", " ")


def test_page_escapes_what_others_wrote(tmp_path):
    run(tmp_path)
    text = page.write(tmp_path).read_text(encoding="utf-8")
    found = Page(text)
    assert HOSTILE in found.text  # as text,
    assert "<script>alert" not in text  # not as a tag
    assert "<b>bold</b>" in found.text
    assert sum(tag == "script" for tag, _ in found.tags) == text.count("</script>")


def test_page_warns_where_latencies_have_different_keys(tmp_path):
    def measured(**key):
        return ok(90.0, 2.0, 10, latency=Latency(KEY | key, 2.0, 0.1, 2.0, 64))

    spec = {"search": {"objectives": ["top1"]}}
    same = page.render(Run(run(tmp_path, [measured(resolution=24), measured(resolution=32)]), spec))
    assert "under different conditions" not in same
    assert "24, 32" in same
    (tmp_path / "trials.jsonl").unlink()
    other = page.render(Run(run(tmp_path, [measured(), measured(threads=2)]), spec))
    assert "Latencies were measured under different conditions and should not be compared (threads: 1, 2)" in other


@pytest.mark.parametrize("outcomes", [(), tuple(OUTCOMES[4:])], ids=["no trial", "none ok"])
def test_page_without_a_finished_network_says_so(tmp_path, outcomes):
    run(tmp_path, outcomes)
    text = page.write(tmp_path).read_text(encoding="utf-8")
    assert ("No network finished" if outcomes else "No trial yet") in text
    assert "There is nothing to plot" in text
    assert outcomes or len(text) < 100_000  # no plotly.js for nothing


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("[", "not valid YAML"),
        ("5", "search.objectives: missing"),
        ("seed: 0", "search.objectives: missing"),
        ("search: {objectives: [speed]}", "'speed' is not one of top1"),
        ("search: {objectives: [5]}", "search.objectives: 5 in it is not text"),
        ("search: {objectives: [top1], constraints: [top1=3]}", "'top1=3' is not of the form"),
        ("search: {objectives: [top1], constraints: top1}", "search.constraints: 'top1' is not a list"),
        ("search: {objectives: [top1], repeats: two}", "search.repeats: 'two' is not an integer"),
        ("{search: {objectives: [top1]}, images: many}", "images: 'many' is not a mapping"),
    ],
)
def test_a_bad_spec_is_named(tmp_path, spec, message):
    run(tmp_path, ())
    (tmp_path / "spec.yaml").write_text(spec)
    with pytest.raises(UserError, match=message) as caught:
        page.write(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'spec.yaml'}: ")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("below", "spec", "message"),
    [
        ("confirm", "5", "train.epochs: missing, an integer is needed"),
        ("confirm", "train: {epochs: many}", "train.epochs: 'many' is not an integer"),
        ("baselines", "train: {epochs: 4}", "search.baselines: missing, a list is needed"),
        ("baselines", "search: {baselines: [5]}", "search.baselines: 5 in it is not text"),
    ],
)
def test_a_bad_spec_below_is_named(tmp_path, below, spec, message):
    run(tmp_path)
    (tmp_path / below).mkdir()
    run(tmp_path / below)
    (tmp_path / below / "spec.yaml").write_text(spec)
    with pytest.raises(UserError) as caught:
        page.write(tmp_path)
    assert str(caught.value) == f"{tmp_path / below / 'spec.yaml'}: {message}"


def test_imports_stay_light():
    code = (
        "import sys, reports; assert not {'plotly', 'pandas', 'rich', 'torch', 'ray'} & set(sys.modules)\n"
        "import reports.pages.page, reports.table, reports.terminal\n"
        "assert not {'torch', 'ray', 'optuna'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
