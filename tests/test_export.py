"""Exports: every target writes the same network, or says why it cannot; nothing is half written."""

import json
import os
import random
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

import nas
from nas.export import code, verify
from nas.export.network import Network
from nas.export.sources import network_of
from nas.export.target import in_order
from nas.export.targets import TARGETS, target
from nas.export.torchvision_code import beyond_efficientnet
from nas.export.writing import NotTheSame, export
from search_spaces import Arch, Stage, UserError, load
from search_spaces.build import build_model
from search_spaces.space_file import load_space

pytestmark = pytest.mark.usefixtures("one_thread")
QUICK = ("torchvision", "timm", "keras", "json")


def residual(layout, *stages, **settings):
    stem = {"stem_channels": 16, "stem_kernel": 3, "activation": "relu", "head_channels": 0}
    return Arch(stages, resolution=32, layout=layout, **stem | settings)


def small(*stages, **settings):
    return Arch(stages, **{"stem_channels": 8, "head_channels": 32, "resolution": 32, **settings})


def drawn(space, count):
    rng, found = random.Random(5), load_space(space, width=0.25)
    return [found.sample(rng).at(32) for _ in range(count)]


ODD = {
    "same padding": small(Stage("mbconv", 5, 2, 4, 16, 2, 0.25), Stage("fused_mbconv", 3, 2, 4, 24, 1), padding="same"),
    "squeezes": small(Stage("fused_mbconv", 3, 1, 1, 8, 2, 0.5), Stage("mbconv", 3, 2, 6, 16, 2, 0.3)),
    "plain": small(Stage("separable", 3, 2, 1, 16, 2), activation="relu6", head_channels=0),
    "no skip": small(Stage("mbconv", 3, 1, 1, 8, 1, skip=False), Stage("fused_mbconv", 3, 1, 4, 8, 2, skip=False)),
    "norm": small(Stage("mbconv", 3, 2, 4, 16, 2, 1.0), norm_eps=1e-3, norm_momentum=0.01, activation="hardswish"),
    "basic": residual("resnet", Stage("basic", 3, 1, 1, 16, 1), Stage("basic", 5, 2, 1, 24, 2), stem_pool=True),
    "bottleneck": residual("resnet", Stage("bottleneck", 3, 2, 2, 32, 2, 0.5, groups=4), head_channels=48),
    "preact": residual("resnet_v2", Stage("preact_bottleneck", 3, 2, 4, 64, 2), stem_pool=True),
    "deep": small(*[Stage("mbconv", 3, 2, 2, 8, 1)] * 6, resolution=64),
}


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("title", ODD)
def test_what_is_unusual_is_exported_all_the_same(name, title, tmp_path):
    if reason := target(name).obstacle(ODD[title]):
        assert name in ("timm", "keras")
        assert reason.startswith("layout")
        return
    one = export(name, target(name), Network(title, ODD[title], 5), tmp_path / "out")
    assert one.verification.passed
    assert one.verification.output_std == pytest.approx(1, abs=0.01)
    written = json.loads((tmp_path / "out" / "verification.json").read_text())
    assert (written["params_equal"], written["macs_equal"]) == (True, True)
    assert written["max_abs_diff"] <= 1e-5
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("space", ["v1", "v2"])
def test_random_networks_are_exported(space, tmp_path):
    for number, arch in enumerate(drawn(space, 3)):
        for name in ("torchvision", "timm"):
            assert export(name, target(name), Network("it", arch, 7), tmp_path / f"{name}{number}").verification.passed


CATALOGUE = ("efficientnet_b0", "efficientnet_v2_b0", "mobilenet_v1", "mobilenet_v2", "mnasnet_a1", "resnet18")
CATALOGUE += ("resnext50_32x4d", "seresnet50", "resnetv2_50", "densenet121")


@pytest.mark.parametrize("name", CATALOGUE)
def test_published_networks_are_exported_to_torchvision(name, tmp_path):
    assert export("torchvision", target("torchvision"), Network(name, load(name).at(64)), tmp_path / "out")


