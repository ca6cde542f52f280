"""One image file to one square of RGB pixels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif")
MOST_PIXELS = 64_000_000  # decoded at a time: 192 MB, several times that on the way to RGB
VERSION = f"1, Pillow {Image.__version__}"  # of what is done here; other pixels come of another


@dataclass(frozen=True)
class ReadFiles:
    """Reads image files of a folder. names: relative to root."""

    root: str
    names: tuple[str, ...]

    def __call__(self, i: int, resolution: int) -> np.ndarray:
        return decode_square(os.path.join(self.root, self.names[i]), resolution).transpose(2, 0, 1)

    def side(self, i: int) -> int:
        return shorter_side(os.path.join(self.root, self.names[i]))


def decode_square(path: str | os.PathLike[str] | IO[bytes], resolution: int) -> np.ndarray:
    """uint8 (R, R, 3): the first frame, turned upright, shorter side resized to R, centre cropped. Raises what Pillow
    raises, and ValueError for an image that would take too much memory."""
    with _open(path) as file:
        if file.info.get("progressive"):  # libjpeg holds all of such a file, however small it is to come out
            _check_size(file)
        file.draft(None, (2 * resolution, 2 * resolution))  # a big JPEG is decoded at 1/2, 1/4 or 1/8 of its size
        _check_size(file)
        return square(ImageOps.exif_transpose(file), resolution)


def shorter_side(path: str | os.PathLike[str] | IO[bytes]) -> int:
    """In pixels; nothing is decoded. Raises what Pillow raises."""
    with _open(path) as file:
        return min(file.size)


def square(image: Image.Image, resolution: int) -> np.ndarray:
    """uint8 (R, R, 3): shorter side resized to R (bicubic, antialiased), centre cropped."""
    image = to_rgb(image)
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((resolution, resolution), Image.Resampling.BICUBIC, box, reducing_gap=2.0))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB: transparency over white, 16-bit grey by its upper byte."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def reason(error: Exception) -> str:
    """Why an image is skipped, in one line."""
    if isinstance(error, UnidentifiedImageError):
        return "not a JPEG, PNG, WebP, BMP or GIF image"
    return str(error).partition("\n")[0] or type(error).__name__


def _open(path: str | os.PathLike[str] | IO[bytes]) -> Image.Image:
    """Pillow refuses what is huge before a JPEG can be drafted down; only then is it opened as a JPEG."""
    if isinstance(path, str | os.PathLike) and os.path.getsize(path) == 0:
        raise ValueError("an empty file")
    try:
        return Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError:
        if not isinstance(path, str | os.PathLike):
            path.seek(0)
        try:
            return JpegImageFile(path)
        except SyntaxError:  # not a JPEG
            raise ValueError(f"more than {MOST_PIXELS / 1e6:.0f} million pixels") from None


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels, at most {MOST_PIXELS / 1e6:.0f} million are decoded")
