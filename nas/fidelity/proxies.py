"""Proxies: cheaper trainings than the long one, as changes to the spec of a search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from search_spaces import UserError
from studies.spec import Spec

FORM = "epochs=2,resolution=24,share=0.5,width=0.5"
SMALLEST = 16  # pixels, of the default proxies
READ: dict[str, type] = {"epochs": int, "resolution": int, "share": float, "width": float}


@dataclass(frozen=True)
class Proxy:
    """resolution: in pixels, None: the space's own. share: of the training images. width: times its channels."""

    epochs: int
    resolution: int | None = None
    share: float = 1.0
    width: float = 1.0

    @property
    def name(self) -> str:
        """As it is typed, without what is as in the search but for the epochs."""
        own = Proxy(0)
        found = {field: getattr(self, field) for field in READ}
        return ",".join(f"{field}={value:g}" for field, value in found.items() if value != getattr(own, field))

    def applied(self, spec: Spec, width: float) -> Spec:
        """The spec of a search that trains so; ``width``: the space's own."""
        data = replace(spec.data, share=spec.data.share * self.share)
        if self.resolution is not None:
            data = replace(data, resolution=self.resolution)
        return replace(
            spec,
            space=replace(spec.space, width=width * self.width),
            data=data,
            train=replace(spec.train, epochs=self.epochs),
        )


def parse(text: str, epochs: int, resolutions: Sequence[int]) -> Proxy:
    """``epochs=2,resolution=24``; what is left out is as in the search: so many epochs, these resolutions. Raises
    UserError."""
    given: dict[str, Any] = {}
    for part in text.split(","):
        field, equals, value = (word.strip() for word in part.partition("="))
        if field not in READ or not equals or field in given:
            raise UserError(f"--proxy: {text!r} is not of the form {FORM}, with each at most once")
        try:
            given[field] = READ[field](value)
        except ValueError:
            raise UserError(f"--proxy: {field} {value!r} in {text!r} is not {_words(READ[field])}") from None
        if not 0 < given[field] < math.inf or (field in ("share", "width") and given[field] > 1):
            limit = "above 0 and at most 1" if field in ("share", "width") else "above 0"
            raise UserError(f"--proxy: {field} {value} in {text!r} is not {limit}")
    if list(resolutions) == [given.get("resolution")]:
        del given["resolution"]
    return Proxy(**{"epochs": epochs} | given)


def grid(epochs: int, resolution: int) -> list[Proxy]:
    """The default ones, around a search of so many epochs and pixels: fewer epochs, fewer pixels, fewer images and
    narrower networks, and two of these together. Without those that would be the same."""
    own, half = Proxy(epochs), max(1, epochs // 2)
    fewer = 8 * round(0.75 * resolution / 8)
    pixels = fewer if SMALLEST <= fewer < resolution else None
    found = [
        own,
        Proxy(half),
        Proxy(max(1, epochs // 4)),
        replace(own, resolution=pixels),
        replace(own, share=0.5),
        replace(own, width=0.5),
        Proxy(half, resolution=pixels),
        Proxy(half, share=0.5),
    ]
    return list(dict.fromkeys(found))


def _words(kind: type) -> str:
    return "a whole number" if kind is int else "a number"
