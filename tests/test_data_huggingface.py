"""``huggingface:DIR`` on folders that ``datasets`` writes; what can be said without it is tested without."""

import builtins
import pickle

import numpy as np
import pytest
from images import COLORS, photos, pixels

from nas import data
from search_spaces.errors import UserError


@pytest.fixture
def datasets(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return pytest.importorskip("datasets")


@pytest.fixture
def saved(datasets, tmp_path):
    """A DatasetDict of train and test, as save_to_disk writes it."""
    sets = {}
    for part, counts in (("train", (6, 9, 13)), ("test", (2, 2, 2))):
        root = photos(tmp_path / "photos" / part, counts)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        features = datasets.Features(
            {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(COLORS)), "id": datasets.Value("int64")}
        )
        rows = {
            "image": [{"bytes": path.read_bytes(), "path": path.name} for path in files],
            "label": [list(COLORS).index(path.parent.name) for path in files],
            "id": list(range(len(files))),
        }
        sets[part] = datasets.Dataset.from_dict(rows, features=features)
    return datasets.DatasetDict(sets)


def same_as_the_folder(source, tmp_path, **more):
    got = data.load(source, 16, seed=0, **more)
    folder = data.load(f"imagefolder:{tmp_path}/photos", 16, seed=0)
    assert got.classes == tuple(COLORS)
    for name in ("train", "val", "test"):
        ours, theirs = getattr(got, name), getattr(folder, name)
        assert {image.tobytes() for image in pixels(ours)} == {image.tobytes() for image in pixels(theirs)}
        assert np.array_equal(np.bincount(ours.labels), np.bincount(theirs.labels))
        assert np.array_equal(pixels(ours).mean(axis=(2, 3)).argmax(axis=1), ours.labels)
    return got


@pytest.mark.parametrize("cache_gb", [1, 0])
def test_a_saved_folder(saved, tmp_path, cache_gb):
    saved.save_to_disk(str(tmp_path / "saved"))
    source = f"huggingface:{tmp_path}/saved"
    assert data.check(source) == data.Outline(3, 28, own_test=True)
    got = same_as_the_folder(source, tmp_path, cache_gb=cache_gb)
    assert np.array_equal(pixels(pickle.loads(pickle.dumps(got)).val), pixels(got.val))
    assert data.default_resolution(source) == 64


def test_parquet_files(saved, tmp_path):
    (tmp_path / "hub/data").mkdir(parents=True)
    for part in saved:
        saved[part].to_parquet(tmp_path / f"hub/data/{part}-00000-of-00001.parquet")
    same_as_the_folder(f"huggingface:{tmp_path}/hub", tmp_path)
    got = data.load(f"huggingface:{tmp_path}/hub/data/train-00000-of-00001.parquet", 16, seed=0)
    assert len(got.train) + len(got.val) + len(got.test) == 28


def test_one_split_with_texts_for_labels(datasets, saved, tmp_path):
    texts = [list(COLORS)[label] for label in saved["train"]["label"]]
    one = saved["train"].remove_columns("label").add_column("label", texts)
    one.save_to_disk(str(tmp_path / "one"))
    got = data.load(f"huggingface:{tmp_path}/one", 16, seed=0)
    assert got.classes == ("cat", "dog", "owl")
    assert np.array_equal(pixels(got.train).mean(axis=(2, 3)).argmax(axis=1), got.train.labels)


def test_what_is_no_set_of_labelled_images(datasets, saved, tmp_path):
    saved["train"].remove_columns("image").save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(UserError, match=r"needs a column of Image.*; it has label \(ClassLabel\), id \(Value\)"):
        data.check(f"huggingface:{tmp_path}/saved")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty': cannot be read: "):
        data.check(f"huggingface:{tmp_path}/empty")


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    imported = builtins.__import__

    def without(name, *rest):
        if name == "datasets":
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"needs the extra: pip install 'nas-scaling\[huggingface\]'"):
        data.check(f"huggingface:{tmp_path}")
    with pytest.raises(UserError, match="no such folder or file"):
        data.check(f"huggingface:{tmp_path}/nowhere")