def test_onnx_takes_any_number_of_images_and_is_quantised(tmp_path):
    from nas import data
    from nas.export.onnx_file import Onnx

    images = data.load("digits", 32, 0, max_per_class=30)
    arch = small(Stage("fused_mbconv", 3, 2, 4, 32, 1, 0.25), Stage("mbconv", 3, 2, 6, 64, 2), head_channels=256)
    network = Network("it", arch, 10, mean=images.mean, std=images.std)
    one = export("onnx", Onnx(images), network, tmp_path / "out")
    assert one.verification.batches == (1, 8)
    written = json.loads((tmp_path / "out" / "verification.json").read_text())
    assert written["int8"]["images"] == len(images.val)
    assert written["int8"]["mb_int8"] < written["int8"]["mb"]
    assert "int8: top-1" in one.more[0]
    with pytest.raises(UserError, match="10 classes, the network 5"):
        export("onnx", Onnx(images), replace(network, num_classes=5), tmp_path / "other")
    assert not (tmp_path / "other").exists()
    command = [
        sys.executable,
        "-m",
        "nas.latency",
        str(tmp_path / "out" / "network.onnx"),
        "--max-seconds",
        "0.5",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["key"]["runtime"] == "onnxruntime"
    assert found["key"]["resolution"] == 32
    assert found["p50_ms"] > 0


def test_executorch_runs_what_was_written(tmp_path):
    pytest.importorskip("executorch", reason="executorch is an extra that is not installed")
    one = export("executorch", target("executorch"), Network("it", ODD["norm"], 5), tmp_path / "out")
    assert one.verification.passed
    assert one.verification.params_equal is None
    assert "nothing to count" in one.verification.text


REFUSED = [
    (
        "timm",
        small(Stage("mbconv", 3, 2, 6, 6, 2)),
        r"stage 0 \(ir_r2_k3_s2_e6_c6\): expanded width 36, .* rounds to 40",
    ),
    ("timm", load("resnet18"), "layout is 'resnet'"),
    ("timm", small(Stage("mbconv", 3, 2, 4, 8, 1), stem_stride=1), "stem_stride is 1"),
    ("keras", load("densenet121"), "layout is 'densenet'"),
]


@pytest.mark.parametrize(("name", "arch", "reason"), REFUSED)
def test_what_a_target_cannot_express_is_refused_with_the_stage(name, arch, reason, tmp_path):
    with pytest.raises(UserError, match=reason):
        export(name, target(name), Network("it", arch), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"activation": "relu"}, "activation is 'relu'"),
        ({"padding": "same"}, "padding is 'same'"),
        ({"head_channels": 0}, "head_channels is 0"),
        ({"stages": (Stage("mbconv", 3, 1, 4, 16, 1, 0.25),)}, None),
        ({"stages": (Stage("mbconv", 3, 1, 4, 16, 1),)}, "squeeze width 0 where it has 2"),
        ({"stages": (Stage("fused_mbconv", 3, 1, 4, 16, 1, 0.25),)}, "Fused-MBConv with squeeze-and-excitation"),
        ({"stages": (Stage("fused_mbconv", 3, 1, 4, 12, 1),)}, "width 12, which it would round"),
    ],
)
def test_torchvisions_own_builder_is_used_where_it_can_be(change, reason):
    found = beyond_efficientnet(replace(small(Stage("mbconv", 3, 1, 4, 16, 1, 0.25)), **change))
    assert found == reason or reason in found


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


def test_rounding_in_small_maps_is_no_difference(tmp_path):
    assert export(
        "onnx", target("onnx"), Network("it", load("mnasnet_a1").at(32)), tmp_path / "out"
    ).verification.passed


def test_every_tensor_of_a_randomised_network_differs_from_the_fresh_one():
    model = build_model(ODD["squeezes"], 5).eval()
    state = verify.randomised(model, torch.randn(2, 3, 32, 32)).state_dict()
    changed = {name for name, before in model.state_dict().items() if not torch.equal(before, state[name])}
    same = {name for name in state if name not in changed and not name.endswith("num_batches_tracked")}
    assert {name for name in same if state[name].ndim < 4} == set()  # filters are random from the beginning


def test_layers_in_another_order_are_an_error():
    one, other = build_model(ODD["deep"], 5), build_model(ODD["squeezes"], 5)
    with pytest.raises(ValueError, match="differ"):
        in_order(one.state_dict(), other.state_dict())


EVIL = "'''\"\"\"\n)\nimport os; os.environ['NAS_EVIL'] = '1'\n#\\"


@pytest.mark.parametrize("name", ["torchvision", "timm", "keras", "json", "yaml"])
def test_names_cannot_become_code(name, tmp_path):
    classes = (EVIL, "{x}", "$about", "\u2028\u202eabc", "naïve")
    network = Network(EVIL, ODD["plain"], 5, origin=EVIL, classes=classes)
    export(name, target(name), network, tmp_path / "out")
    assert "NAS_EVIL" not in os.environ
    if name in ("json", "yaml"):
        assert network_of(str(next((tmp_path / "out").glob("network.*")))).classes == classes
    else:
        from nas.export.target import run_code

        assert classes == run_code(tmp_path / "out").CLASSES


def test_generated_code_is_formatted_as_ours(tmp_path):
    for title, arch in ODD.items():
        for name in ("torchvision", "timm", "keras"):
            if target(name).obstacle(arch):
                continue
            export(name, target(name), Network(title, arch, 5), tmp_path / f"{title} {name}")
    for rules in (["check", "--select", "E,F,W,I"], ["format", "--diff", "--config", "format.quote-style='preserve'"]):
        command = [sys.executable, "-m", "ruff", *rules, "--line-length", "120", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_generated_code_needs_its_builder_only(tmp_path):
    export("torchvision", target("torchvision"), Network("it", ODD["squeezes"], 5), tmp_path / "torchvision")
    export("timm", target("timm"), Network("it", ODD["squeezes"], 5), tmp_path / "timm")
    for name in ("torchvision", "timm"):
        program = "import sys, torch; from network import build; x = torch.zeros(1, 3, 32, 32)\n"
        program += "print(build('weights.pt').eval()(x).shape[1]); print(*{m.split('.')[0] for m in sys.modules})"
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path / name, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        classes, loaded = done.stdout.splitlines()
        assert classes == "5"
        assert {"nas", "search_spaces", "studies", "reports", "ray", "optuna"} & set(loaded.split()) == set()


def test_an_export_is_loaded_in_two_lines(tmp_path):
    one = export("json", target("json"), Network("it", ODD["norm"], 5), tmp_path / "out")
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(nas.load(tmp_path / "out" / "network.json")(x), one.network.model()(x))
    assert nas.load("mobilenet_v2", num_classes=3)(x).shape == (2, 3)


def test_literals_are_plain_data():
    assert code.literal(("a'b", 'c"d')) == repr(("a'b", 'c"d'))
    assert "\n" not in code.literal("a\nb\u2028")


def test_every_target_is_described_in_the_help():
    from nas.export.__main__ import EPILOG

    assert all(name in EPILOG for name in TARGETS)
