"""The host's cache: made once, never read half-made, noticed when it is stale, and bounded."""

import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from images import COLORS, LOAD, entries, load, photo, photos, shown, truth

from nas import data
from nas.data import cache as cache_module
from nas.data.cache import Cache
from nas.data.decode import decode_square
from search_spaces.errors import UserError

ROOT = Path(__file__).parents[1]


def builder(root, resolution=16, **more):
    command = [sys.executable, "-c", LOAD, f"imagefolder:{root}", str(resolution)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **more)


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


def test_the_fingerprint_is_of_what_images_hold(cache, folder, tmp_path):
    """A copy is the same set, wherever it lies and whenever it was made; with one other pixel it is not."""
    before, _ = load(folder)
    copy = shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    assert load(copy)[0].fingerprint == before.fingerprint
    photo(copy / "dog/3.jpg", (9, 9, 9))
    assert load(copy)[0].fingerprint != before.fingerprint


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
