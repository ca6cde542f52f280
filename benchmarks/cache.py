"""What becomes of the cache of decoded images when builders die, meet, or the files change under them.

    python benchmarks/cache.py [--kills 20] [--seed 0]      # a few minutes

Makes a folder of JPEGs. Each time with an empty cache, a builder is killed (SIGKILL) at a random moment between its
first image and its end; after that another process loads the set, whose pixels are compared with images decoded here,
and the cache must hold one entry and nothing of the dead. Then two builders at once, once left alone and once with the
first killed; then files that change, come and go. Exit code 1 where a pixel differs or something is left.

Found (2 cores, others at work): of 20 killed within 5.0 s, 14 left half an entry and 6 a whole one; 20 of 20 loads were
exact; the second of two builders reads no image, or all 600 where the first is killed; each change is noticed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from nas.data.decode import decode_square

IMAGES, CLASSES, RESOLUTION = 600, 3, 160
LOAD = """
import hashlib, sys
import numpy as np
from nas import data
got = data.load(sys.argv[1], int(sys.argv[2]), seed=0, on_progress=lambda done, total: print(done, flush=True))
every = np.sort(np.concatenate([got.train.index, got.val.index, got.test.index]))
print(hashlib.sha256(got.train.pixels[every].tobytes()).hexdigest())
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="how many builders are killed (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, cache = Path(temporary, "photos"), Path(temporary, "cache")
        os.environ["NAS_CACHE"] = str(cache)
        _make(folder)
        start = time.perf_counter()
        right = _truth(folder)
        print(f"{IMAGES} images of {RESOLUTION} px, decoded here in {time.perf_counter() - start:.1f} s by one thread")
        wrong = _killed(folder, cache, right, args.kills, random.Random(args.seed))
        wrong += _two_builders(folder, cache, right)
        wrong += _changes(folder, cache)
    return int(wrong > 0)


def _killed(folder: Path, cache: Path, right: str, kills: int, rng: random.Random) -> int:
    took, wrong, half, whole = _whole_build_s(folder, cache), 0, 0, 0
    for _ in range(kills):
        shutil.rmtree(cache, ignore_errors=True)
        builder = _begun(folder)
        time.sleep(rng.uniform(0, 1.05) * took)
        builder.send_signal(signal.SIGKILL)
        builder.communicate()
        half += bool(list(cache.glob("*.scratch")))
        whole += bool(_entries(cache))
        found, _ = _load(folder)
        wrong += found != right or len(_entries(cache)) != 1 or bool(list(cache.glob("*.scratch")))
    print(f"{kills} builders killed within {took:.1f} s: {half} left half an entry, {whole} a whole one")
    print(f"  loaded after each: {kills - wrong} of {kills} exact, with nothing of the dead left")
    return wrong


def _two_builders(folder: Path, cache: Path, right: str) -> int:
    wrong = 0
    for kill in (False, True):
        shutil.rmtree(cache)
        first = _begun(folder)
        second = _builder(folder)
        time.sleep(1.0)  # until the second waits
        if kill:
            first.send_signal(signal.SIGKILL)
        first.communicate()
        output = second.communicate(timeout=120)[0].split()
        read = len(output) - 1
        what = f"the first killed: the second read {read} of {IMAGES}" if kill else f"the second read {read}"
        print(f"two builders at once, {what} images, {'exact' if output[-1] == right else 'WRONG'}")
        wrong += output[-1] != right or read != (IMAGES if kill else 0)
    return wrong


def _changes(folder: Path, cache: Path) -> int:
    wrong = 0
    victim = folder / "1" / "7.jpg"
    for what, change in (
        ("changed", lambda: _photo(victim, np.random.default_rng(99))),
        ("added", lambda: _photo(folder / "0" / "new.jpg", np.random.default_rng(98))),
        ("removed", lambda: victim.unlink()),
    ):
        change()
        found, read = _load(folder)
        exact = found == _truth(folder)
        again, reads = _load(folder)
        print(f"a file {what}: {read} images read, {'exact' if exact else 'WRONG'}; then {reads}")
        wrong += not exact or read == 0 or again != found or reads != 0
    return wrong


def _make(folder: Path) -> None:
    for i in range(IMAGES):
        _photo(folder / str(i % CLASSES) / f"{i}.jpg", np.random.default_rng(i))


def _photo(path: Path, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8))
    coarse.resize((480, 360), Image.Resampling.BICUBIC).save(path)


def _truth(folder: Path) -> str:
    """The hash of all pixels, in the order of class and name."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.jpg"), key=lambda path: (path.parent.name, path.name)):
        digest.update(decode_square(path, RESOLUTION).transpose(2, 0, 1).tobytes())
    return digest.hexdigest()


def _builder(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LOAD, f"imagefolder:{folder}", str(RESOLUTION)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _begun(folder: Path) -> subprocess.Popen[str]:
    """A builder that has read its first image."""
    builder = _builder(folder)
    assert builder.stdout
    builder.stdout.readline()
    return builder


def _whole_build_s(folder: Path, cache: Path) -> float:
    builder, start = _begun(folder), time.perf_counter()
    builder.communicate()
    shutil.rmtree(cache)
    return time.perf_counter() - start


def _load(folder: Path) -> tuple[str, int]:
    """The hash of all pixels as another process loads them, and how many images it read."""
    output = _builder(folder).communicate(timeout=120)[0].split()
    return output[-1], len(output) - 1


def _entries(cache: Path) -> list[Path]:
    return [path for path in cache.glob("*/meta.json") if path.parent.suffix != ".scratch"]


if __name__ == "__main__":
    sys.exit(main())
