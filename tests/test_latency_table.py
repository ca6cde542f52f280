"""The table of blocks and the predictor over it: on made-up latencies. How well it does on real networks,
benchmarks/latency_predictor.py says."""

import random

import numpy as np
import pytest
import torch

from nas.latency import fitting, predictor
from nas.latency.blocks import blocks_of
from nas.latency.fitting import Asked, stratified
from nas.latency.predictor import Table, fit, to_text
from nas.plan import plan
from nas.run import proposer_of
from search_spaces import UserError, constraint, cost, load
from search_spaces.build import build_model
from search_spaces.space_file import load_space
from studies.spec import LatencySpec, parse

SPACE = load_space("v2", 0.25, 64)
CPU = torch.device("cpu")
SMALL_SEARCH = {
    "space": {"name": "v2", "width": 0.25},
    "data": {"source": "glyphs", "resolution": 64},
    "resources": {"gpus": 0},
}


def made_up(block):
    """ms: fused blocks do more in the same time, depthwise ones are bound by memory."""
    counts = block.cost(1000)
    return 0.02 + counts.macs * (1e-8 if block.block == "fused_mbconv" else 3e-8) + counts.activations * 1e-7


def truth(arch):
    """In a network blocks are slower than alone, by what their weights take to fetch."""
    return 1.1 * sum(map(made_up, blocks_of(arch))) + 0.02 * cost.count(arch).params * 1e-6 + 0.1


@pytest.fixture(scope="module")
def fitted():
    """A predictor, and networks that it was not fitted on with their ms, which have 2% of noise as the others."""
    rng = np.random.default_rng(0)
    table = Table(fitting.table_key(LatencySpec(), CPU), 1000, {b: made_up(b) for b in Asked(SPACE, 50, 0).blocks()})
    archs = stratified(SPACE, 150, 1, 1000)
    measured = np.array(list(map(truth, archs))) * np.exp(rng.normal(0, 0.02, len(archs)))
    about = {"space": {}, "made": {}, "reference_ms": 2.0, "networks": []}
    return fit(table, archs[:50], measured[:50], about), archs[50:], measured[50:]


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_blocks_cost_together_what_the_network_costs(name):
    space, rng = load_space(name, 0.5, 72), random.Random(0)
    for arch in (space.sample(rng) for _ in range(20)):
        counts = [block.cost(10) for block in blocks_of(arch)]
        assert tuple(map(sum, zip(*counts, strict=True))) == cost.count(arch, 10)


@pytest.mark.parametrize("name", ["mnasnet_b1", "efficientnet_v2_b0"])
def test_blocks_in_a_row_are_the_network(name):
    arch = load(name).at(40)
    x, params = torch.randn(2, 3, 40, 40), 0
    for block in blocks_of(arch):
        assert x.shape == (2, block.cin, block.side, block.side)
        part = block.build(10).eval()
        x, params = part(x), params + sum(parameter.numel() for parameter in part.parameters())
    assert x.shape == (2, 10)
    assert params == sum(parameter.numel() for parameter in build_model(arch, 10).parameters())


def test_a_block_without_a_table_is_named():
    with pytest.raises(UserError, match="block: 'bottleneck' has no latency table, allowed are mbconv"):
        list(blocks_of(load("resnet50")))


def test_networks_are_spread_over_macs_and_follow_the_seed():
    archs = stratified(SPACE, 20, 3, 1000)
    assert archs == stratified(SPACE, 20, 3, 1000) != stratified(SPACE, 20, 4, 1000)
    assert len({arch.fingerprint for arch in archs}) == 20
    macs = sorted(cost.count(arch).macs for arch in archs)
    everything = sorted(cost.count(SPACE.sample(random.Random(seed))).macs for seed in range(500))
    assert macs[0] < everything[50] < everything[450] < macs[-1]


def test_it_predicts_networks_that_it_has_not_seen(fitted):
    found, archs, measured = fitted
    error = predictor.error_of(np.array([found.predict(arch).ms for arch in archs]), measured)
    assert error.within_10 == 1.0
    assert error.tau > 0.9
    assert error.median < found.macs_alone.median / 2
    assert error.median == pytest.approx(found.error.median, abs=0.01)
    inside = [p.low <= ms <= p.high for p, ms in zip(map(found.predict, archs), measured, strict=True)]
    assert np.mean(inside) >= 0.85
    assert {found.predict(arch).interpolated for arch in archs} == {0}


def test_wrong_measurements_among_those_it_is_fitted_on_do_not_spoil_it(fitted):
    found, archs, measured = fitted
    disturbed = measured.copy()
    disturbed[::10] *= 4
    again = fit(found.table, archs, disturbed, {})
    predicted = np.array([again.predict(arch).ms for arch in archs])
    assert predictor.error_of(predicted, measured).median < 0.03
    assert again.error.margin > 0.5


