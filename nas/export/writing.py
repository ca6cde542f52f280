"""One export: written beside its place, verified, and only then put there, so that what stands is whole and proven."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.export.network import Network
from nas.export.target import Target
from nas.export.verify import Verification, verified
from search_spaces import UserError
from studies.runfolder import write_text

VERIFICATION, INDEX = "verification.json", "index.json"


class NotTheSame(RuntimeError):
    """The export is not the network; nothing of it is kept."""


@dataclass(frozen=True)
class Exported:
    """An export that passed. more: further lines about it."""

    network: Network
    target: str
    folder: Path
    verification: Verification
    more: tuple[str, ...] = ()


def check_free(folder: Path) -> None:
    """Raises UserError where ``folder`` holds something or cannot be a folder."""
    if folder.is_symlink():
        raise UserError(f"--out: {folder} is a link; name the folder itself")
    if folder.is_dir():
        if any(folder.iterdir()):
            raise UserError(f"--out: {folder} is not empty; name another folder")
    elif folder.exists():
        raise UserError(f"--out: {folder} is a file; name another folder")


def export(name: str, target: Target, network: Network, folder: Path) -> Exported:
    """Raises UserError where ``target`` cannot express the network, or where ``folder`` is not empty; NotTheSame where
    what it wrote is another network."""
    check_free(folder)
    if obstacle := target.obstacle(network.arch):
        raise UserError(f"--to: {name} cannot express {network.name}: {obstacle}")
    model = network.model()
    with _beside(folder) as part:
        target.write(network, model, part)
        verification = verified(name, target, network, model, part)
        if not verification.passed:
            raise NotTheSame(f"{network.name} to {name}: {verification.text}; nothing was written")
        more = target.more(network, part)
        content = verification.to_dict() | {title: one.to_dict() for title, one in more.items()}
        (part / VERIFICATION).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return Exported(network, name, folder, verification, tuple(one.text for one in more.values()))


def write_index(folder: Path, exports: list[Exported], refused: Mapping[str, str]) -> None:
    """``index.json``: what was written with hashes, and what could not be, with the reason."""
    entries = []
    for one in exports:
        files = {
            str(path.relative_to(folder)): _sha256(path) for path in sorted(one.folder.rglob("*")) if path.is_file()
        }
        about: dict[str, Any] = {"network": one.network.name, "id": one.network.arch.id, "target": one.target}
        about |= {"weights": one.network.origin, "max_abs_diff": one.verification.max_abs_diff}
        entries.append(about | {"sha256": files})
    write_text(folder / INDEX, json.dumps({"exports": entries, "refused": dict(refused)}, indent=1) + "\n")


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """An empty folder that becomes ``folder`` at the end, and vanishes where that is not reached."""
    part = folder.with_name(f".{folder.name}.{os.getpid()}")
    new = not part.parent.exists()
    try:
        part.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"--out: {folder} cannot be made ({error.strerror})") from None
    try:
        yield part
        shutil.rmtree(part / "__pycache__", ignore_errors=True)
        os.replace(part, folder)  # an empty folder may stand there
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if new and not any(part.parent.iterdir()):
            part.parent.rmdir()


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
