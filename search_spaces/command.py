"""What every command line of the project shares: one-line errors, exit codes, plain tables."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from search_spaces.errors import UserError


class Parser(argparse.ArgumentParser):
    """argparse with errors in one line (the usage is what ``--help`` is for), without abbreviated flags, and with texts
    that keep their lines."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        usual = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter}
        super().__init__(*arguments, **{**usual, **settings})

    def error(self, message: str) -> NoReturn:
        """One line on stderr and exit code 2."""
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


def run(main: Callable[[Sequence[str]], None]) -> NoReturn:
    """Runs a command line. Exit code 0 done, 2 user error (one line on stderr), 130 interrupted, 1 internal error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what a terminal cannot show is a question mark, never an error
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def positive_int(text: str) -> int:
    """An argparse type."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer >= 1")
    return value


def positive_float(text: str) -> float:
    """An argparse type."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number > 0")
    return value


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text; numbers (and what looks like them) to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    right = [all(row[i][:1].isdigit() or row[i] in ("", "-") for row in rows) for i in range(len(header))]

    def text(line: Sequence[str]) -> str:
        cells = (cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(line, widths, right, strict=True))
        return "  ".join(cells).rstrip()

    return "\n".join([text(lines[0]), "  ".join("-" * w for w in widths), *map(text, lines[1:])])
