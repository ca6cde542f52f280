"""The cheapest and the dearest network of a space, against looking at every one."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import Arch, Stage
from search_spaces.cost import Cost, count
from search_spaces.extremes import extreme
from search_spaces.space import SearchSpace
from search_spaces.space_file import builtin_spaces, load_space

MOBILE = {
    "block": ["mbconv", "fused_mbconv"],
    "kernel": [1, 3, 5],
    "expansion": [1, 2, 6],
    "se_ratio": [0, 0.04, 0.25],
    "layers": [1, 2, 3],
    "channels": [8, 12, 40],
}
RESIDUAL = MOBILE | {"block": ["bottleneck"], "expansion": [1, 2, 4]}


@st.composite
def spaces(draw):
    """Up to three stages, at most some hundred networks."""
    layout, values = draw(st.sampled_from([("efficientnet", MOBILE), ("resnet", RESIDUAL)]))
    room, choices, stages = 400, [], []
    for _ in range(draw(st.integers(1, 3))):
        stage = {}
        for gene, known in values.items():
            few = draw(st.lists(st.sampled_from(known), min_size=1, max_size=min(3, room), unique=True))
            stage[gene], room = tuple(few), room // len(few)
        choices.append(stage)
        first = {gene: few[0] for gene, few in stage.items()}
        stages.append(Stage(**first, stride=draw(st.sampled_from([1, 2]))))
    sides = draw(st.lists(st.integers(7, 40), min_size=1, max_size=min(3, max(1, room)), unique=True))
    stem, head = draw(st.sampled_from([4, 24])), draw(st.sampled_from([0, 64]))
    base = Arch(tuple(stages), stem, head, sides[0], layout=layout, stem_pool=draw(st.booleans()))
    return SearchSpace("drawn", "", base, tuple(choices), tuple(sides))


@settings(max_examples=60, deadline=None)
@given(spaces(), st.sampled_from(Cost._fields), st.sampled_from([2, 1000]))
def test_no_network_is_cheaper_or_dearer(space, metric, num_classes):
    costs = [getattr(count(arch, num_classes), metric) for arch in space]
    for largest, best in ((False, min(costs)), (True, max(costs))):
        arch = extreme(space, metric, num_classes, largest)
        assert space.contains(arch)
        assert getattr(count(arch, num_classes), metric) == best


@pytest.mark.parametrize("name", builtin_spaces())
@pytest.mark.parametrize("metric", Cost._fields)
def test_no_random_network_of_a_large_space_is_beyond_the_extremes(name, metric):
    space, rng = load_space(name), random.Random(0)
    least, most = (getattr(count(extreme(space, metric, largest=end)), metric) for end in (False, True))
    costs = [getattr(count(space.sample(rng)), metric) for _ in range(300)]
    assert least < min(costs) < max(costs) < most


def test_extremes_of_v2():
    """The cheapest in MACs: MBConv without expansion and SE, 3 x 3, as few layers as there may be."""
    cheapest = extreme(load_space("v2"), "macs")
    assert {(s.block, s.kernel, s.expansion, s.se_ratio) for s in cheapest.stages} == {("mbconv", 3, 1, 0)}
    assert [stage.layers for stage in cheapest.stages] == [1, 1, 1, 2, 4, 7]
