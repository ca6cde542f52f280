"""``glyphs``: characters drawn from the font that ships with Pillow, so that resolution carries information.

Every length is a share of the image's side and every random number comes from the seed and the image's index, in an
order that resolution does not change: image 7 at 64 px is image 7 at 32 px with more detail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nas.data.listing import Listing, Outline, Part
from search_spaces.errors import UserError

# Distinct when turned by up to 45 degrees: no 0/O/Q, 1/I/l, 5/S, 6/9, 8/B, and one case of each letter. The first 16
# hold a few neighbours (E and F, C and G, P and R) on purpose, since without any a small network is soon perfect.
CHARACTERS = "ABCEFGHKLMPRSTUX" + "DJNVWYZ2347&@#?%$aeg"

SUPERSAMPLING = 2  # drawn at twice the side and averaged, for smooth edges


@dataclass(frozen=True)
class Options:
    """clutter: strokes behind the character. noise: standard deviation, of 255. contrast: range of |ink - paper|, of
    255. size: range of the font's height as a share of the side. rotation: largest angle either way, in degrees.
    side: of the images in pixels, where no resolution is asked for; written ``size=64`` too.

    The defaults are what a few hundred steps of training tell networks of the v2 space apart on (benchmarks/noise.py).
    """

    classes: int = 10
    n: int = 3200
    clutter: int = 0
    noise: float = 4.0
    contrast: tuple[float, float] = (120.0, 250.0)
    size: tuple[float, float] = (0.7, 0.95)
    rotation: float = 15.0
    side: int | None = None


def _one(kind: type, low: float, high: float) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        value = kind(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return parse


def _range(low: float, high: float) -> Callable[[str], tuple[float, float]]:
    def parse(text: str) -> tuple[float, float]:
        start, end = (float(part) for part in text.split("-"))
        if not low <= start <= end <= high:
            raise ValueError
        return start, end

    return parse


# option: how to read it, and what is allowed
PARSERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "classes": (_one(int, 2, len(CHARACTERS)), f"an integer from 2 to {len(CHARACTERS)}"),
    "n": (_one(int, 4, 10_000_000), "an integer from 4, at least twice the number of classes"),
    "clutter": (_one(int, 0, 20), "an integer from 0 to 20"),
    "noise": (_one(float, 0, 64), "a number from 0 to 64"),
    "contrast": (_range(10, 255), "a range within 10-255, such as 60-130"),
    "size": (_range(0.2, 1.0), "a range within 0.2-1.0, such as 0.5-0.8"),
    "rotation": (_one(float, 0, 45), "a number of degrees from 0 to 45"),
    "side": (_one(int, 8, 4096), "an integer from 8 to 4096"),
}


def parse(argument: str) -> Options:
    """``classes=16,n=4500,...`` as Options. Raises UserError naming the option and what it allows."""
    values: dict[str, Any] = {}
    for item in filter(None, argument.split(",")):
        name, _, text = (part.strip() for part in item.partition("="))
        if name == "size" and text.isdecimal() and int(text) >= 8:
            name = "side"
        if name not in PARSERS:
            raise UserError(f"data 'glyphs:{argument}': unknown option '{name}'; one of {', '.join(PARSERS)}")
        if name in values:
            raise UserError(f"data 'glyphs:{argument}': option '{name}' is given twice")
        read, allowed = PARSERS[name]
        try:
            values[name] = read(text)
        except ValueError:
            raise UserError(f"data 'glyphs:{argument}': {name}={text} is not {allowed}") from None
    options = Options(**values)
    if options.n < 2 * options.classes:
        raise UserError(
            f"data 'glyphs:{argument}': n={options.n} is not at least {2 * options.classes}, two of each of "
            f"{options.classes} classes"
        )
    return options


@dataclass(frozen=True)
class Glyphs:
    """Test images are drawn beyond the first ``n``, so that all others are the same without them."""

    options: Options
    seed: int
    tested: int  # how many test images
    flip = False
    root = ""
    warnings = ()

    @classmethod
    def open(cls, argument: str, seed: int, test_fraction: float) -> Glyphs:
        options = parse(argument)
        return cls(options, seed, round(options.n * test_fraction))

    @property
    def own_test(self) -> bool:
        return self.tested > 0

    def outline(self) -> Outline:
        return Outline(self.options.classes, self.options.n, self.own_test)

    def identity(self, part: Part) -> Any:
        drawn = {name: value for name, value in asdict(self.options).items() if name not in ("n", "side")}
        indices = self._indices(part)
        return ["glyphs", drawn, self.seed, indices.start, indices.stop]

    def listing(self, part: Part) -> Listing:
        indices = self._indices(part)
        labels = np.asarray(indices) % self.options.classes
        read = DrawGlyph(self.options, self.seed, indices.start)
        classes = tuple(CHARACTERS[: self.options.classes])
        return Listing(classes, labels, [f"glyph {i}" for i in indices], read, parallel=False)

    def _indices(self, part: Part) -> range:
        n = self.options.n
        return range(n) if part == "search" else range(n, n + self.tested)


@dataclass(frozen=True)
class DrawGlyph:
    """Draws image ``first + i``."""

    options: Options
    seed: int
    first: int

    def __call__(self, i: int, resolution: int) -> np.ndarray:
        index = self.first + i
        rng = np.random.default_rng([self.seed, 3, index])
        grey = draw(CHARACTERS[index % self.options.classes], resolution, self.options, rng)
        return np.broadcast_to(grey, (3, resolution, resolution))

    def side(self, i: int) -> None:
        """None: a font has detail at any resolution."""


def draw(character: str, resolution: int, options: Options, rng: np.random.Generator) -> np.ndarray:
    """One image, uint8 (R, R)."""
    side = resolution * SUPERSAMPLING
    contrast = rng.uniform(*options.contrast) * rng.choice((-1, 1))
    paper = rng.uniform(max(0, -contrast), min(255, 255 - contrast))
    image = Image.new("L", (side, side), round(paper))
    pen = ImageDraw.Draw(image)
    for x, y, turn, length, width, ink in rng.random((options.clutter, 6)):
        reach = (0.1 + 0.2 * length) * np.exp(2j * np.pi * turn)  # half a stroke, as a complex number
        ends = [complex(x, y) + reach, complex(x, y) - reach]
        pen.line(
            [(end.real * side, end.imag * side) for end in ends],
            fill=round(paper + contrast * (0.3 + 0.5 * ink)),  # fainter than the character
            width=max(1, round((0.02 + 0.03 * width) * side)),
        )
    size, angle = rng.uniform(*options.size), rng.uniform(-options.rotation, options.rotation)
    mask = _stencil(character, round(size * side)).rotate(angle, Image.Resampling.BILINEAR)
    centre = side / 2 + rng.uniform(-0.5, 0.5, 2) * (1 - size) * side
    left, top = (int(x) for x in np.round(centre - mask.width / 2))
    image.paste(round(paper + contrast), (left, top), mask)
    pixels = np.asarray(image.reduce(SUPERSAMPLING), np.float32)
    pixels = pixels + np.float32(options.noise) * rng.standard_normal(pixels.shape, np.float32)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


@lru_cache(maxsize=256)
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _stencil(character: str, size: int) -> Image.Image:
    """The character in white on black, its box centred in a square that holds it at any angle."""
    left, top, right, bottom = _font(size).getbbox(character)
    side = int(np.hypot(right - left, bottom - top)) + 4
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).text(
        ((side - left - right) / 2, (side - top - bottom) / 2), character, fill=255, font=_font(size)
    )
    return mask
