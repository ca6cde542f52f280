"""The response surface on made-up studies, whose best direction is known."""

import numpy as np
import pytest

from search_spaces.compound import grid, of_shares
from studies import response
from studies.response import Observation

BEST = (0.35, 0.25, 0.4)


def truth(shares, best=BEST, drop=3.0):
    """Top-1 that falls with the square of the distance to the best direction; by so many points at a distance of 1."""
    return 90.0 - drop * ((shares[0] - best[0]) ** 2 + 2 * (shares[1] - best[1]) ** 2)


def study(noise, seed, step=0.1, seeds=3, **about):
    rng = np.random.default_rng(seed)
    return [
        Observation(one.shares, tuple(truth(one.shares, **about) + rng.normal(0, noise, seeds))) for one in grid(step)
    ]


def test_without_noise_the_best_is_found():
    found = response.fit(study(0.0, 0))
    assert found.best == pytest.approx(BEST, abs=1 / response.MESH)
    assert found.inside.sum() == 1
    assert found.at(BEST).value == pytest.approx(90.0)
    told = response.surface(found)
    assert told.enough
    assert told.best == pytest.approx((of_shares(*BEST).alpha, of_shares(*BEST).beta, of_shares(*BEST).gamma), abs=0.02)


def test_noise_of_one_seed_is_told():
    found = response.fit(study(0.3, 0, step=0.05))
    assert found.seed_std == pytest.approx(0.3, rel=0.1)
    assert found.rest_std == pytest.approx(0.3 / np.sqrt(3), rel=0.25)
    single = response.fit([Observation(one.shares, one.top1[:1]) for one in study(0.3, 0)])
    assert single.seed_std is None


def test_equal_seeds_give_equal_regions():
    one, other = (response.fit(study(0.2, 5)) for _ in range(2))
    assert (one.draws == other.draws).all()
    assert response.surface(one) == response.surface(other)


def test_the_region_holds_the_truth_and_ten_times_the_noise_is_said():
    """Few studies; benchmarks/scaling.py counts over 500, with other truths."""
    quiet = [response.fit(study(1.0, seed, step=0.05)) for seed in range(60)]
    assert sum(found.like_best(BEST) for found in quiet) >= 54
    assert sum(response.surface(found).enough for found in quiet) >= 54
    loud = [response.surface(response.fit(study(10.0, seed, step=0.05))) for seed in range(60)]
    assert sum(not told.enough for told in loud) >= 54
    assert all("too small to tell" in told.verdict for told in loud if not told.enough)


def test_too_few_networks_have_no_surface():
    few = study(0.1, 0)[: response.FEWEST - 1]
    assert response.fit(few) is None
    line = [Observation(of_shares(1, 0.1 * i, 0).shares, (90.0,)) for i in range(20)]
    assert response.fit(line) is None


def test_a_power_law_is_followed():
    levels = {1.0: np.array([80.0, 79.0, 81.0]), 2.0: np.array([85.0, 84.0, 86.0])}  # errors 20 and 15 at 1 and 2
    found = response.power_law(levels, 4)
    assert found.value == pytest.approx(100 - 15 * 15 / 20)
    assert found.low < found.value < found.high
    many = {multiple: np.repeat(draws, 1000) for multiple, draws in levels.items()}
    assert response.power_law(many, 4, noise=5.0).low < response.power_law(many, 4).low - 5
    assert response.power_law(levels, 2).value == pytest.approx(85.0)


def test_another_stationary_point_is_not_in_the_region():
    """The least of a surface whose ends are best, clearly below them."""
    shares = [one.shares for one in grid(0.05)]
    rng = np.random.default_rng(0)
    valley = [
        Observation(s, tuple(85 + 20 * (s[0] - 0.3) ** 2 + 20 * (s[1] - 0.3) ** 2 + rng.normal(0, 0.3, 3)))
        for s in shares
    ]
    found = response.fit(valley)
    assert found.best in ((1, 0, 0), (0, 1, 0))
    assert not found.like_best((0.3, 0.3, 0.4))


def test_networks_without_any_difference_tell_nothing():
    told = response.surface(response.fit([Observation(one.shares, (50.0, 50.0)) for one in grid(0.1)]))
    assert not told.enough
