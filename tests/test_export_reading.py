"""``--from``: ResNets, DenseNets and MnasNets come back as the published ones, and nothing else is taken for them."""

import json
from dataclasses import replace

import pytest
import timm
import torch
from timm.layers import BlurPool2d
from timm.models.densenet import DenseNet
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from timm.models.resnetv2 import ResNetV2
from torch import nn
from torchvision import models

from nas.export import __main__ as command
from nas.export import reading
from nas.export.reading import arch_of, read, read_module
from nas.export.reading_parts import Unreadable
from nas.export.reading_residual import arrange
from search_spaces import Arch, Stage, UserError, load
from search_spaces.build import build_model

OF_TORCHVISION = {name: name for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")}
OF_TORCHVISION |= {name: name for name in ("densenet121", "densenet161", "densenet169", "densenet201")}
OF_TORCHVISION |= {"resnext50_32x4d": "resnext50_32x4d", "mnasnet1_0": "mnasnet_b1"}
OF_TIMM = {name: name for name in ("resnet18", "resnet50", "resnext50_32x4d", "seresnet50", "resnetv2_50")}
OF_TIMM |= {name: name for name in ("densenet121", "densenet169")}
WITHOUT_WEIGHTS = [(models.get_model, *pair) for pair in OF_TORCHVISION.items()]
WITHOUT_WEIGHTS += [(timm.create_model, *pair) for pair in OF_TIMM.items()]


@pytest.mark.parametrize(("build", "name", "published"), WITHOUT_WEIGHTS)
def test_networks_come_back_as_the_published_ones(build, name, published):
    with torch.device("meta"):
        assert arch_of(build(name), 64) == load(published).at(64)


PROVEN = {"torchvision:resnet18": "resnet18", "torchvision:densenet121": "densenet121"}
PROVEN |= {"torchvision:mnasnet1_0": "mnasnet_b1", "torchvision:resnext50_32x4d": "resnext50_32x4d"}
PROVEN |= {"timm:seresnet50": "seresnet50", "timm:resnetv2_50": "resnetv2_50"}


@pytest.mark.parametrize("source", PROVEN)
def test_they_compute_the_same(source):
    found, published = read(source), load(PROVEN[source])
    assert found.arch == published.at(found.arch.resolution)
    assert found.num_classes == 1000


def small(layout, *stages, **settings):
    rest = {"stem_channels": 16, "stem_kernel": 3, "activation": "relu", "head_channels": 0, "resolution": 32}
    return Arch(stages, layout=layout, **rest | settings)


DENSE = {"stem_channels": 12, "stem_kernel": 7, "stem_pool": True, "resolution": 64}
OURS = {
    "basic": small("resnet", Stage("basic", 3, 1, 1, 16, 2), Stage("basic", 5, 2, 1, 24, 1), stem_pool=True),
    "bottleneck": small("resnet", Stage("bottleneck", 3, 2, 2, 32, 3, 0.5, groups=4), head_channels=48),
    "wide": small("resnet", Stage("bottleneck", 3, 1, 1, 16, 2), Stage("bottleneck", 5, 2, 3, 48, 1), stem_stride=1),
    "squeezes": small("resnet", Stage("bottleneck", 3, 2, 4, 40, 2, 0.3), activation="silu", norm_eps=1e-3),
    "preact": small(
        "resnet_v2", Stage("preact_bottleneck", 3, 2, 4, 64, 2), Stage("preact_bottleneck", 3, 1, 1, 64, 1)
    ),
    "dense": small("densenet", Stage("dense", 3, 1, 3, 8, 2), Stage("dense", 3, 2, 3, 8, 3), **DENSE),
    "mnasnet": small("mnasnet", Stage("mbconv", 3, 1, 1, 16, 2), Stage("mbconv", 5, 2, 3, 24, 2, 0.25)),
    "flat": small(
        "mnasnet", Stage("mbconv", 5, 2, 1, 8, 1, skip=False), Stage("mbconv", 3, 1, 6, 8, 2), head_channels=9
    ),
}


@pytest.mark.parametrize("title", OURS)
def test_what_we_build_is_read_back(title):
    assert read_module("it", build_model(OURS[title], 5), OURS[title].resolution).arch == OURS[title]


def tiny(block=BasicBlock, **settings):
    return ResNet(block, (1, 2, 1, 1), **{"channels": (16, 24, 24, 32), "num_classes": 5} | settings)


def tiny_v2(**settings):
    norm = {"norm_layer": timm.layers.BatchNormAct2d, "conv_layer": timm.layers.create_conv2d}
    return ResNetV2((1, 2), channels=(32, 48), num_classes=5, **norm | settings)


def test_settings_of_builders_that_an_arch_has():
    found = read_module("it", tiny(Bottleneck, act_layer="silu", cardinality=2, base_width=32), 64).arch
    assert found.activation == "silu"
    assert found.stages[0] == Stage("bottleneck", 3, 1, 4, 64, 1, groups=2)
    assert read_module("it", tiny_v2(), 64).arch.layout == "resnet_v2"


def test_rearranging_changes_no_output():
    model, x = tiny_v2().eval(), torch.randn(2, 3, 64, 64)
    names, before = list(model.state_dict()), model(x)
    arrange(model)
    assert list(model.state_dict()) != names
    assert torch.allclose(model(x), before, atol=1e-6)


REFUSED = {
    "its stem has 3 convolutions": lambda: tiny(stem_type="deep"),
    "its stem has 2 convolutions": lambda: tiny(replace_stem_pool=True),
    "downsample.0 is AvgPool2d": lambda: tiny(avg_down=True),
    "maxpool.1 is BlurPool2d": lambda: tiny(aa_layer=BlurPool2d),
    "bn1 is GroupNorm": lambda: tiny(norm_layer="groupnorm", channels=(32,) * 4),
    "act1 is GELU": lambda: tiny(act_layer="gelu"),
    "AdaptiveMaxPool2d": lambda: tiny(global_pool="max"),
    "stage 1, shortcut: .*kernel_size=": lambda: tiny(down_kernel_size=3),
    "stage 0: Conv2d.*8, kernel_size": lambda: tiny(block_reduce_first=2),
    "stage 0: basic blocks with attention": lambda: tiny(block_args={"attn_layer": "se"}),
    "se.conv is Conv1d": lambda: tiny(Bottleneck, block_args={"attn_layer": "eca"}),
    "stage 0: bottlenecks of inner width 128": lambda: tiny(Bottleneck, base_width=512),
    "dilation": lambda: tiny(Bottleneck, output_stride=8),
    "stem.conv is StdConv2d": lambda: tiny_v2(conv_layer=timm.layers.StdConv2d),
    "it has no linear classifier": lambda: tiny(num_classes=0),
    "features.pool0.1 is BlurPool2d": lambda: DenseNet(8, (2, 2), num_classes=5, aa_layer=BlurPool2d),
    "its stem has 3 conv": lambda: DenseNet(8, (2, 2), num_classes=5, stem_type="deep"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_an_arch_does_not_have_is_named_in_one_line(reason):
    with pytest.raises(UserError, match=reason) as raised:
        read_module("it", REFUSED[reason](), 64)
    assert str(raised.value).startswith("--from: it: ")
    assert "\n" not in str(raised.value)


def changed(change):
    model = models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=5)
    change(model)
    return model


def without_activation(model):
    model.layer2[0].relu = nn.Identity()


def other_pool(model):
    model.maxpool = nn.MaxPool2d(3, 2, 1, ceil_mode=True)


def other_norm(model):
    model.layer3[0].bn1.momentum = 0.5


def other_forward(model):
    model.layer2[0].register_forward_hook(lambda block, inputs, output: 0.9 * output)


def other_shortcut(model):
    model.layer1[0].downsample = nn.Sequential(nn.Conv2d(64, 64, 1, bias=False), nn.BatchNorm2d(64))


def without_shortcut(model):
    model.layer2[0].downsample = None


def stride_elsewhere(model):
    model.layer2[0].conv1.stride, model.layer2[0].conv2.stride = (1, 1), (2, 2)


def other_head(model):
    model.fc = nn.Sequential(nn.Linear(512, 8), nn.Linear(8, 5))


CHANGES = {
    without_activation: "outputs differ by",
    other_forward: "outputs differ by",
    other_pool: "stem: .*ceil_mode=True",
    other_norm: "its batch norms are of eps 1e-05 and momentum 0.1, eps 1e-05 and momentum 0.5",
    other_shortcut: "stage 0: 1 convolutions in the shortcut from 64 to 64",
    without_shortcut: "stage 1: 0 convolutions in the shortcut",
    stride_elsewhere: "stage 1: ",
    other_head: "the layers of the two networks differ",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_no_other_network_passes_for_a_resnet(change):
    with pytest.raises(UserError, match=CHANGES[change]):
        read_module("it", changed(change), 64)


@pytest.mark.parametrize("field", [{"activation": "silu"}, {"norm_eps": 1e-2}, {"stem_pool": False}])
def test_a_reading_that_is_wrong_is_noticed(field, monkeypatch):
    model = changed(lambda model: None)
    wrong = replace(arch_of(model, 64), **field)
    monkeypatch.setattr(reading, "arch_of", lambda model, side: wrong)
    with pytest.raises(UserError, match="outputs differ by"):
        read_module("it", model, 64)


@pytest.mark.parametrize("name", ["vgg11_bn", "maxvit_t", "swin_t", "googlenet", "shufflenet_v2_x0_5"])
def test_other_families_are_no_error_of_ours(name):
    with torch.device("meta"), pytest.raises(Unreadable):
        arch_of(models.get_model(name), 64)


def test_a_resnet_of_timm_leaves_to_torchvision(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command.main(["--from", "timm:resnet18", "--to", "json,torchvision", "--out", "out"])
    written = json.loads((tmp_path / "out" / "resnet18-json" / "network.json").read_text())
    found = Arch.from_dict(written["arch"])
    assert found == load("resnet18").at(found.resolution)
