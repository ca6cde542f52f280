"""Effects of genes' values against known functions with known noise: values and how often intervals hold the truth."""

import numpy as np
import pytest
from made_up_genes import V2, additive, drawn, narrowed, trials, unusable

from reports.drawing import effects as effects_of
from reports.drawing.effects import effects
from search_spaces import UserError

SPACE = narrowed("s0.kernel", "s1.expansion", "s2.kernel", "s3.layers")
NAMES = list(SPACE.parameters)
WEIGHTS = ([0, 2], [0, 1, 3], [0, 0.5], [0, -1, 0.3])


def at_random(count, rng):
    return drawn(SPACE, count, rng)


def by_a_sampler(count, rng):
    """Good values of the first three genes mostly come together."""
    first = rng.random(count) < 0.8
    second = np.where(rng.random(count) < 0.8, 2 * first, rng.integers(3, size=count))
    third = np.where(rng.random(count) < 0.7, first, rng.integers(2, size=count))
    return np.column_stack([first, second, third, rng.integers(3, size=count)]).astype(int)


def held(draws, noise, count, repeats=60):
    """The shares of intervals that hold the truth, which is the mean of the networks tried, had all this value: of the
    adjusted ones, and of the plain ones."""
    rng = np.random.default_rng(0)
    found = {True: [], False: []}
    for _ in range(repeats):
        places = draws(count, rng)
        true = 50 + additive(WEIGHTS, places)
        data = effects(trials(SPACE, places, true + noise(places) * rng.normal(size=count)), SPACE, "top1", NAMES)
        for effect, weights, column in zip(data.effects, WEIGHTS, places.T, strict=True):
            others = (true - np.array(weights)[column]).mean()
            found[data.adjusted] += [
                level.low <= others + weight <= level.high
                for level, weight in zip(effect.levels, weights, strict=True)
                if level.low is not None
            ]
    return np.mean(found[True] or [np.nan]), np.mean(found[False] or [np.nan])


def even(places):
    return np.ones(len(places))


def uneven(places):
    return 1 + 3 * (places[:, 0] == 0)


@pytest.mark.parametrize("noise", [even, uneven])
@pytest.mark.parametrize("draws", [at_random, by_a_sampler])
@pytest.mark.parametrize("count", [30, 150])
def test_intervals_hold_the_truth_nineteen_times_of_twenty(draws, noise, count):
    """Of 600 intervals, of which ten each hang together; they may be somewhat too wide, not too narrow."""
    assert 0.93 <= held(draws, noise, count)[0] <= 0.99


def test_plain_means_would_credit_a_value_with_what_it_was_tried_with(monkeypatch):
    monkeypatch.setattr(effects_of, "ROOM", 1000)
    assert held(by_a_sampler, even, 150)[1] < 0.6
    assert held(at_random, even, 150)[1] > 0.93


def test_without_noise_the_effects_are_exact():
    rng = np.random.default_rng(0)
    places = by_a_sampler(200, rng)
    data = effects(trials(SPACE, places, 50 + additive(WEIGHTS, places)), SPACE, "top1", [NAMES[1], NAMES[0]])
    assert [effect.gene for effect in data.effects] == [NAMES[1], NAMES[0]]
    first, second = ([level.mean for level in effect.levels] for effect in data.effects)
    assert np.diff(first) == pytest.approx([1, 2])
    assert np.diff(second) == pytest.approx([2])
    assert [level.value for level in data.effects[0].levels] == [1, 4, 6]
    assert [level.trials for level in data.effects[0].levels] == np.bincount(places[:, 1]).tolist()
    assert "least squares" in effects_of.caption(data)


def test_few_trials_give_plain_means_worked_by_hand():
    places = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    data = effects(trials(SPACE, places, [70, 71, 72, 80]), SPACE, "top1", ["s0.kernel", "s1.expansion"])
    small, large = data.effects[0].levels
    assert (small.mean, small.trials, large.mean, large.low, large.high) == (71, 3, 80, None, None)
    half = 4.302653 / 3**0.5  # Student's t for 2 degrees of freedom; the standard deviation is 1
    assert (small.low, small.high) == pytest.approx((71 - half, 71 + half))
    assert [level.mean for level in data.effects[1].levels] == [73.25, None, None]  # 4 and 6 were never tried
    assert not data.adjusted
    assert "plain mean" in effects_of.caption(data)


def test_genes_that_always_went_together_are_not_told_apart():
    rng = np.random.default_rng(0)
    places = drawn(SPACE, 200, rng)
    places[:, 2] = places[:, 0]
    assert not effects(trials(SPACE, places, rng.normal(size=200)), SPACE, "top1", NAMES).adjusted


def test_costs_are_in_their_unit():
    places = np.zeros((3, 4), int)
    data = effects(trials(SPACE, places, [1, 2, 3], macs=[2_000_000] * 3), SPACE, "macs", ["s0.kernel"])
    assert (data.mean, data.effects[0].levels[0].mean) == (2.0, 2.0)
    assert effects_of.draw(data).layout.xaxis.title.text == "MACs (M)"


@pytest.mark.parametrize("some", [[], unusable()])
def test_nothing_to_tell(some):
    data = effects(some, V2, "top1", ["s0.kernel"])
    assert (data.trials, data.mean) == (0, None)
    assert "No network" in effects_of.caption(data)
    assert ("4 trials without a result" in effects_of.caption(data)) == bool(some)
    assert len(effects_of.draw(data).data[0].x) == 0
    assert "no gene" in effects_of.caption(
        effects(trials(V2, drawn(V2, 1, np.random.default_rng(0)), [1]), V2, "top1", [])
    )


def test_an_unknown_gene_is_refused():
    with pytest.raises(UserError, match=r"genes: 's9.kernel' is not one of s0.block"):
        effects([], V2, "top1", ["s9.kernel"])


def test_drawing_has_a_row_a_value():
    places = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 0]])
    drawing = effects_of.draw(effects(trials(SPACE, places, [70, 71, 80]), SPACE, "top1", NAMES[:2]))
    assert list(drawing.layout.yaxis.ticktext) == [
        "<b>stage 1 kernel</b>",
        "3",
        "5",
        "<b>stage 2 expansion</b>",
        "1",
        "4",
        "6",
    ]
    marks = drawing.data[0]
    assert list(marks.x) == [70.5, 80, 70, 75.5]
    rows = dict(zip(drawing.layout.yaxis.tickvals, drawing.layout.yaxis.ticktext, strict=True))
    assert [rows[y] for y in marks.y] == ["3", "5", "1", "4"]
    assert "tried in 2 of 3 networks" in marks.hovertext[0]
    assert "s0.kernel" in marks.hovertext[0]
