"""What a space holds, and the contracts of sample, suggest, mutate and contains; its file, right and wrong."""

import random
from dataclasses import replace

import optuna
import pytest
import yaml

from search_spaces import UserError, load
from search_spaces.space import GENES, builtin_spaces, load_space

BUILTIN = builtin_spaces()
EVERY_KEY = """
name: mine
description: every key that a space file may have
base:
  stem_channels: 16
  head_channels: 64
  resolution: 32
  stages:
    - {block: mbconv, kernel: 3, stride: 1, expansion: 1, channels: 16, layers: 1}
    - {block: fused_mbconv, kernel: 3, stride: 2, expansion: 4, channels: 24, layers: 2}
    - {block: mbconv, kernel: 5, stride: 2, expansion: 6, channels: 40, layers: 3, se_ratio: 0.25}
choices:
  block: [mbconv, fused_mbconv]
  kernel: [3, 5, 7]
  expansion: [1, 4]
  se_ratio: [0, 0.25]
  layers_added: [-1, 0, 1]
  width: [0.5, 1]
stages:
  0: {block: mbconv, layers: [1, 2], channels: [8, 16, 24]}
  2: {depth: [0.5, 1, 2], kernel: 5}
resolution: [24, 32]
"""


@pytest.fixture
def space_file(tmp_path):
    """Writes text, or a mapping as YAML, as a space file; its path."""

    def write(content):
        path = tmp_path / "space.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return str(path)

    return write


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


@pytest.mark.parametrize("name, base", [("v1", "efficientnet_b0"), ("v2", "efficientnet_v2_b0"), ("v2_s",) * 2])
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


@pytest.mark.parametrize("name", BUILTIN)
def test_round_trip_through_a_file(name, space_file):
    space = load_space(name, width=0.5, resolution=32)
    again = load_space(space_file(space.to_dict()))
    assert again == space
    assert again.sample(random.Random(5)) == space.sample(random.Random(5))


def test_width_and_resolution():
    space = load_space("v2", width=0.25, resolution=32)
    assert [stage.channels for stage in space.base.stages] == [8, 8, 16, 24, 32, 48]
    assert (space.base.stem_channels, space.base.head_channels) == (8, 320)
    assert space.resolutions == (32,)
    assert space.size == load_space("v2").size
    with pytest.raises(UserError, match="width: 0 is not a positive number"):
        load_space("v2", width=0)
    with pytest.raises(UserError, match="resolution: -1 is not an integer"):
        load_space("v2", resolution=-1)


def test_a_file_with_every_key(space_file):
    space = load_space(space_file(EVERY_KEY))
    assert (space.name, space.description) == ("mine", "every key that a space file may have")
    first, second, third = space.choices
    assert first == {
        "block": ("mbconv",),
        "kernel": (3, 5, 7),
        "expansion": (1, 4),
        "se_ratio": (0.0, 0.25),
        "layers": (1, 2),
        "channels": (8, 16, 24),
    }
    assert second["layers"] == (1, 2, 3)
    assert second["channels"] == (16, 24)  # the guard lifts 12 to 16
    assert third["layers"] == (2, 3, 6)  # half of 3 is 1.5, rounded to 2
    assert third["kernel"] == (5,)
    assert space.resolutions == (24, 32)
    assert space.size == (3 * 2 * 2 * 2 * 3) * (2 * 3 * 2 * 2 * 3 * 2) * (2 * 2 * 2 * 3 * 2) * 2
    rng = random.Random(0)
    assert all(space.contains(space.sample(rng)) for _ in range(100))


def test_the_files_name_is_the_spaces(space_file):
    assert load_space(space_file("base: resnet18\n")).name == "space"


