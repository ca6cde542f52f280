"""Glyphs: every option does what it says, and resolution adds detail to the same image."""

import numpy as np
import pytest
from images import pixels
from PIL import Image

from nas import data
from nas.data.glyphs import CHARACTERS, Options, _stencil, draw, parse
from search_spaces.errors import UserError

PLAIN = "clutter=0,noise=0,rotation=0,contrast=100-100,size=0.6-0.6"


def test_defaults():
    got = data.load("glyphs", 8, seed=0, val_fraction=1 / 3)
    assert (len(pixels(got.train)), len(pixels(got.val)), got.num_classes) == (2133, 1067, 10)
    assert parse("") == Options()


def test_an_image_depends_on_seed_and_index_only():
    few, many = data.load("glyphs:n=64", 16, seed=1), data.load("glyphs:n=640", 16, seed=1)
    images = {image.tobytes() for image in np.concatenate([pixels(many.train), pixels(many.val)])}
    assert {image.tobytes() for image in np.concatenate([pixels(few.train), pixels(few.val)])} <= images


def test_higher_resolution_is_the_same_image_with_more_detail():
    small = pixels(data.load("glyphs:n=64,noise=0", 16, seed=2).train)[:, 0].astype(float)
    large = pixels(data.load("glyphs:n=64,noise=0", 64, seed=2).train)[:, 0].astype(float)
    shrunk = np.stack([np.asarray(Image.fromarray(x).reduce(4), float) for x in large.astype(np.uint8)])
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(small, shrunk, strict=True)]
    assert np.median(alike) > 0.85
    assert min(alike) > 0.5
    blurred = [np.asarray(Image.fromarray(x).resize((64, 64), Image.Resampling.BICUBIC), float) for x in small]
    assert np.abs(large - np.stack(blurred)).mean() > 3  # what 16 pixels cannot show, in grey levels


def test_options_shape_the_images():
    plain = pixels(data.load(f"glyphs:n=32,{PLAIN}", 64, seed=0).train)[:, 0].astype(int)
    contrast = plain.max(axis=(1, 2)) - plain.min(axis=(1, 2))
    assert np.all(np.abs(contrast - 100) <= 1)
    noisy = pixels(data.load(f"glyphs:n=32,{PLAIN.replace('noise=0', 'noise=8')}", 64, seed=0).train)[:, 0]
    assert (noisy.astype(int) - plain).std() == pytest.approx(8, abs=0.5)
    sizes = {}
    for size in ("0.3-0.3", "0.9-0.9"):
        got = pixels(data.load(f"glyphs:n=32,{PLAIN.replace('0.6-0.6', size)}", 64, seed=0).train)[:, 0]
        paper = np.median(got, axis=(1, 2), keepdims=True)
        ys = np.nonzero(np.abs(got - paper) > 50)[1]
        sizes[size] = len(ys)
    assert sizes["0.9-0.9"] > 5 * sizes["0.3-0.3"]


def test_the_whole_character_is_inside():
    options = parse("classes=36,n=72,clutter=0,noise=0,size=0.8-0.8,rotation=45,contrast=100-100")
    for index, character in enumerate(CHARACTERS):
        image = draw(character, 64, options, np.random.default_rng(index)).astype(int)
        border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert np.ptp(border) <= 60, character


def test_characters_are_distinct():
    """And the font has every one of them: none looks like the box that stands for a missing character."""
    assert len(set(CHARACTERS)) == len(CHARACTERS) >= 32
    flat = [np.asarray(_stencil(c, 64).resize((32, 32))).tobytes() for c in (*CHARACTERS, "\uffff")]
    assert len(set(flat)) == len(flat)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("colour=red", "unknown option 'colour'; one of classes, n, clutter, noise, contrast, size, rotation, side"),
        ("classes", "classes= is not an integer from 2 to 36"),
        ("classes=37", "classes=37 is not an integer from 2 to 36"),
        ("n=many", "n=many is not an integer"),
        ("n=19", "n=19 is not at least 20, two of each of 10 classes"),
        ("noise=nan", "noise=nan is not a number from 0 to 64"),
        ("contrast=130-60", "contrast=130-60 is not a range within 10-255"),
        ("size=0.5", "size=0.5 is not a range within 0.2-1.0"),
        ("rotation=90", "rotation=90 is not a number of degrees from 0 to 45"),
        ("clutter=1,clutter=2", "option 'clutter' is given twice"),
    ],
)
def test_bad_options_name_what_is_allowed(options, message):
    with pytest.raises(UserError, match=message) as caught:
        data.check(f"glyphs:{options}")
    assert str(caught.value).startswith(f"data 'glyphs:{options}': ")


def test_size_64_is_the_side_where_no_resolution_is_asked_for():
    assert data.default_resolution("glyphs:classes=32,size=64,n=200") == 64
    assert data.default_resolution("glyphs:size=0.5-0.8") == 32
    plain, sized = data.load("glyphs:n=64", 16, seed=0), data.load("glyphs:n=64,size=64", 16, seed=0)
    assert np.array_equal(pixels(plain.train), pixels(sized.train))


def test_test_images_are_drawn_beyond_the_others():
    """So that a training is the same whether any are held out or not."""
    none, some = data.load("glyphs:n=80", 16, seed=3, test_fraction=0), data.load("glyphs:n=80", 16, seed=3)
    assert none.test is None
    assert np.array_equal(pixels(none.train), pixels(some.train))
    assert np.array_equal(pixels(none.val), pixels(some.val))
    assert len(some.test) == 8
    more = data.load("glyphs:n=88", 16, seed=3, test_fraction=0)
    drawn = {image.tobytes() for split in (more.train, more.val) for image in pixels(split)}
    before = {image.tobytes() for split in (some.train, some.val) for image in pixels(split)}
    assert {image.tobytes() for image in pixels(some.test)} == drawn - before
    assert some.test.labels.tolist() == [i % 10 for i in range(80, 88)]
