"""Two genes together: means by hand, and the test of interactions on functions that are known to have one or none."""

import numpy as np
import pytest
from made_up_genes import V2, additive, drawn, narrowed, trials, unusable

from reports.drawing import pairs as module
from reports.drawing.pairs import caption, draw, pairs
from search_spaces import UserError

SPACE = narrowed("s0.kernel", "s1.expansion", "s2.kernel", "s3.layers")
FIRST, SECOND, *_ = SPACE.parameters
WEIGHTS = ([0, 2], [0, 1, 3], [0, 0.5], [0, -1, 0.3])


def by_a_sampler(count, rng):
    """Good values of the first three genes mostly come together."""
    first = rng.random(count) < 0.8
    second = np.where(rng.random(count) < 0.8, 2 * first, rng.integers(3, size=count))
    third = np.where(rng.random(count) < 0.7, first, rng.integers(2, size=count))
    return np.column_stack([first, second, third, rng.integers(3, size=count)]).astype(int)


def at_random(count, rng):
    return drawn(SPACE, count, rng)


def even(places):
    return np.ones(len(places))


def uneven(places):
    return 1 + 3 * (places[:, 0] == 0)


def found(draws, noise, count, strength=0.0, repeats=400):
    """The share of p below 5%. strength: of an interaction of the first two genes."""
    rng, below = np.random.default_rng(0), 0
    sizes = [len(values) for values in SPACE.parameters.values()]
    for _ in range(repeats):
        places = draws(count, rng)
        together = strength * ((places[:, 0] == 1) & (places[:, 1] == 2))
        values = 50 + additive(WEIGHTS, places) + together + noise(places) * rng.normal(size=count)
        p = module._interaction(places, sizes, (0, 1), values).p
        below += p is not None and p < 0.05
    return below / repeats


# Means


def test_means_worked_by_hand():
    places = np.array([[0, 0, 0, 0], [0, 0, 1, 2], [0, 2, 0, 0], [1, 1, 0, 0]])
    data = pairs([*trials(SPACE, places, [70, 72, 90, 50]), *unusable()], SPACE, "top1", FIRST, SECOND)
    assert data.values == (SPACE.parameters[FIRST], SPACE.parameters[SECOND])
    assert data.means == pytest.approx(np.array([[71, np.nan, 90], [np.nan, 50, np.nan]]), nan_ok=True)
    assert data.counts.tolist() == [[2, 0, 1], [0, 1, 0]]
    assert data.trials == 4
    turned = pairs(trials(SPACE, places, [70, 72, 90, 50]), SPACE, "top1", SECOND, FIRST)
    assert turned.means == pytest.approx(data.means.T, nan_ok=True)
    said = caption(data)
    assert "plain mean top-1 accuracy of those of 4 networks" in said
    assert "Other genes differ between cells" in said
    assert "too few networks to tell, 4; it takes 20" in said
    assert "4 trials without a result" in said


def test_costs_are_in_their_unit():
    data = pairs(trials(SPACE, np.zeros((3, 4), int), [1, 2, 3], macs=[2_000_000] * 3), SPACE, "macs", FIRST, SECOND)
    assert data.means[0, 0] == 2.0
    assert draw(data).data[0].colorbar.title.text == "mean MACs (M)"
    assert "all networks have the same value" in caption(data)


def test_drawing_shows_how_many_and_leaves_the_rest_blank():
    places = np.array([[0, 0, 0, 0], [0, 0, 1, 2], [0, 2, 0, 0], [1, 1, 0, 0]])
    drawing = draw(pairs(trials(SPACE, places, [70, 72, 90, 50]), SPACE, "top1", FIRST, SECOND))
    (cells,) = drawing.data
    assert list(cells.x) == ["3", "5"]
    assert list(cells.y) == ["1", "4", "6"]
    assert cells.z == pytest.approx(np.array([[71, np.nan], [np.nan, 50], [90, np.nan]]), nan_ok=True)
    assert [list(row) for row in cells.text] == [["2", ""], ["", "1"], ["1", ""]]
    assert cells.hoverongaps is False
    assert cells.colorbar.title.text == "mean top-1 accuracy (%)"
    assert (drawing.layout.xaxis.title.text, drawing.layout.yaxis.title.text) == ("stage 1 kernel", "stage 2 expansion")


# Interaction


@pytest.mark.parametrize("noise", [even, uneven])
@pytest.mark.parametrize("draws", [at_random, by_a_sampler])
@pytest.mark.parametrize("count", [40, 300])
def test_what_is_additive_looks_like_an_interaction_once_in_twenty_times_at_most(draws, noise, count):
    """Of 400 each, so that 7.5% is 2.3 standard deviations beyond 5%."""
    assert found(draws, noise, count) <= 0.075


def test_of_many_networks_that_were_drawn_at_random_p_is_uniform():
    assert found(at_random, even, 300) >= 0.03


