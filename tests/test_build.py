"""What the built modules do beyond being torchvision's: padding, drop path, initialisation, shapes, gradients."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import StochasticDepth

from search_spaces import Arch, Stage, UserError, load
from search_spaces.arch import MOBILE_BLOCKS
from search_spaces.blocks import Conv2dSame, MobileBlock, PreActBottleneck, ResidualBlock
from search_spaces.build import build_model
from search_spaces.cost import count
from search_spaces.kinds import KINDS
from search_spaces.scaling import scale

# one network of each layout and block
LAYOUTS = [
    "efficientnet_b0",
    "efficientnet_v2_b0",
    "mobilenet_v1",
    "mobilenet_v2",
    "mnasnet_b1",
    "mnasnet_a1",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "seresnet50",
    "resnetv2_50",
    "densenet121",
]
BLOCKS = (MobileBlock, ResidualBlock, PreActBottleneck)


def small(name):
    return scale(load(name), width=0.25, depth=0.5, resolution=32)


def blocks(model):
    return [module for module in model.modules() if isinstance(module, BLOCKS)]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("size", [(7, 8), (8, 7), (15, 16), (1, 2), (33, 64)], ids="{0[0]}x{0[1]}".format)
def test_same_padding_is_tensorflows(size, kernel, stride):
    """tensorflow.org, tf.nn: k - s pixels where s divides the size, else k - size % s; the odd one last."""
    conv, x = Conv2dSame(3, 4, kernel, stride, bias=False), torch.randn(2, 3, *size)
    pads = []
    for side in reversed(size):
        total = max(kernel - (stride if side % stride == 0 else side % stride), 0)
        pads += [total // 2, total - total // 2]
    y = conv(x)
    assert torch.equal(y, F.conv2d(F.pad(x, pads), conv.weight, stride=stride))
    assert y.shape[2:] == tuple(-(-side // stride) for side in size)


@pytest.mark.parametrize(("kernel", "pads"), [(3, (0, 1)), (5, (1, 2)), (7, (2, 3))])
def test_same_padding_is_asymmetric_at_even_sizes(kernel, pads):
    conv, x = Conv2dSame(1, 1, kernel, 2, bias=False), torch.randn(1, 1, 8, 8)
    assert torch.equal(conv(x), F.conv2d(F.pad(x, pads * 2), conv.weight, stride=2))
    assert not torch.equal(conv(x), F.conv2d(x, conv.weight, stride=2, padding=kernel // 2))


def test_paddings_differ_in_values_only():
    arch = small("efficientnet_b0")
    same, symmetric = (build_model(replace(arch, padding=padding), 10) for padding in ("same", "symmetric"))
    same.load_state_dict(symmetric.state_dict(), strict=True)
    with torch.no_grad():
        odd, even = torch.randn(4, 3, 33, 33), torch.randn(4, 3, 32, 32)
        assert torch.allclose(same(odd), symmetric(odd))  # 33, 17, 9, 5, 3: odd all the way
        assert not torch.allclose(same(even), symmetric(even))


def test_drop_path_rates_of_b0():
    """0.2 * i / 16 over all blocks, those without a skip too: the last one 0.1875 (tensorflow/tpu, torchvision)."""
    model = build_model(load("efficientnet_b0"), drop_path=0.2)
    rates = [module.p for module in model.modules() if isinstance(module, StochasticDepth)]
    assert rates == pytest.approx([0.0125 * index for index in range(16)])


def test_drop_path_acts_in_training_only():
    """A dropped branch leaves the block's input; a kept one is divided by its probability of being kept."""
    arch = Arch((Stage("mbconv", 3, 1, 4, 8, 2),), stem_channels=8, head_channels=0, resolution=8)
    block = blocks(build_model(arch, drop_path=0.8))[1]  # drops with 0.8 * 1 / 2
    x = torch.randn(200, 8, 4, 4)
    with torch.no_grad():
        block.block.eval()  # only drop path trains: with fixed norms the branch stays what it is
        branch, y = block.block(x), block(x)
        dropped = (y == x).flatten(1).all(1)
        assert 50 < int(dropped.sum()) < 110  # of 200 at 0.4
        assert torch.allclose(y[~dropped], x[~dropped] + branch[~dropped] / 0.6, atol=1e-5)
        assert torch.equal(block.eval()(x), x + branch)


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "densenet121"])
def test_drop_path_reaches_every_block(name):
    arch = small(name)
    rates = [block.stochastic_depth.p for block in blocks(build_model(arch, 10, drop_path=0.5))]
    total = sum(stage.layers for stage in arch.stages)
    flat = ["first block written out flat"] if name == "mnasnet_b1" else []
    assert len(rates) == total - len(flat)
    assert rates == pytest.approx([0.5 * index / total for index in range(len(flat), total)])


