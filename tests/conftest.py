"""What several test files use."""

import gc
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
# One thread for torch, here and in commands that tests start: where files run at once, threads beyond the cores spin,
# waiting for each other.
os.environ["OMP_NUM_THREADS"] = "1"
# The files that take longest, by what they took on two cores. They begin first, so that at the end no core waits.
SLOW = """
    extending documents search export scale_study browser raytune fidelity_command cost torchvision resume
    export_command report_watch latency_device samplers browser_pages parallel noise scale
"""


def pytest_collection_modifyitems(items):
    place = {f"test_{name}": number for number, name in enumerate(SLOW.split())}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


def pytest_collection_finish():
    """What imports have made is frozen: each measurement begins with a whole garbage collection, 0.25 s of looking."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_lease(tmp_path_factory):
    """Nobody else on this machine waits for the tests, nor they for anybody."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_LEASE", str(tmp_path_factory.mktemp("lease") / "lease"))
        yield


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """What the tests decode is not left in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module", autouse=True)
def no_ray_left():
    """A file's tests find no Ray that another file's left running in this process."""
    yield
    if (ray := sys.modules.get("ray")) and ray.is_initialized():
        ray.shutdown()


@pytest.fixture
def run_python():
    """Runs this Python in the repository's root; the CompletedProcess with its output as text."""

    def run(*arguments):
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)

    return run


@pytest.fixture
def run_here(monkeypatch, capsys):
    """Runs the ``main`` of a command in this process, as its own would; what ``run_python`` gives."""
    from search_spaces import command

    def run(main, *arguments):
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            command.run(main)
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, ended.value.code, printed.out, printed.err)

    return run


@pytest.fixture
def space_file(tmp_path):
    """Writes text, or a mapping as YAML, as a space file; its path."""

    def write(content):
        path = tmp_path / "space.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return str(path)

    return write


@pytest.fixture
def cache(tmp_path_factory, monkeypatch):
    """An empty cache of decoded images; its folder."""
    root = tmp_path_factory.mktemp("cache") / "own"
    monkeypatch.setenv("NAS_CACHE", str(root))
    return root


@pytest.fixture
def folder(tmp_path):
    """Photographs in class folders."""
    from images import photos

    return photos(tmp_path / "photos")


@pytest.fixture(scope="session")
def searched(tmp_path_factory):
    """The run folder of a made-up search, ``made up``, with trials of every fate but running. Only to be read."""
    import made_up_run

    return made_up_run.write(tmp_path_factory.mktemp("runs") / "made up", 40, constraints=("latency_ms<=3",))


@pytest.fixture(scope="session")
def trials(searched):
    """Those of ``searched``."""
    from studies import ledger

    return ledger.read(searched)


@pytest.fixture(scope="session")
def here_instead_of_ray():
    """A context in which trials are run one after another in this process, as they are."""
    from studies import engine

    @contextmanager
    def context():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine, "run", lambda *arguments: engine.run_inline(*arguments[:3]))  # without resources
            yield

    return context


@pytest.fixture
def nas_search(monkeypatch, capsys):
    """Runs ``nas.search`` here with a made-up evaluation in place of Ray and training; what it printed."""
    from made_up import evaluate

    from nas import search
    from studies import engine

    def run(*arguments, evaluation=evaluate):
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.setattr(engine, "run", lambda recorder, *_: engine.run_inline(recorder, evaluation, None))
        search.main([str(argument) for argument in arguments])
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory, here_instead_of_ray, small_space_file):
    """The run folder of a real, small search of two networks, one of them confirmed, which has learned something; it
    was moved. Only to be read."""
    from made_up import QUICK_LATENCY

    from nas import search

    settings = ["--space", small_space_file, "--data", "digits", "--epochs", "2"]
    settings += ["--objective", "top1", "--objective", "macs", "--trials", "2", "--cpus", "1", "--gpus", "0"]
    settings += ["--confirm", "1", "--confirm-epochs", "1", "--seeds", "1", "--set", "data.max_per_class=40"]
    settings += ["--set", "train.batch_size=8", "--set", "train.learning_rate=0.01"]
    made = tmp_path_factory.mktemp("made") / "run"
    with here_instead_of_ray():
        search.main([*settings, *QUICK_LATENCY, "--out", str(made)])
    return shutil.move(made, tmp_path_factory.mktemp("moved") / "a run")


@pytest.fixture(scope="session")
def digits():
    """40 scans of each digit at 16 px."""
    from nas import data

    return data.load("digits", 16, seed=0, max_per_class=40)


@pytest.fixture(scope="session")
def small_space_file(tmp_path_factory):
    """A space of two stages at 16 px, for ``digits``."""
    from search_spaces import Arch, Stage

    stages = (Stage("fused_mbconv", 3, 1, 2, 16, 1), Stage("mbconv", 3, 2, 4, 24, 2, 0.25))
    base = Arch(stages, stem_channels=16, head_channels=128, resolution=16).to_dict()
    path = tmp_path_factory.mktemp("space") / "small.yaml"
    choices = {"kernel": [3, 5], "expansion": [2, 4], "layers": [1, 2]}
    path.write_text(yaml.safe_dump({"base": base, "choices": choices, "resolution": 16}))
    return str(path)


@pytest.fixture(scope="session")
def space(small_space_file):
    """That of ``small_space_file``."""
    from search_spaces.space_file import load_space

    return load_space(small_space_file)