def test_interactions_are_found_the_larger_they_are():
    weak, strong = (found(at_random, even, 150, strength, 100) for strength in (1.0, 3.0))
    assert 0.3 < weak < strong
    assert strong > 0.95


def test_without_noise_an_interaction_is_certain_and_additive_effects_are_none():
    places = drawn(SPACE, 120, np.random.default_rng(0))
    plain = additive(WEIGHTS, places)
    none = pairs(trials(SPACE, places, 50 + plain), SPACE, "top1", FIRST, SECOND)
    assert none.interaction.p == 1
    assert "No sign that the two interact (p = 1, n = 120: robust score test of 2 interaction terms" in caption(none)
    both = 5 * ((places[:, 0] == 1) & (places[:, 1] == 2))
    some = trials(SPACE, places, 50 + plain + both)
    one = pairs(some, SPACE, "top1", FIRST, SECOND)
    assert one.interaction.p < 1e-9
    assert one.interaction.share == pytest.approx(1)
    assert "The two interact (p < 0.0001" in caption(one)
    assert "100.0% of the variance" in caption(one)
    turned = pairs(some, SPACE, "top1", SECOND, FIRST)
    assert turned.interaction.p == pytest.approx(one.interaction.p)


def test_p_does_not_depend_on_units():
    rng = np.random.default_rng(0)
    places = drawn(SPACE, 120, rng)
    values = rng.normal(size=120)
    p = pairs(trials(SPACE, places, values), SPACE, "top1", FIRST, SECOND).interaction.p
    for scaled in (1e6 * values, 1e-6 * values, values + 1e5):
        again = pairs(trials(SPACE, places, scaled), SPACE, "top1", FIRST, SECOND).interaction.p
        assert again == pytest.approx(p, rel=1e-5)


def test_by_the_definition_of_the_test():
    """The score test in its textbook form: terms of the pair, of which additive effects are taken away by least
    squares, times residuals that are divided by one less their leverage."""
    from scipy import stats

    rng = np.random.default_rng(3)
    places = drawn(SPACE, 60, rng)
    values = 50 + additive(WEIGHTS, places) + rng.normal(size=60)
    coded = np.column_stack(
        [np.ones(60), *(places[:, gene] == place for gene, size in enumerate((2, 3, 2, 3)) for place in range(1, size))]
    ).astype(float)
    both = np.column_stack([(places[:, 0] == 1) & (places[:, 1] == place) for place in (1, 2)]).astype(float)
    hat = coded @ np.linalg.inv(coded.T @ coded) @ coded.T
    left, terms = values - hat @ values, both - hat @ both
    weighed = terms * (left / (1 - np.diag(hat)))[:, None]
    score = terms.T @ left
    expected = stats.chi2.sf(score @ np.linalg.inv(weighed.T @ weighed) @ score, 2)
    assert pairs(trials(SPACE, places, values), SPACE, "top1", FIRST, SECOND).interaction.p == pytest.approx(expected)


def test_what_cannot_be_told_is_said():
    rng = np.random.default_rng(0)
    places = drawn(SPACE, 60, rng)
    same = places.copy()
    same[:, 1] = 2 * same[:, 0]
    alike = pairs(trials(SPACE, same, rng.normal(size=60)), SPACE, "top1", FIRST, SECOND)
    assert alike.interaction.p is None
    assert "too few pairs of their values were tried" in caption(alike)
    few = pairs(trials(V2, drawn(V2, 60, rng), rng.normal(size=60)), V2, "top1", "s0.kernel", "s1.kernel")
    assert "too few networks to tell, 60; it takes" in caption(few)


# Whatever comes


@pytest.mark.parametrize("some", [[], unusable()])
def test_nothing_to_tell(some):
    data = pairs(some, V2, "top1", "s0.kernel", "s1.kernel")
    assert data.trials == 0
    assert np.isnan(data.means).all()
    assert caption(data).startswith("No network of the space has a top-1 accuracy.")
    assert len(draw(data).data) == 0


def test_one_network_and_a_reward(tmp_path):
    data = pairs(trials(SPACE, [[0, 0, 0, 0]], [80.0], macs=[10]), SPACE, "top1", FIRST, SECOND)
    assert data.counts.sum() == 1
    assert len(draw(data).data) == 1
    assert pairs(trials(SPACE, [[0, 0, 0, 0]], [80.0]), SPACE, "mnasnet:8", FIRST, SECOND).trials == 0


def test_genes_are_checked():
    with pytest.raises(UserError, match=r"genes: 's9.kernel' is not one of s0.block"):
        pairs([], V2, "top1", "s0.kernel", "s9.kernel")
    with pytest.raises(UserError, match=r"genes: 's0.kernel' is given twice; a pair takes two of s0.block"):
        pairs([], V2, "top1", "s0.kernel", "s0.kernel")
