"""Where what is taken out of a run goes: a file or a folder is there whole or not at all, and nothing is overwritten
unasked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from search_spaces import UserError
from studies.runfolder import check_below


def check_file(flag: str, path: Path, suffix: str, force: bool) -> None:
    """Raises UserError where ``path`` cannot be a new file; force: or one to be replaced. Its name ends in ``suffix``,
    so that no file of a run is ever replaced by an export of it."""
    if path.suffix != suffix:
        raise UserError(f"{flag}: {path} does not end in {suffix}")
    if path.is_dir():
        raise UserError(f"{flag}: {path} is a folder")
    if not path.parent.is_dir():
        raise UserError(f"{flag}: {path.parent} is no folder")
    if path.exists() and not force:
        raise UserError(f"{flag}: {path} exists; --force replaces it")


def check_folder(flag: str, path: Path) -> None:
    """Raises UserError where ``path`` is anything but a new or an empty folder."""
    check_place(flag, path)
    if path.is_dir() and any(path.iterdir()):
        raise UserError(f"{flag}: {path} is not empty; name another folder")


def check_place(flag: str, path: Path, names: Iterable[str] = (), force: bool = False) -> None:
    """Raises UserError where ``path`` cannot be a folder, or holds one of the files; force: these are replaced."""
    check_below(flag, path)
    if taken := [name for name in names if (path / name).exists()]:
        if not force:
            raise UserError(f"{flag}: {path / taken[0]} exists; --force replaces it")
        if folders := [name for name in taken if (path / name).is_dir()]:
            raise UserError(f"{flag}: {path / folders[0]} is a folder")


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A path beside it to write to, which becomes ``path`` at the end, and vanishes where that is not reached."""
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """The same of a folder, which is made; ``path`` may be an empty one, which is filled and not replaced: a shell may
    stand in it."""
    path = path.resolve()
    there = path.is_dir()
    part = (path if there else path.parent) / f".{os.getpid()}.{path.name}"
    part.mkdir(parents=True)
    try:
        yield part
        if there:
            for one in sorted(part.iterdir()):
                os.replace(one, path / one.name)
        else:
            os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
