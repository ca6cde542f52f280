"""The closed form against counts made by others: reference tables, fvcore, torch's counter and the built model."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
from torch.utils.flop_counter import FlopCounterMode

from search_spaces import Arch, Stage, load
from search_spaces.arch import MOBILE_BLOCKS
from search_spaces.build import build_model
from search_spaces.cost import Cost, count, table
from search_spaces.kinds import KINDS
from search_spaces.published import catalogue
from search_spaces.space_file import builtin_spaces, load_space

REFERENCE = json.loads((Path(__file__).parent / "data" / "reference_models.json").read_text())["networks"]
AT = [(name, int(side)) for name, network in REFERENCE.items() for side in network["at"]]
SMALL_SIDES = (33, 47, 64)  # odd ones: each stride of 2 rounds up


def meta_model(arch, num_classes=1000):
    with torch.device("meta"):
        return build_model(arch, num_classes).eval()


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def fvcore_cost(arch, num_classes=1000):
    """Cost with fvcore's multiply-adds and activations of the built model's convolutions and linear layers."""
    model = meta_model(arch, num_classes).to_empty(device="cpu")  # weights do not matter, drawing them takes longest
    image = torch.zeros(1, 3, arch.resolution, arch.resolution)
    counts = []
    for analysis in (FlopCountAnalysis, ActivationCountAnalysis):
        one = analysis(model, image).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        with torch.no_grad():
            operators = one.tracer_warnings("none").by_operator()
        counts.append(operators["conv"] + operators["linear"])
    return Cost(parameters(model), *counts)


def test_every_network_of_the_catalogue_has_a_reference():
    assert set(REFERENCE) == set(catalogue())


@pytest.mark.parametrize(("name", "side"), AT)
def test_closed_form_equals_the_reference(name, side):
    reference = REFERENCE[name]
    expected = Cost(reference["params"], **reference["at"][str(side)])
    assert count(load(name).at(side)) == expected


@pytest.mark.parametrize("name", list(REFERENCE))
def test_built_model_equals_the_reference(name):
    """Norm settings are torchvision's where it has the network: its B5 to B7 differ from B0 to B4."""
    reference, model = REFERENCE[name], meta_model(load(name))
    assert parameters(model) == reference["params"]
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(reference["norm_eps"], reference["norm_momentum"])}
    for side, at in reference["at"].items():
        with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(torch.empty(1, 3, int(side), int(side)))
        assert counter.get_total_flops() == 2 * at["macs"]


@pytest.mark.parametrize("name", list(REFERENCE))
def test_lines_of_the_table_sum_to_the_count(name):
    arch = load(name)
    rows = table(arch, 10)
    assert Cost(*map(sum, zip(*(row.cost for row in rows), strict=True))) == count(arch, 10)
    assert [row.layers for row in rows[1:-1]] == [stage.layers for stage in arch.stages]


def test_table_reads_as_in_the_paper():
    """arXiv 1905.11946, Table 1: each line's resolution is its input's, its channels are its output's."""
    rows = table(load("efficientnet_b0"))
    assert [row.operator for row in rows] == [
        "Conv, k3x3",
        "MBConv1, k3x3, SE0.25",
        "MBConv6, k3x3, SE0.25",
        "MBConv6, k5x5, SE0.25",
        "MBConv6, k3x3, SE0.25",
        "MBConv6, k5x5, SE0.25",
        "MBConv6, k5x5, SE0.25",
        "MBConv6, k3x3, SE0.25",
        "Conv, k1x1, pool, fc",
    ]
    assert [row.resolution for row in rows] == [224, 112, 112, 56, 28, 14, 14, 7, 7]
    assert [row.channels for row in rows] == [32, 16, 24, 40, 80, 112, 192, 320, 1280]
    assert [row.layers for row in rows] == [1, 1, 2, 2, 3, 3, 4, 1, 1]


def test_count_worked_by_hand():
    arch = Arch((Stage("mbconv", 3, 2, 2, 8, 1, 0.25),), stem_channels=4, head_channels=0, resolution=5)
    stem = 3 * 4 * 9, 3 * 3  # weights, positions: 5 pixels at stride 2 give 3
    expand, depthwise, project = 4 * 8, 8 * 9, 8 * 8  # 3 positions at stride 2 give 2
    se = 2 * 8 * 1  # squeezes to 0.25 * 4 = 1
    params = stem[0] + 2 * 4 + expand + 16 + depthwise + 16 + se + 1 + 8 + project + 16 + 8 * 3 + 3
    macs = stem[0] * 9 + expand * 9 + (depthwise + project) * 4 + se + 8 * 3
    activations = 4 * 9 + 8 * 9 + 8 * 4 + 1 + 8 + 8 * 4 + 3
    assert count(arch, 3) == (params, macs, activations)


# A network of each layout and block, of two layers a stage at most: those that follow are as the second, and whole ones
# are in the reference. 47 px makes densenet's floored pools and every ceil differ.
@pytest.mark.parametrize(
    "name",
    [
        "efficientnet_b0",
        "efficientnet_v2_b0",
        "mobilenet_v1",
        "mobilenet_v2",
        "mnasnet_b1",
        "resnet18",
        "resnext50_32x4d",
        "seresnet50",
        "resnetv2_50",
        "densenet121",
    ],
)
def test_each_layout_equals_fvcore(name):
    whole = load(name).at(47)
    arch = replace(whole, stages=tuple(replace(stage, layers=min(stage.layers, 2)) for stage in whole.stages))
    assert fvcore_cost(arch, 10) == count(arch, 10)


@pytest.mark.parametrize("side", SMALL_SIDES)
@pytest.mark.parametrize("space", builtin_spaces())
def test_random_networks_equal_fvcore(space, side):
    """Another one at each size."""
    arch = load_space(space).sample(random.Random(side)).at(side)
    assert fvcore_cost(arch) == count(arch)


@pytest.mark.parametrize("padding", ["symmetric", "same"])
@pytest.mark.parametrize("block", MOBILE_BLOCKS)
def test_every_mobile_block_equals_fvcore(block, padding):
    """With all that it may have: kernels, strides, residual connections, expansion, squeeze-and-excitation."""
    kind = KINDS[block]
    shapes = [(3, 1, 1.0), (5, 1, 0.1), (5, 2, 0.01)]
    stages = [
        Stage(block, kernel, stride, expansion, 24, 2, se_ratio if kind.squeezes else 0.0)
        for expansion in ((1, 4) if kind.expands else (1,))
        for kernel, stride, se_ratio in shapes
    ]
    side = 40 if padding == "same" else 33  # it is asymmetric at even sides: 40, 20, 10
    arch = Arch(tuple(stages), stem_channels=16, head_channels=32, resolution=side, padding=padding)
    assert fvcore_cost(arch, 7) == count(arch, 7)
