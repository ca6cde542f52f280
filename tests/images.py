"""Image files and image sets that several test files make."""

import hashlib
import os
import pickle

import numpy as np
from PIL import Image

from nas import data
from nas.data import cache as cache_module
from nas.data.decode import decode_square

LOAD = """
import hashlib, sys, numpy as np
from nas import data
got = data.load(sys.argv[1], int(sys.argv[2]), seed=0, on_progress=lambda done, total: print(done, flush=True))
every = np.sort(np.concatenate([got.train.index, got.val.index, got.test.index]))
print(hashlib.sha256(got.train.pixels[every].tobytes()).hexdigest())
"""
COLORS = {"cat": (200, 30, 30), "dog": (30, 200, 30), "owl": (30, 30, 200)}


def photo(path, color, size=(40, 30), **save):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(list(os.fsencode(path.name)))
    pixels = np.clip(np.array(color) + rng.normal(0, 10, (size[1], size[0], 3)), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, **save)


def photos(root, counts=(6, 9, 13)):
    """Class folders of unequal size, JPEG and PNG in turn, in several sizes."""
    for (name, color), count in zip(COLORS.items(), counts, strict=True):
        for i in range(count):
            photo(root / name / f"{i}.{'jpg' if i % 2 else 'png'}", color, size=(33 + 7 * i, max(20, 60 - 2 * i)))
    return root


def pixels(split):
    """All images of a split, uint8 (N, 3, R, R)."""
    return split.batch(np.arange(len(split)))


def cifar_batches(root, monkeypatch, name="cifar10", n=100):
    """A made-up CIFAR of n noise images a file, and torchvision's checksums set to them."""
    from torchvision import datasets

    cls = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    classes = 10 if name == "cifar10" else 100
    folder = root / cls.base_folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def write(file, content):
        blob = pickle.dumps(content)
        (folder / file).write_bytes(blob)
        return hashlib.md5(blob).hexdigest()

    def batch(file):
        content = {"data": rng.integers(0, 256, (n, 3072)).astype(np.uint8)}
        content["labels" if name == "cifar10" else "fine_labels"] = (np.arange(n) % classes).tolist()
        return [file, write(file, content)]

    names = [f"thing{i}" for i in range(classes)]
    meta = cls.meta | {"md5": write(cls.meta["filename"], {cls.meta["key"]: names})}
    monkeypatch.setattr(cls, "train_list", [batch(file) for file, _ in cls.train_list])
    monkeypatch.setattr(cls, "test_list", [batch(file) for file, _ in cls.test_list])
    monkeypatch.setattr(cls, "meta", meta)
    return folder


def load(root, **more):
    """And how many images were read."""
    ticks = []
    got = data.load(
        f"imagefolder:{root}", **{"resolution": 16, "seed": 0} | more, on_progress=lambda *done: ticks.append(done)
    )
    return got, len(ticks)


def entries(cache):
    return [path.parent for path in cache.glob(f"*/{cache_module.META}")]


def truth(root, resolution=16):
    """Every image of a folder, decoded here: a set of bytes."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {decode_square(path, resolution).transpose(2, 0, 1).tobytes() for path in files}


def shown(got):
    return {image.tobytes() for split in (got.train, got.val, got.test) for image in pixels(split)}
