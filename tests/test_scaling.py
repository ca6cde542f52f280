"""Rounding and scaling against vectors that the official codes gave (tests/data/rounding.json)."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from search_spaces import UserError, load
from search_spaces.cost import count
from search_spaces.published import catalogue
from search_spaces.scaling import ROUNDINGS, round_depth, round_width, scale

OFFICIAL = json.loads((Path(__file__).parent / "data" / "rounding.json").read_text())
B0_FAMILY = list(OFFICIAL["b0_widths_scaled"])  # b0..b7, and b8 and l2, which the catalogue has not


def layers(arch):
    return [stage.layers for stage in arch.stages]


def widths(arch):
    return [arch.stem_channels, *(stage.channels for stage in arch.stages), arch.head_channels]


@pytest.mark.parametrize(("rounding", "vectors"), [("official", "guarded"), ("unguarded", "unguarded")])
@pytest.mark.parametrize("multiplier", list(OFFICIAL["width"]))
def test_width_rounds_as_the_official_codes_do(multiplier, rounding, vectors):
    vector = OFFICIAL["width"][multiplier]
    rounded = [round_width(n, vector["multiplier"], rounding) for n in OFFICIAL["base_filters"]]
    assert rounded == vector[vectors]


@pytest.mark.parametrize("coefficient", list(OFFICIAL["depth"]))
def test_depth_rounds_as_the_official_codes_do(coefficient):
    vector = OFFICIAL["depth"][coefficient]
    assert [round_depth(n, vector["coefficient"]) for n in OFFICIAL["base_layers"]] == vector["ceil"]


def test_rounding_works_on_floats():
    """Where exact arithmetic would give another result: the official codes multiply floats."""
    assert [round_width(n, 1.13) for n in (400, 1200)] == [448, 1352]  # 451.99999999999994, not 452
    assert [round_depth(n, 2.2) for n in (25, 50)] == [56, 111]  # 55.00000000000001, not 55


@pytest.mark.parametrize("name", B0_FAMILY)
def test_b_family_stage_tables(name):
    settings = OFFICIAL["official"][name]
    arch = scale(load("efficientnet_b0"), settings["width"], settings["depth"], settings["resolution"])
    assert widths(arch) == OFFICIAL["b0_widths_scaled"][name]
    assert layers(arch) == OFFICIAL["b0_depths_scaled"][name]
    if name not in ("b8", "l2"):
        published = load(f"efficientnet_{name}")
        assert published.stages == arch.stages
        assert published.resolution == settings["resolution"]


@pytest.mark.parametrize("name", list(OFFICIAL["v2base_widths_scaled"]))
def test_v2_b_family_stage_tables(name):
    arch = load(f"efficientnet_v2_{name}")
    assert widths(arch) == OFFICIAL["v2base_widths_scaled"][name]
    assert layers(arch) == OFFICIAL["v2base_depths_scaled"][name]


def test_the_guard_is_what_sets_v2_b3_apart():
    base = load("efficientnet_v2_b0")
    assert scale(base, width=1.2, rounding="official").stages[0].channels == 24
    assert scale(base, width=1.2, rounding="unguarded").stages[0].channels == 16


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", list(catalogue()))
def test_scaling_by_one_is_the_identity(name, rounding):
    arch = load(name)
    assert scale(arch, 1, 1, rounding=rounding) == arch
    odd = replace(arch, stem_channels=13)  # a width that rounding would change
    assert scale(odd, 1.0, 1.0, odd.resolution, rounding) == odd


@pytest.mark.parametrize(
    ("phi", "ratio"), enumerate([2.573, 4.693, 8.426, 16.380, 29.482, 52.082, 102.806], start=1), ids="phi{}".format
)
def test_counted_cost_of_the_papers_coefficients(phi, ratio):
    """alpha 1.2, beta 1.1, gamma 1.15 with official rounding cost 2.573 times B0 at phi 1, where the formula says
    1.920 (arXiv 1905.11946, equation 3)."""
    base = load("efficientnet_b0")
    arch = scale(base, width=1.1**phi, depth=1.2**phi, resolution=round(224 * 1.15**phi))
    assert arch.head_channels == round_width(1280, 1.1**phi)
    assert count(arch).macs / count(base).macs == pytest.approx(ratio, abs=5e-4)


def test_heads_follow_each_familys_code():
    assert scale(load("efficientnet_b0"), width=0.5).head_channels == 640
    assert scale(load("mobilenet_v2"), width=0.5).head_channels == 1280  # never shrinks
    assert scale(load("mobilenet_v2"), width=1.4).head_channels == 1792
    assert scale(load("mnasnet_b1"), width=2.0).head_channels == 1280  # fixed
    assert scale(load("mobilenet_v1"), width=2.0).head_channels == 0


def test_bottlenecks_round_their_inner_width():
    wide = scale(load("resnext50_32x4d"), width=1.3)
    assert all(stage.channels // stage.expansion % 32 == 0 for stage in wide.stages)
    assert [stage.channels for stage in scale(load("resnet50"), width=2.0).stages] == [512, 1024, 2048, 4096]


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "2"], ids=repr)
@pytest.mark.parametrize("name", ["width", "depth"])
def test_wrong_multipliers(name, value):
    with pytest.raises(UserError, match=f"^{name}: .* is not a positive number"):
        scale(load("efficientnet_b0"), **{name: value})


def test_wrong_rounding_and_resolution():
    with pytest.raises(UserError, match=r"^rounding: 'floor' is not one of official, unguarded, nearest"):
        scale(load("efficientnet_b0"), width=1.1, rounding="floor")
    with pytest.raises(UserError, match=r"^resolution: 0 is not an integer >= 1"):
        scale(load("efficientnet_b0"), resolution=0)