MINI = {"base": "efficientnet_b0"}
WRONG = {
    "unknown field": (MINI | {"choice": {}}, "space: unknown field 'choice', allowed are name, description, base"),
    "unknown gene": (MINI | {"choices": {"kernels": [3]}}, "choices: unknown field 'kernels', allowed are block, "),
    "unknown gene of a stage": (MINI | {"stages": {1: {"stride": 2}}}, r"stages\.1: unknown field 'stride', allowed"),
    "kernel 4": (MINI | {"choices": {"kernel": [3, 4]}}, r"choices\.kernel: 4 is not an odd number >= 1"),
    "kernel 4 of a stage": (MINI | {"stages": {1: {"kernel": 4}}}, r"stages\.1\.kernel: 4 is not an odd number >= 1"),
    "expansion 0": (MINI | {"choices": {"expansion": [0, 6]}}, r"choices\.expansion: 0 is not an integer >= 1"),
    "block": (MINI | {"choices": {"block": "conv"}}, r"choices\.block: 'conv' is not one of mbconv, fused_mbconv"),
    "se_ratio": (MINI | {"choices": {"se_ratio": [1.5]}}, r"choices\.se_ratio: 1\.5 is not a number from 0 to 1"),
    "width text": (MINI | {"choices": {"width": ["wide"]}}, r"choices\.width: 'wide' is not a number"),
    "width 0": (MINI | {"choices": {"width": [0, 1]}}, r"choices\.width: 0 is not a positive number"),
    "width nan": (MINI | {"choices": {"width": [float("nan")]}}, r"choices\.width: nan is not"),
    "depth -1": (MINI | {"choices": {"depth": -1}}, r"choices\.depth: -1 is not a positive number"),
    "layers_added 0.5": (MINI | {"choices": {"layers_added": 0.5}}, r"choices\.layers_added: 0\.5 is not an integer"),
    "layers_added text": (MINI | {"choices": {"layers_added": "1"}}, r"choices\.layers_added: '1' is not an integer"),
    "layers 0": (MINI | {"stages": {0: {"layers": 0}}}, r"stages\.0\.layers: 0 is not an integer >= 1"),
    "channels": (MINI | {"stages": {0: {"channels": [16, 2.5]}}}, r"stages\.0\.channels: 2\.5 is not an integer >= 1"),
    "empty list": (MINI | {"choices": {"kernel": []}}, r"choices\.kernel: an empty list"),
    "empty resolution": (MINI | {"resolution": []}, "resolution: an empty list"),
    "resolution 0": (MINI | {"resolution": [0, 32]}, "resolution: 0 is not an integer >= 1"),
    "two keys for one gene": (
        MINI | {"choices": {"layers": [1, 2], "depth": [1, 2]}},
        "choices: layers and depth both set the stage's layers, give one",
    ),
    "stage out of range": (MINI | {"stages": {7: {"kernel": 3}}}, "stages: unknown field 7, allowed are 0, 1, 2, 3"),
    "stages is a list": (MINI | {"stages": [{"kernel": 3}]}, r"stages: .* is not a mapping"),
    "stage is no mapping": (MINI | {"stages": {0: 3}}, r"stages\.0: 3 is not a mapping"),
    "choices without content": ("base: efficientnet_b0\nchoices:\n", "choices: None is not a mapping"),
    "unknown base": (MINI | {"base": "efficientnet_b9"}, "base: 'efficientnet_b9' is .* efficientnet_b0"),
    "base is a list": (MINI | {"base": ["efficientnet_b0"]}, r"base: \['efficientnet_b0'\] is "),
    "base is a number": (MINI | {"base": 5}, "base: 5 is "),
    "base without stages": (MINI | {"base": {"stem_channels": 8}}, "base.stages: missing"),
    "wrong stage of the base": (
        MINI | {"base": load("mobilenet_v2").to_dict() | {"stages": [{"block": "mbconv"}]}},
        r"base\.stages\[0\]\.kernel: missing",
    ),
    "no base": ({"choices": {"kernel": [3]}}, "base: missing"),
    "block of another layout": (
        {"base": "resnet18", "choices": {"block": ["basic", "mbconv"]}},
        r"choices\.block: 'mbconv' is not one of basic, bottleneck",
    ),
    "empty file": ("", "space: None is not a mapping"),
    "a list": ("- base\n- choices\n", "space: .* is not a mapping"),
    "not YAML": ("base: [efficientnet_b0\nchoices: {", "not valid YAML .*line 2"),
}


@pytest.mark.parametrize("content, message", WRONG.values(), ids=list(WRONG))
def test_wrong_files_name_the_file_and_the_field(content, message, space_file):
    path = space_file(content)
    with pytest.raises(UserError, match=f"^{path}: {message}") as caught:
        load_space(path)
    assert "\n" not in str(caught.value)


def test_missing_and_unreadable_files(tmp_path):
    missing = tmp_path / "missing.yaml"
    with pytest.raises(UserError, match=f"^{missing}: cannot be read .No such file"):
        load_space(str(missing))
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UserError, match=f"^{binary}: cannot be read .not a text file"):
        load_space(str(binary))
    with pytest.raises(UserError, match="^space: 'v3' is neither a .yaml file nor one of v1, v2, v2_s"):
        load_space("v3")
