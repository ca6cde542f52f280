"""Exports that are wrong: each is noticed, by outputs, counts or settings, and nothing of it is kept."""

import copy
from dataclasses import replace

import pytest
import torch
from odd_networks import ODD

from nas.export import verify
from nas.export.network import Network
from nas.export.targets import target
from nas.export.writing import NotTheSame, export
from search_spaces import UserError, load
from search_spaces.build import build_model


class Wrong(type(target("torchvision"))):
    def __init__(self, what):
        self.what = what

    def write(self, network, model, folder):
        super().write(network, model, folder)
        weights = torch.load(folder / "weights.pt", weights_only=True)
        name = next(name for name in weights if name.endswith(self.what))
        torch.save(weights | {name: weights[name] * 1.1}, folder / "weights.pt")


@pytest.mark.parametrize("what", ["running_var", "running_mean", "0.weight", "fc1.bias", "classifier.1.bias"])
def test_a_wrong_export_is_noticed_and_not_kept(what, tmp_path):
    with pytest.raises(NotTheSame, match="outputs within"):
        export("torchvision", Wrong(what), Network("it", ODD["squeezes"], 5), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_an_exporter_that_fails_is_one_line(tmp_path, monkeypatch):
    def failing(*arguments, **settings):
        try:
            raise AttributeError("'tuple' object has no attribute\n 'dtype'")
        except AttributeError as error:
            raise RuntimeError("a page of text") from error

    monkeypatch.setattr(torch.onnx, "export", failing)
    reason = (
        r"^it: onnx: torch \S+ with onnxscript \S+ cannot write this network \(AttributeError: 'tuple' .* 'dtype'\)$"
    )
    with pytest.raises(UserError, match=reason):
        export("onnx", target("onnx"), Network("it", ODD["plain"], 5), tmp_path / "out")
    assert not list(tmp_path.iterdir())


class Kept(type(target("torchvision"))):
    """What is changed in what is kept only, which has fresh weights and tiny outputs."""

    def __init__(self, change):
        self.change, self.calls = change, 0

    def load(self, network, folder):
        self.calls += 1
        if self.calls == 2:
            self.change(folder)
        return super().load(network, folder)


def _weights(change):
    def changed(folder):
        state = torch.load(folder / "weights.pt", weights_only=True)
        torch.save({name: change(tensor) for name, tensor in state.items()}, folder / "weights.pt")

    return changed


@pytest.mark.parametrize("change", [lambda tensor: tensor * 0, lambda tensor: tensor * float("nan")])
def test_what_is_kept_is_tried_itself(change, tmp_path):
    with pytest.raises(NotTheSame):
        export("torchvision", Kept(_weights(change)), Network("it", load("mobilenet_v2").at(32)), tmp_path / "out")
    assert not list(tmp_path.iterdir())


class Settings(type(target("torchvision"))):
    def load(self, network, folder):
        text = (folder / "network.py").read_text()
        (folder / "network.py").write_text(text.replace("momentum=0.1", "momentum=0.9"))
        return super().load(network, folder)


def test_settings_that_no_output_shows_are_compared(tmp_path):
    with pytest.raises(NotTheSame, match="batch norm settings DIFFER"):
        export("torchvision", Settings(), Network("it", ODD["squeezes"], 5), tmp_path / "out")


class Exact(type(target("torchvision"))):
    """Computes what was written in float64, as far from float32 as its rounding."""

    tolerance = 1e-7

    def load(self, network, folder):
        loaded = super().load(network, folder)
        exact = copy.deepcopy(loaded.module).double()
        return replace(loaded, run=lambda x: exact(x.double()).float())


def test_rounding_of_float32_is_no_difference(tmp_path):
    one = export("torchvision", Exact(), Network("it", load("mnasnet_a1").at(32)), tmp_path / "out")
    assert one.verification.max_abs_diff == pytest.approx(one.verification.rounding, rel=0.01, abs=3e-7)
    assert one.verification.max_abs_diff > one.verification.tolerance


def test_every_tensor_of_a_randomised_network_differs_from_the_fresh_one():
    model = build_model(ODD["squeezes"], 5).eval()
    state = verify.randomised(model, torch.randn(2, 3, 32, 32)).state_dict()
    changed = {name for name, before in model.state_dict().items() if not torch.equal(before, state[name])}
    same = {name for name in state if name not in changed and not name.endswith("num_batches_tracked")}
    assert {name for name in same if state[name].ndim < 4} == set()  # filters are random from the beginning
