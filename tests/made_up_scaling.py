"""A made-up scaling run: real networks of the paper's family and of a small study, accuracies out of a formula."""

import math
import random
from dataclasses import replace
from functools import cache

from search_spaces import load
from search_spaces.compound import PAPER, RULES, Growth, grid, of_shares
from search_spaces.scaling import scale
from studies.scaling_record import (
    Implied,
    Interval,
    Member,
    Place,
    Point,
    Ruled,
    Scaling,
    Study,
    Surface,
    network,
)

HOSTILE = "</script><script>alert('x')</script> [/bold] & <b>more</b>"
CLASSES = 1000
SEEDS = (0, 1, 2)
STEPS = 40  # of the mesh
BEST = (0.4, 0.4, 0.2)  # shares of depth, width and resolution
LATENCY = {
    "key": {"device": "cpu"},
    "p50_ms": 12.34,
    "iqr_ms": 0.21,
    "n": 64,
    "status": "flagged",
    "reasons": ["drift"],
}
MULTIPLIERS = ((1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8), (1.6, 2.2), (1.8, 2.6), (2.0, 3.1))  # width, depth


def fitted(shares):
    return 61.5 - 9 * sum((share - best) ** 2 for share, best in zip(shares, BEST, strict=True))


def trained(shares, gain, key):
    """A figure a seed."""
    return tuple(round(fitted(shares) + gain + random.Random(f"{key}/{seed}").gauss(0, 0.4), 3) for seed in SEEDS)


def member(name, phi, more=()):
    growth, base = Growth(load("efficientnet_b0"), PAPER), network(load("efficientnet_b0"), CLASSES)
    found = network(growth.at(phi), CLASSES)
    ratio = found.macs / base.macs
    return Member(name, phi, *PAPER.at(phi), found, PAPER.growth**phi, ratio, 0.2 + 0.05 * phi, 0.2, **dict(more))


def implied(index):
    path, base, (width, depth) = f"efficientnet_b{index}", load("efficientnet_b0"), MULTIPLIERS[index - 1]
    own, there = network(load(path), CLASSES), network(Growth(base, PAPER).at(index), CLASSES)
    times = depth, width, own.resolution / base.resolution
    phis = [math.log(each) / math.log(by) for each, by in zip(times, PAPER.at(1), strict=True)]
    formula = *PAPER.at(index)[:2], there.resolution, there.macs
    return Implied(path, index, depth, width, own.resolution, *phis, own.macs, *formula)


@cache
def family():
    """Without a study: the paper's coefficients, at whole phi."""
    return Scaling(
        created="2026-11-22T10:15:00+00:00",
        command="python -m nas.scale --base efficientnet_b0 --coefficients 1.2,1.1,1.15",
        environment={"torch": "2.9", "note": HOSTILE},
        base_name="efficientnet_b0",
        base_from="in the catalogue",
        base=network(load("efficientnet_b0"), CLASSES),
        classes=CLASSES,
        coefficients=(1.2, 1.1, 1.15),
        source="given",
        rounding="official",
        max_resolution=None,
        later=False,
        family=tuple(member(f"b{phi}", float(phi)) for phi in range(1, 8)),
        implied=tuple(map(implied, range(1, 8))),
        notes=(f"a note {HOSTILE}",),
    )


@cache
def small():
    """What the study scales."""
    return scale(load("efficientnet_b0"), width=0.5).at(64)


def point(coefficients):
    growth = Growth(small(), coefficients, num_classes=10)
    target = 2 * growth.macs(0)
    reached = growth.reach(target)
    found, like = network(reached.arch, 10), fitted(coefficients.shares) > 61.0
    values = (coefficients.alpha, coefficients.beta, coefficients.gamma)
    top1 = trained(coefficients.shares, 0, found.id)
    excess, shares = reached.macs / target - 1, coefficients.shares
    return Point(values, reached.phi, found, excess, shares, top1, fitted(shares), like)


def mesh():
    counts = [(depth, width) for depth in range(STEPS + 1) for width in range(STEPS + 1 - depth)]
    found = []
    for depth, width in counts:
        shares = depth / STEPS, width / STEPS, (STEPS - depth - width) / STEPS
        found.append(Place(shares, of_shares(*shares).at(1), fitted(shares), fitted(shares) > 61.0))
    return tuple(found)


def surface(enough=True):
    best, places = of_shares(*BEST).at(1), mesh()
    inside = [place for place in places if place.inside]
    low, high = (tuple(end(place.coefficients[i] for place in inside) for i in range(3)) for end in (min, max))
    verdict = f"The data tell depth from width {HOSTILE}."
    share = len(inside) / len(places)
    return Surface(best, Interval(61.5, 61.1, 61.9), low, high, share, 0.41, 0.22, 0.003, enough, verdict, places)


def study(enough=True):
    points = tuple(map(point, grid(0.1, 0.15)))
    lost = replace(points[0], top1=(None, points[0].top1[1], None))
    return Study(
        base=network(small(), 10),
        base_top1=(55.1, 55.9, 54.8),
        proxy="half as wide, 64 instead of 224 px",
        classes=10,
        seeds=SEEDS,
        grid_step=0.1,
        tolerance=0.15,
        rounding="nearest",
        points=(lost, replace(points[1], top1=(None, None, None)), *points[2:]),
        surface=surface(enough),
        data={"source": "digits", "resolution": 64},
        train={"epochs": 8, "batch_size": 64},
        missing=5,
        complete=True,
    )


def ruled(rule, multiple):
    coefficients = of_shares(*BEST) if rule == "compound" else RULES[rule]
    growth = Growth(small(), coefficients, num_classes=10)
    target, step = multiple * growth.macs(0), {2: 1, 4: 2}[multiple]
    reached = growth.reach(target)
    found, expected = network(reached.arch, 10), fitted(coefficients.shares) + 3.5 * (step - 1)
    told = Interval(expected + 0.3, expected - 0.9, expected + 1.5) if multiple == 4 else None
    top1 = trained(coefficients.shares, 3.5 * (step - 1), f"{rule}{multiple}")
    values, excess = (coefficients.alpha, coefficients.beta, coefficients.gamma), reached.macs / target - 1
    return Ruled(rule, values, float(multiple), reached.phi, found, excess, coefficients.shares, top1, told)


@cache
def whole(enough=True):
    """With a study; its family has targets, predictions and latencies."""
    extra = {"predicted": Interval(77.9, 77.1, 78.8), "latency": LATENCY}
    missed = {"targets": (7e8,), "nearest": (655_000_000, 1_002_000_000), "limits": ("latency_ms<=20",), **extra}
    best = of_shares(*BEST)
    return replace(
        family(),
        command="python -m nas.scale --base efficientnet_b0 --data digits",
        base_from=f"in the catalogue {HOSTILE}",
        coefficients=(best.alpha, best.beta, best.gamma),
        source="study",
        family=(member("b1", 1.0, missed), member("b2", 2.0, extra)),
        implied=(),
        study=study(enough),
        rules=tuple(ruled(rule, multiple) for rule in ("compound", *RULES) for multiple in (2, 4)),
    )
