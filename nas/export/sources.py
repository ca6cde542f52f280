"""Where networks come from: a name, a file, or a run folder with all that it has found."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas.export.network import Network
from nas.training.weights import read_file
from search_spaces import Arch, UserError, cost, load
from search_spaces.published import catalogue, read_yaml
from studies import ledger, runfolder
from studies.ledger import TrialRecord

# torchvision's files of DenseNets still have the names of an older version; its builder renames them, too.
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])")


def network_of(what: str, weights: str | None = None, num_classes: int | None = None) -> Network:
    """Of a published network's name, or of a file. Raises UserError."""
    path, arch = Path(what), load(what)
    about: Mapping[str, Any] = {}
    if what not in catalogue():
        content = read_yaml(path)
        content = content[0] if isinstance(content, list) else content
        about = content if isinstance(content, dict) and "arch" in content else {}
    name = str(about.get("name") or (what if what in catalogue() else path.stem))
    network = replace(Network(name, arch), **_described(about, path))
    origin = None
    if about.get("weights") and not weights:
        weights, origin = str(path.with_name(Path(str(about["weights"])).name)), str(about.get("origin") or path)
    if not weights:
        return with_classes(network, num_classes or _known_classes(arch, about) or network.num_classes)
    if num_classes:
        raise UserError(f"--num-classes: {num_classes}, but {weights} has its own")
    return with_weights(network, weights, origin)


def with_classes(network: Network, num_classes: int) -> Network:
    """Raises UserError where they have names, and of another number, or the weights are of another one."""
    if network.weights is not None and num_classes != network.num_classes:
        raise UserError(f"--num-classes: {num_classes}, but {network.origin} has {network.num_classes}")
    if network.classes and len(network.classes) != num_classes:
        raise UserError(f"classes: {len(network.classes)} names, but {num_classes} classes")
    return replace(network, num_classes=num_classes)


def with_weights(network: Network, path: str, origin: str | None = None) -> Network:
    """With those of a file that torch.save wrote, read without running anything in it; and with as many classes. A file
    of a confirmation also knows how the images are prepared."""
    tensors, about = read_file(path, "--weights")
    tensors = {OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in tensors.items()}
    flat = [tensor for tensor in tensors.values() if tensor.ndim == 2]
    if not flat:
        raise UserError(f"--weights: {path} has no classifier")
    described = _described(about, Path(path)) | {"num_classes": flat[-1].shape[0], "weights": tensors}
    network = replace(network, **described, origin=origin or Path(path).name)
    if "classes" in described and len(network.classes) != network.num_classes:
        raise UserError(f"--weights: {path} has {network.num_classes} outputs, but {len(network.classes)} classes")
    return network


def of_run(folder: Path) -> dict[str, Network]:
    """All that a run folder has found, by name, the best first: a family; or what was confirmed with its weights, the
    most accurate first, and then the rest of the front. Raises UserError where there is nothing."""
    if (folder / runfolder.FAMILY).is_dir():
        found = {path.stem: network_of(str(path)) for path in sorted((folder / runfolder.FAMILY).glob("*.json"))}
    elif (folder / ledger.LEDGER).is_file():
        found = _of_search(folder)
    else:
        raise UserError(f"network: {folder} is neither a run folder with a family nor one with trials")
    if not found:
        raise UserError(f"network: {folder} has found no network yet")
    return found


def _of_search(folder: Path) -> dict[str, Network]:
    from reports import baselines, confirmed

    trials = ledger.read(folder)
    found: dict[str, Network] = {}
    records, _ = confirmed.read(folder)
    for one in confirmed.confirmed(trials, records, baselines.read(folder)):
        same = [record for record in records if record.arch.id == one.arch.id and record.status == "ok"]
        network = Network(one.name or one.arch.id, one.arch, _classes_of(one.record) or 1000)
        found[network.name] = _trained(network, same, folder / runfolder.CONFIRM)
    front = [network_of(str(path)) for path in sorted((folder / runfolder.ARCHS).glob("*.json"))]
    top1 = {trial.arch.id: trial.metric("top1") or 0.0 for trial in trials}
    for network in sorted(front, key=lambda network: -top1.get(network.arch.id, 0.0)):
        found.setdefault(network.name, network)
    return found


def of_trial(folder: Path, arch_id: str) -> Network | None:
    """A network that a search has tried, whether on its front or not, or that was trained beside it; None where no
    trial of it has finished."""
    ledgers = [path for path in (folder, folder / runfolder.BASELINES) if (path / ledger.LEDGER).is_file()]
    for trial in (trial for path in ledgers for trial in ledger.read(path)):
        if trial.arch.id == arch_id and trial.status == "ok":
            return Network(arch_id, trial.arch, _classes_of(trial) or 1000)
    return None


def _trained(network: Network, records: list[TrialRecord], folder: Path) -> Network:
    """With the weights of the seed that validated best."""
    for record in sorted(records, key=lambda record: -(record.metric("top1") or 0.0)):
        path = runfolder.weights_file(folder, record.arch.id, record.seed)
        if path.is_file():
            origin = f"{runfolder.CONFIRM}/{path.parent.name}/{path.name}, top-1 {record.metric('top1'):.2f}%"
            return with_weights(network, str(path), origin)
    return replace(network, origin=f"{network.origin}, since the confirmation has kept no weights")


def _classes_of(record: TrialRecord) -> int | None:
    return _known_classes(record.arch, {"params": record.metric("params")})


def _known_classes(arch: Arch, about: Mapping[str, Any]) -> int | None:
    """What a file says, or what its number of parameters means."""
    given, params = about.get("num_classes"), about.get("params")
    if isinstance(given, int) and not isinstance(given, bool) and given > 0:
        return given
    if not _is_number(params):
        return None
    one, two = (cost.count(arch, classes).params for classes in (1, 2))
    classes, rest = divmod(int(params or 0) - one, two - one)
    return classes + 1 if rest == 0 and classes >= 0 else None


def _described(about: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """classes, mean and std, as far as the file has them. Raises UserError for what is none."""
    found: dict[str, Any] = {}
    if classes := about.get("classes"):
        if not isinstance(classes, (list, tuple)):
            raise UserError(f"{path}: classes: {classes!r} is not a list of names")
        found["classes"] = tuple(str(name).encode("utf-8", "replace").decode() for name in classes)
    for name in ("mean", "std"):
        if (values := about.get(name)) is not None:
            if not isinstance(values, (list, tuple)) or len(values) != 3 or not all(_is_number(v) for v in values):
                raise UserError(f"{path}: {name}: {values!r} is not three numbers")
            found[name] = tuple(float(value) for value in values)
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
