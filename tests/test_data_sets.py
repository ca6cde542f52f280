"""What holds for every source: shapes, seeds, splits; and what an ImageSet says about itself."""

import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from nas import data
from nas.data import pool
from nas.data.split import keep_per_class, stratified
from search_spaces.errors import UserError


def cifar_batches(root, monkeypatch, name="cifar10", n=100):
    """A made-up CIFAR of n noise images, and torchvision's checksums set to its files."""
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

    train_list = []
    for file, _ in cls.train_list:
        labels = (np.arange(n) % classes).tolist()
        batch = {"data": rng.integers(0, 256, (n, 3072)).astype(np.uint8)}
        batch["labels" if name == "cifar10" else "fine_labels"] = labels
        train_list.append([file, write(file, batch)])
    names = [f"thing{i}" for i in range(classes)]
    meta = cls.meta | {"md5": write(cls.meta["filename"], {cls.meta["key"]: names})}
    monkeypatch.setattr(cls, "train_list", train_list)
    monkeypatch.setattr(cls, "meta", meta)
    return folder


@pytest.fixture
def source(request, tmp_path, monkeypatch):
    """The data string of one source, with files made for those that read them."""
    if request.param == "imagefolder":
        for label, color in enumerate(["red", "green", "blue"]):
            (tmp_path / color).mkdir()
            for i in range(8 + 4 * label):
                noise = np.random.default_rng(100 * label + i).integers(0, 256, (20, 24, 3)).astype(np.uint8)
                Image.fromarray(noise).save(tmp_path / color / f"{i}.png")
        return f"imagefolder:{tmp_path}"
    if request.param.startswith("cifar"):
        cifar_batches(tmp_path, monkeypatch, request.param, n=400 if request.param == "cifar100" else 100)
        return f"{request.param}:{tmp_path}"
    return request.param


SOURCES = ["digits", "glyphs:n=200", "imagefolder", "cifar10", "cifar100"]


@pytest.mark.parametrize("source", SOURCES, indirect=True)
def test_every_source_keeps_the_contract(source):
    data.check(source)
    ticks = []
    got = data.load(source, 16, seed=3, on_progress=lambda done, total: ticks.append((done, total)))
    total = len(got.train_images) + len(got.val_images)
    assert got.train_images.shape == (len(got.train_labels), 3, 16, 16)
    assert got.val_images.shape == (len(got.val_labels), 3, 16, 16)
    assert got.train_images.dtype == got.val_images.dtype == np.uint8
    assert got.train_labels.dtype == got.val_labels.dtype == np.int64
    assert (got.name, got.resolution, got.num_classes) == (source, 16, len(got.classes))
    assert len(got.val_images) / total == pytest.approx(0.25, abs=0.01)
    assert got.flip == (not source.startswith(("digits", "glyphs")))
    assert got.warnings == ()
    assert ticks == [(i + 1, total) for i in range(total)]

    every = np.bincount(np.concatenate([got.train_labels, got.val_labels]))
    val = np.bincount(got.val_labels, minlength=got.num_classes)
    assert np.all(np.abs(val - every * 0.25) < 1)
    shown = {image.tobytes() for image in got.train_images}
    assert not shown & {image.tobytes() for image in got.val_images}

    same, other = data.load(source, 16, seed=3), data.load(source, 16, seed=4)
    for name in ("train_images", "train_labels", "val_images", "val_labels"):
        assert np.array_equal(getattr(got, name), getattr(same, name))
    assert not np.array_equal(got.train_images, other.train_images)


@pytest.mark.parametrize("source", SOURCES, indirect=True)
def test_max_per_class_keeps_a_part_of_the_whole(source):
    whole, part = data.load(source, 16, seed=0), data.load(source, 16, seed=0, max_per_class=4)
    assert np.all(np.bincount(part.train_labels) == 3)
    assert np.all(np.bincount(part.val_labels) == 1)
    images = {image.tobytes() for image in np.concatenate([whole.train_images, whole.val_images])}
    assert {image.tobytes() for image in part.train_images} <= images
    assert part.classes == whole.classes


def test_digits_are_the_scans():
    from sklearn.datasets import load_digits

    got = data.load("digits", 8, seed=0)
    scans = {np.round(scan * 255 / 16).astype(np.uint8).tobytes() for scan in load_digits().images}
    assert {image[1].tobytes() for image in got.train_images} <= scans
    assert np.array_equal(got.train_images[:, 0], got.train_images[:, 2])
    assert len(got.train_images) + len(got.val_images) == 1797


