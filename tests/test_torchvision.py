"""Where torchvision has the network, ours is the same: initialisation, state dict, outputs, batch statistics."""

import pytest
import torch
import torchvision
from torch import nn

from search_spaces import load
from search_spaces.build import build_model

NAMES = {
    **{name: name for name in [*(f"efficientnet_b{i}" for i in range(8)), *(f"efficientnet_v2_{i}" for i in "sml")]},
    "mobilenet_v2": "mobilenet_v2",
    "mnasnet_b1": "mnasnet1_0",
    **{name: name for name in "resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d".split()},
    **{f"densenet{depth}": f"densenet{depth}" for depth in (121, 161, 169, 201)},
}


def torchvision_model(name):
    """With drop path off, which draws other random numbers than ours would in train mode."""
    drop_path = {"stochastic_depth_prob": 0.0} if name.startswith("efficientnet") else {}
    return getattr(torchvision.models, NAMES[name])(weights=None, **drop_path)


def same_state(ours, theirs):
    ours, theirs = ours.state_dict(), theirs.state_dict()
    assert list(ours) == list(theirs)
    return [key for key in ours if not torch.equal(ours[key], theirs[key])] == []


@pytest.mark.parametrize("name", list(NAMES))
def test_equal_to_torchvision(name):
    torch.manual_seed(0)
    theirs = torchvision_model(name)
    dropout = next((module.p for module in theirs.modules() if isinstance(module, nn.Dropout)), 0.0)
    torch.manual_seed(0)
    ours = build_model(load(name), dropout=dropout)
    assert same_state(ours, theirs), "initialisation differs"

    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        a, b = theirs.eval()(x), ours.eval()(x)
    assert a.isfinite().all()
    assert (a - b).abs().max() == 0

    outputs = []
    for model in (theirs, ours):
        torch.manual_seed(1)  # of the dropout
        with torch.no_grad():
            outputs.append(model.train()(x))
    assert (outputs[0] - outputs[1]).abs().max() == 0
    assert same_state(ours, theirs), "updated batch statistics differ"


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenet_v2", "mnasnet_b1", "resnet18"])
def test_gradients_are_equal(name):
    theirs, ours = torchvision_model(name), build_model(load(name))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 3, 64, 64)
    for model in (theirs, ours):
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        model.train()(x).square().mean().backward()
    for (key, a), b in zip(theirs.named_parameters(), ours.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), key


@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_v2_s"])
def test_drop_path_is_torchvisions(name):
    """Equal rates and an equal order of random draws: even with drop path on, one seed gives equal outputs."""
    theirs = getattr(torchvision.models, NAMES[name])(weights=None, dropout=0.0)  # stochastic_depth_prob 0.2
    ours = build_model(load(name), drop_path=0.2)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(4, 3, 64, 64)
    outputs = []
    for model in (theirs, ours):
        torch.manual_seed(1)
        with torch.no_grad():
            outputs.append(model.train()(x))
    assert torch.equal(*outputs)
