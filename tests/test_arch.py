"""An Arch is a value: its identity comes from its content alone, and wrong content is refused with the field's path."""

import json
from dataclasses import replace

import pytest

from search_spaces import Arch, Stage, UserError, load
from search_spaces.arch import BLOCKS
from search_spaces.kinds import KINDS
from search_spaces.published import catalogue
from search_spaces.text import stage_of

SMALL = Arch((Stage("mbconv", 3, 1, 4, 16, 1),), stem_channels=8, head_channels=0, resolution=32)


def content(**changes):
    """EfficientNet-B0's mapping with fields changed; ``None`` removes one."""
    data = load("efficientnet_b0").to_dict() | changes
    return {key: value for key, value in data.items() if value is not None}


def stage_content(**changes):
    """EfficientNet-B0's mapping with fields of its stage 2 changed; ``None`` removes one."""
    data = content()
    stage = data["stages"][2] | changes
    data["stages"][2] = {key: value for key, value in stage.items() if value is not None}
    return data


def test_ids_are_pinned():
    """Run folders and ledgers hold ids: a change here orphans every one of them."""
    assert load("efficientnet_b0").id == "8391413ae423"
    assert load("mobilenet_v2").id == "5aad10d1f739"  # layout and activation are not the defaults
    assert SMALL.id == "36c00b2de785"  # everything else is


def test_equal_content_has_an_equal_id():
    first, again = load("efficientnet_b0"), Arch.from_dict(content())
    assert first == again
    assert first.id == again.id
    assert hash(first) == hash(again)
    data = content()
    assert Arch.from_dict(dict(reversed(data.items()))).id == first.id  # the order of keys is no content


def test_ids_differ_where_content_does():
    changed = [
        SMALL,
        SMALL.at(33),
        replace(SMALL, head_channels=8),
        replace(SMALL, padding="same"),
        replace(SMALL, norm_eps=1e-3),
        replace(SMALL, activation="relu"),
        replace(SMALL, stages=SMALL.stages * 2),
        *(
            replace(SMALL, stages=(replace(SMALL.stages[0], **{k: v}),))
            for k, v in {"kernel": 5, "skip": False}.items()
        ),
    ]
    assert len({arch.id for arch in changed}) == len(changed)
    assert len({network.arch.id for network in catalogue().values()}) == len(catalogue())


def test_defaults_do_not_enter_the_id():
    data = SMALL.to_dict()
    written_out = Arch.from_dict(data)
    for name in ("schema", "stem_stride", "stem_kernel", "stem_pool", "activation", "norm_eps", "padding", "layout"):
        data.pop(name)
    for name in ("se_ratio", "groups", "skip"):
        data["stages"][0].pop(name)
    assert Arch.from_dict(data).id == written_out.id == SMALL.id


def test_numbers_that_are_equal_give_one_id():
    """YAML and JSON may write 0 for 0.0: equal values must not be two networks."""
    stage = SMALL.stages[0].to_dict()
    assert Stage.from_dict(stage | {"se_ratio": 0}) == Stage.from_dict(stage | {"se_ratio": 0.0})
    ids = {replace(SMALL, stages=(Stage.from_dict(stage | {"se_ratio": value}),)).id for value in (0, 0.0)}
    assert ids == {SMALL.id}
    ids = {replace(SMALL, stages=(Stage.from_dict(stage | {"se_ratio": value}),)).id for value in (1, 1.0)}
    assert len(ids) == 1


@pytest.mark.parametrize("name", list(catalogue()))
def test_json_round_trip(name):
    arch = load(name)
    again = Arch.from_dict(json.loads(json.dumps(arch.to_dict())))
    assert again == arch
    assert again.id == arch.id


