"""The host's cache where there is little room: what streams, what goes, and what stays."""

import json
import pickle
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from images import LOAD, entries, load, pixels, shown, truth

from nas.data import cache as cache_module

ROOT = Path(__file__).parents[1]


def test_a_limit_streams(cache, folder):
    """28 images of 16 px are 21,504 bytes."""
    mapped, _ = load(folder, cache_gb=21_505e-9)
    assert mapped.train.pixels.resident
    shutil.rmtree(cache)
    streamed, read = load(folder, cache_gb=21_503e-9)
    assert (streamed.train.pixels.resident, read) == (False, 28)
    assert streamed.warnings[0].startswith("data.cache_gb: 0.0 GB of decoded images are more than ")
    assert load(folder, cache_gb=21_503e-9)[1] == 0  # sizes, labels and damaged files are known
    assert shown(streamed) == truth(folder)
    assert sum(file.stat().st_size for file in cache.rglob("*")) < 21_000
    (folder / "dog/4.png").unlink()
    with pytest.raises(RuntimeError, match=r"dog/4.png can no longer be read: .*No such file"):
        shown(streamed)


def test_a_full_disk_streams(cache, folder):
    """A limit on the size of files stands for the disk: the room is asked for before an image is decoded."""
    code = LOAD + "\nprint(got.train.pixels.resident, got.warnings[0])"
    process = subprocess.run(
        [sys.executable, "-c", code, f"imagefolder:{folder}", "64"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-1].startswith(f"False {cache} has no room for 0.0 GB; they are decoded again")
    assert not list(cache.glob("*.scratch"))


def test_the_least_recently_used_make_room(cache, folder):
    sizes = {side: 28 * 3 * side**2 for side in (16, 24, 32)}
    limit = (sum(sizes.values()) + 30_000) / 1e9
    for side in sizes:
        load(folder, resolution=side, cache_gb=limit)
        time.sleep(0.02)
    load(folder, resolution=16, cache_gb=limit)  # used again
    assert len(entries(cache)) == 3
    load(folder, resolution=20, cache_gb=limit)
    left = sorted(json.loads((entry / cache_module.META).read_text())["shape"][-1] for entry in entries(cache))
    assert left == [16, 20, 32]


def test_what_is_in_use_is_not_removed(cache, folder):
    used, _ = load(folder, resolution=24)
    load(folder, resolution=32, cache_gb=90_000e-9)
    assert len(entries(cache)) == 2
    again = pickle.loads(pickle.dumps(used))
    del used
    load(folder, resolution=20, cache_gb=90_000e-9)
    assert len(entries(cache)) == 2  # of 32 px, nobody's, is gone
    assert len(pixels(again.train)) == len(again.train)


def test_a_worker_finds_the_entry_gone(cache, folder):
    blob = pickle.dumps(load(folder)[0])
    shutil.rmtree(cache)
    with pytest.raises(FileNotFoundError):
        pickle.loads(blob)
