"""Exports: every target writes the same network, or says why it cannot; nothing is half written."""

import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from functools import cache

import pytest
import torch
from odd_networks import ODD, small

import nas
from nas.export import code
from nas.export.network import Network
from nas.export.sources import network_of
from nas.export.target import in_order
from nas.export.targets import TARGETS, target
from nas.export.torchvision_code import beyond_efficientnet
from nas.export.writing import export
from search_spaces import Stage, UserError, load
from search_spaces.build import build_model
from search_spaces.space_file import load_space

QUICK = ("torchvision", "timm", "keras", "json")


def drawn(space, count):
    rng, found = random.Random(5), load_space(space, width=0.25)
    return [found.sample(rng).at(32) for _ in range(count)]


@pytest.fixture(scope="module")
def odd_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("odd")


@pytest.fixture(scope="module")
def odd(odd_folder):
    """Exports one of ``ODD``, once; None where the target cannot express it."""

    @cache
    def exported(name, title):
        if reason := target(name).obstacle(ODD[title]):
            assert name in ("timm", "keras")
            assert reason.startswith("layout")
            return None
        return export(name, target(name), Network(title, ODD[title], 5), odd_folder / f"{title} {name}")

    return exported


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("title", ODD)
def test_what_is_unusual_is_exported_all_the_same(name, title, odd):
    if one := odd(name, title):
        assert one.verification.passed
        assert one.verification.output_std == pytest.approx(1, abs=0.01)
        written = json.loads((one.folder / "verification.json").read_text())
        assert (written["params_equal"], written["macs_equal"]) == (True, True)
        assert written["max_abs_diff"] <= 1e-5
        assert not list(one.folder.parent.glob(".*"))


@pytest.mark.parametrize("space", ["v1", "v2"])
def test_random_networks_are_exported(space, tmp_path):
    for number, arch in enumerate(drawn(space, 2)):
        for name in ("torchvision", "timm"):
            assert export(name, target(name), Network("it", arch, 7), tmp_path / f"{name}{number}").verification.passed


CATALOGUE = ("efficientnet_b0", "efficientnet_v2_b0", "mobilenet_v1", "mobilenet_v2", "mnasnet_a1", "resnet18")
CATALOGUE += ("resnext50_32x4d", "seresnet50", "resnetv2_50", "densenet121")


@pytest.mark.parametrize("name", CATALOGUE)
def test_published_networks_are_exported_to_torchvision(name, tmp_path):
    assert export("torchvision", target("torchvision"), Network(name, load(name).at(64)), tmp_path / "out")


def test_onnx_takes_any_number_of_images_and_is_quantised(tmp_path, run_here, monkeypatch):
    from nas import data
    from nas.export.onnx_file import Onnx
    from nas.latency.__main__ import main

    images = data.load("digits", 32, 0, max_per_class=30)
    arch = small(Stage("fused_mbconv", 3, 2, 4, 32, 1, 0.25), Stage("mbconv", 3, 2, 6, 64, 2), head_channels=256)
    network = Network("it", arch, 10, mean=images.mean, std=images.std)
    one = export("onnx", Onnx(images), network, tmp_path / "out")
    assert one.verification.batches == (1, 8)
    written = json.loads((tmp_path / "out" / "verification.json").read_text())
    assert written["int8"]["images"] == len(images.val)
    assert written["int8"]["mb_int8"] < written["int8"]["mb"]
    assert "int8: top-1" in one.more[0]
    monkeypatch.setattr("nas.export.onnx_file.to_onnx", lambda *_, **__: pytest.fail("it is written first"))
    with pytest.raises(UserError, match="10 classes, the network 5"):
        export("onnx", Onnx(images), replace(network, num_classes=5), tmp_path / "other")
    assert not (tmp_path / "other").exists()
    monkeypatch.setattr("nas.latency.protocol.BACKOFF_S", 0.0)
    done = run_here(main, tmp_path / "out" / "network.onnx", "--max-seconds", "0.05", "--json")
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


def test_generated_code_is_formatted_as_ours(odd, odd_folder):
    made = [odd(name, title) for title in ODD for name in ("torchvision", "timm", "keras")]
    assert len(made) - made.count(None) > len(ODD)
    for rules in (["check", "--select", "E,F,W,I"], ["format", "--diff", "--config", "format.quote-style='preserve'"]):
        command = [sys.executable, "-m", "ruff", *rules, "--line-length", "120", str(odd_folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_generated_code_needs_its_builder_only(odd):
    for name in ("torchvision", "timm"):
        program = "import sys, torch; from network import build; x = torch.zeros(1, 3, 32, 32)\n"
        program += "print(build('weights.pt').eval()(x).shape[1]); print(*{m.split('.')[0] for m in sys.modules})"
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=odd(name, "squeezes").folder, capture_output=True, text=True
        )
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
