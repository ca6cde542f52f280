"""What a space holds, and the contracts of sample, suggest, mutate and contains."""

import math
import random
from dataclasses import replace

import optuna
import pytest

from search_spaces import UserError, load
from search_spaces.space import GENES
from search_spaces.space_file import builtin_spaces, load_space

BUILTIN = builtin_spaces()


def genes(arch):
    return {(i, gene): getattr(stage, gene) for i, stage in enumerate(arch.stages) for gene in GENES}


def changed_genes(a, b):
    before, after = genes(a) | {"resolution": a.resolution}, genes(b) | {"resolution": b.resolution}
    return [name for name in before if before[name] != after[name]]


def test_sizes_worked_by_hand():
    # Each stage: kernel 2 x expansion 2 x SE 2 x layers x widths. Stage 0 has expansion 3; one layer less than one is
    # one, so that stages of one layer have two depths; 0.75 * 16 and 0.75 * 24 round to what 1 gives.
    v1 = (2 * 3 * 2 * 2 * 2) * (8 * 3 * 2) * (8 * 3 * 3) ** 4 * (8 * 2 * 3)
    assert load_space("v1").size == v1 == 2_972_033_482_752
    # block 2 x kernel 2 x expansion 3 x SE 2 x layers 3, two in the first stage of one layer
    assert load_space("v2").size == 24**6 * 2 * 3**5 == 92_876_046_336
    assert load_space("v2_s").size == 24**6 * 3**6


def test_choices_of_the_builtin_spaces():
    v1, v2, v2_s = map(load_space, ("v1", "v2", "v2_s"))
    assert [stage["channels"] for stage in v1.choices] == [
        (16, 24),
        (24, 32),
        (32, 40, 48),
        (64, 80, 104),
        (88, 112, 144),
        (144, 192, 240),
        (240, 320, 400),
    ]
    assert [stage["layers"] for stage in v2.choices] == [(1, 2), (1, 2, 3), (1, 2, 3), (2, 3, 4), (4, 5, 6), (7, 8, 9)]
    assert [stage["layers"] for stage in v2_s.choices] == [
        (1, 2, 3),
        (3, 4, 5),
        (3, 4, 5),
        (4, 6, 8),
        (6, 9, 12),
        (10, 15, 20),
    ]
    for stage in v2.choices:
        assert stage["block"] == ("mbconv", "fused_mbconv")
        assert (stage["kernel"], stage["expansion"], stage["se_ratio"]) == ((3, 5), (1, 4, 6), (0, 0.25))


@pytest.mark.parametrize(("name", "base"), [("v1", "efficientnet_b0"), ("v2", "efficientnet_v2_b0"), ("v2_s",) * 2])
def test_the_base_is_in_its_space(name, base):
    base = load("efficientnet_v2_s" if base == "v2_s" else base)
    space = load_space(name)
    assert space.base == base
    assert space.contains(base)


@pytest.mark.parametrize("name", BUILTIN)
def test_sample(name):
    space = load_space(name)
    archs = [space.sample(random.Random(seed)) for seed in range(100)]
    assert archs == [space.sample(random.Random(seed)) for seed in range(100)]  # equal seeds, equal networks
    assert all(map(space.contains, archs))
    assert len({arch.id for arch in archs}) == 100
    seen = {(key, value) for arch in archs for key, value in genes(arch).items()}
    assert seen == {
        ((index, gene), value)
        for index, stage in enumerate(space.choices)
        for gene, values in stage.items()
        for value in values
    }


def test_sample_draws_uniformly(space_file):
    space = load_space(space_file({"base": "mobilenet_v2", "stages": {1: {"kernel": [3, 5, 7], "layers": [1, 2]}}}))
    rng, counts = random.Random(0), {}
    for _ in range(6000):
        stage = space.sample(rng).stages[1]
        counts[stage.kernel, stage.layers] = counts.get((stage.kernel, stage.layers), 0) + 1
    assert len(counts) == space.size == 6
    assert all(abs(count - 1000) < 5 * 1000**0.5 for count in counts.values())


