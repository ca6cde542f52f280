"""Metrics and rewards: values worked by hand, directions, and what is refused."""

import pytest

from reports.units import UNITS
from search_spaces import UserError
from search_spaces.cost import Cost
from studies.ledger import Latency, Outcome
from studies.objectives import COUNTED, METRICS, check, direction
from studies.rewards import INGREDIENTS

MEASURED_AT_20_MS = Latency({}, p50_ms=20.0, iqr_ms=0.1, min_ms=19.0, n=64)


def outcome(**figures):
    known = {"params": 8_000_000, "latency": MEASURED_AT_20_MS, "top1": 80.0, "step_time_s": 0.5}
    return Outcome("ok", **known | figures)


def test_every_metric_is_a_figure_of_an_outcome_known_at_one_moment_with_a_unit():
    assert [outcome().metric(name) for name in METRICS] == [80.0, None, 20.0, None, 8_000_000, None, 0.5, None]
    assert set(COUNTED) == set(Cost._fields)
    assert set(UNITS) == set(METRICS)
    assert {name for parts in INGREDIENTS.values() for name in parts} <= set(METRICS)


def test_directions():
    up = [name for name in (*METRICS, "mnasnet", "mnasnet:8", "v2") if direction(name) == "maximize"]
    assert up == ["top1", "mnasnet", "mnasnet:8", "v2"]


def test_mnasnet_reward_by_hand():
    """2 ** -0.07 = 0.952638; at LAT = T the reward is the accuracy."""
    assert outcome().metric("mnasnet:10") == pytest.approx(80 * 0.952638, rel=1e-6)
    assert outcome().metric("mnasnet") == outcome().metric("mnasnet:10")
    assert outcome().metric("mnasnet:20") == 80.0


def test_mnasnet_target_cannot_change_a_ranking():
    other = outcome(top1=81.0, latency=Latency({}, 30.0, 0.1, 29.0, 64))
    ratios = [other.metric(f"mnasnet:{target}") / outcome().metric(f"mnasnet:{target}") for target in (1, 8, 75)]
    assert ratios == pytest.approx([ratios[0]] * 3)


def test_v2_reward_by_hand():
    """80 * 0.5 ** -0.07 * 8 ** -0.05 = 80 * 1.049717 * 0.901250."""
    assert outcome().metric("v2") == pytest.approx(80 * 1.049717 * 0.901250, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("mnasnet", {"latency": None}),
        ("mnasnet:8", {"top1": None}),
        ("v2", {"step_time_s": None}),
        ("v2", {"step_time_s": 0.0}),
        ("v2", {"params": None}),
    ],
)
def test_a_reward_is_unknown_where_an_ingredient_is(name, figures):
    assert outcome(**figures).metric(name) is None


@pytest.mark.parametrize("names", [["top1"], ["val_loss", "macs"], ["mnasnet"], ["v2", "mnasnet:7.5"], list(METRICS)])
def test_valid_objectives(names):
    assert check(names) == tuple(names)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "at least one"),
        (["top1", "macs", "top1"], "each objective once"),
        (["mnasnet:8", "mnasnet:10"], "each objective once"),
        (["top1", "speed"], r"'speed' is not one of top1, val_loss, .*, peak_memory_mb, mnasnet\[:T\], v2"),
        (["mnasnet:"], "mnasnet:: T must be a latency in ms, a finite number > 0"),
        (["mnasnet:-1"], "mnasnet:-1: T must be"),
        (["mnasnet:fast"], "mnasnet:fast: T must be"),
        (["mnasnet:inf"], "mnasnet:inf: T must be"),
        (["v2:3"], "v2:3: takes no argument"),
        (["top1:3"], "'top1:3' is not one of"),
    ],
)
def test_objectives_that_are_refused(names, message):
    with pytest.raises(UserError, match=f"^objectives: .*{message}"):
        check(names)
