"""Learning rates and progressive learning against the papers' formulas, worked by hand."""

import math

import pytest

from nas.training import schedule
from nas.training.schedule import Stage
from studies.spec import parse
from studies.train_spec import TrainSpec

# arXiv 2104.00298, Table 6: image size, RandAugment, mixup, dropout, at first and at last; and Algorithm 1 by hand
TABLE = {
    "S": ((128, 300), (5, 15), (0.0, 0.0), (0.1, 0.3), [128, 185, 243, 300]),
    "M": ((128, 380), (5, 20), (0.0, 0.2), (0.1, 0.4), [128, 212, 296, 380]),
    "L": ((128, 380), (5, 25), (0.0, 0.5), (0.1, 0.5), [128, 212, 296, 380]),
}


@pytest.mark.parametrize("size", TABLE)
def test_stages_are_those_of_the_paper(size):
    (s0, se), (r0, re), (m0, me), (d0, de), sides = TABLE[size]
    train = {"recipe": "v2", "epochs": 8, "from_size": s0 / se, "magnitude": re, "mixup": me, "dropout": de}
    found = schedule.stages(parse({"train": train}).train, se)
    assert [stage.side for stage in found] == sides
    for i, stage in enumerate(found):
        assert stage.magnitude == pytest.approx(r0 + (re - r0) * i / 3)
        assert stage.mixup == pytest.approx(m0 + (me - m0) * i / 3)
        assert stage.dropout == pytest.approx(d0 + (de - d0) * i / 3)


def test_the_recipe_v2_is_the_column_of_v2_s():
    found = schedule.stages(parse({"train": {"recipe": "v2"}}).train, 300)
    (s0, se), (r0, re), (m0, me), (d0, de), _ = TABLE["S"]
    assert found[0] == Stage(s0, r0, m0, d0)
    assert found[-1] == Stage(se, re, me, de)


@pytest.mark.parametrize(("stages", "steps"), [(4, 400), (4, 10), (3, 3), (1, 7)])
def test_stages_last_equally_long(stages, steps):
    """Algorithm 1 trains each for N / M steps."""
    of_step = [schedule.stage_at(stages, step, steps) for step in range(steps)]
    assert of_step == sorted(of_step)
    assert set(of_step) == set(range(stages))
    counts = [of_step.count(stage) for stage in range(stages)]
    assert max(counts) - min(counts) <= 1
    assert schedule.stage_at(stages, steps + 5, steps) == stages - 1


def test_one_stage_is_training_as_usual():
    assert schedule.stages(TrainSpec(magnitude=9, mixup=0.2, dropout=0.3), 64) == [Stage(64, 9, 0.2, 0.3)]


def test_rates_of_one_cycle():
    spec = TrainSpec(learning_rate=2.0, warmup=0.1)
    rates = [schedule.learning_rate(spec, step, 100, 25) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[55] == pytest.approx(1.0)  # half of the 90 steps
    assert rates[99] == pytest.approx(1 + math.cos(math.pi * 89 / 90))
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_rates_of_the_papers():
    """0.256 at batch 4096, times 0.97 every 2.4 epochs, after 5 of 350 epochs of warm-up."""
    spec = parse({"train": {"recipe": "v1", "batch_size": 4096, "epochs": 350}}).train
    per_epoch = 312
    rates = [schedule.learning_rate(spec, epoch * per_epoch, 350 * per_epoch, per_epoch) for epoch in range(350)]
    assert max(rates) <= 0.256
    for epoch in (6, 10, 100, 349):
        assert rates[epoch] == pytest.approx(0.256 * 0.97 ** math.floor(epoch / 2.4))
    assert rates[0] < 0.256 / 1000


def test_a_training_that_time_cuts_short_goes_through_the_whole_schedule():
    """``done`` need not be whole."""
    spec = TrainSpec(learning_rate=1.0)
    assert schedule.learning_rate(spec, 99.9, 100, 25) < 1e-4
    assert schedule.learning_rate(spec, 120.0, 100, 25) == pytest.approx(0, abs=0.2)
