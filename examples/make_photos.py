"""Makes a folder of class folders of JPEGs, as a stand-in for photographs: ``python examples/make_photos.py DIR``.

Characters of the built-in set ``glyphs`` in two random colours, one dark, one light; 96 px. Classes are unequal,
as real ones are: the first has 160 images, the last 52. Equal on every run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from nas import data

LARGEST, FEWER = 160, 12  # images of the first class, and by how many each next one is smaller
SIDE = 96


def main(folder: Path) -> None:
    """Writes FOLDER/CLASS/0000.jpg, ..."""
    images = data.load(f"glyphs:classes=10,n={10 * LARGEST}", SIDE, seed=0, val_fraction=0.1, test_fraction=0)
    rng, written = np.random.default_rng(0), [0] * images.num_classes
    for split in (images.train, images.val):
        for position, label in enumerate(split.labels):
            if written[label] == LARGEST - FEWER * label:
                continue
            grey = split.batch(np.array([position]))[0, 0, :, :, None] / 255
            dark, light = rng.integers(0, 80, 3), rng.integers(176, 256, 3)
            place = folder / images.classes[label] / f"{written[label]:04}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((dark + grey * (light - dark)).astype(np.uint8)).save(place, quality=90)
            written[label] += 1
    print(f"{sum(written)} images of {len(written)} classes, {min(written)} to {max(written)} each, in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
