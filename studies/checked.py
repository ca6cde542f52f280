"""Data of a file as a value of ours: types and bounds are checked by pydantic, and what is wrong is one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from search_spaces import UserError

T = TypeVar("T")


def checked(kind: type[T], data: Mapping[str, Any]) -> T:
    """A dataclass from its mapping. Raises UserError that names the field with its path, the value and what is
    allowed."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(data, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("int", "float", "str"))
        if first["type"] == "missing":
            raise UserError(f"{where}: missing") from None
        reason = first["msg"].lower().replace("valid tuple", "list")
        raise UserError(f"{where}: {first['input']!r} is wrong: {reason}") from None
