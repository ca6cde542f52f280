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
    **{name: name for name in ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d"]},
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


def norms(model):
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def fit_statistics(model, x):
    """Random running statistics near the true ones. Fresh or wholly random ones let the signal fade away in a deep
    network, whose outputs would then hardly depend on its weights."""
    momenta = [norm.momentum for norm in norms(model)]
    for norm in norms(model):
        norm.momentum = 1.0
    model.train()(x)
    for norm, momentum in zip(norms(model), momenta, strict=True):
        norm.momentum = momentum
        norm.running_mean += 0.1 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
        norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.5, 2)


def outputs(models, x):
    found = []
    for model in models:
        torch.manual_seed(1)  # of dropout and drop path
        found.append(model(x))
    return found


@torch.no_grad()
@pytest.mark.parametrize("name", list(NAMES))
def test_equal_to_torchvision(name):
    torch.manual_seed(0)
    theirs = torchvision_model(name)
    dropout = next((module.p for module in theirs.modules() if isinstance(module, nn.Dropout)), 0.0)
    torch.manual_seed(0)
    ours = build_model(load(name), dropout=dropout)
    assert same_state(ours, theirs), "initialisation differs"

    for norm in norms(theirs):
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.normal_(0, 0.1)
    x = torch.randn(2, 3, 64, 64)
    fit_statistics(theirs, x)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    a, b = outputs((theirs.eval(), ours.eval()), x)
    assert (a - b).abs().max() == 0
    assert (a[0] - a[1]).abs().max() > 1e-3, "the test is void: outputs do not depend on the input"

    a, b = outputs((theirs.train(), ours.train()), x)
    assert (a - b).abs().max() == 0
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
    with torch.no_grad():
        a, b = outputs((theirs.train(), ours.train()), x)
    assert torch.equal(a, b)
