"""One image file to one square of RGB pixels; many files in parallel."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from nas.data.pool import Request, empty_images
from nas.environment import cpu_count

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp")


def decode_all(paths: Sequence[Path], request: Request) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Images uint8 (N, 3, R, R), which of them are usable (bool), and one line for each that is not."""
    images = empty_images(len(paths), request.resolution)
    usable = np.ones(len(paths), bool)
    problems: list[str] = []

    def decode(i: int) -> str | None:
        try:
            images[i] = decode_square(paths[i], request.resolution).transpose(2, 0, 1)
        except UnidentifiedImageError:
            return f"{paths[i]}: skipped, not a JPEG, PNG, WebP or BMP image"
        except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
            return f"{paths[i]}: skipped, {str(error).partition(chr(10))[0] or type(error).__name__}"
        return None

    with ThreadPoolExecutor(cpu_count()) as pool:  # decoding and resizing release the GIL
        for i, problem in enumerate(pool.map(decode, range(len(paths)))):
            if problem is not None:
                usable[i] = False
                problems.append(problem)
            request.progress(i + 1, len(paths))
    return images, usable, problems


def decode_square(path: Path, resolution: int) -> np.ndarray:
    """uint8 (R, R, 3): turned upright, shorter side resized to R, centre cropped. Raises what Pillow raises."""
    with Image.open(path, formats=FORMATS) as file:
        file.draft(None, (2 * resolution, 2 * resolution))  # a big JPEG is decoded at 1/2, 1/4 or 1/8 of its size
        image = to_rgb(ImageOps.exif_transpose(file))
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    square = (left, top, left + side, top + side)
    return np.asarray(image.resize((resolution, resolution), Image.Resampling.BICUBIC, square, reducing_gap=2.0))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB: transparency over white, 16-bit grey by its upper byte."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
