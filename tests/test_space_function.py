"""Networks with the same fingerprint compute the same function, and others do not."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import Arch, Stage
from search_spaces.build import build_model
from search_spaces.cost import count
from search_spaces.space import SearchSpace

STAGE = {
    "kernel": (3, 5),
    "expansion": (1, 4),
    "se_ratio": (0, 0.02, 0.05, 0.25, 0.26, 0.3, 0.5),
    "layers": (1, 2),
    "channels": (8, 16),
}


def space_of(layout, **more):
    choices = (STAGE | more,) * 2
    stages = tuple(Stage(stride=2, **{gene: values[0] for gene, values in stage.items()}) for stage in choices)
    base = Arch(stages, stem_channels=8, head_channels=0, resolution=32, layout=layout)
    return SearchSpace(layout, "", base, choices, (32,))


SPACES = {
    "efficientnet": space_of("efficientnet", block=("mbconv", "fused_mbconv")),
    "resnet": space_of("resnet", block=("bottleneck",)),
}


def shapes(arch):
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in build_model(arch, num_classes=4).state_dict().items()}


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(SPACES)), st.integers(0, 2**32))
def test_equal_fingerprints_are_equal_parameters(layout, seed):
    space, rng = SPACES[layout], random.Random(seed)
    arch = space.sample(rng)
    ratios = {name: rng.choice(values) for name, values in space.parameters.items() if name.endswith("se_ratio")}
    for other in (space.from_genes(space.genes(arch) | ratios), space.mutate(arch, rng)):
        assert (arch.fingerprint == other.fingerprint) == (shapes(arch) == shapes(other))
        assert arch.fingerprint != other.fingerprint or count(arch) == count(other)


@pytest.mark.parametrize("layout", sorted(SPACES))
def test_equal_fingerprints_are_equal_outputs(layout):
    genes = {name: values[-1] for name, values in SPACES[layout].parameters.items()}
    one, two = (
        SPACES[layout].from_genes(genes | {"s0.se_ratio": ratio, "s0.channels": 8, "s1.se_ratio": 0.5})
        for ratio in (0.25, 0.3)
    )
    assert one.id != two.id
    assert one.fingerprint == two.fingerprint
    outputs = []
    for arch in (one, two):
        torch.manual_seed(0)
        outputs.append(build_model(arch, num_classes=4).eval()(torch.linspace(-1, 1, 3 * 32 * 32).view(1, 3, 32, 32)))
    assert torch.equal(*outputs)


def test_what_a_state_dict_does_not_show_is_in_the_fingerprint():
    arch = SPACES["efficientnet"].base
    others = [arch.at(64), Arch(**vars_of(arch) | {"activation": "relu"}), Arch(**vars_of(arch) | {"norm_eps": 1e-3})]
    assert len({arch.fingerprint, *(other.fingerprint for other in others)}) == 4


def vars_of(arch):
    return {name: getattr(arch, name) for name in Arch.__dataclass_fields__}
