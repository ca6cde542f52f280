"""Flags of the commands that make a run folder: those that set a field of the spec, each command with its choice of
them, and those that say where the folder lies, whether a run goes on, and whether anything is done at all."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from search_spaces import UserError
from studies.objectives import METRICS
from studies.rewards import FORMS
from studies.samplers import SAMPLERS

if TYPE_CHECKING:
    from studies.spec import Spec

FOLDERS = "imagefolder:DIR, torchvision:NAME:DIR, cifar10:DIR, cifar100:DIR, huggingface:DIR"
GOALS = f"{', '.join(METRICS)}, or a reward: {', '.join(FORMS)}"


def names(text: str) -> list[str]:
    """An argparse type: ``a,b``."""
    return [name.strip() for name in text.split(",")]


# Flags that set a field of the spec: flag, field, type, metavar, help.
FIELDS: tuple[tuple[str, str, Callable[[str], object], str, str], ...] = (
    ("--space", "space.name", str, "NAME|FILE", "v1, v2 (default), v2_s, or your own .yaml file"),
    ("--width", "space.width", float, "X", "multiplies all channels of the space (default: as they are)"),
    ("--data", "data.source", str, "SOURCE", f"glyphs[:OPTIONS] (default), digits, {FOLDERS}"),
    ("--resolution", "data.resolution", int, "PIXELS", "image side (default: the space file's; else 64 or 32)"),
    ("--trials", "search.trials", int, "N", "how many (default 64, or as many as --budget allows)"),
    ("--budget", "search.budget", str, "TIME", "wall time of this command's trials, as 2h or 90m"),
    ("--recipe", "train.recipe", str, "NAME|FILE", "of training: short (default), v1, v2, finetune or your .yaml file"),
    ("--epochs", "train.epochs", int, "N", "of short training (default 4)"),
    ("--seconds-per-trial", "train.seconds", float, "S", "of training at most, so that slow networks hog no worker"),
    ("--sampler", "search.sampler", str, "NAME", f"{', '.join(SAMPLERS)} (default predictor)"),
    ("--objective", "search.objectives", str, "NAME", f"{GOALS}; repeatable"),
    ("--constraint", "search.constraints", str, "LIMIT", 'reject networks beyond "latency_ms<=8"; repeatable'),
    ("--repeats", "search.repeats", int, "N", "train each network with so many seeds, one a trial (default 1)"),
    ("--early-stop", "search.early_stop", str, "HOW", "none (default), or asha: stop what the rungs tell to be worse"),
    ("--warm-start", "search.warm_start", str, "DIR", "a run that the sampler learns from first"),
    ("--baselines", "search.baselines", names, "NAMES", "published networks to train beside: resnet18,mobilenet_v2"),
    ("--confirm", "confirm.networks", int, "N", "then train the N best of the front longer, with several seeds"),
    ("--confirm-epochs", "confirm.epochs", int, "N", "of that training (default four times --epochs)"),
    ("--seeds", "confirm.seeds", int, "N", "of that training (default 3)"),
    ("--gpus", "resources.gpus", int, "N", "how many to use (default all; 0: train on CPU)"),
    ("--gpus-per-trial", "resources.gpus_per_trial", float, "X", "a whole number, or a fraction (default 1)"),
    ("--latency-device", "latency.device", str, "ADDRESS", "measure latency there instead of here: ssh:[USER@]HOST"),
    ("--latency-mode", "latency.mode", str, "MODE", "eager, onnxruntime, compile or cuda_graph, as nas.latency --mode"),
    ("--latency-table", "latency.table", str, "FILE", "try no network that it predicts to break a limit on latency"),
    ("--cpus", "resources.cpus", int, "N", "cores to use, one a trial (default all)"),
    ("--address", "resources.address", str, "ADDRESS", "of a running Ray cluster: auto, HOST:PORT or ray://HOST:PORT"),
    ("--seed", "seed", int, "N", "of proposals, data split and training (default 0)"),
)
ALSO = {"--epochs": ("--epoch-budget",)}
LISTS = ("search.objectives", "search.constraints")


def add_fields(
    p: argparse._ActionsContainer, flags: Sequence[str], helps: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Those of ``FIELDS`` that are named, and what sets any other field. helps: texts that say it otherwise."""
    for flag, field, kind, metavar, text in FIELDS:
        if flag in flags:
            action = "extend" if kind is names else "append" if field in LISTS else "store"
            p.add_argument(
                flag,
                *ALSO.get(flag, ()),
                dest=field,
                type=kind,
                metavar=metavar,
                help=helps.get(flag, text),
                action=action,
            )
    p.add_argument("--spec", metavar="FILE.yaml", help="a whole spec, or a run's spec.yaml; other flags override it")
    p.add_argument("--set", action="append", metavar="FIELD=VALUE", help="any field, as train.epochs=8; repeatable")