def test_the_split_does_not_depend_on_resolution():
    small, large = data.load("digits", 8, seed=5), data.load("digits", 16, seed=5)
    assert np.array_equal(small.val_labels, large.val_labels)


def test_cifar_pixels_and_resizing(tmp_path, monkeypatch):
    folder = cifar_batches(tmp_path, monkeypatch)
    first = pickle.loads((folder / "data_batch_1").read_bytes())["data"][0].reshape(3, 32, 32)
    got = data.load(f"cifar10:{tmp_path}", 32, seed=0)
    assert any(np.array_equal(first, image) for image in np.concatenate([got.train_images, got.val_images]))
    assert got.classes[:2] == ("thing0", "thing1")
    assert not (folder / "test_batch").exists()
    assert data.load(f"cifar10:{tmp_path}", 48, seed=0).resolution == 48


def test_cifar_refuses_missing_and_changed_files(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=rf"{tmp_path}.*cifar-10-batches-py is missing"):
        data.check(f"cifar10:{tmp_path}")
    folder = cifar_batches(tmp_path, monkeypatch)
    data.check(f"cifar10:{tmp_path}")
    (folder / "data_batch_3").write_bytes(b"changed")
    with pytest.raises(UserError, match=rf"corrupt in {tmp_path}; expected is"):
        data.load(f"cifar10:{tmp_path}", 32, seed=0)
    (folder / "data_batch_3").unlink()
    with pytest.raises(UserError, match="incomplete"):
        data.load(f"cifar10:{tmp_path}", 32, seed=0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_stratified_counts(seed, fraction):
    counts = np.random.default_rng(seed).integers(2, 60, 30)
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(30), counts))
    is_val = stratified(labels, [str(i) for i in range(30)], fraction, seed)
    val = np.bincount(labels[is_val], minlength=30)
    assert np.all((val >= 1) & (val < counts))
    assert np.all(np.abs(val - counts * fraction) <= 1)
    assert abs(is_val.sum() - len(labels) * fraction) <= 0.5 + np.sum(counts * min(fraction, 1 - fraction) < 1)


def test_keep_per_class_keeps_small_classes_whole():
    labels = np.array([0, 1, 1, 1, 1, 2, 2])
    kept = keep_per_class(labels, 2, seed=0)
    assert np.bincount(labels[kept]).tolist() == [1, 2, 2]
    assert np.array_equal(kept, np.sort(kept))
    assert len({tuple(keep_per_class(labels, 2, seed)) for seed in range(20)}) > 1


def test_mean_and_std_are_numpys():
    got = data.load("glyphs:n=64", 16, seed=0)
    scaled = got.train_images / 255
    assert got.mean == pytest.approx(scaled.mean(axis=(0, 2, 3)))
    assert got.std == pytest.approx(scaled.std(axis=(0, 2, 3)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "imagenet"}, "data 'imagenet': unknown source 'imagenet'; one of digits, glyphs"),
        ({"source": "digits:3"}, "digits takes no options"),
        ({"source": "imagefolder"}, "needs a folder, as in imagefolder:DIR"),
        ({"source": "cifar100"}, "needs a folder, as in cifar100:DIR"),
        ({"resolution": 4}, "resolution 4: at least 8"),
        ({"seed": -1}, "seed -1: at least 0"),
        ({"val_fraction": 1.0}, "val_fraction 1.0: between 0 and 1"),
        ({"max_per_class": 1}, "max_per_class 1: at least 2"),
    ],
)
def test_bad_arguments_are_one_line(arguments, message):
    with pytest.raises(UserError, match=message) as caught:
        data.load(**{"source": "digits", "resolution": 8, "seed": 0} | arguments)
    assert "\n" not in str(caught.value)
    if "source" in arguments:
        with pytest.raises(UserError, match=message):
            data.check(arguments["source"])


def test_more_images_than_memory_are_refused_before_decoding(monkeypatch):
    monkeypatch.setattr(pool, "memory_bytes", lambda: 10_000_000)
    with pytest.raises(UserError, match=r"resolution 32: 1797 images decode to 0.0 GB.*smaller resolution or max_per"):
        data.load("digits", 32, seed=0)
    assert len(data.load("digits", 32, seed=0, max_per_class=50).train_images) == 375


def test_import_is_light():
    code = "import sys, nas.data; sys.exit(any(m in sys.modules for m in ('torch', 'torchvision', 'sklearn')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
