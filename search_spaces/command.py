"""What every command line of the project shares: one-line errors, exit codes, plain tables."""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from search_spaces.errors import UserError, meant

LONGEST = 120  # characters of a word in an error; of a longer one both ends are shown


class Parser(argparse.ArgumentParser):
    """argparse with errors in one line (the usage is what ``--help`` is for), without abbreviated flags, without empty
    values, which as a path would be the current folder, and with texts that keep their lines."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        usual = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter}
        super().__init__(*arguments, **{**usual, **settings})
        for kind, read in ((None, _text), (str, _text), (Path, _path), (int, _integer), (float, _number)):
            self.register("type", kind, read)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """A flag that there is not is an error that names those like it."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            flag = unknown[0].partition("=")[0]
            self.error(f"unrecognized argument {flag!r}: {meant(flag, self._flags(), 'there is none like it')}")
        return found

    def add_subparsers(self, **settings: Any) -> Any:
        """argparse's."""
        made = super().add_subparsers(**settings)
        made.type = lambda text: text  # all that follows a command is the command's to look at
        return made

    def error(self, message: str) -> NoReturn:
        """One line on stderr and exit code 2."""
        self.exit(2, f"{one_line(f'{self.prog}: error: {message}')} (see --help)\n")

    def _flags(self) -> list[str]:
        """Its own and those of its commands."""
        below = [
            each for action in self._actions if isinstance(action.choices, dict) for each in action.choices.values()
        ]
        return list(dict.fromkeys([*self._option_string_actions, *(flag for each in below for flag in each._flags())]))


def run(main: Callable[[Sequence[str]], None]) -> NoReturn:
    """Runs a command line. Exit code 0 done, 2 user error (one line on stderr), 130 interrupted, 1 internal error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what a terminal cannot show is a question mark, never an error
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # of a file that a user has named; others are an internal error
            raise
        print(f"error: {one_line(f'{error.filename}: {error.strerror}')}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def one_line(message: str) -> str:
    """The message of an error in a line that a terminal can show, whatever a user has typed."""
    words = ["".join(char if char.isprintable() else ascii(char)[1:-1] for char in word) for word in message.split()]
    ends = (LONGEST - 3) // 2
    return " ".join(word if len(word) <= LONGEST else f"{word[:ends]}...{word[-ends:]}" for word in words)


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


def _text(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is empty, a value is needed")
    return text


def _path(text: str) -> Path:
    return Path(_text(text))


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text; numbers (and what looks like them) to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    right = [all(row[i][:1].isdigit() or row[i] in ("", "-") for row in rows) for i in range(len(header))]

    def text(line: Sequence[str]) -> str:
        cells = (cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(line, widths, right, strict=True))
        return "  ".join(cells).rstrip()

    return "\n".join([text(lines[0]), "  ".join("-" * w for w in widths), *map(text, lines[1:])])
