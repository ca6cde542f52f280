"""Does the latency predictor (``nas.latency --fit-table``) predict networks that it has not seen?

    python benchmarks/latency_predictor.py          # 15 minutes on a quiet machine with two cores

For the spaces v1 (MBConv) and v2 (MBConv and Fused-MBConv), narrowed and at a small resolution so that calls are short:
fits on some networks, evenly over the MACs of the space, and measures others twice, one pass after the other. Beside
the predictor stands the best monotone function of MACs, fitted on the same networks; and the second pass as a
prediction of the first: no predictor can be expected to be nearer to a measurement than another measurement is.

Bars: of at least 100 networks that were not fitted on, 90% within 10%, Kendall tau 0.9, and a median error of at most
half that of MACs alone. ``inconclusive`` where they are missed and the two passes do not agree so well either. Exit
code 1 unless they hold.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from nas import environment
from nas.latency.fitting import Asked, Kept, measure_table, stratified
from nas.latency.measure import measure
from nas.latency.predictor import Error, Predictor, error_of, monotone
from nas.lease import Lease
from search_spaces import Arch, command, cost
from search_spaces.build import build_model
from search_spaces.space_file import load_space
from studies.spec import LatencySpec

SPACES = "v1", "v2"
ENOUGH = 100
CPU = torch.device("cpu")
SPEC = LatencySpec()


class Found(NamedTuple):
    """Of a space's held-out networks: ms of shape (networks,), measured in two passes, predicted and by MACs alone."""

    first: np.ndarray
    second: np.ndarray
    predicted: np.ndarray
    by_macs: np.ndarray

    @property
    def measured(self) -> np.ndarray:
        mean: np.ndarray = np.sqrt(self.first * self.second)
        return mean

    @property
    def errors(self) -> dict[str, Error]:
        return {
            "predictor": error_of(self.predicted, self.measured),
            "MACs alone": error_of(self.by_macs, self.measured),
            "measured again": error_of(self.second, self.first),
        }


def try_space(name: str, args: argparse.Namespace, console: Console) -> Found:
    space, lease = load_space(name, args.width, args.resolution), Lease.of_host()
    asked = Asked(space, args.networks, seed=0)
    fitted_on = asked.archs()
    with TemporaryDirectory() as folder:
        predictor = measure_table(asked, SPEC, CPU, Kept(Path(folder, "part"), {}), lease)
    seen = {arch.fingerprint for arch in fitted_on}
    drawn = stratified(space, 2 * args.held_out, seed=1, classes=asked.classes)
    held_out = [arch for arch in drawn if arch.fingerprint not in seen][: args.held_out]
    statuses = [network["status"] for network in predictor.about["networks"]]
    passes = [_pass(held_out, predictor, statuses, lease) for _ in range(2)]
    known = np.isfinite(passes).all(axis=0)
    own_ms = np.array([network["ms"] for network in predictor.about["networks"]])
    own_macs = _macs([Arch.from_dict(network["arch"]) for network in predictor.about["networks"]])
    predicted = np.array([predictor.predict(arch).ms for arch in held_out])
    by_macs = monotone(own_macs, own_ms, _macs(held_out))
    console.print(
        f"{space.name}: {len(predictor.table.blocks_ms)} blocks, fitted on {len(own_ms)} networks of "
        f"{own_ms.min():.1f} to {own_ms.max():.1f} ms; held out {known.sum()}; "
        f"{statuses.count('flagged')} of {len(statuses)} measurements flagged"
    )
    found = Found(*(values[known] for values in (*passes, predicted, by_macs)))
    said = (f"{what} {error.median:.1%} (tau {error.tau:.3f})" for what, error in found.errors.items())
    console.print(f"{space.name}: median errors: {', '.join(said)}")
    return found


def _pass(archs: Sequence[Arch], predictor: Predictor, statuses: list[str], lease: Lease) -> np.ndarray:
    """ms of each at the usual speed of the reference network, as those that were fitted on; nan where deferred."""
    found = []
    for arch in archs:
        latency = measure(build_model(arch), arch.resolution, SPEC, CPU, lease)
        statuses.append(latency.status)
        found.append(predictor.about["reference_ms"] * (latency.ratio or np.nan))
    return np.array(found)


def _macs(archs: Sequence[Arch]) -> np.ndarray:
    return np.array([cost.count(arch).macs for arch in archs])


def verdict(found: Sequence[Found]) -> tuple[str, dict[str, Error]]:
    """tau is the mean over spaces, since only networks of one space are ranked; the rest is over all networks."""
    pooled = Found(*(np.concatenate(values) for values in zip(*found, strict=True)))
    weights = [len(one.first) for one in found]
    errors = {
        name: error._replace(tau=float(np.average([one.errors[name].tau for one in found], weights=weights)))
        for name, error in pooled.errors.items()
    }
    own, again = errors["predictor"], errors["measured again"]
    enough = own.networks >= ENOUGH
    if enough and own.within_10 >= 0.9 and own.tau >= 0.9 and own.median <= errors["MACs alone"].median / 2:
        return "holds", errors
    noisy = again.within_10 < 0.9 or again.tau < 0.9 or again.median > errors["MACs alone"].median / 2
    return "inconclusive" if noisy or not enough else "does not hold", errors


def main(argv: Sequence[str]) -> None:
    parser = command.Parser("python benchmarks/latency_predictor.py", description=__doc__.split("\n")[0])
    parser.add_argument("--networks", type=command.positive_int, default=40, help="of each space to fit on")
    parser.add_argument("--held-out", type=command.positive_int, default=ENOUGH // 2 + 2, help="of each space")
    parser.add_argument("--width", type=command.positive_float, default=0.5)
    parser.add_argument("--resolution", type=command.positive_int, default=96)
    args = parser.parse_args(argv)
    console = Console(width=140)
    made = environment.describe(0)
    console.print(f"machine: {made['cpu']}, {made['cpus']} cores; torch {made['torch']}, Python {made['python']}")
    result, errors = verdict([try_space(name, args, console) for name in SPACES])
    table = Table("held out", "networks", "median error", "mean", "95%", "within 10%", "Kendall tau")
    for name, error in errors.items():
        shares = (f"{error.median:.1%}", f"{error.mean:.1%}", f"{error.margin:.1%}", f"{error.within_10:.1%}")
        table.add_row(name, str(error.networks), *shares, f"{error.tau:.3f}")
    console.print(table)
    console.print(f"bar: 90% of {ENOUGH} within 10%, tau 0.9, half the median error of MACs alone: {result}")
    if result != "holds":
        sys.exit(1)


if __name__ == "__main__":
    command.run(main)
