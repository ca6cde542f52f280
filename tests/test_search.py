"""``python -m nas.search`` as a user runs it: real Ray, real images, real files; and every mistake in one line."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

import search_spaces
from nas import search
from search_spaces import UserError
from search_spaces.space_file import load_space
from studies import ledger
from studies.spec import parse

FAST = ["--set", "latency.warmup_s=0", "--set", "latency.max_s=0.05", "--set", "latency.retries=0"]


def run(*arguments, cwd=None):
    command = [sys.executable, "-m", "nas.search", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


@pytest.fixture
def photos(tmp_path):
    """Three classes of unequal size, JPEG and PNG of mixed sizes and modes; colour tells the classes apart."""
    rng, folder = np.random.default_rng(0), tmp_path / "photos"
    for label, (name, count) in enumerate({"blue": 12, "green": 20, "red": 28}.items()):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(0, 120, (*rng.integers(20, 90, 2), 3), dtype=np.uint8)
            pixels[..., 2 - label] += 120
            image = Image.fromarray(pixels)
            if index % 3 == 0:
                image.convert("RGBA" if index % 2 else "P").save(folder / name / f"{index}.png")
            else:
                image.save(folder / name / f"{index}.jpg")
    return folder


def test_search_of_photographs_to_its_report(photos, tmp_path):
    whole = (photos / "red" / "1.jpg").read_bytes()
    (photos / "red" / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "red" / "notes.txt").write_text("not an image")
    out = tmp_path / "run"
    arguments = ["--data", f"imagefolder:{photos}", "--resolution", "32", "--width", "0.25", "--trials", "4"]
    result = run(*arguments, "--epochs", "1", "--constraint", "params<=1.2e6", "--out", str(out), *FAST)
    assert result.returncode == 0, result.stderr
    assert "torn.jpg" in result.stdout
    assert "notes.txt" in result.stdout
    last = result.stdout.strip().splitlines()[-2:]
    assert last == [f"run folder: {out}", f"report: {out / 'report.html'}"]
    trials = ledger.read(out)
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    done = [trial for trial in trials if trial.status == "ok"]
    assert done
    for trial in trials:
        assert trial.status in ("ok", "rejected"), trial.outcome.error
        assert (trial.status == "rejected") == (trial.outcome.params > 1.2e6)
    for trial in done:
        assert trial.outcome.macs == trial.outcome.macs_fvcore
        assert trial.outcome.latency.p50_ms > 0
        assert len(trial.epochs) == 1
        assert trial.seed == trial.number
    spec = yaml.safe_load((out / "spec.yaml").read_text())
    assert spec["environment"]["torch"]
    assert spec["command"].startswith("python -m nas.search --data")
    assert parse(spec).search.trials == 4
    space = load_space(str(out / "space.yaml"))
    assert all(space.contains(trial.arch) for trial in trials)
    found = {search_spaces.load(path).id for path in (out / "archs").glob("*.json")}
    assert found
    assert found <= {trial.arch.id for trial in done}
    page = (out / "report.html").read_text()
    assert all(name in page for name in found)

    again = run(*arguments, "--out", str(out))
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1
    assert "already holds a run" in again.stderr
    assert ledger.read(out) == trials


def test_help_is_quick_and_light():
    code = "import sys; from nas import search; search.parser().format_help(); print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", f"import json; {code}"], text=True))
    heavy = {"torch", "ray", "optuna", "pandas", "plotly", "pydantic", "numpy", "rich", "yaml"}
    assert heavy.isdisjoint(loaded) or heavy & set(loaded) == {"yaml"}
    result = run("--help")
    assert result.returncode == 0
    assert "--gpus-per-trial" in result.stdout


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path):
    result = run("--space", "v2_s", "--dry-run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert f"{load_space('v2_s').size:,} networks" in result.stdout
    assert yaml.safe_load(result.stdout.split("\n\n")[0])["space"]["name"] == "v2_s"
    assert os.listdir(tmp_path) == []


SPACE = {"base": "efficientnet_b0", "choices": {"kernel": [3, 5]}}


def space_file(folder, **changes):
    path = folder / "space.yaml"
    path.write_text(yaml.safe_dump(SPACE | changes))
    return str(path)


MISTAKES = {
    "unknown space": (lambda _: ["--space", "v3"], ["v3", "v1, v2"]),
    "unknown field": (lambda d: ["--space", space_file(d, kernels=[3])], ["space.yaml", "kernels", "choices"]),
    "kernel 4": (lambda d: ["--space", space_file(d, choices={"kernel": [4]})], ["choices.kernel", "4", "odd"]),
    "expansion 0": (lambda d: ["--space", space_file(d, choices={"expansion": [0]})], ["choices.expansion", "0", ">="]),
    "no trials": (lambda _: ["--trials", "0"], ["search.trials", "0"]),
    "gpus": (lambda _: ["--gpus", "3"], ["gpus: 3", "has 0"]),
    "cpus": (lambda _: ["--cpus", "9999"], ["cpus: 9999"]),
    "no data folder": (lambda d: ["--data", f"imagefolder:{d / 'none'}"], ["none", "no such folder"]),
    "no classes": (lambda d: ["--data", f"imagefolder:{d}"], ["class folders", "expected"]),
    "unknown data": (lambda _: ["--data", "imagenet"], ["imagenet", "imagefolder:DIR"]),
    "unknown option": (lambda _: ["--data", "glyphs:colour=1"], ["colour", "classes"]),
    "mode": (lambda _: ["--gpus", "0", "--set", "latency.mode=cuda_graph"], ["latency.mode", "cuda_graph", "eager"]),
    "constraint": (lambda _: ["--constraint", "speed<=8"], ["speed", "latency_ms"]),
    "objective": (lambda _: ["--objective", "speed"], ["speed", "latency_ms"]),
    "setting": (lambda _: ["--set", "train.lr=1"], ["train.lr", "learning_rate"]),
    "spec file": (lambda d: ["--spec", str(d / "none.yaml")], ["none.yaml", "cannot be read"]),
    "budget": (lambda _: ["--budget", "soon"], ["search.budget", "soon", "1h30m"]),
    "sampler": (lambda _: ["--sampler", "grid"], ["search.sampler", "grid", "nsga2"]),
    "warm start": (lambda d: ["--warm-start", str(d), "--data", "digits"], ["holds no run"]),
    "address": (lambda _: ["--address", "127.0.0.1:1"], ["no Ray cluster answers", "127.0.0.1:1"]),
    "tiny images": (lambda _: ["--resolution", "4"], ["data.resolution", "4"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named_before_anything_is_written(name, tmp_path, monkeypatch):
    make, words = MISTAKES[name]
    monkeypatch.chdir(tmp_path)
    if name == "gpus":
        torch = pytest.importorskip("torch")
        if torch.cuda.device_count():
            pytest.skip("this machine has GPUs")
    out = tmp_path / "out"
    with pytest.raises(UserError) as caught:
        search.main([*make(tmp_path), "--out", str(out)])
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "word"), [("--trials 0", "search.trials"), ("--trials x", "--trials"), ("-b", "-b")]
)
def test_mistake_is_one_line_and_exit_code_2(arguments, word):
    result = run(*arguments.split())
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert word in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("problem", ["empty class", "only broken images"])
def test_class_without_images_is_named(photos, tmp_path, problem):
    folder = photos / "violet"
    folder.mkdir()
    if problem == "only broken images":
        (folder / "1.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UserError, match=str(folder)):
        search.main(["--data", f"imagefolder:{photos}", "--out", str(tmp_path / "out"), "--trials", "1"])
