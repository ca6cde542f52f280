"""The one exception type for a user's mistakes, at the bottom of the layers so that every layer can raise it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """Bad input. The message is one line: the field, the bad value, and what is allowed.

    A command line prints it on stderr and exits with code 2; a notebook sees a ``ValueError``.
    """


@contextmanager
def found_in(place: object) -> Iterator[None]:
    """Errors of what a file holds name the file, too."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{place}: {error}") from None


def meant(name: object, allowed: Iterable[str], otherwise: str) -> str:
    """The end of an error about a name that there is not: those like it; where there are none, ``otherwise``."""
    near = difflib.get_close_matches(str(name), allowed)
    return f"did you mean {' or '.join(near)}?" if near else otherwise
