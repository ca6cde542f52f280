"""Files as they are found: whatever a folder holds is read as what it shows, or refused by name."""

import os
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from images import COLORS, photo, photos, pixels
from PIL import Image

from nas import data
from nas.data import decode
from nas.data.decode import decode_square
from search_spaces.errors import UserError


def load(root, **more):
    return data.load(f"imagefolder:{root}", **{"resolution": 16, "seed": 0, "test_fraction": 0} | more)


def grey(path, mode, value=100, **save):
    """A plain image of a mode, as dark as ``value`` whatever the mode."""
    if mode == "I;16":
        image = Image.fromarray(np.full((20, 30), value * 256, np.uint16))
    elif mode == "P, transparent":
        image = Image.new("P", (30, 20), 1)
        image.putpalette([0, 0, 0, value, value, value, 9, 9, 9])
        save = save | {"transparency": 2}
    else:
        image = Image.new("RGB", (30, 20), (value,) * 3).convert(mode, palette=Image.Palette.ADAPTIVE)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **save)


KINDS = {
    "grey.png": "L",
    "grey.jpg": "L",
    "alpha.png": "RGBA",
    "grey and alpha.png": "LA",
    "16 bit.png": "I;16",
    "print.jpg": "CMYK",
    "palette.png": "P",
    "palette.gif": "P",
    "see through.png": "P, transparent",
}


def test_every_kind_of_image_shows_what_it_shows(tmp_path):
    for number, (name, mode) in enumerate(KINDS.items()):
        grey(tmp_path / "dark" / name, mode, value=60)
        grey(tmp_path / "light" / f"{number} {name}", mode, value=200)
    got = load(tmp_path)
    assert got.warnings == ()
    assert len(got.train) + len(got.val) == 2 * len(KINDS)
    for split in (got.train, got.val):
        expected = np.where(split.labels == 0, 60, 200)[:, None, None, None]
        assert np.all(np.abs(pixels(split).astype(int) - expected) <= 4)


@pytest.mark.parametrize("name", ["film.gif", "film.webp", "film.png"])
def test_of_an_animation_the_first_frame_is_taken(tmp_path, name):
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue", "green")]
    lossless = {"lossless": True} if name.endswith("webp") else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=100, **lossless)
    assert np.all(decode_square(tmp_path / name, 8) == (255, 0, 0))


