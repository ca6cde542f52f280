"""What a network's latency will be, from a table of its blocks' latencies and a regression over the table.

A block finds other things in the caches when it is timed apart from its network, so the sum over a network's blocks is
off by a share that depends on what moves through memory. A ridge regression on the sums by kind of block, the depth,
MACs, activations and weights corrects that. It is for ranking, and to leave networks out before anything is built; what
a front shows is measured.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import kendalltau
from sklearn.isotonic import IsotonicRegression

from nas.latency.blocks import Block, blocks_of
from search_spaces import Arch, UserError, cost
from search_spaces.arch import MOBILE_BLOCKS
from search_spaces.constraint import Constraint
from search_spaces.space import SearchSpace
from studies.ledger import TRUSTED

SCHEMA = 1
FEATURES = ("stem_and_head", *MOBILE_BLOCKS, "blocks", "macs", "activations", "params")
SUMS = 1 + len(MOBILE_BLOCKS)  # of the features, sums of the table by kind of block in ms
PENALTIES = np.logspace(-4, 1, 11)  # of the ridge, for features with a mean of 1
HUBER = 1.5  # standard deviations (by the median) beyond which a network counts less: its measurement may be wrong
LEAST = 3  # networks to fit on; how many it takes to predict well is another matter
MOST_INTERPOLATED = 0.1  # of a network's blocks, for a prediction that leaves it out of a search
FIT = "fit one with: python -m nas.latency --fit-table"


class Prediction(NamedTuple):
    """ms is between low and high for 95% of networks of which no block is interpolated: was not measured."""

    ms: float
    low: float
    high: float
    blocks: int
    interpolated: int


class Error(NamedTuple):
    """Of predictions of networks that were not fitted on: relative errors, and the rank correlation (Kendall's tau).

    margin: that 95% of the errors are below (of fewer than 19 networks: the largest).
    """

    networks: int
    median: float
    mean: float
    within_10: float
    margin: float
    tau: float


def error_of(predicted: np.ndarray, measured: np.ndarray) -> Error:
    """Arrays in ms, of the same networks."""
    errors = np.sort(np.abs(predicted / measured - 1))
    margin = errors[min(len(errors), math.ceil(0.95 * (len(errors) + 1))) - 1]
    found = np.median(errors), errors.mean(), (errors <= 0.1).mean(), margin, kendalltau(predicted, measured).statistic
    return Error(len(errors), *map(float, found))


@dataclass(frozen=True)
class Table:
    """Latencies in ms of blocks under ``key``, which is a measurement's without the resolution; that is each block's
    own. classes: of the classifier."""

    key: Mapping[str, Any]
    classes: int
    blocks_ms: Mapping[Block, float]

    def features(self, arch: Arch) -> tuple[np.ndarray, int]:
        """Of shape (len(FEATURES),), and how many of the network's blocks are interpolated."""
        sums, interpolated, count = dict.fromkeys(FEATURES[:SUMS], 0.0), 0, 0
        for block in blocks_of(arch):
            ms = self.blocks_ms.get(block)
            if ms is None:
                ms, interpolated = self._guess(block), interpolated + 1
            sums[_kind(block)] += ms
            count += 1
        params, macs, activations = cost.count(arch, self.classes)
        return np.array([*sums.values(), count, macs * 1e-9, activations * 1e-6, params * 1e-6]), interpolated

    def share_of(self, space: SearchSpace) -> float:
        """Of some of the space's networks, those of which next to all blocks were measured."""
        rng = random.Random(0)
        networks = [list(blocks_of(space.sample(rng))) for _ in range(100)]
        return sum(self._interpolated(blocks) <= MOST_INTERPOLATED * len(blocks) for blocks in networks) / 100

    def _interpolated(self, blocks: Sequence[Block]) -> int:
        return sum(block not in self.blocks_ms for block in blocks)

    def _guess(self, block: Block) -> float:
        fitted = self._fits.get(_kind(block), self._fits[""])
        return math.exp(float(_logs(block, self.classes) @ fitted))

    @cached_property
    def _fits(self) -> dict[str, np.ndarray]:
        """By kind of block, and over all: the logarithm of ms as a linear function of ``_logs``."""
        kinds: dict[str, list[tuple[Block, float]]] = {"": list(self.blocks_ms.items())}
        for block, ms in self.blocks_ms.items():
            kinds.setdefault(_kind(block), []).append((block, ms))
        fits = {}
        for kind, found in kinds.items():
            rows = np.array([_logs(block, self.classes) for block, _ in found])
            penalty = 0.1 * np.eye(rows.shape[1])
            penalty[0, 0] = 0
            logs = np.log([ms for _, ms in found])
            fits[kind] = np.linalg.solve(rows.T @ rows + penalty, rows.T @ logs)
        return fits


def _kind(block: Block) -> str:
    return block.block if block.block in FEATURES else "stem_and_head"


def _logs(block: Block, classes: int) -> np.ndarray:
    counts = np.log(np.maximum(1, block.cost(classes)))
    return np.array([1.0, *counts, math.log(block.kernel), block.squeeze > 0, block.stride, math.log(block.side)])


@dataclass(frozen=True)
class Predictor:
    """weights: of FEATURES. error: on each network when fitted on the others; macs_alone: the same of a prediction
    from MACs. about: the rest of the file: when, where and on what it was fitted."""

    table: Table
    weights: np.ndarray
    error: Error
    macs_alone: Error
    about: Mapping[str, Any]

    @property
    def disturbed(self) -> int:
        """How many of the networks that it was fitted on were measured while something disturbed. Where most were, all
        predictions may be off by the same factor, of which ``error`` knows nothing."""
        return sum(network["status"] not in TRUSTED for network in self.about["networks"])

    def predict(self, arch: Arch) -> Prediction:
        """Raises UserError where the network has blocks that a table cannot hold."""
        features, interpolated = self.table.features(arch)
        ms = max(float(features @ self.weights), 0.1 * float(features[:SUMS].sum()))
        margin = min(self.error.margin, 0.99)
        return Prediction(ms, ms / (1 + margin), ms / (1 - margin), int(features[SUMS]), interpolated)

    def violations(self, arch: Arch, constraints: Iterable[Constraint]) -> dict[str, float]:
        """By how much a network surely breaks limits on its latency: share over the limit by its text. Sure is what
        even the end of the prediction's interval breaks, and where next to all blocks were measured."""
        limits = [limit for limit in constraints if limit.metric == "latency_ms"]
        if not limits:
            return {}
        found = self.predict(arch)
        if found.interpolated > MOST_INTERPOLATED * found.blocks:
            return {}
        ends = {"<=": found.low, ">=": found.high}
        broken = {f"{limit} (predicted)": limit.violation(ends[limit.operator]) for limit in limits}
        return {text: share for text, share in broken.items() if share > 0}


def fit(table: Table, archs: Sequence[Arch], measured_ms: Sequence[float], about: Mapping[str, Any]) -> Predictor:
    """Raises UserError where there are fewer networks than ``LEAST``."""
    if len(archs) < LEAST:
        raise UserError(f"networks: {len(archs)} were measured, at least {LEAST} are needed")
    rows, measured = np.array([table.features(arch)[0] for arch in archs]), np.array(measured_ms)
    others = [np.arange(len(rows)) != left_out for left_out in range(len(rows))]
    candidates = []
    for penalty in PENALTIES:
        predicted = [float(row @ _ridge(rows[o], measured[o], penalty)) for row, o in zip(rows, others, strict=True)]
        error = error_of(np.array(predicted), measured)
        candidates.append((error.mean, float(penalty), error))
    _, penalty, error = min(candidates)
    macs = np.array([cost.count(arch, table.classes).macs for arch in archs])
    by_macs = [monotone(macs[o], measured[o], macs[[left_out]])[0] for left_out, o in enumerate(others)]
    weights = _ridge(rows, measured, penalty)
    return Predictor(table, weights, error, error_of(np.array(by_macs), measured), about)


def _ridge(rows: np.ndarray, measured: np.ndarray, penalty: float) -> np.ndarray:
    """Weights that minimise relative errors, and their distance from the same factor for all sums of the table and 0
    for the rest. Networks with a large error count less (Huber's loss)."""
    relative = rows / measured[:, None]
    scale = np.abs(relative).mean(axis=0)
    scale[scale == 0] = 1.0
    sums = relative[:, :SUMS].sum(axis=1)
    prior = np.where(np.arange(len(FEATURES)) < SUMS, 1 / np.median(sums), 0.0)
    left, columns, counts = 1 - relative @ prior, relative / scale, np.ones(len(rows))
    for _ in range(5):
        weighted = columns * counts[:, None]
        square = weighted.T @ columns + penalty * len(rows) * np.eye(columns.shape[1])
        change = np.linalg.solve(square, weighted.T @ left)
        errors = np.abs(left - columns @ change)
        counts = np.minimum(1.0, HUBER * 1.4826 * np.median(errors) / np.maximum(errors, 1e-12))
    weights: np.ndarray = prior + change / scale
    return weights


def monotone(macs: np.ndarray, measured_ms: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The best prediction of latency at MACs ``at`` that only grows with them: what a table has to beat."""
    fitted = IsotonicRegression(out_of_bounds="clip").fit(np.log(macs), np.log(measured_ms))
    predicted: np.ndarray = np.exp(fitted.predict(np.log(at)))
    return predicted


def to_text(predictor: Predictor) -> str:
    """The file's JSON, with a block or a network on a line."""
    table = predictor.table
    head = {"schema": SCHEMA, "key": dict(table.key), "classes": table.classes}
    head |= {"error": predictor.error._asdict(), "macs_alone": predictor.macs_alone._asdict()}
    head |= {"weights": dict(zip(FEATURES, predictor.weights.tolist(), strict=True)), "fields": [*Block._fields, "ms"]}
    lists = {"blocks": [[*block, ms] for block, ms in sorted(table.blocks_ms.items())], **predictor.about}
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    for name, value in lists.items():
        rows = ",\n ".join(map(json.dumps, value)) if isinstance(value, list) else ""
        lines.append(f"{json.dumps(name)}: " + (f"[\n {rows}]" if rows else json.dumps(value)))
    return "{" + ",\n".join(lines) + "}\n"


def load(path: str | Path) -> Predictor:
    """Raises UserError where the file cannot be read or holds no latency table."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or 'not text'}); {FIT}") from None
    try:
        data = json.loads(text)
        if (schema := data["schema"]) != SCHEMA:
            raise UserError(f"{path}: schema: {schema!r} is not {SCHEMA}, the version that this program reads")
        if data["fields"] != [*Block._fields, "ms"]:
            raise ValueError("other fields")
        blocks = {Block(*block): float(ms) for *block, ms in data["blocks"]}
        weights = np.array([float(data["weights"][name]) for name in FEATURES])
        own, macs_alone = (Error(**data[name]) for name in ("error", "macs_alone"))
        about = {name: data[name] for name in ("space", "made", "reference_ms", "networks")}
        if not blocks or not all(0 < ms < math.inf for ms in blocks.values()) or not np.isfinite(weights).all():
            raise ValueError("a latency")
        return Predictor(Table(dict(data["key"]), int(data["classes"]), blocks), weights, own, macs_alone, about)
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(f"{path}: holds no latency table; {FIT}") from None
