"""For the page of Python names: docstrings of this project say ``name: what it is`` of arguments and fields in running
text; here each of them becomes an item of a list."""

import re
from typing import Any

import griffe


class NamesAsItems(griffe.Extension):
    """Only names that the documented object has are taken for one."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """As mkdocstrings finds one."""
        itemise(func, [parameter.name for parameter in func.parameters])

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """As mkdocstrings finds one, with its members."""
        itemise(cls, list(cls.members))


def itemise(documented: griffe.Object, names: list[str]) -> None:
    """Rewrites the docstring in place."""
    if documented.docstring is None or not names:
        return
    one = "|".join(map(re.escape, names))
    start = re.compile(rf"(?:(?<=\. )|(?<=^))((?:{one})(?:, (?:{one}))*): ")
    parts = documented.docstring.value.split("\n\n")
    documented.docstring.value = "\n\n".join(_items(" ".join(part.split()), start) for part in parts)


def _items(paragraph: str, start: re.Pattern[str]) -> str:
    """Text before the first name, and a list item from each name to the next."""
    before, *rest = start.split(paragraph)
    items = [f"- **{name}**: {text.strip()}" for name, text in zip(rest[::2], rest[1::2], strict=True)]
    return "\n\n".join(filter(None, [before.strip(), "\n".join(items)]))