def header_of_a_huge_png(path, width, height):
    """Some hundred bytes that say to be gigabytes."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize(("width", "height"), [(9_000, 9_000), (12_000, 12_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_by_name(tmp_path, width, height, recwarn):
    photos(tmp_path)
    header_of_a_huge_png(tmp_path / "cat/bomb.png", width, height)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    got = load(tmp_path)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 100e6
    (line,) = got.warnings
    assert line.startswith(f"{tmp_path}/cat/bomb.png: skipped, ")
    assert "64 million" in line
    assert len(got.train) + len(got.val) == 28
    assert not recwarn.list


def test_a_huge_jpeg_is_drafted_down(tmp_path):
    """192 million pixels, which Pillow refuses, take the memory of an eighth of each side."""
    Image.new("L", (16_000, 12_000), 90).save(tmp_path / "large.jpg")
    code = (
        "import sys; from resource import getrusage; from nas.data.decode import decode_square;"
        "start = getrusage(0).ru_maxrss; image = decode_square(sys.argv[1], 32);"
        "print(image.min(), image.max(), getrusage(0).ru_maxrss - start)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "large.jpg"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    least, most, grown_kb = map(int, done.stdout.split())
    assert (least, most) == (90, 90)
    assert grown_kb < 60_000


def test_a_huge_progressive_jpeg_is_refused(tmp_path, monkeypatch):
    """Its decoder holds all of it, whatever comes out."""
    monkeypatch.setattr(decode, "MOST_PIXELS", 10_000)
    Image.new("RGB", (200, 100)).save(tmp_path / "plain.jpg")
    Image.new("RGB", (200, 100)).save(tmp_path / "progressive.jpg", progressive=True)
    assert decode_square(tmp_path / "plain.jpg", 8).shape == (8, 8, 3)
    with pytest.raises(ValueError, match="200 x 100 pixels, at most 0 million are decoded"):
        decode_square(tmp_path / "progressive.jpg", 8)


def test_damaged_files_are_named_with_the_reason(tmp_path):
    photos(tmp_path)
    for name, part in (("dog/1.jpg", 2), ("owl/2.png", 2), ("owl/4.png", 3)):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // part])
    (tmp_path / "cat/0.png").write_bytes(b"")
    (tmp_path / "cat/new\nline.png").write_bytes(b"text")
    got = load(tmp_path)
    assert len(got.train) + len(got.val) == 28 - 4
    why = {line.split(": skipped, ")[0]: line.split(": skipped, ")[1] for line in got.warnings}
    assert set(why) == {
        f"{tmp_path}/{x}" for x in ("dog/1.jpg", "owl/2.png", "owl/4.png", "cat/0.png", "cat/new\\nline.png")
    }
    assert why[f"{tmp_path}/cat/0.png"] == "an empty file"
    assert "truncated" in why[f"{tmp_path}/dog/1.jpg"].lower()


def test_names_in_any_writing_and_at_any_depth(tmp_path):
    names = ["Füße", "猫", "кошка 2", "🦉"]
    for label, name in enumerate(names):
        for i in range(4):
            photo(tmp_path / name / Path(*["2024", "été", "x y"][:i]) / f"{i} ñ.jpg", (40 * label,) * 3)
    photo(tmp_path / os.fsdecode(b"caf\xe9") / "1.png", (200, 200, 200))  # Latin-1, which is no UTF-8
    photo(tmp_path / os.fsdecode(b"caf\xe9") / os.fsdecode(b"\xff.png"), (200, 200, 200))
    (tmp_path / os.fsdecode(b"caf\xe9") / os.fsdecode(b"\xfe.png")).write_bytes(b"x")
    got = load(tmp_path)
    assert got.classes == tuple(sorted([*names, os.fsdecode(b"caf\xe9")]))
    assert len(got.train) + len(got.val) == 18
    (line,) = got.warnings
    assert line.encode()  # can be written to a log
    again = load(tmp_path)
    assert np.array_equal(pixels(again.train), pixels(got.train))


def test_one_class_only(tmp_path):
    photo(tmp_path / "cat/1.png", COLORS["cat"])
    photo(tmp_path / "cat/2.png", COLORS["cat"])
    with pytest.raises(UserError, match=rf"{tmp_path}: holds one class folder \('cat'\), at least 2 are needed"):
        load(tmp_path)


def test_a_class_with_one_image(tmp_path):
    photos(tmp_path, (6, 1, 4))
    with pytest.raises(UserError, match=r"class 'dog': 1 usable image\(s\), at least 2 are needed"):
        load(tmp_path)


def test_a_class_with_two_images_gives_none_for_the_test(tmp_path):
    photos(tmp_path, (20, 2, 20))
    got = load(tmp_path, test_fraction=0.4)
    assert np.bincount(got.test.labels, minlength=3).tolist() == [8, 0, 8]
    assert np.bincount(got.train.labels).tolist()[1] == np.bincount(got.val.labels).tolist()[1] == 1


def test_a_class_with_one_image_may_train_where_others_validate(tmp_path):
    photos(tmp_path / "train", (6, 1, 4))
    photos(tmp_path / "val", (1, 1, 1))
    got = load(tmp_path, test_fraction=0.2)
    assert np.bincount(got.train.labels)[1] == 1
    assert got.val.labels.tolist() == [0, 1, 2]


def test_a_test_folder_of_its_own(tmp_path, caplog):
    """May lack classes, may not have others; it is read when it is asked for."""
    photos(tmp_path / "train")
    photo(tmp_path / "test/owl/1.png", COLORS["owl"])
    (tmp_path / "test/owl/2.png").write_bytes(b"damaged")
    got = load(tmp_path, test_fraction=0.1)
    assert len(got.train) + len(got.val) == 28
    assert got.warnings == ()
    assert got.test.labels.tolist() == [2]
    assert f"test images: {tmp_path}/test/owl/2.png: skipped, not a JPEG" in caplog.text
    assert pixels(got.test).mean(axis=(2, 3)).argmax() == 2
    photo(tmp_path / "test/eel/1.png", (1, 2, 3))
    with pytest.raises(UserError, match=f"{tmp_path}/test/eel: this class is in test but not in train"):
        _ = load(tmp_path).test


def test_a_test_folder_without_classes_is_left_out(tmp_path):
    photos(tmp_path / "train")
    photo(tmp_path / "test/1.png", COLORS["owl"])
    got = load(tmp_path, test_fraction=0.1)
    assert got.warnings == (f"{tmp_path}/test: skipped, it holds no class folders",)
    assert len(got.test) == 3
