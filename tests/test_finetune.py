"""Weights from a file, frozen parts, and norms for tiny sets."""

import pytest
import torch
from torch import nn

from nas.training.weights import freeze, groups_of, load_weights, prepare, to_group_norm, train_mode
from search_spaces import Arch, Stage, UserError
from search_spaces.build import build_model
from studies.train_spec import TrainSpec

SMALL = Arch((Stage("fused_mbconv", 3, 2, 4, 16, 2), Stage("mbconv", 3, 2, 4, 32, 2, 0.25)), 16, 64, 16, norm_eps=1e-3)
OTHER = Arch((Stage("fused_mbconv", 3, 2, 4, 16, 2), Stage("mbconv", 5, 2, 4, 32, 2, 0.25)), 16, 64, 16, norm_eps=1e-3)


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(3)
    model = build_model(SMALL, 1000)
    torch.save(model.state_dict(), tmp_path / "small.pt")
    return model.state_dict(), str(tmp_path / "small.pt")


def test_all_but_the_classifier_is_taken_for_another_number_of_classes(weights):
    state, path = weights
    model = build_model(SMALL, 7)
    share = load_weights(model, path)
    own = model.state_dict()
    assert all(torch.equal(own[name], state[name]) for name in own if not name.startswith("classifier"))
    total, head = (sum(p.numel() for p in part.parameters()) for part in (model, model.classifier))
    assert share == pytest.approx((total - head) / total)


def test_what_has_another_shape_begins_afresh(weights):
    state, path = weights
    model = build_model(OTHER, 1000)
    share = load_weights(model, path)
    assert 0.5 < share < 1
    different = {name for name, tensor in model.state_dict().items() if tensor.shape != state[name].shape}
    assert different
    assert all("features.2" in name for name in different)


@pytest.mark.parametrize("wrapped", ["state_dict", "model", "ema"])
def test_files_of_other_tools(weights, tmp_path, wrapped):
    state, _ = weights
    torch.save({wrapped: {f"module.{k}": v for k, v in state.items()}, "epoch": 3}, tmp_path / "other.pth")
    assert load_weights(build_model(SMALL, 1000), str(tmp_path / "other.pth")) == 1.0


def test_wrong_files_are_named(tmp_path):
    (tmp_path / "text.pt").write_text("no weights")
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    torch.save({"classifier.1.weight": torch.zeros(3, 3)}, tmp_path / "fits_not.pt")
    torch.save({"conv.weight": torch.zeros(3, 3)}, tmp_path / "foreign.pt")
    for name, what in {
        "none.pt": "no file",
        "text.pt": "not a state dict",
        "empty.pt": "no tensors",
        "fits_not.pt": r"classifier.1.weight is \(3, 3\), here \(1000, 64\)",
        "foreign.pt": "by name",
    }.items():
        with pytest.raises(UserError, match=what) as error:
            load_weights(build_model(SMALL), str(tmp_path / name))
        assert name in str(error.value)
        assert "\n" not in str(error.value)


def test_frozen_layers_neither_learn_nor_move(weights):
    _, path = weights
    model = build_model(SMALL, 7)
    prepare(model, TrainSpec(weights=path, frozen=0.5))
    learning = [p.requires_grad for p in model.parameters()]
    assert not learning[0]
    assert all(p.requires_grad for p in model.classifier.parameters())
    assert 0.3 < 1 - sum(learning) / len(learning) < 0.7
    train_mode(model, "batch")
    first = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    before = first.running_mean.clone()
    model(torch.randn(4, 3, 16, 16))
    assert torch.equal(first.running_mean, before)
    freeze(build_model(SMALL), 0.999)  # the classifier is never among them


def test_norms_that_are_frozen_keep_their_statistics_and_learn_their_scales():
    model = build_model(SMALL, 7)
    train_mode(model, "frozen")
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms]
    model(torch.randn(4, 3, 16, 16)).sum().backward()
    assert all(torch.equal(norm.running_mean, mean) for norm, mean in zip(norms, before, strict=True))
    assert all(norm.weight.grad is not None for norm in norms)


def test_group_norm_takes_the_place_of_every_batch_norm():
    model = build_model(SMALL, 7, zero_init_residual=True)
    params = sum(p.numel() for p in model.parameters())
    scales = {name: m.weight.clone() for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    to_group_norm(model)
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.GroupNorm)}
    assert norms.keys() == scales.keys()
    assert all(torch.equal(norms[name].weight, scale) for name, scale in scales.items())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    assert sum(p.numel() for p in model.parameters()) == params
    one = torch.randn(1, 3, 16, 16)
    assert torch.allclose(model.train()(one), model.eval()(one), atol=1e-5)  # of an image, not of a batch


@pytest.mark.parametrize(("channels", "groups"), [(64, 16), (24, 6), (320, 32), (7, 1), (2, 1), (1, 1), (1280, 32)])
def test_groups_divide_the_channels(channels, groups):
    assert groups_of(channels) == groups
