"""The host's cache: made once, never read half-made, noticed when it is stale, and bounded."""

import json
import os
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from images import COLORS, photo, photos, pixels

from nas import data
from nas.data import cache as cache_module
from nas.data.cache import Cache
from nas.data.decode import decode_square
from search_spaces.errors import UserError

ROOT = Path(__file__).parents[1]
LOAD = """
import hashlib, sys, numpy as np
from nas import data
got = data.load(sys.argv[1], int(sys.argv[2]), seed=0, on_progress=lambda done, total: print(done, flush=True))
every = np.sort(np.concatenate([got.train.index, got.val.index, got.test.index]))
print(hashlib.sha256(got.train.pixels[every].tobytes()).hexdigest())
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache; its folder."""
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    return photos(tmp_path / "photos")


def load(root, **more):
    """And how many images were read."""
    ticks = []
    got = data.load(
        f"imagefolder:{root}", **{"resolution": 16, "seed": 0} | more, on_progress=lambda *done: ticks.append(done)
    )
    return got, len(ticks)


def builder(root, resolution=16, **more):
    command = [sys.executable, "-c", LOAD, f"imagefolder:{root}", str(resolution)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **more)


def entries(cache):
    return [path.parent for path in cache.glob(f"*/{cache_module.META}")]


def truth(root, resolution=16):
    """Every image of a folder, decoded here: a set of bytes."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {decode_square(path, resolution).transpose(2, 0, 1).tobytes() for path in files}


def shown(got):
    return {image.tobytes() for split in (got.train, got.val, got.test) for image in pixels(split)}


def test_the_second_time_no_image_is_read(cache, folder):
    (first, read), (second, again) = load(folder), load(folder)
    assert (read, again) == (28, 0)
    assert shown(first) == shown(second) == truth(folder)
    assert (first.mean, first.std, first.fingerprint) == (second.mean, second.std, second.fingerprint)
    assert isinstance(second.train.pixels[np.array([0])].base, type(None))  # a copy, no view of the file


def test_warnings_are_kept(cache, folder):
    (folder / "cat/0.png").write_bytes(b"")
    assert load(folder)[0].warnings == load(folder)[0].warnings == (f"{folder}/cat/0.png: skipped, an empty file",)
    folder.rename(folder.parent / "moved")  # the files are the same
    moved, read = load(folder.parent / "moved")
    assert read == 0
    assert moved.warnings == (f"{folder.parent}/moved/cat/0.png: skipped, an empty file",)


def test_seeds_and_shares_split_the_same_entry(cache, folder):
    load(folder)
    for more in ({"seed": 1}, {"val_fraction": 0.5}, {"test_fraction": 0}):
        assert load(folder, **more)[1] == 0
    assert load(folder, resolution=24)[1] == 28
    assert load(folder, max_per_class=4)[1] == 12
    assert len(entries(cache)) == 3


def change(path):
    """Same name and same size, a moment later."""
    before = path.stat()
    photo(path, (9, 9, 9), size=(40, 33))
    path.write_bytes(path.read_bytes().ljust(before.st_size, b"\0")[: max(before.st_size, 1)])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "changed": lambda root: photo(root / "dog/3.jpg", (9, 9, 9)),
    "changed, with its time put back": lambda root: change(root / "dog/2.png"),
    "added": lambda root: photo(root / "owl/new.png", COLORS["owl"]),
    "removed": lambda root: (root / "owl/3.jpg").unlink(),
    "renamed": lambda root: (root / "owl/3.jpg").rename(root / "owl/z.jpg"),
    "moved to another class": lambda root: (root / "owl/4.png").rename(root / "cat/4b.png"),
    "replaced by another": lambda root: os.replace(root / "owl/4.png", root / "owl/6.png"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_folder_is_noticed(cache, folder, what):
    before, _ = load(folder)
    time.sleep(0.02)  # a file system's clock may tick in steps of 10 ms
    CHANGES[what](folder)
    after, read = load(folder)
    assert read == len(after.train) + len(after.val) + len(after.test) + len(after.warnings)
    assert after.fingerprint != before.fingerprint
    assert shown(after) <= truth_or_broken(folder)
    assert load(folder)[1] == 0


def truth_or_broken(root):
    found = set()
    for path in root.rglob("*"):
        if path.is_file():
            try:
                found.add(decode_square(path, 16).transpose(2, 0, 1).tobytes())
            except (OSError, ValueError, SyntaxError):
                continue
    return found


def test_files_that_change_while_they_are_read_are_not_kept(cache, folder):
    def touch(done, total):
        if done == 5:
            photo(folder / "cat/0.png", (1, 1, 1))

    with pytest.raises(UserError, match=f"{folder}: files changed while they were read"):
        data.load(f"imagefolder:{folder}", 16, seed=0, on_progress=touch)
    assert not entries(cache)
    assert load(folder)[1] == 28


def test_killed_builders_leave_nothing_that_is_read(cache, tmp_path):
    """At random moments of a build; benchmarks/cache.py has more of them. What they leave is removed by the next."""
    folder = photos(tmp_path / "many", (40, 40, 40))
    right, rng, broken_off = truth(folder, 64), random.Random(0), 0
    for _ in range(4):
        shutil.rmtree(cache, ignore_errors=True)
        process = builder(folder, 64)
        images = rng.randrange(1, 120)
        for line in process.stdout:
            if len(line) < 10 and int(line) >= images:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
        broken_off += not entries(cache)
        got, read = load(folder, resolution=64)
        assert shown(got) == right
        assert read in (0, 120)
        assert sorted(path.suffix for path in cache.iterdir()) == ["", ".lock"]
    assert broken_off


def test_leftovers_of_other_sets_are_removed_too(cache, folder):
    process = builder(folder, 256)
    process.stdout.readline()
    process.kill()
    process.wait()
    assert list(cache.glob("*.scratch"))
    load(folder)
    assert not list(cache.glob("*.scratch"))


def test_of_two_builders_one_waits(cache, tmp_path):
    folder = photos(tmp_path / "many", (30, 30, 30))
    both = [builder(folder, 96) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert outputs[0][-1] == outputs[1][-1]
    assert sorted(len(output) for output in outputs) == [1, 91]  # one decodes, the other does not


def test_a_damaged_entry_is_made_anew(cache, folder):
    load(folder)
    (entry,) = entries(cache)
    with open(entry / cache_module.PIXELS, "r+b") as file:
        file.truncate(1000)
    got, read = load(folder)
    assert read == 28
    assert shown(got) == truth(folder)


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


def test_a_cache_that_cannot_be_written_to(tmp_path, monkeypatch, folder):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "file/cache"))
    with pytest.raises(
        UserError, match=f"NAS_CACHE: {tmp_path}/file/cache cannot hold the cache of decoded images: Not"
    ):
        load(folder)
    monkeypatch.delenv("NAS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    got, _ = load(folder)
    other = tmp_path / "temporary" / f"nas-{os.getuid()}" / "cache"
    assert got.warnings[0] == (
        f"{tmp_path}/file/nas-scaling: Not a directory; decoded images go to {other} (see NAS_CACHE)"
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert Cache.of_host(1e9)[0].root == tmp_path / "xdg/nas-scaling"


def test_processes_share_one_copy(cache, tmp_path):
    """Proportional set size: of a page that four processes map, each counts a quarter."""
    folder = photos(tmp_path / "many", (30, 30, 30))
    got, _ = load(folder, resolution=128)
    blob = tmp_path / "set.pickle"
    blob.write_bytes(pickle.dumps(got))
    assert blob.stat().st_size < 20_000
    code = (
        "import pickle, sys; got = pickle.load(open(sys.argv[1], 'rb')); pixels = got.train.pixels;"
        "sum(pixels[[i]].sum() for i in range(pixels.shape[0])); print('read', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(blob)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": ROOT}
    workers = [subprocess.Popen(command, **pipes) for _ in range(4)]
    del got
    try:
        for worker in workers:
            assert worker.stdout.readline() == b"read\n"
        total = sum(pss_bytes(worker.pid, str(cache)) for worker in workers)
    finally:
        for worker in workers:
            worker.communicate()
    assert total == pytest.approx(90 * 3 * 128**2, rel=0.02)


def pss_bytes(pid, path):
    """Proportional set size of a process's mappings of files below a path."""
    total, counts = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if "-" in line.split(maxsplit=1)[0]:
            counts = path in line
        elif counts and line.startswith("Pss:"):
            total += 1024 * int(line.split()[1])
    return total