def test_blocks_that_were_not_measured_are_interpolated_and_counted(fitted):
    found, archs, measured = fitted
    half = {block: ms for index, (block, ms) in enumerate(sorted(found.table.blocks_ms.items())) if index % 2}
    less = fit(Table({}, 1000, half), archs[:50], measured[:50], {})
    predictions = [less.predict(arch) for arch in archs[50:]]
    assert all(0 < prediction.interpolated < prediction.blocks for prediction in predictions)
    error = predictor.error_of(np.array([prediction.ms for prediction in predictions]), measured[50:])
    assert error.within_10 >= 0.8
    assert less.violations(archs[0], [constraint.Constraint("latency_ms", "<=", 1e-3)]) == {}


def test_a_network_breaks_a_limit_where_all_of_the_interval_does(fitted):
    found, archs, _ = fitted
    prediction = found.predict(archs[0])
    for operator, end, inside in (("<=", prediction.low, 1.001), (">=", prediction.high, 0.999)):
        kept, broken = (constraint.Constraint("latency_ms", operator, end * f) for f in (inside, 1 / inside))
        other = constraint.Constraint("params", operator, 1.0)
        assert found.violations(archs[0], [kept, other]) == {}
        assert list(found.violations(archs[0], [broken, other])) == [f"{broken} (predicted)"]


def test_few_networks_are_refused(fitted):
    found, archs, measured = fitted
    with pytest.raises(UserError, match="networks: 2 were measured, at least 3 are needed"):
        fit(found.table, archs[:2], measured[:2], {})


def test_a_file_holds_all_of_it(fitted, tmp_path):
    found, archs, _ = fitted
    path = tmp_path / "table.json"
    path.write_text(to_text(found))
    again = predictor.load(path)
    assert [again.predict(arch) for arch in archs] == [found.predict(arch) for arch in archs]
    assert (again.table, again.error, again.macs_alone, again.about) == (
        found.table,
        found.error,
        found.macs_alone,
        found.about,
    )


BROKEN = {
    "no file": (None, "cannot be read"),
    "no JSON": ("latency", "holds no latency table"),
    "another JSON": ("[1, 2]", "holds no latency table"),
    "another schema": ('{"schema": 2}', "schema: 2 is not 1"),
    "half": ('{"schema": 1, "key": {}}', "holds no latency table"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_a_mistake(content, message, tmp_path):
    path = tmp_path / "table.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message) as raised:
        predictor.load(path)
    assert str(path) in str(raised.value)


@pytest.fixture
def search_with(fitted, tmp_path):
    """The plan of a small search with the made-up table, of which some may be other."""

    def planned(limits=("latency_ms<=1",), **changes):
        found, *_ = fitted
        table = Table(found.table.key | changes.get("key", {}), changes.get("classes", 10), found.table.blocks_ms)
        path = tmp_path / "table.json"
        about = {**found.about, "networks": [{"status": status} for status in changes.get("statuses", ["ok"])]}
        path.write_text(to_text(predictor.Predictor(table, found.weights, found.error, found.macs_alone, about)))
        settings = SMALL_SEARCH | changes.get("settings", {}) | {"latency": {"table": str(path)}}
        return plan(parse(settings | {"search": {"constraints": limits, "lag": 1000, "sampler": "random"}}))

    return planned


def test_a_search_does_not_try_what_is_predicted_to_be_too_slow(search_with, fitted):
    found, archs, _ = fitted
    limit = float(np.median([found.predict(arch).ms for arch in archs]))
    planned = search_with([f"latency_ms<={limit:.4f}"])
    proposer = proposer_of(planned)
    proposed = [proposer.ask().arch for _ in range(50)]
    predictions = [planned.predictor.predict(arch) for arch in proposed]
    assert max(prediction.low for prediction in predictions) <= limit
    assert any(prediction.ms > limit for prediction in predictions)  # only who surely breaks it is left out
    with pytest.raises(UserError, match=r"none of 2500 networks .* keeps latency_ms<=0.001 \(predicted\)"):
        proposer_of(search_with(["latency_ms<=0.001"])).ask()


REFUSED = {
    "key": ({"key": {"threads": 4}}, "holds latencies with threads 4, here 1"),
    "classes": ({"classes": 36}, "is for 36 classes, here 10"),
    "blocks": (
        {"settings": {"space": {"name": "v1", "width": 0.25}}},
        "holds the blocks of 0% of the networks of space",
    ),
    "disturbed": (
        {"statuses": ["ok", "flagged", "flagged"]},
        "2 of the 3 networks that it was fitted on were measured",
    ),
    "nothing to do": ({"limits": ["params<=1e6"]}, "is for a limit on latency"),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_a_search_refuses_a_table_of_something_else(changes, message, search_with):
    with pytest.raises(UserError, match=r"latency\.table: ") as raised:
        search_with(**changes)
    assert message in str(raised.value)
