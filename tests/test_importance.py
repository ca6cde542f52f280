"""Importance of genes against functions whose shares of variance are known in closed form."""

from dataclasses import replace

import numpy as np
import pytest
from made_up_genes import V2, additive, drawn, narrowed, trials, unusable

from reports.drawing import genes, importance
from reports.drawing.importance import FEWEST, MOST_GENES, importances
from studies.ledger import Outcome, TrialRecord

SPACE = narrowed("s0.kernel", "s1.expansion", "s2.layers", "s4.block", "resolution")
# What each value adds; the best of three may be the middle one. The fourth gene does nothing.
WEIGHTS = ([0, 4], [0, 3, 0], [0, 1, 2], [0, 0], [0, 0.3, 0.6])
VARIANCES = np.array([4, 2, 2 / 3, 0, 0.06])  # of values that are equally frequent, worked by hand
NAMES = list(SPACE.parameters)


def shares(found):
    return {share.gene: share for share in found.shares}


def of_function(count, noise=0.0, seed=0, places=None):
    rng = np.random.default_rng(seed)
    places = drawn(SPACE, count, rng) if places is None else places
    return trials(SPACE, places, 50 + additive(WEIGHTS, places) + noise * rng.normal(size=count))


@pytest.mark.parametrize("noise", [0.0, 1.5])
def test_shares_of_an_additive_function(noise):
    """Noise is part of the variance that is shared out."""
    (found,) = importances(of_function(400, noise), SPACE, ["top1"])
    known = dict(zip(NAMES, VARIANCES / (VARIANCES.sum() + noise**2), strict=True))
    by_gene = shares(found)
    assert found.trials == 400
    assert not found.reason
    assert {gene: by_gene[gene].share for gene in NAMES} == pytest.approx(known, abs=0.06)
    assert by_gene["s4.block"].share < 0.01  # does nothing
    assert [share.gene for share in found.shares][:3] == ["s0.kernel", "s1.expansion", "s2.layers"]
    assert all(0 <= share.low <= max(0, share.share) <= share.high <= 1 for share in found.shares)


def test_a_gene_of_many_values_gets_nothing_from_noise():
    space = replace(narrowed("s0.kernel", "s1.expansion"), resolutions=tuple(range(32, 96, 8)))
    above, means = 0, []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        places = drawn(space, 300, rng)
        top1 = 50 + additive(([0, 2], [0, 1.5, 0], [0] * 8), places) + rng.normal(size=300)
        found = shares(importances(trials(space, places, top1), space, ["top1"])[0])
        above += found["resolution"].low > 0
        means.append(found["resolution"].share)
        assert min(found["s0.kernel"].low, found["s1.expansion"].low) > 0
    assert above <= 1  # of 12
    assert np.mean(means) == pytest.approx(0, abs=0.004)


def test_shares_are_of_the_whole_space_whatever_was_tried():
    rng = np.random.default_rng(1)
    places = drawn(SPACE, 400, rng)
    places[:, 0] = (
        rng.random(400) < 0.9
    )  # among those tried, this gene's variance is a third of what it is in the space
    (found,) = importances(of_function(400, places=places), SPACE, ["top1"])
    assert shares(found)["s0.kernel"].share == pytest.approx(4 / VARIANCES.sum(), abs=0.08)


def test_intervals_get_narrower_with_trials_and_hold_most_truths():
    few, many = (shares(importances(of_function(count), SPACE, ["top1"])[0]) for count in (60, 400))
    width = {gene: many[gene].high - many[gene].low for gene in NAMES}
    assert width["s0.kernel"] < (few["s0.kernel"].high - few["s0.kernel"].low) / 1.5
    known = dict(zip(NAMES, VARIANCES / VARIANCES.sum(), strict=True))
    held = [
        found[gene].low <= known[gene] <= found[gene].high
        for seed in range(8)
        for found in [shares(importances(of_function(100, seed=seed), SPACE, ["top1"])[0])]
        for gene in NAMES[:3]
    ]
    assert np.mean(held) > 0.85


@pytest.mark.parametrize("count", [FEWEST, 100])
def test_nothing_is_said_of_noise(count):
    said = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        (found,) = importances(trials(V2, drawn(V2, count, rng), rng.normal(70, 3, count)), V2, ["top1"])
        said += bool(found.shares)
        assert found.shares or "mostly noise" in found.reason
    assert said <= 3  # of 20


