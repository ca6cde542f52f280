"""Folders of photographs: formats, layouts, and everything that is wrong with a real folder."""

import os

import numpy as np
import pytest
from images import COLORS, photo, photos, pixels
from PIL import Image

from nas import data
from nas.data.decode import decode_square
from search_spaces.errors import UserError


def load(root, **more):
    return data.load(f"imagefolder:{root}", **{"resolution": 16, "seed": 0, "test_fraction": 0} | more)


def test_class_folders_are_split(tmp_path):
    got = load(photos(tmp_path))
    assert got.classes == ("cat", "dog", "owl")
    assert len(got.train.labels) + len(got.val.labels) == 28
    assert np.bincount(got.val.labels).tolist() in ([1, 3, 3], [2, 2, 3])  # 1.5, 2.25, 3.25, rounded as they add up
    for label, color in enumerate(COLORS.values()):
        mean = pixels(got.train)[got.train.labels == label].mean(axis=(0, 2, 3))
        assert mean == pytest.approx(color, abs=6)


@pytest.mark.parametrize("deeper", ["", "2024/may"])
def test_train_and_val_folders_are_kept(tmp_path, deeper):
    photos(tmp_path / "train")
    photos(tmp_path / "val", (2, 3, 4))
    if deeper:
        (tmp_path / "val/owl" / deeper).mkdir(parents=True)
        (tmp_path / "val/owl/0.png").rename(tmp_path / "val/owl" / deeper / "0.png")
    got = load(tmp_path, val_fraction=0.5)
    assert np.bincount(got.train.labels).tolist() == [6, 9, 13]
    assert np.bincount(got.val.labels).tolist() == [2, 3, 4]
    few = load(tmp_path, max_per_class=8)
    assert np.bincount(few.train.labels).tolist() == [6, 6, 6]
    assert np.bincount(few.val.labels).tolist() == [2, 2, 2]


def test_a_train_folder_alone_is_split_and_a_class_may_be_called_train(tmp_path):
    photos(tmp_path / "alone" / "train")
    for name in ("valid", "test"):
        photos(tmp_path / "alone" / name)
    got = load(tmp_path / "alone")
    assert len(got.train.labels) + len(got.val.labels) == 28
    assert got.warnings == (f"{tmp_path}/alone/valid: skipped, only train, val and test are read",)
    for name in ("train", "tram"):
        photo(tmp_path / "rail" / name / "1.png", (1, 2, 3))
        photo(tmp_path / "rail" / name / "2.png", (1, 2, 3))
    assert load(tmp_path / "rail").classes == ("train", "tram")


def test_shorter_side_is_resized_and_the_centre_cut_out(tmp_path):
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 40:80] = (250, 120, 10)
    for name, image in (("wide", wide), ("tall", wide.transpose(1, 0, 2))):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
        square = decode_square(tmp_path / f"{name}.png", 20)
        assert square.shape == (20, 20, 3)
        assert np.all(np.abs(square[2:-2, 2:-2].astype(int) - (250, 120, 10)) <= 1)  # the filter sees past the cut


