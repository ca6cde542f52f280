"""What holds for every source: shapes, seeds, splits; and what an ImageSet says about itself."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from images import cifar_batches, pixels
from PIL import Image

from nas import data
from nas.data import imageset
from nas.data.split import held_out, keep_per_class, stratified
from search_spaces.errors import UserError


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


SIDES = {"digits": 8, "glyphs:n=200": None, "imagefolder": 20, "cifar10": 32, "cifar100": 32}


@pytest.mark.parametrize("source", SOURCES, indirect=True)
def test_the_resolution_beyond_which_there_is_no_detail(cache, source, request):
    assert data.detail(source) == SIDES[request.node.callspec.params["source"]]


def test_a_file_that_is_no_image_has_no_detail(cache, folder):
    before = data.detail(f"imagefolder:{folder}")
    (next(folder.iterdir()) / "0.jpg").write_bytes(b"nothing")
    assert data.detail(f"imagefolder:{folder}") == before == 46


@pytest.mark.parametrize("source", SOURCES, indirect=True)
def test_every_source_keeps_the_contract(cache, source):
    outline = data.check(source)
    ticks = []
    got = data.load(source, 16, seed=3, test_fraction=0, on_progress=lambda done, total: ticks.append((done, total)))
    total = len(got.train) + len(got.val)
    assert (outline.classes, outline.images) == (got.num_classes, total)
    assert data.check(source) == outline
    assert pixels(got.train).shape == (len(got.train.labels), 3, 16, 16)
    assert pixels(got.val).shape == (len(got.val.labels), 3, 16, 16)
    assert pixels(got.train).dtype == pixels(got.val).dtype == np.uint8
    assert got.train.labels.dtype == got.val.labels.dtype == np.int64
    assert (got.name, got.resolution, got.num_classes) == (source, 16, len(got.classes))
    assert len(pixels(got.val)) / total == pytest.approx(0.25, abs=0.01)
    assert got.flip == (not source.startswith(("digits", "glyphs")))
    assert got.warnings == ()
    assert ticks == [(i + 1, total) for i in range(total)]

    every = np.bincount(np.concatenate([got.train.labels, got.val.labels]))
    val = np.bincount(got.val.labels, minlength=got.num_classes)
    assert np.all(np.abs(val - every * 0.25) < 1)
    shown = {image.tobytes() for image in pixels(got.train)}
    assert not shown & {image.tobytes() for image in pixels(got.val)}

    same, other = (data.load(source, 16, seed=seed, test_fraction=0) for seed in (3, 4))
    for ours, theirs in ((got.train, same.train), (got.val, same.val)):
        assert np.array_equal(pixels(ours), pixels(theirs))
        assert np.array_equal(ours.labels, theirs.labels)
    assert got.fingerprint == same.fingerprint != other.fingerprint
    assert not np.array_equal(pixels(got.train), pixels(other.train))


@pytest.mark.parametrize("source", ["digits", "glyphs:n=200", "imagefolder"], indirect=True)
def test_test_images_are_none_of_the_others(source):
    got = data.load(source, 16, seed=3)
    shown = {image.tobytes() for split in (got.train, got.val) for image in pixels(split)}
    assert not shown & {image.tobytes() for image in pixels(got.test)}
    assert len(got.test) / data.check(source).images == pytest.approx(0.1, abs=0.02)
    again = data.load(source, 16, seed=3)
    assert np.array_equal(pixels(got.test), pixels(again.test))
    assert np.array_equal(got.test.labels, again.test.labels)


@pytest.mark.parametrize("source", ["digits", "glyphs:n=200", "imagefolder"], indirect=True)
@pytest.mark.parametrize("more", [{}, {"cache_gb": 0}], ids=["mapped", "streamed"])
def test_a_set_is_the_same_wherever_its_pixels_lie(source, more, tmp_path_factory, monkeypatch):
    """Mapped, streamed, sent to another host, and pickled for another process."""
    mapped = data.load(source, 16, seed=3)
    monkeypatch.setenv("NAS_CACHE", str(tmp_path_factory.mktemp("other")))
    got = data.load(source, 16, seed=3, **more)
    assert got.train.pixels.resident == (not more)
    blob = pickle.dumps(got)
    assert len(blob) < 100_000
    for other in (got, pickle.loads(blob), got.portable(test=True), mapped.portable(test=True)):
        for name in ("train", "val", "test"):
            ours, theirs = getattr(mapped, name), getattr(other, name)
            assert np.array_equal(pixels(ours), pixels(theirs))
            assert np.array_equal(ours.labels, theirs.labels)
        assert (other.mean, other.std, other.classes) == (mapped.mean, mapped.std, mapped.classes)
    batch = got.val.batch(np.array([2, 0, 2]))
    assert np.array_equal(batch, pixels(mapped.val)[[2, 0, 2]])
    batch[:] = 7  # a copy
    assert np.array_equal(pixels(got.val), pixels(mapped.val))


@pytest.mark.parametrize("source", SOURCES, indirect=True)
def test_max_per_class_keeps_a_part_of_the_whole(source):
    whole, part = (data.load(source, 16, seed=0, test_fraction=0, max_per_class=most) for most in (None, 4))
    assert np.all(np.bincount(part.train.labels) == 3)
    assert np.all(np.bincount(part.val.labels) == 1)
    images = {image.tobytes() for image in np.concatenate([pixels(whole.train), pixels(whole.val)])}
    assert {image.tobytes() for image in pixels(part.train)} <= images
    assert part.classes == whole.classes


def test_digits_are_the_scans():
    from sklearn.datasets import load_digits

    got = data.load("digits", 8, seed=0, test_fraction=0)
    scans = {np.round(scan * 255 / 16).astype(np.uint8).tobytes() for scan in load_digits().images}
    assert {image[1].tobytes() for image in pixels(got.train)} <= scans
    assert np.array_equal(pixels(got.train)[:, 0], pixels(got.train)[:, 2])
    assert len(pixels(got.train)) + len(pixels(got.val)) == 1797


def test_the_split_does_not_depend_on_resolution():
    small, large = data.load("digits", 8, seed=5), data.load("digits", 16, seed=5)
    assert np.array_equal(small.val.labels, large.val.labels)


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


@pytest.mark.parametrize("leave", [1, 2])
@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.5, 0.9])
def test_held_out_counts(fraction, leave):
    """A class that is too small to give a test image gives none."""
    counts = np.array([1, 2, 3, 5, 30, 50, 200])
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(7), counts))
    is_test = held_out(labels, 7, fraction, 0, leave)
    given = np.bincount(labels[is_test], minlength=7)
    assert np.all(counts - given >= np.minimum(counts, leave))
    assert np.all(np.abs(given - counts * fraction) <= np.maximum(1, leave))
    assert given[0] == 0


def test_keep_per_class_keeps_small_classes_whole():
    labels = np.array([0, 1, 1, 1, 1, 2, 2])
    kept = keep_per_class(labels, 2, seed=0)
    assert np.bincount(labels[kept]).tolist() == [1, 2, 2]
    assert np.array_equal(kept, np.sort(kept))
    assert len({tuple(keep_per_class(labels, 2, seed)) for seed in range(20)}) > 1


def test_mean_and_std_are_numpys():
    got = data.load("glyphs:n=64", 16, seed=0)
    scaled = pixels(got.train) / 255
    assert got.mean == pytest.approx(scaled.mean(axis=(0, 2, 3)))
    assert got.std == pytest.approx(scaled.std(axis=(0, 2, 3)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "imagenet"}, "data 'imagenet': unknown source 'imagenet'; one of digits, glyphs"),
        ({"source": "digits:3"}, "digits takes no options"),
        ({"source": "imagefolder"}, "needs a folder, as in imagefolder:DIR"),
        ({"source": "cifar100"}, "needs a folder, as in cifar100:DIR"),
        ({"source": "torchvision:Imagenet:x"}, "unknown set 'Imagenet'; one of CIFAR10, "),
        ({"source": "torchvision:MNIST"}, "needs a folder, as in torchvision:MNIST:DIR with MNIST/raw in DIR"),
        ({"source": "huggingface"}, "needs a folder, as in huggingface:DIR"),
        ({"resolution": 4}, "resolution 4: at least 8"),
        ({"seed": -1}, "seed -1: at least 0"),
        ({"val_fraction": 1.0}, "val_fraction 1.0: between 0 and 1"),
        ({"test_fraction": 1.0}, "test_fraction 1.0: at least 0 and less than 1"),
        ({"max_per_class": 1}, "max_per_class 1: at least 2"),
        ({"cache_gb": -1}, "cache_gb -1: at least 0"),
    ],
)
def test_bad_arguments_are_one_line(arguments, message):
    with pytest.raises(UserError, match=message) as caught:
        data.load(**{"source": "digits", "resolution": 8, "seed": 0} | arguments)
    assert "\n" not in str(caught.value)
    if "source" in arguments:
        with pytest.raises(UserError, match=message):
            data.check(arguments["source"])


def test_more_images_than_memory_are_not_sent_to_other_hosts(monkeypatch):
    monkeypatch.setattr(imageset, "memory_bytes", lambda: 1_000_000)
    with pytest.raises(UserError, match=r"data.resolution: 32: the images that go to the cluster's hosts take 0.0 GB"):
        data.load("digits", 32, seed=0).portable()
    assert len(data.load("digits", 32, seed=0, max_per_class=5).portable().train) == 34


def test_arrays_as_a_set():
    images = np.random.default_rng(0).integers(0, 256, (12, 3, 8, 8), np.uint8)
    labels = np.arange(12) % 2
    got = data.ImageSet.of_arrays("noise", ("a", "b"), (images[:8], labels[:8]), (images[8:], labels[8:]), flip=False)
    assert np.array_equal(pixels(got.val), images[8:])
    assert (len(got.train), got.resolution, got.test, got.flip) == (8, 8, None, False)
    assert got.mean == pytest.approx(images[:8].mean(axis=(0, 2, 3)) / 255)
    assert got.std == pytest.approx(images[:8].std(axis=(0, 2, 3)) / 255)
    same = data.ImageSet.of_arrays("noise", ("a", "b"), (images[:8], labels[:8]), (images[8:], labels[8:]))
    assert same.fingerprint == got.fingerprint


def test_import_is_light():
    code = "import sys, nas.data; sys.exit(any(m in sys.modules for m in ('torch', 'torchvision', 'sklearn')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
