"""Compound scaling: the grid against brute force, directions followed to a counted cost, and published variants."""

import json
import math
import re
from fractions import Fraction
from pathlib import Path

import pytest

from search_spaces import UserError, load
from search_spaces.compound import PAPER, RULES, Coefficients, Growth, grid, of_shares, realised, rule
from search_spaces.cost import count
from search_spaces.scaling import scale

KNOWN = json.loads((Path(__file__).parent / "data" / "compound.json").read_text())
NAMES = {"MobileNetV1": "mobilenet_v1", "MobileNetV2": "mobilenet_v2", "ResNet-50": "resnet50"}
B0 = load("efficientnet_b0")


def brute_force(step, tolerance):
    """Every triple of multiples of the step, in exact arithmetic."""
    each, within = Fraction(step), Fraction(tolerance)
    line = [1 + i * each for i in range(int((2 + within - 1) / each) + 2)]
    return {
        (float(a), float(b), float(c))
        for a in line
        for b in line
        if a * b**2 <= 2 + within
        for c in line
        if abs(a * b**2 * c**2 - 2) <= within
    }


@pytest.mark.parametrize("tolerance", ["0.1", "0.05", "0.3", "0.01"])
@pytest.mark.parametrize("step", ["0.05", "0.1", "0.04", "0.2"])
def test_the_grid_is_what_brute_force_finds(step, tolerance):
    expected = brute_force(step, tolerance)
    if not expected:
        with pytest.raises(UserError, match="has no point with"):
            grid(float(step), float(tolerance))
        return
    found = grid(float(step), float(tolerance))
    assert {(one.alpha, one.beta, one.gamma) for one in found} == expected
    assert len(found) == len(expected)


def test_the_papers_triple_is_in_the_default_grid():
    assert PAPER in grid()
    assert PAPER.growth == pytest.approx(1.92027)
    assert PAPER not in grid(tolerance=0.05)


@pytest.mark.parametrize(("step", "tolerance"), [(0, 0.1), (-1, 0.1), (math.nan, 0.1), (0.05, 0)])
def test_wrong_grids(step, tolerance):
    with pytest.raises(UserError, match="is not a number > 0"):
        grid(step, tolerance)


@pytest.mark.parametrize("phi", list(KNOWN["formula"]))
def test_widths_and_depths_of_the_formula(phi):
    official = KNOWN["formula"][phi]
    arch = Growth(B0, PAPER).at(float(phi))
    assert [arch.stem_channels, *(stage.channels for stage in arch.stages)] == official["widths"][:-1]
    assert arch.head_channels == official["head_round_1280"]
    assert [stage.layers for stage in arch.stages] == official["depths"]
    assert arch.resolution == official["resolution_round"]


@pytest.mark.parametrize(
    "row",
    [row for row in KNOWN["variants"] if row["net"] in NAMES],
    ids=lambda row: f"{row['net']} {row['label'][:16]}",
)
def test_table_3_of_the_paper(row):
    growth = Growth(load(NAMES[row["net"]]), Coefficients(row["d"], row["w"], row["r"]))
    arch = growth.at(1.0)
    counted = count(arch)
    assert counted.params == row["params"]
    assert counted.macs == row[f"macs@{round(224 * row['r'])}"]


def test_shares_are_the_direction():
    assert PAPER.doubling().growth == pytest.approx(2.0)
    assert sum(PAPER.shares) == pytest.approx(1.0)
    assert of_shares(*PAPER.shares) == PAPER.doubling()
    assert RULES["depth"].shares == pytest.approx((1, 0, 0))
    for phi in (0.5, 3):
        scaled = [x * math.log(PAPER.growth) / math.log(2) for x in (phi,)]
        assert PAPER.at(phi) == pytest.approx(PAPER.doubling().at(*scaled))


@pytest.mark.parametrize("text", list(KNOWN["pycls"]))
def test_pyclss_notation(text):
    """Against the factors of pycls (group width is not ours to scale)."""
    known = {
        "d": "depth",
        "w": "width",
        "r": "resolution",
        "dw": "d1_w1_r0",
        "dr": "d1_w0_r1",
        "wr": "d0_w1_r1",
        "dwr": "d1_w1_r1",
    }
    name = re.sub("_g[0-9]+", "", known.get(text, text))
    if name not in RULES and "_" not in name:
        pytest.skip(f"{text} is not written as shares")
    for size, factors in KNOWN["pycls"][text].items():
        depth, width, resolution = rule(name).at(math.log2(float(size)))
        assert (depth, width, resolution) == pytest.approx((factors["d"], factors["w"], factors["r"]))


def test_dWr_is_pyclss():
    assert rule("d1_w8_r1") == RULES["dWr"]
    depth, width, resolution = RULES["dWr"].at(3)  # eight times the cost
    assert (depth, width, resolution) == pytest.approx((8**0.1, 8**0.4, 8**0.05))


