"""``torchvision:NAME:DIR`` on made-up files in the layouts that torchvision reads."""

import gzip
import inspect
import pickle
import shutil
import struct

import numpy as np
import pytest
from images import cifar_batches, photo, pixels

from nas import data
from nas.data.torchvision_sets import ENTRIES
from search_spaces.errors import UserError


def idx(path, array):
    """The format of MNIST's files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


def mnist(root, name="MNIST", n=40):
    for part, seed in (("train", 0), ("t10k", 1)):
        images = np.random.default_rng(seed).integers(0, 256, (n, 28, 28)).astype(np.uint8)
        idx(root / name / "raw" / f"{part}-images-idx3-ubyte", images)
        idx(root / name / "raw" / f"{part}-labels-idx1-ubyte", (np.arange(n) % 10).astype(np.uint8))


def test_every_entry_names_arguments_that_torchvision_has():
    from torchvision import datasets

    for name, entry in ENTRIES.items():
        cls = getattr(datasets, name)
        known = {x for base in cls.__mro__ if base is not object for x in inspect.signature(base.__init__).parameters}
        for given in (entry.train, entry.val or {}, entry.test or {}):
            assert set(given) <= known, name
        assert (entry.labels is not None) or "loader" in known, name


def test_cifar_pixels_and_resizing(tmp_path, monkeypatch):
    folder = cifar_batches(tmp_path, monkeypatch)
    first, tested = (
        pickle.loads((folder / file).read_bytes())["data"].reshape(-1, 3, 32, 32)
        for file in ("data_batch_1", "test_batch")
    )
    got = data.load(f"cifar10:{tmp_path}", 32, seed=0)
    assert any(np.array_equal(first[0], image) for split in (got.train, got.val) for image in pixels(split))
    assert got.classes[:2] == ("thing0", "thing1")
    assert len(got.train) + len(got.val) == 500
    assert np.array_equal(pixels(got.test), tested)
    assert data.load(f"torchvision:CIFAR10:{tmp_path}", 48, seed=0).resolution == 48


def test_test_images_are_not_read_before_they_are_asked_for(tmp_path, monkeypatch):
    folder = cifar_batches(tmp_path, monkeypatch)
    (folder / "test_batch").unlink()
    got = data.load(f"cifar10:{tmp_path}", 32, seed=0)
    assert len(got.train) == 375
    with pytest.raises(UserError, match="cifar-10-batches-py is missing, incomplete or corrupt"):
        _ = got.test


def test_cifar_refuses_missing_and_changed_files(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=rf"{tmp_path}': cifar-10-batches-py is missing"):
        data.check(f"cifar10:{tmp_path}")
    folder = cifar_batches(tmp_path, monkeypatch)
    data.check(f"cifar10:{tmp_path}")
    (folder / "data_batch_3").write_bytes(b"changed")
    with pytest.raises(UserError, match=rf"corrupt in {tmp_path}.*; expected are the files"):
        data.load(f"cifar10:{tmp_path}", 32, seed=0)
    (folder / "data_batch_3").unlink()
    with pytest.raises(UserError, match="incomplete"):
        data.load(f"cifar10:{tmp_path}", 32, seed=0)


def test_mnist(tmp_path):
    mnist(tmp_path)
    got = data.load(f"torchvision:MNIST:{tmp_path}", 28, seed=0)
    assert data.check(f"torchvision:MNIST:{tmp_path}") == data.Outline(10, 40, own_test=True)
    assert (got.classes[3], got.flip, len(got.train), len(got.val)) == ("3 - three", False, 30, 10)
    images = np.random.default_rng(1).integers(0, 256, (40, 28, 28)).astype(np.uint8)
    assert np.array_equal(pixels(got.test), np.repeat(images[:, None], 3, axis=1))
    assert got.test.labels.tolist() == [i % 10 for i in range(40)]


def test_an_archive_that_is_not_unpacked(tmp_path):
    mnist(tmp_path)
    raw = tmp_path / "MNIST/raw/train-images-idx3-ubyte"
    with open(raw, "rb") as plain, gzip.open(f"{raw}.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    raw.unlink()
    with pytest.raises(UserError, match=r"MNIST/raw is missing, incomplete or corrupt in .* \(Dataset not found") as e:
        data.check(f"torchvision:MNIST:{tmp_path}")
    assert "\n" not in str(e.value)


def food(root):
    import json

    names = {"cake": (200, 30, 30), "soup": (30, 200, 30)}
    for part, first, count in (("train", 0, 8), ("test", 8, 3)):
        listed = {}
        for name, color in names.items():
            listed[name] = [f"{name}/{i}" for i in range(first, first + count)]
            for path in listed[name]:
                photo(root / "food-101/images" / f"{path}.jpg", color, size=(60, 40))
        (root / "food-101/meta").mkdir(exist_ok=True)
        (root / f"food-101/meta/{part}.json").write_text(json.dumps(listed))


def sst(root):
    for part, count in (("train", 8), ("valid", 3), ("test", 2)):
        for name, color in (("negative", (200, 30, 30)), ("positive", (30, 200, 30))):
            for i in range(count):
                photo(root / "rendered-sst2" / part / name / f"{i}.png", color, size=(60, 40))


def eurosat(root):
    for name, color in (("Forest", (200, 30, 30)), ("River", (30, 200, 30))):
        for i in range(8):
            photo(root / "eurosat/2750" / name / f"{name}_{i}.jpg", color, size=(64, 64))


def caltech(root):
    for name, color in (("ant", (200, 30, 30)), ("bee", (30, 200, 30)), ("BACKGROUND_Google", (0, 0, 0))):
        for i in range(8):
            photo(root / "caltech101/101_ObjectCategories" / name / f"image_{i + 1:04d}.jpg", color, size=(50, 40))


def traffic(root):
    rows = ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"]
    for label, color in enumerate([(200, 30, 30), (30, 200, 30)]):
        for i in range(8):
            photo(root / f"gtsrb/GTSRB/Training/{label:05d}/{i}.ppm", color)
        for i in range(3):
            photo(root / f"gtsrb/GTSRB/Final_Test/Images/{label}{i}.ppm", color)
            rows.append(f"{label}{i}.ppm;40;30;0;0;0;0;{label}")
    (root / "gtsrb/GT-final_test.csv").write_text("\n".join(rows))


def pets(root):
    folder = root / "oxford-iiit-pet"
    for part, first, count in (("trainval", 0, 8), ("test", 8, 3)):
        rows = []
        for label, (name, color) in enumerate((("Abyssinian", (200, 30, 30)), ("beagle", (30, 200, 30)))):
            for i in range(first, first + count):
                photo(folder / "images" / f"{name}_{i}.jpg", color, size=(60, 40))
                rows.append(f"{name}_{i} {label + 1} {label + 1} 1")
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / "annotations" / f"{part}.txt").write_text("\n".join(rows) + "\n")


LAYOUTS = {
    "Food101": (food, ("cake", "soup"), (12, 4, 6)),
    "RenderedSST2": (sst, ("negative", "positive"), (16, 6, 4)),
    "EuroSAT": (eurosat, ("Forest", "River"), (10, 4, 2)),
    "Caltech101": (caltech, ("ant", "bee"), (10, 4, 2)),
    "GTSRB": (traffic, ("0", "1"), (12, 4, 6)),
    "OxfordIIITPet": (pets, ("Abyssinian", "Beagle"), (12, 4, 6)),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("cache_gb", [1, 0])
def test_sets_of_photographs(tmp_path, name, cache_gb):
    """The first class is red, the second green."""
    make, classes, counts = LAYOUTS[name]
    make(tmp_path)
    source = f"torchvision:{name}:{tmp_path}"
    outline = data.check(source)
    got = pickle.loads(pickle.dumps(data.load(source, 16, seed=0, test_fraction=0.125, cache_gb=cache_gb)))
    assert got.classes == classes
    assert (len(got.train), len(got.val), len(got.test)) == counts
    assert outline.images == len(got.train) + len(got.val) + (0 if outline.own_test else len(got.test))
    for split in (got.train, got.val, got.test):
        assert np.array_equal(pixels(split).mean(axis=(2, 3)).argmax(axis=1), split.labels)
    assert data.default_resolution(source) == (32 if name == "GTSRB" else 64)
