"""Every figure of a run by name, able to stand alone; and as image files, drawn by a real browser."""

import re

import made_up_run
import pytest
from PIL import Image
from run_folders import make_catalogue, make_scaling, make_search
from test_fidelity import STUDY, nas_fidelity  # noqa: F401
from test_report import HOSTILE, run

from nas import report
from reports import figures, images
from search_spaces import UserError

COSTS = ("latency_ms", "macs", "params", "activations", "step_time_s")
SEARCH = [*(f"accuracy-{cost}" for cost in COSTS), "progress-trials", "progress-hours"]


def stands_alone(drawing, name):
    """Whether it says what it is, how to read it and its units, on a ground that any paper has."""
    assert drawing.layout.title.text.endswith(f"({name})")
    assert len(drawing.layout.title.subtitle.text) > 30
    assert drawing.layout.paper_bgcolor == "white"
    kinds = {trace.type for trace in drawing.data}
    if kinds & {"scatter", "scattergl", "bar"}:
        assert drawing.layout.xaxis.title.text
        assert drawing.layout.yaxis.title.text or drawing.layout.yaxis.ticktext or "bar" in kinds
    return bool(kinds)


def test_of_a_search(tmp_path):
    found = figures.of_run(made_up_run.write(tmp_path / "a<b>", 60))
    assert list(found)[: len(SEARCH)] == SEARCH
    assert {"effects-top1", "effects-latency_ms", "parallel"} <= set(found)
    assert any(name.startswith("errors-") for name in found)
    assert all(stands_alone(drawing, "a&lt;b&gt;") for drawing in found.values())
    assert found["accuracy-macs"].layout.showlegend
    assert "9 trials without a result" in found["accuracy-macs"].layout.title.subtitle.text.replace("<br>", " ")


def test_of_a_scaling_run(tmp_path):
    found = figures.of_run(make_scaling(tmp_path / "scale"))
    assert list(found) == ["family", "map", "rules", "predicted"]
    assert all(stands_alone(drawing, "scale") for drawing in found.values())
    legend = [trace.name for trace in found["rules"].data if trace.showlegend]
    assert legend == ["compound", "depth", "width", "resolution", "dWr"]
    assert {trace.type for trace in found["map"].data} == {"scatterternary"}


def test_of_a_fidelity_study(nas_fidelity, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    nas_fidelity(*STUDY, "--out", tmp_path / "study")
    found = figures.of_run(tmp_path / "study")
    assert list(found) == ["tau-cost", "short-long"]
    assert all(stands_alone(drawing, "study") for drawing in found.values())
    labels = [line.label for line in found["tau-cost"].layout.shapes if line.label.text]
    assert len({label.textposition for label in labels}) == len(labels) > 1  # apart where lines coincide
    assert "epochs=1,share=0.5,width=0.5" in found["tau-cost"].layout.title.subtitle.text.replace("<br>", " ")


def test_of_the_catalogue(tmp_path):
    found = figures.of_run(make_catalogue(tmp_path / "cat"))
    assert list(found) == ["accuracy-latency"]
    assert stands_alone(found["accuracy-latency"], "cat")


def test_nothing_is_drawn_of_nothing(tmp_path):
    run(tmp_path, ())
    assert figures.of_run(tmp_path) == {}
    with pytest.raises(UserError, match="is no folder"):
        figures.of_run(tmp_path / "nowhere")


def test_one_trial_and_hostile_names_are_figures_too(tmp_path):
    make_search(tmp_path / "one", 1)
    assert figures.of_run(tmp_path / "one")
    run(tmp_path)
    text = "".join(drawing.to_json() for drawing in figures.of_run(tmp_path).values())
    assert HOSTILE not in text


def browser():
    try:
        images.check("--png")
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.skipif(bool(browser()), reason=browser())
def test_image_files_are_written_by_a_browser(tmp_path, monkeypatch, capsys):
    folder = make_scaling(tmp_path / "scale")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "map.png").write_text("somebody's")
    arguments = [str(folder), "--png", "out", "--svg", "new/svg"]
    with pytest.raises(UserError, match=r"--png: out/map\.png exists; --force"):
        report.main(arguments)
    assert not (tmp_path / "new").exists()
    report.main([*arguments, "--force"])
    names = {"family", "map", "rules", "predicted"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{name}.png" for name in names}
    assert {path.name for path in (tmp_path / "new" / "svg").iterdir()} == {f"{name}.svg" for name in names}
    assert "4 figures in out" in capsys.readouterr().out
    for name in names:
        with Image.open(tmp_path / "out" / f"{name}.png") as image:
            assert image.width == images.SCALE * figures.WIDTH
            assert len(image.convert("RGB").getcolors(1 << 24)) > 20  # something is drawn
    svg = (tmp_path / "new" / "svg" / "rules.svg").read_text(encoding="utf-8")
    assert "Rules at equal cost" in svg
    assert not re.search(r"""(href|src)=["']https?:""", svg)


def test_without_a_browser_one_line_says_what_to_install(tmp_path, monkeypatch):
    make_scaling(tmp_path / "scale")
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-browser"))
    with pytest.raises(UserError, match="BROWSER_PATH"):
        report.main([str(tmp_path / "scale"), "--png", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "scale" / "report.html").exists()