def settings(args: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that flags and then ``--set`` give."""
    from studies.spec import read_setting

    flags = {field: args[field] for _, field, *_ in FIELDS if field in args}
    return flags | dict(map(read_setting, args.get("set", [])))


def read_spec(args: Mapping[str, Any]) -> Spec:
    """Defaults, then the spec file, then flags, then ``--set``."""
    from search_spaces.published import read_yaml
    from studies.spec import override, parse

    mapping = read_yaml(Path(args["spec"])) if "spec" in args else {}
    if not isinstance(mapping, dict):
        raise UserError(f"--spec: {args['spec']} does not hold a mapping")
    return parse(override(mapping, settings(args)))


def add_run(p: argparse._ActionsContainer, name: str, what: str, more: str = "") -> None:
    """Flags of the run folder. name: its name's end; what: the kind of run, in a word; more: said of --resume."""
    p.add_argument("--out", metavar="DIR", help=f"the run folder (default runs/TIME-{name})")
    p.add_argument("--dry-run", action="store_true", help="print what would be done and what it would cost")
    p.add_argument("--resume", metavar="DIR", help=f"go on with a {what}, however it ended{more}")
    p.add_argument("-v", "--verbose", action="store_true", help="show Ray's own messages")


def out_of(args: Mapping[str, Any], name: str) -> Path:
    """The run folder that is asked for, or a new one of this name's."""
    return Path(args.get("out") or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{name}")


def line_of(module: str, argv: Sequence[str]) -> str:
    """The command line, as a shell takes it."""
    return shlex.join(["python", "-m", module, *argv])


def changes_to_resume(
    args: Mapping[str, Any], what: str, fields: tuple[str, ...], shared: Sequence[str], own: Sequence[str] = ()
) -> dict[str, Any]:
    """The fields of the spec that are others in a run that goes on. fields: those that may be, or how they begin;
    shared: the command's flags of ``FIELDS``; own: flags of its own that may be given, too. Raises UserError on any
    other flag, since it decides what the figures mean."""
    if "dry_run" in args:
        raise UserError(f"--dry-run: looks at a {what} before it begins; it does not go with --resume")
    changes = settings(args)
    flag_of = {field: flag for flag, field, *_ in FIELDS}
    fixed = [flag_of.get(field, f"--set {field}") for field in changes if not field.startswith(fields)]
    known = {*flag_of, *map(stored, own), "resume", "verbose", "set"}
    fixed += [f"--{name.replace('_', '-')}" for name in args if name not in known]
    if fixed:
        allowed = [*own, *(flag for flag, field, *_ in FIELDS if flag in shared and field.startswith(fields))]
        raise UserError(
            f"{fixed[0]}: stays as it was in a {what} that is resumed; allowed with --resume are {', '.join(allowed)}"
        )
    return changes


def stored(flag: str) -> str:
    """Where argparse keeps a flag that is none of ``FIELDS``."""
    return flag.removeprefix("--").replace("-", "_")