# timm 1.0.31's block strings (timm/models/efficientnet.py, _gen_<network>)
TIMM = {
    "efficientnet_b0": "ds_r1_k3_s1_e1_c16_se0.25 ir_r2_k3_s2_e6_c24_se0.25 ir_r2_k5_s2_e6_c40_se0.25 "
    "ir_r3_k3_s2_e6_c80_se0.25 ir_r3_k5_s1_e6_c112_se0.25 ir_r4_k5_s2_e6_c192_se0.25 ir_r1_k3_s1_e6_c320_se0.25",
    "efficientnet_v2_s": "cn_r2_k3_s1_e1_c24_skip er_r4_k3_s2_e4_c48 er_r4_k3_s2_e4_c64 ir_r6_k3_s2_e4_c128_se0.25 "
    "ir_r9_k3_s1_e6_c160_se0.25 ir_r15_k3_s2_e6_c256_se0.25",
    "efficientnet_v2_m": "cn_r3_k3_s1_e1_c24_skip er_r5_k3_s2_e4_c48 er_r5_k3_s2_e4_c80 ir_r7_k3_s2_e4_c160_se0.25 "
    "ir_r14_k3_s1_e6_c176_se0.25 ir_r18_k3_s2_e6_c304_se0.25 ir_r5_k3_s1_e6_c512_se0.25",
    "efficientnet_v2_l": "cn_r4_k3_s1_e1_c32_skip er_r7_k3_s2_e4_c64 er_r7_k3_s2_e4_c96 ir_r10_k3_s2_e4_c192_se0.25 "
    "ir_r19_k3_s1_e6_c224_se0.25 ir_r25_k3_s2_e6_c384_se0.25 ir_r7_k3_s1_e6_c640_se0.25",
    "efficientnet_v2_xl": "cn_r4_k3_s1_e1_c32_skip er_r8_k3_s2_e4_c64 er_r8_k3_s2_e4_c96 "
    "ir_r16_k3_s2_e4_c192_se0.25 ir_r24_k3_s1_e6_c256_se0.25 ir_r32_k3_s2_e6_c512_se0.25 ir_r8_k3_s1_e6_c640_se0.25",
    "efficientnet_v2_b0": "cn_r1_k3_s1_e1_c16_skip er_r2_k3_s2_e4_c32 er_r2_k3_s2_e4_c48 ir_r3_k3_s2_e4_c96_se0.25 "
    "ir_r5_k3_s1_e6_c112_se0.25 ir_r8_k3_s2_e6_c192_se0.25",
    "mnasnet_a1": "ds_r1_k3_s1_e1_c16_noskip ir_r2_k3_s2_e6_c24 ir_r3_k5_s2_e3_c40_se0.25 ir_r4_k3_s2_e6_c80 "
    "ir_r2_k3_s1_e6_c112_se0.25 ir_r3_k5_s2_e6_c160_se0.25 ir_r1_k3_s1_e6_c320",
    "mnasnet_b1": "ds_r1_k3_s1_c16_noskip ir_r3_k3_s2_e3_c24 ir_r3_k5_s2_e3_c40 ir_r3_k5_s2_e6_c80 "
    "ir_r2_k3_s1_e6_c96 ir_r4_k5_s2_e6_c192 ir_r1_k3_s1_e6_c320_noskip",
    "mobilenet_v2": "ds_r1_k3_s1_c16 ir_r2_k3_s2_e6_c24 ir_r3_k3_s2_e6_c32 ir_r4_k3_s2_e6_c64 ir_r3_k3_s1_e6_c96 "
    "ir_r3_k3_s2_e6_c160 ir_r1_k3_s1_e6_c320",
    "mobilenet_v1": "dsa_r1_k3_s1_c64 dsa_r2_k3_s2_c128 dsa_r2_k3_s2_c256 dsa_r6_k3_s2_c512 dsa_r2_k3_s2_c1024",
}


@pytest.mark.parametrize("name", list(TIMM))
def test_text_is_timms(name):
    """Up to ``e1``, which timm writes in some networks and leaves out in others."""
    assert load(name).text.replace("_e1", "") == TIMM[name].replace("_e1", "")


def test_text_of_blocks_that_timm_has_no_string_for():
    assert load("resnext50_32x4d").stages[1].text == "bottle_r4_k3_s2_e2_c512_g32"
    assert load("seresnet50").stages[0].text == "bottle_r3_k3_s1_e4_c256_se0.0625"
    assert load("densenet121").stages[0].text == "dense_r6_k3_s1_e4_c32"