@pytest.mark.parametrize("text", ["dw", "d1w8r1", "d1_w8_g8_r1", "d0_w0_r0", "compound2", "", "d-1_w1_r1"])
def test_wrong_rules(text):
    with pytest.raises(UserError, match=r"^rule: "):
        rule(text)


@pytest.mark.parametrize("values", [(0.9, 1, 1), (1, 1, math.nan), (1, math.inf, 1), (1, 1, "2"), (1e300, 1, 1)])
def test_coefficients_below_one(values):
    with pytest.raises(UserError, match=r"^coefficients: .* is not a number from 1 to 10"):
        Coefficients(*values)


@pytest.mark.parametrize("rounding", ["official", "unguarded", "nearest"])
@pytest.mark.parametrize("direction", [*RULES.values(), PAPER], ids=str)
def test_the_two_networks_around_a_cost_are_neighbours(direction, rounding):
    growth, target = Growth(B0, direction, rounding), 1.7e9
    below, above = growth.around(target)
    assert below.macs < target <= above.macs
    assert growth.at(below.phi) == below.arch
    assert growth.at(above.phi) == above.arch
    between = [growth.macs(below.phi + (above.phi - below.phi) * i / 50) for i in range(51)]
    assert set(between) <= {below.macs, above.macs}
    nearest = growth.reach(target)
    assert abs(nearest.macs - target) == min(abs(below.macs - target), abs(above.macs - target))


def test_a_networks_own_shares_are_what_rounding_made_of_its_direction():
    grown = Growth(B0, PAPER).at(1)
    depth, width, resolution = realised(B0, grown)
    assert depth + width + resolution == pytest.approx(1)
    assert depth > 1.4 * PAPER.shares[0]  # each stage has one layer more
    nearest = realised(B0, Growth(B0, PAPER, "nearest").at(1))
    assert nearest[0] < PAPER.shares[0]  # few have
    for name in ("depth", "width", "resolution"):
        alone = realised(B0, Growth(B0, RULES[name]).at(1))
        assert alone == pytest.approx(RULES[name].shares, abs=1e-9)
    with pytest.raises(UserError, match="not larger"):
        realised(B0, B0)


def test_a_grid_that_is_too_fine():
    with pytest.raises(UserError, match=r"^grid_step: 0.005 has more than 2000 points"):
        grid(0.005)


def test_cost_grows_with_phi_for_every_direction_of_the_grid():
    for direction in grid(0.1):
        growth = Growth(B0, direction)
        costs = [growth.macs(i / 20) for i in range(60)]
        assert costs == sorted(costs)


def test_the_bases_own_cost_is_phi_zero():
    least = count(B0).macs
    assert Growth(B0, PAPER).reach(least) == (0.0, B0, least)
    with pytest.raises(UserError, match="less than the base's"):
        Growth(B0, PAPER).reach(least - 1)


def test_a_cost_that_is_never_reached():
    with pytest.raises(UserError, match="never reached"):
        Growth(B0, Coefficients(1, 1, 1)).reach(1e9)
    with pytest.raises(UserError, match="never reached"):
        Growth(B0, RULES["resolution"], max_resolution=240).reach(1e9)


def test_resolution_stops_at_its_maximum_and_cost_goes_on():
    growth = Growth(B0, PAPER, max_resolution=300)
    assert growth.at(7).resolution == 300
    assert growth.reach(5e9).macs == pytest.approx(5e9, rel=0.03)
    with pytest.raises(UserError, match="max_resolution: 200 is less than the base's 224"):
        Growth(B0, PAPER, max_resolution=200)


def test_layers_come_to_later_stages_first():
    plain, later = (Growth(B0, PAPER, later=way).at(2) for way in (False, True))
    added = [b.layers - a.layers for a, b in zip(plain.stages, later.stages, strict=True)]
    assert later.stages[0].layers == B0.stages[0].layers
    assert added[0] < 0 < added[-2]
    assert [stage.channels for stage in plain.stages] == [stage.channels for stage in later.stages]


def test_nearest_rounding_does_not_round_depths_up():
    assert [stage.layers for stage in Growth(B0, PAPER, "nearest").at(1).stages] == [1, 2, 2, 4, 4, 5, 1]


def test_a_finer_divisor_keeps_a_narrow_networks_shape():
    """Widths of a quarter, to multiples of 2, are a quarter of the widths."""
    narrow = scale(B0, width=0.25, divisor=2)
    wide, narrow_wide = Growth(B0, PAPER).at(3), Growth(narrow, PAPER, divisor=2).at(3)
    assert [4 * stage.channels for stage in narrow_wide.stages] == [stage.channels for stage in wide.stages]