def test_large_jpegs_are_antialiased(tmp_path):
    board = (np.indices((1601, 1203)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "board.jpg", quality=95)
    assert np.all(np.abs(decode_square(tmp_path / "board.jpg", 32).astype(int) - 127) < 20)


MODES = {
    "png": ["L", "1", "P", "LA", "RGB", "RGBA", "I;16"],
    "jpg": ["L", "RGB", "CMYK"],
    "webp": ["L", "RGB", "RGBA"],
    "bmp": ["L", "1", "P", "RGB", "RGBA"],
}


@pytest.mark.parametrize(("suffix", "mode"), [(suffix, mode) for suffix, modes in MODES.items() for mode in modes])
def test_any_mode_becomes_rgb(tmp_path, mode, suffix):
    values = np.full((20, 30), 100 * 256, np.uint16)
    image = Image.fromarray(values) if mode == "I;16" else Image.new("RGB", (30, 20), (100, 100, 100)).convert(mode)
    image.save(tmp_path / f"x.{suffix}")
    square = decode_square(tmp_path / f"x.{suffix}", 8).astype(int)
    assert square.shape == (8, 8, 3)
    if mode == "1":  # dithered: some black and some white
        assert 50 < square.mean() < 150
    else:
        assert np.all(np.abs(square - 100) <= 6)


def test_transparency_is_white(tmp_path):
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("RGBA", (20, 20), (255, 0, 0, 128)).save(tmp_path / "half.webp", lossless=True)
    palette = Image.new("P", (20, 20), 1)
    palette.putpalette([0, 0, 0, 9, 9, 9])
    palette.save(tmp_path / "palette.png", transparency=1)
    assert np.all(decode_square(tmp_path / "clear.png", 8) == 255)
    assert np.all(decode_square(tmp_path / "palette.png", 8) == 255)
    assert np.all(np.abs(decode_square(tmp_path / "half.webp", 8).astype(int) - (255, 127, 127)) <= 1)


def test_exif_orientation_is_honoured(tmp_path):
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise: the bright top half goes to the right
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    square = decode_square(tmp_path / "turned.jpg", 16).astype(int)
    assert square[:, 9:].min() > 200
    assert square[:, :7].max() < 50


def test_damaged_and_foreign_files_are_skipped_with_a_line_each(tmp_path):
    photos(tmp_path)
    photo(tmp_path / "dog/1.jpg", COLORS["dog"], size=(200, 200))
    whole = (tmp_path / "dog/1.jpg").read_bytes()
    (tmp_path / "dog/1.jpg").write_bytes(whole[: len(whole) // 2])
    broken = (tmp_path / "owl/2.png").read_bytes()
    (tmp_path / "owl/2.png").write_bytes(broken[:100] + bytes(50) + broken[150:])
    (tmp_path / "cat/fake.jpg").write_text("not a photo")
    (tmp_path / "cat/none.webp").write_bytes(b"")
    (tmp_path / "cat/notes.txt").write_text("notes")
    (tmp_path / "labels.csv").write_text("a,b")
    for hidden in (".DS_Store", "cat/.DS_Store", "cat/Thumbs.db", "dog/._1.jpg"):
        (tmp_path / hidden).write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    got = load(tmp_path)
    assert len(got.train.labels) + len(got.val.labels) == 26
    lines = {
        os.path.relpath(line.split(": skipped, ")[0], tmp_path): line.split(": skipped, ")[1] for line in got.warnings
    }
    assert set(lines) == {"dog/1.jpg", "owl/2.png", "cat/fake.jpg", "cat/none.webp", "cat/notes.txt", "labels.csv"}
    assert "truncated" in lines["dog/1.jpg"]
    assert lines["cat/fake.jpg"] == "not a JPEG, PNG, WebP, BMP or GIF image"
    assert lines["cat/notes.txt"].startswith("not an image (.jpg")
    assert lines["labels.csv"] == "not in a class folder"
    assert all("\n" not in line for line in got.warnings)
    assert load(tmp_path).warnings == got.warnings


def test_an_empty_class_folder(tmp_path):
    photos(tmp_path)
    (tmp_path / "eel").mkdir()
    with pytest.raises(UserError, match=f"{tmp_path}/eel: no image in this class folder"):
        data.check(f"imagefolder:{tmp_path}")
    (tmp_path / "eel/1.jpg").write_text("not a photo")
    data.check(f"imagefolder:{tmp_path}")
    with pytest.raises(UserError, match=f"class 'eel' has no usable image; the first, {tmp_path}/eel/1.jpg: skipped"):
        load(tmp_path)


def test_folders_without_classes(tmp_path):
    with pytest.raises(UserError, match=f"imagefolder:{tmp_path}/nowhere': no such folder; expected is DIR/CLASS"):
        data.check(f"imagefolder:{tmp_path}/nowhere")
    photo(tmp_path / "1.png", (1, 2, 3))
    with pytest.raises(UserError, match=f"{tmp_path}: holds no class folders; expected is DIR/CLASS"):
        data.check(f"imagefolder:{tmp_path}")
    with pytest.raises(UserError, match="no such folder"):
        data.check(f"imagefolder:{tmp_path}/1.png")
    photos(tmp_path / "photos")
    with pytest.raises(UserError, match=rf"{tmp_path}: holds one class folder \('photos'\), at least 2"):
        data.check(f"imagefolder:{tmp_path}")
    for part in ("train", "val"):
        photo(tmp_path / "flat" / part / "1.png", (1, 2, 3))
    with pytest.raises(UserError, match=f"{tmp_path}/flat/train: holds no class folders"):
        data.check(f"imagefolder:{tmp_path}/flat")


def test_an_unreadable_folder(tmp_path, monkeypatch):
    photos(tmp_path)
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=f"cannot read {tmp_path}/dog: Permission denied"):
        data.check(f"imagefolder:{tmp_path}")


@pytest.mark.parametrize(("here", "there"), [("train", "val"), ("val", "train")])
def test_a_class_in_only_one_of_train_and_val(tmp_path, here, there):
    photos(tmp_path / "train")
    photos(tmp_path / "val")
    photo(tmp_path / here / "eel" / "1.png", (1, 2, 3))
    with pytest.raises(UserError, match=f"{tmp_path}/{here}/eel: this class is in {here} but not in {there}"):
        data.check(f"imagefolder:{tmp_path}")


def test_a_class_too_small_to_split(tmp_path):
    photos(tmp_path, (6, 1, 4))
    with pytest.raises(UserError, match=r"class 'dog': 1 usable image\(s\), at least 2 are needed"):
        load(tmp_path)