def test_thins_out_at_random_the_same_way_every_time():
    every = [*of_function(300), *unusable()]
    first, again = (importances(every, SPACE, ["top1"], most_trials=150)[0] for _ in range(2))
    assert first == again
    assert first.trials == 150
    reasons = dict(first.left_out)
    assert reasons["drawn at random, to save time"] == 150
    assert reasons["without a result"] == 4
    assert reasons["without top-1 accuracy"] == 3


def test_objectives_that_are_counted_and_rewards():
    rng = np.random.default_rng(0)
    places = drawn(SPACE, 60, rng)
    macs = (additive(WEIGHTS, places) + 1) * 1e6
    found = importances(trials(SPACE, places, rng.normal(70, 1, 60), macs=macs), SPACE, ["macs", "mnasnet:8"])
    assert found[0].shares[0].gene == "s0.kernel"
    assert dict(found[1].left_out) == {"without reward mnasnet:8": 60}  # no latency


CONSTANT = trials(SPACE, drawn(SPACE, 30, np.random.default_rng(0)), [70.1] * 30)
ONE_GENE = narrowed("s0.kernel")


@pytest.mark.parametrize(
    ("some", "space", "reason"),
    [
        ([], SPACE, f"from 0 trials, it takes {FEWEST}"),
        (of_function(1), SPACE, "from 1 trials"),
        (unusable(), SPACE, "from 0 trials"),
        (CONSTANT, SPACE, "the same value"),
        (trials(ONE_GENE, drawn(ONE_GENE, 30, np.random.default_rng(0)), range(30)), ONE_GENE, "only one gene"),
        ([TrialRecord(0, narrowed().base, 0, 0.0, outcome=Outcome("ok", top1=1.0))], narrowed(), "no gene"),
        ([*CONSTANT[1:], *of_function(1)], SPACE, "nothing can be said"),  # all but one are equal
        (trials(SPACE, drawn(SPACE, 30, np.random.default_rng(0)), [1e308, -1e308] * 15), SPACE, "nothing can be said"),
    ],
)
def test_says_why_nothing_can_be_said(some, space, reason):
    found = importances(some, space, ["top1"])
    assert found[0].shares == ()
    assert reason in found[0].reason
    assert reason in importance.caption(found)
    assert not importance.draw(found).data


def test_drawing_shows_the_most_important_genes_and_sums_the_rest():
    rng = np.random.default_rng(0)
    places = drawn(V2, 200, rng)
    macs = [1e6 + 1e6 * place for place in places[:, 3]]
    found = importances(trials(V2, places, 50 + 9.0 * places[:, 7] + places[:, 9], macs=macs), V2, ["top1", "macs"])
    one, other = importance.draw(found).data
    assert len(one.y) == MOST_GENES + 1
    assert one.y[-1] == f"{len(V2.parameters) - MOST_GENES} other genes"
    assert {one.y[0], one.y[1]} == {"stage 2 expansion", "stage 1 SE ratio"}
    for bars, told in ((one, found[0]), (other, found[1])):
        assert sum(bars.x) == pytest.approx(100 * sum(share.share for share in told.shares), abs=0.1)
    assert one.marker.pattern.shape != other.marker.pattern.shape
    assert "s1.expansion" in " ".join(one.hovertext)


def test_genes_in_words():
    assert [genes.name(gene) for gene in ("s2.kernel", "s0.se_ratio", "resolution")] == [
        "stage 3 kernel",
        "stage 1 SE ratio",
        "resolution",
    ]
    given = [("s2.se_ratio", 0.0), ("s2.se_ratio", 0.25), ("s2.block", "fused_mbconv"), ("s1.kernel", 5)]
    assert [genes.value(*one) for one in given] == ["no SE", "0.25", "Fused-MBConv", "5"]


def test_what_was_left_out_is_said():
    found = genes.sample(unusable(), V2, ["top1"])
    assert len(found.trials) == 0
    assert found.places.shape == (0, len(V2.parameters))
    text = "Left out: 4 trials without a result, 3 without top-1 accuracy, 1 of networks beyond the space."
    assert genes.left_out(found.left_out) == text
    assert genes.left_out(()) == ""