WRONG = {
    "kernel 4": (stage_content(kernel=4), r"stages\[2\]\.kernel: 4 is not an odd number >= 1"),
    "kernel 0": (stage_content(kernel=0), r"stages\[2\]\.kernel: 0 is not an odd number >= 1"),
    "kernel text": (stage_content(kernel="3"), r"stages\[2\]\.kernel: '3' is not an odd number"),
    "expansion 0": (stage_content(expansion=0), r"stages\[2\]\.expansion: 0 is not an integer >= 1"),
    "expansion true": (stage_content(expansion=True), r"stages\[2\]\.expansion: True is not an integer"),
    "channels": (stage_content(channels="wide"), r"stages\[2\]\.channels: 'wide' is not an integer >= 1"),
    "layers": (stage_content(layers=2.5), r"stages\[2\]\.layers: 2\.5 is not an integer >= 1"),
    "stride 3": (stage_content(stride=3), r"stages\[2\]\.stride: 3 is not 1 or 2"),
    "stride 1.0": (stage_content(stride=1.0), r"stages\[2\]\.stride: 1\.0 is not 1 or 2"),
    "se_ratio 2": (stage_content(se_ratio=2), r"stages\[2\]\.se_ratio: 2 is not a number from 0 to 1"),
    "se_ratio nan": (stage_content(se_ratio=float("nan")), r"stages\[2\]\.se_ratio: nan is not a number"),
    "skip text": (stage_content(skip="no"), r"stages\[2\]\.skip: 'no' is not true or false"),
    "groups": (stage_content(groups=2), r"stages\[2\]\.groups: 2 needs block 'bottleneck'"),
    "block": (stage_content(block="mb_conv"), rf"stages\[2\]\.block: 'mb_conv' is not one of {', '.join(BLOCKS)}"),
    "block list": (stage_content(block=["mbconv"]), r"stages\[2\]\.block: \['mbconv'\] is not one of"),
    "block of another layout": (
        stage_content(block="basic", expansion=1, se_ratio=0),
        r"stages\[2\]\.block: 'basic' is not one of mbconv, fused_mbconv, separable \(layout efficientnet\)",
    ),
    "se without se": (
        stage_content(block="separable", expansion=1),
        r"stages\[2\]\.se_ratio: 0\.25 but block 'separable' has none; blocks with it: .*mbconv",
    ),
    "expansion of separable": (
        stage_content(block="separable", se_ratio=0),
        r"stages\[2\]\.expansion: 6 but block 'separable' takes only 1",
    ),
    "bottleneck width": (
        stage_content(block="bottleneck", expansion=3),
        r"stages\[2\]\.channels: 40 is not a multiple of expansion 3",
    ),
    "unknown stage field": (
        stage_content(kernels=3),
        r"stages\[2\]\.kernels: unknown field, allowed are block, kernel",
    ),
    "missing stage field": (stage_content(kernel=None), r"stages\[2\]\.kernel: missing"),
    "stage is no mapping": (content(stages=[3]), r"stages\[0\]: 3 is not a mapping"),
    "stages is no list": (content(stages={"block": "mbconv"}), r"stages: .* is not a list"),
    "no stages": (content(stages=[]), r"stages: empty"),
    "stages missing": (content(stages=None), r"stages: missing"),
    "unknown field": (content(depth=3), r"depth: unknown field, allowed are stages, stem_channels"),
    "missing field": (content(resolution=None), r"resolution: missing"),
    "resolution": (content(resolution=0), r"resolution: 0 is not an integer >= 1"),
    "stem_channels": (content(stem_channels=True), r"stem_channels: True is not an integer >= 1"),
    "stem_kernel": (content(stem_kernel=4), r"stem_kernel: 4 is not odd"),
    "stem_stride": (content(stem_stride=4), r"stem_stride: 4 is not 1 or 2"),
    "stem_stride 2.0": (content(stem_stride=2.0), r"stem_stride: 2\.0 is not 1 or 2"),
    "stem_pool": (content(stem_pool="yes"), r"stem_pool: 'yes' is not true or false"),
    "head_channels": (content(head_channels=-1), r"head_channels: -1 is not an integer >= 0"),
    "activation": (content(activation="gelu"), r"activation: 'gelu' is not one of silu, relu, relu6, hardswish"),
    "padding": (content(padding="valid"), r"padding: 'valid' is not one of symmetric, same"),
    "norm_eps": (content(norm_eps=0), r"norm_eps: 0 is not a number between 0 and 1"),
    "norm_momentum": (content(norm_momentum="0.1"), r"norm_momentum: '0\.1' is not a number"),
    "layout": (content(layout="vgg"), r"layout: 'vgg' is not one of efficientnet, mobilenet_v2"),
    "same in another layout": (
        load("resnet18").to_dict() | {"padding": "same"},
        r"padding: 'same' needs layout 'efficientnet'",
    ),
    "schema": (content(schema=2), r"schema: 2 is not 1"),
    "no mapping": ([1, 2], r"arch: .* is not a mapping"),
}


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_s_text_is_read_back_and_its_own(block):
    kind, stages = KINDS[block], [Stage(block, 3, 2, 1, 8, 2), Stage(block, 3, 1, 1, 8, 2, skip=False)]
    stages += [Stage(block, 3, 1, 4, 8, 1)] if kind.expands else []
    stages += [Stage(block, 3, 1, 1, 8, 1, 0.25)] if kind.squeezes else []
    stages += [Stage(block, 3, 1, 1, 8, 1, groups=4)] if kind.groups else []
    assert [stage_of(stage.text) for stage in stages] == stages
    others = {prefix for name, other in KINDS.items() if name != block for prefix in (other.prefix, other.bare)}
    assert not {kind.prefix, kind.bare} - {""} & others


@pytest.mark.parametrize(("data", "message"), WRONG.values(), ids=list(WRONG))
def test_wrong_content_names_the_field(data, message):
    with pytest.raises(UserError, match=f"^{message}") as caught:
        Arch.from_dict(data)
    assert "\n" not in str(caught.value)
