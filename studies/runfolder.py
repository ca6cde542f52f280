"""The run folder: what it holds and how it comes to be, so that nothing in it is ever half written or overwritten."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from search_spaces import UserError
from studies.ledger import LEDGER, TrialRecord

SPEC, SPACE, LOG, ARCHS = "spec.yaml", "space.yaml", "log.txt", "archs"
LATENCY_TABLE, WEIGHTS = "latency_table.json", "weights"
CHECKPOINTS, WARM_START, CONFIRM, BASELINES = "checkpoints", "warm_start", "confirm", "baselines"
FAMILY = "family"


def check_free(path: Path) -> None:
    """Raises UserError where ``path`` already holds a run, is a file, or lies below one. A run that was killed before
    its spec was written had not begun."""
    if (path / SPEC).exists() or ((path / LEDGER).exists() and (path / LEDGER).stat().st_size):
        raise UserError(f"--out: {path} already holds a run; name another folder")
    check_below("--out", path)


def check_below(flag: str, path: Path) -> None:
    """Raises UserError where ``path`` cannot be a folder, since it is a file or lies below one."""
    if file := next((place for place in (path, *path.parents) if place.exists() and not place.is_dir()), None):
        raise UserError(f"{flag}: {path} cannot be made, {file} is a file; name another folder")


def create(path: Path) -> Path:
    """Makes the folder (and its parents) and returns its absolute path. Whoever then holds the ledger's lock and finds
    the folder still free (``check_free``) may begin a run in it.

    Raises UserError where it already holds a run, or cannot be made or written to.
    """
    path = path.expanduser().absolute()
    check_free(path)
    try:
        (path / ARCHS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out: {path} cannot be made ({error.strerror})") from None
    return path


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Holds the run folder against other processes. Raises UserError where one writes to it."""
    lock = FileLock(str(path / ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{path}: another process is writing to this run folder") from None
    try:
        yield
    finally:
        lock.release()


def make_checkpoints(run_dir: Path) -> Path:
    """The folder of the states that running trials save; every process that sees it can take one up."""
    path = run_dir / CHECKPOINTS
    path.mkdir(exist_ok=True)
    return path


def remove_checkpoints(run_dir: Path) -> None:
    """Once no trial can be taken up again."""
    shutil.rmtree(run_dir / CHECKPOINTS, ignore_errors=True)


def weights_file(run_dir: Path, arch_id: str, seed: int) -> Path:
    """Of a network that was trained to be kept."""
    return run_dir / WEIGHTS / f"{arch_id}-{seed}.pt"


def write_text(path: Path, text: str) -> None:
    """Atomically: a reader sees the old content or the new, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(part, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # or a power cut might leave the new name without the content
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_yaml(path: Path, data: Mapping[str, Any]) -> None:
    """Atomically; keys keep their order."""
    write_text(path, yaml.safe_dump(plain(data), sort_keys=False, allow_unicode=True))


def write_archs(run_dir: Path, trials: Iterable[TrialRecord]) -> None:
    """``archs`` holds these trials' networks and no others."""
    kept = set()
    for trial in trials:
        write_arch(run_dir, trial)
        kept.add(f"{trial.arch.id}.json")
    for path in (run_dir / ARCHS).glob("*.json"):
        if path.name not in kept:
            path.unlink()


def write_arch(run_dir: Path, trial: TrialRecord) -> None:
    """``archs/<id>.json``: the network and what was found of it; ``search_spaces.load`` reads it."""
    metrics = {name: trial.metric(name) for name in ("top1", "latency_ms", "params", "macs", "activations")}
    entry = {"name": trial.arch.id, "id": trial.arch.id, "trial": trial.number, "text": trial.arch.text}
    content = entry | {"resolution": trial.arch.resolution} | metrics | {"arch": trial.arch.to_dict()}
    write_text(run_dir / ARCHS / f"{trial.arch.id}.json", json.dumps(content, indent=1) + "\n")


def plain(value: Any) -> Any:
    """Tuples as lists, which is what YAML has."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
