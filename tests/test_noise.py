"""The noise of accuracies, and what the front is in truth: known noise, simulated."""

import numpy as np
import pytest
from test_report import arch, ok

from reports.drawing.attained import FEWEST, attained
from reports.noise import Noise, binomial, noise, pooled
from studies.ledger import Outcome, TrialRecord


def trainings(*top1, channels=16):
    """Of one network."""
    return [TrialRecord(n, arch(channels), n, 0.0, finished=1.0, outcome=ok(v, 1.0, 10)) for n, v in enumerate(top1)]


def test_pooled_by_hand():
    assert pooled([[1.0, 3.0], [10.0, 10.0, 13.0], [5.0]]) == pytest.approx(((2 + 6) / 3) ** 0.5)
    assert pooled([[1.0], []]) is None
    assert pooled([]) is None


def test_the_best_source_is_taken():
    repeated = [*trainings(80.0, 82.0), *trainings(70.0, 70.0, channels=24)]
    found = noise(repeated, confirmation=trainings(90.0, 99.0), val_images=400)
    assert found.std == 1.0
    assert found.certain
    assert found.of(repeated[0]) == pytest.approx(2**-0.5)  # the mean of two
    assert found.of(trainings(50.0, channels=32)[0]) == 1.0
    assert found.of(repeated[0], 4) == 0.5
    longer = noise(trainings(80.0), confirmation=trainings(90.0, 94.0), val_images=400)
    assert (longer.std, longer.certain) == (pytest.approx(8**0.5), False)
    images = noise(trainings(80.0), val_images=400)
    assert (images.std, images.certain) == (pytest.approx(2.0, rel=0.01), False)  # sqrt(0.8 * 0.2 / 400)
    best = trainings(99.5)[0]
    assert images.of(best) == binomial(99.5, 400) < 0.6  # by its own accuracy
    assert "at least" in images.text
    assert noise(trainings(80.0)).std is None
    assert "--repeats 2" in noise([]).text


def test_what_has_no_figure_takes_no_part():
    broken = [TrialRecord(5, arch(16), 5, 0.0, outcome=Outcome("failed", error="x")), *trainings(float("nan"))]
    assert noise([*broken, *trainings(80.0, 82.0)]).std == pytest.approx(2**0.5)
    assert Noise(None, "").of(trainings(80.0)[0]) is None


SCATTERS = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "narrow": lambda rng, n: 0.3 * rng.standard_normal(n),
    "to the worse": lambda rng, n: -2 * rng.exponential(1, n),
    "8% hardly learned": lambda rng, n: np.where(rng.random(n) < 0.08, -50.0, rng.standard_normal(n)),
}


@pytest.mark.parametrize("networks", [10, 100])
@pytest.mark.parametrize("scatter", SCATTERS)
def test_the_band_holds_the_true_front(networks, scatter):
    """95% are meant; least where a hundred networks hardly differ, at the dear end. benchmarks/band.py has more."""
    rng, held, optimism, middle = np.random.default_rng(0), [], [], []
    for _ in range(40):
        logs = np.sort(rng.uniform(0, 3, networks))
        truth = 60 + 8 * logs - 1.2 * logs**2 + SCATTERS[scatter](rng, networks)
        seen = truth + rng.standard_normal(networks)
        band = attained(np.exp(logs), seen, np.ones(networks))
        for x, low, high in (band[len(band) // 2], band[-4], band[-1]):
            place = np.searchsorted(np.exp(logs), x * (1 + 1e-9))
            best = truth[:place].max()
            held.append(low <= best <= high)
            optimism.append(seen[:place].max() - best)
            middle.append((low + high) / 2 - best)
    assert np.mean(held) >= 0.8
    if networks == 100:
        assert np.mean(optimism) > np.mean(middle)


def test_the_band_without_noise_is_the_front():
    xs, ys = np.arange(1.0, 11.0), np.array([1.0, 5, 3, 4, 7, 2, 9, 8, 9.5, 1])
    band = attained(xs, ys, np.zeros(10))
    best = np.maximum.accumulate(ys)
    assert np.allclose(band, np.column_stack([xs, best, best]), atol=1e-6)


@pytest.mark.parametrize("xs", [[1.0] * (FEWEST - 1), [0.0] + [1.0] * FEWEST], ids=["few", "no cost"])
def test_no_band_where_there_is_no_ground(xs):
    assert attained(xs, [50.0] * len(xs), [1.0] * len(xs)) == ()


def test_networks_of_one_cost_have_one_band():
    band = attained([2.0] * 10, list(range(50, 60)), [1.0] * 10)
    assert [x for x, _, _ in band] == [2.0]
