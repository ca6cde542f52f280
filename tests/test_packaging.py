"""What is given away holds what the repository holds: built as pip builds it, the wheel from the sdist."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from test_layers import LAYERS, ROOT

BUILD = "from setuptools import build_meta; print(build_meta.build_{}({!r}))"


def build(kind, folder, out):
    """Its path; as ``pip wheel --no-deps --no-build-isolation`` does it."""
    program = BUILD.format(kind, str(out))
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return out / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def tracked():
    """The repository's files, with those that are not yet committed."""
    listing = [*("git", "-C", str(ROOT), "ls-files"), "-co", "--exclude-standard"]
    done = subprocess.run(listing, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("no git checkout")
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def sdist(tracked, tmp_path_factory):
    """Unpacked; what building leaves lies in a copy."""
    copy, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("sdist")
    for name in tracked:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    with tarfile.open(build("sdist", copy, out)) as archive:
        archive.extractall(out, filter="data")
    (folder,) = (path for path in out.iterdir() if path.is_dir())
    return folder


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """Its files by name."""
    with zipfile.ZipFile(build("wheel", sdist, tmp_path_factory.mktemp("wheel"))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_sdist_is_the_repository(sdist, tracked):
    assert [name for name in tracked if not (sdist / name).is_file()] == []


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel, tracked):
    ours = {name: (ROOT / name).read_bytes() for name in tracked if Path(name).parts[0] in LAYERS}
    assert {name: text for name, text in wheel.items() if ".dist-info/" not in name} == ours


def test_the_wheel_says_what_it_is(wheel):
    about = {Path(name).name: text.decode() for name, text in wheel.items() if ".dist-info/" in name}
    assert about["entry_points.txt"].split("\n")[:2] == ["[console_scripts]", "nas = nas.__main__:run"]
    assert about["LICENSE"] == (ROOT / "LICENSE").read_text()
    assert "License-Expression: Apache-2.0" in about["METADATA"].splitlines()
