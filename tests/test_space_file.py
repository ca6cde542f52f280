"""A space's file: every key, a round trip, and one line that names file and field for everything that is wrong."""

import random

import pytest

from search_spaces import UserError, load
from search_spaces.space_file import builtin_spaces, load_space

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


@pytest.mark.parametrize("name", builtin_spaces())
def test_round_trip_through_a_file(name, space_file):
    space = load_space(name, width=0.5, resolution=32)
    again = load_space(space_file(space.to_dict()))
    assert again == space
    assert again.sample(random.Random(5)) == space.sample(random.Random(5))


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
    "unknown base": (MINI | {"base": "efficientnet_b9"}, "base: network: 'efficientnet_b9' is .* efficientnet_b7"),
    "base is a list": (MINI | {"base": ["efficientnet_b0"]}, r"base: network: .*\['efficientnet_b0'\].* is neither"),
    "base is a number": (MINI | {"base": 5}, "base: network: '5' is neither"),
    "base without stages": (MINI | {"base": {"stem_channels": 8}}, "base.stages: missing"),
    "wrong stage of the base": (
        MINI | {"base": load("mobilenet_v2").to_dict() | {"stages": [{"block": "mbconv"}]}},
        r"base\.stages\[0\]\.kernel: missing",
    ),
    "no base": ({"choices": {"kernel": [3]}}, "base: missing"),
    "block of another layout": (
        {"base": "resnet18", "choices": {"block": ["basic", "mbconv"]}},
        r"stages\[0\]\.block: 'mbconv' is not one of basic, bottleneck",
    ),
    "choices that do not go together": (
        {"base": "mobilenet_v1", "choices": {"block": ["separable", "mbconv"], "se_ratio": [0, 0.25]}},
        r"choices\.se_ratio: 0\.25 but block 'separable' has none",
    ),
    "choices of which only some go together": (
        {"base": "efficientnet_v2_b0", "stages": {0: {"block": ["fused_mbconv", "separable"], "se_ratio": [0, 0.25]}}},
        r"stages\[0\]\.se_ratio: 0\.25 but block 'separable' has none",
    ),
    "densenet": ({"base": "densenet121"}, "base: a densenet is a baseline, which cannot be searched"),
    "empty file": ("", "space: None is not a mapping"),
    "a list": ("- base\n- choices\n", "space: .* is not a mapping"),
    "not YAML": ("base: [efficientnet_b0\nchoices: {", "not valid YAML .*line 2"),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=list(WRONG))
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
    with pytest.raises(UserError, match=r"^space: 'v3' is neither a .yaml file nor one of v1, v2, v2_s"):
        load_space("v3")