@pytest.mark.parametrize("name", BUILTIN)
def test_mutate_changes_one_gene(name):
    space = load_space(name)
    arch = space.sample(random.Random(0))
    children = [space.mutate(arch, random.Random(seed)) for seed in range(200)]
    assert children == [space.mutate(arch, random.Random(seed)) for seed in range(200)]
    assert all(map(space.contains, children))
    changes = [changed_genes(arch, child) for child in children]
    assert {len(change) for change in changes} == {1}
    assert len({change[0] for change in changes}) > len(space.choices)  # not always the same one


def test_mutate_changes_the_resolution_too(space_file):
    space = load_space(space_file({"base": "mobilenet_v2", "resolution": [192, 224]}))
    arch = space.sample(random.Random(0))
    assert changed_genes(arch, space.mutate(arch, random.Random(0))) == ["resolution"]


def test_mutate_refuses_what_it_cannot_change(space_file):
    with pytest.raises(UserError, match="is not in space v1"):
        load_space("v1").mutate(load("efficientnet_v2_b0"), random.Random(0))
    one = load_space(space_file({"base": "mobilenet_v2"}))
    assert one.size == 1
    assert one.sample(random.Random(0)) == load("mobilenet_v2")
    with pytest.raises(UserError, match="holds one network"):
        one.mutate(one.base, random.Random(0))


def test_contains_looks_at_everything():
    space = load_space("v2")
    base = space.base
    first = base.stages[0]
    outside = [
        base.at(225),
        replace(base, norm_eps=1e-5),
        replace(base, padding="same"),
        replace(base, stem_channels=40),
        replace(base, head_channels=1288),
        replace(base, stages=base.stages[:-1]),
        replace(base, stages=(replace(first, kernel=7), *base.stages[1:])),
        replace(base, stages=(replace(first, stride=2), *base.stages[1:])),
        replace(base, stages=(replace(first, skip=False), *base.stages[1:])),
        replace(base, stages=(replace(first, channels=24), *base.stages[1:])),
        load("resnet50"),
    ]
    assert not any(map(space.contains, outside))


@pytest.mark.parametrize("name", BUILTIN)
def test_suggest_with_optuna(name):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = load_space(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    archs = []
    for _ in range(20):
        trial = study.ask()
        archs.append(space.suggest(trial))
        searched = {f"s{i}.{gene}" for i, stage in enumerate(space.choices) for gene in GENES if len(stage[gene]) > 1}
        assert set(trial.params) == searched  # a gene without a choice is no parameter
        study.tell(trial, 0.0)
    assert all(map(space.contains, archs))
    assert len({arch.id for arch in archs}) == 20
    fixed = optuna.trial.FixedTrial(study.trials[3].params)
    assert space.suggest(fixed) == archs[3]  # the parameters are all there is to a network


def test_width_and_resolution():
    space = load_space("v2", width=0.25, resolution=32)
    assert [stage.channels for stage in space.base.stages] == [8, 8, 16, 24, 32, 48]
    assert (space.base.stem_channels, space.base.head_channels) == (8, 320)
    assert space.resolutions == (32,)
    assert space.size == load_space("v2").size
    with pytest.raises(UserError, match="width: 0 is not a number above 0 and at most 100"):
        load_space("v2", width=0)
    with pytest.raises(UserError, match="resolution: -1 is not an integer"):
        load_space("v2", resolution=-1)


@pytest.mark.parametrize("name", BUILTIN)
def test_genes_are_all_there_is_to_a_network(name):
    space = load_space(name)
    arch = space.sample(random.Random(0))
    assert list(space.genes(arch)) == list(space.parameters)
    assert space.from_genes(space.genes(arch)) == arch
    assert all(len(values) > 1 and space.genes(arch)[name] in values for name, values in space.parameters.items())
    assert math.prod(map(len, space.parameters.values())) == space.size


def test_all_networks_of_a_space(space_file):
    content = {
        "base": "mobilenet_v2",
        "resolution": [96, 128],
        "stages": {1: {"kernel": [3, 5]}, 2: {"layers": [1, 2]}},
    }
    space = load_space(space_file(content))
    archs = list(space)
    assert list(space.parameters) == ["s1.kernel", "s2.layers", "resolution"]
    assert len(set(archs)) == len(archs) == space.size == 8
    assert all(map(space.contains, archs))