def test_zero_init_makes_residual_branches_start_at_zero():
    torch.manual_seed(0)
    plain = build_model(small("efficientnet_b0"), 10)
    torch.manual_seed(0)
    zeroed = build_model(small("efficientnet_b0"), 10, zero_init_residual=True).eval()
    residual = [block for block in blocks(zeroed) if block.residual]
    assert residual
    for block in residual:
        x = torch.randn(2, block.block[0][0].in_channels, 8, 8)
        assert torch.equal(block(x), x)
    changed = {
        key
        for (key, a), b in zip(plain.state_dict().items(), zeroed.state_dict().values(), strict=True)
        if not torch.equal(a, b)
    }
    assert len(changed) == len(residual)  # one norm's weight each, nothing else


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_zero_init_of_residual_networks(name):
    model = build_model(small(name), 10, zero_init_residual=True).eval()
    for block in blocks(model):
        assert not block.last_norm.weight.any()
        if block.downsample is None:
            x = torch.rand(2, block.conv1.in_channels, 8, 8)
            assert torch.equal(block(x), x)  # the activation after the sum leaves x >= 0 as it is


@pytest.mark.parametrize("name", LAYOUTS)
def test_shapes_and_gradients(name):
    """Any image size gives one row of classes an image, and the loss moves every parameter."""
    torch.manual_seed(0)
    arch = small(name)
    model = build_model(arch, num_classes=7)
    assert sum(p.numel() for p in model.parameters()) == count(arch, 7).params
    x = torch.randn(4, 3, 48, 64)
    y = model(x)
    assert y.shape == (4, 7)
    F.cross_entropy(y, torch.arange(4)).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key
    assert model.eval()(torch.randn(1, 3, 33, 33)).shape == (1, 7)


@pytest.mark.parametrize("name", LAYOUTS)
def test_equal_seeds_give_equal_weights_and_dropout_is_set(name):
    models = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        models.append(build_model(small(name), 5))
    first, again, other = (list(model.state_dict().values()) for model in models)
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))
    if name != "densenet121":  # torchvision's drops inside the dense layers
        rates = {m.p for m in build_model(small(name), 5, dropout=0.3).modules() if isinstance(m, nn.Dropout)}
        assert rates == {0.3}


@pytest.mark.parametrize(("activation", "kind"), [("silu", nn.SiLU), ("relu6", nn.ReLU6), ("hardswish", nn.Hardswish)])
def test_settings_of_the_arch_reach_the_layers(activation, kind):
    arch = replace(small("efficientnet_v2_b0"), activation=activation, norm_eps=0.01, norm_momentum=0.2, stem_pool=True)
    model = build_model(arch)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(0.01, 0.2)}
    kinds = {type(module) for module in model.modules()} & {nn.SiLU, nn.ReLU, nn.ReLU6, nn.Hardswish}
    assert kinds == {kind}
    assert any(isinstance(module, nn.MaxPool2d) for module in model.modules())
    x = torch.randn(1, 3, 32, 32)
    assert model.eval()(x).shape == (1, 1000)


def densenet(**changes):
    """DenseNet-121 with fields changed, and with ``stage`` those of its second stage."""
    arch = load("densenet121")
    first, second, *rest = arch.stages
    second = replace(second, **changes.pop("stage", {}))
    return replace(arch, **{"stages": (first, second, *rest)} | changes)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        (densenet(stage={"channels": 48}), "stages: a densenet needs kernel 3, one growth rate"),
        (densenet(stage={"expansion": 2}), "stages: a densenet needs"),
        (densenet(stage={"kernel": 5}), "stages: a densenet needs"),
        (densenet(stage={"stride": 1}), "stages: a densenet needs .* strides 1, 2, 2"),
        (densenet(stem_kernel=3), "stem: a densenet needs stem_kernel 7"),
        (densenet(stem_pool=False), "stem: a densenet needs"),
        (densenet(head_channels=64), "stem: a densenet needs .* no head"),
        (densenet(activation="silu"), "activation: 'silu' but a densenet takes only 'relu'"),
    ],
    ids=["growth", "expansion", "kernel", "stride", "stem kernel", "stem pool", "head", "activation"],
)
def test_densenets_that_torchvision_cannot_build(arch, message):
    with pytest.raises(UserError, match=f"^{message}"):
        build_model(arch)


@pytest.mark.parametrize("block", MOBILE_BLOCKS)
@pytest.mark.parametrize("activation", ["silu", "relu", "relu6", "hardswish"])
def test_zero_init_leaves_no_parameter_without_gradient_for_ever(activation, block):
    """A ReLU after a norm that starts at zero would pass no gradient, in the first step or any later one."""
    stages = (Stage(block, 3, 1, 1, 8, 2), Stage(block, 3, 2, 4 if KINDS[block].expands else 1, 16, 2))
    arch = Arch(stages, stem_channels=8, head_channels=32, resolution=16, activation=activation)
    torch.manual_seed(0)
    model = build_model(arch, 2, zero_init_residual=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(8, 3, 16, 16), torch.arange(8) % 2
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert all(parameter.grad.abs().max() > 0 for parameter in model.parameters())
