"""``python -m nas`` lists the commands, ``python -m nas COMMAND ...`` is one of them; installed, ``nas`` for short."""

from __future__ import annotations

import importlib
import shutil
import textwrap
from collections.abc import Sequence
from typing import NoReturn

from search_spaces import UserError, command

# By name, the module: its main(argv) does what is asked, its parser() says what that is and, first of all, an example.
COMMANDS = {
    "search": "nas.search",
    "scale": "nas.scale.__main__",
    "export": "nas.export.__main__",
    "latency": "nas.latency.__main__",
    "fidelity": "nas.fidelity.__main__",
    "report": "nas.report",
    "verify": "nas.verify",
    "spaces": "search_spaces.__main__",
}
USAGE = "usage: python -m nas COMMAND ...\n       nas COMMAND ...\n\n--help after a command says all about it."


def main(argv: Sequence[str]) -> None:
    name, *arguments = argv or ["--help"]
    if name in ("-h", "--help"):
        print("\n\n".join([USAGE, *map(_about, COMMANDS)]))
    elif name in COMMANDS:
        importlib.import_module(COMMANDS[name]).main(arguments)
    else:
        raise UserError(f"command: {name!r} is not one of {', '.join(COMMANDS)}")


def _about(name: str) -> str:
    """A command's name with the first line of its description, and the first of its examples."""
    parser = importlib.import_module(COMMANDS[name]).parser()
    what, example = parser.description.partition("\n")[0], parser.epilog.split("\n")[1].strip()
    indent = " " * 10
    width = shutil.get_terminal_size((120, 24)).columns
    return f"{textwrap.fill(what, width, initial_indent=f'{name:10}', subsequent_indent=indent)}\n{indent}{example}"


def run() -> NoReturn:
    """The console script ``nas``."""
    command.run(main)


if __name__ == "__main__":
    run()
