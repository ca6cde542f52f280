"""``python -m nas.export``: from run folders, files and names; with weights; one line for what is wrong."""

import hashlib
import json
import random
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

import nas
from nas.export import __main__ as command
from nas.export.network import Network
from nas.export.reading import read
from nas.export.sources import of_run, with_weights
from nas.export.writing import Exported
from nas.training.weights import to_group_norm
from search_spaces import UserError, load
from search_spaces.build import build_model
from search_spaces.space_file import load_space
from search_spaces.text import stage_of


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_best_network_of_a_run_leaves_with_its_weights_and_classes(trained, here, capsys):
    command.main([str(trained), "--to", "torchvision,json", "--out", "out"])
    out = capsys.readouterr().out
    assert "weights: confirm/weights/" in out
    network = next(iter(of_run(trained).values()))
    assert network.num_classes == 10
    assert network.classes == tuple("0123456789")
    model = nas.load(here / "out" / f"{network.name}-json" / "network.json")
    side = network.arch.resolution
    x = torch.randn(2, 3, side, side)
    assert torch.equal(model(x), network.model()(x))
    index = json.loads((here / "out" / "index.json").read_text())
    assert [entry["target"] for entry in index["exports"]] == ["torchvision", "json"]
    for entry in index["exports"]:
        for name, digest in entry["sha256"].items():
            assert hashlib.sha256((here / "out" / name).read_bytes()).hexdigest() == digest


def test_the_weights_are_those_that_validated(trained):
    """The exported network has the accuracy on the validation images that the confirmation recorded."""
    from nas import data
    from studies import ledger

    network = next(iter(of_run(trained).values()))
    best = max(ledger.read(trained / "confirm"), key=lambda record: record.metric("top1"))
    assert best.arch == network.arch
    assert best.metric("top1") > 30
    images = data.load("digits", network.arch.resolution, 0, max_per_class=40)
    mean, std = (torch.tensor(values)[:, None, None] for values in (network.mean, network.std))
    x = torch.from_numpy(images.val.batch(range(len(images.val)))) / 255
    with torch.no_grad():
        right = network.model()((x - mean) / std).argmax(1).numpy() == images.val.labels
    assert 100 * right.mean() == pytest.approx(best.metric("top1"), abs=0.3)


@pytest.mark.parametrize(("target", "lines"), [("onnx", 1), ("timm", 0)])
def test_an_onnx_file_comes_with_the_command_that_measures_it(target, lines, capsys):
    verification = SimpleNamespace(text="outputs within 0")
    command._tell(Console(), Exported(Network("b0", load("efficientnet_b0")), target, Path("out"), verification))
    assert capsys.readouterr().out.count("to measure: python -m nas.latency out/network.onnx\n") == lines


def test_all_of_a_front_with_an_index(trained, here, capsys):
    command.main([str(trained), "--to", "json", "--all", "--out", "front"])
    index = json.loads((here / "front" / "index.json").read_text())
    assert {entry["id"] for entry in index["exports"]} >= {path.stem for path in (trained / "archs").glob("*.json")}
    with pytest.raises(UserError, match="is not empty"):
        command.main([str(trained), "--to", "json", "--all", "--out", "front"])


def test_a_family_leaves_as_a_whole(here, capsys):
    from nas.scale.__main__ import main as scale

    scale(["--phi", "1,2", "--coefficients", "published", "--out", "fam"])
    command.main(["fam", "--to", "yaml", "--out", "one"])
    assert "b1, the first of 2: b1, b2 (--network or --all for others)" in capsys.readouterr().out
    command.main(["fam", "--to", "yaml", "--network", "b1"])
    assert load(here / "exports" / "b1-yaml" / "network.yaml") == load("efficientnet_b1")


def test_one_at_a_time_of_those_that_cannot_be_expressed_is_left_out(here, capsys):
    folder = here / "fam" / "family"
    folder.mkdir(parents=True)
    for name in ("mobilenet_v2", "resnet18"):
        (folder / f"{name}.json").write_text(json.dumps({"name": name, "arch": load(name).at(32).to_dict()}))
    command.main(["fam", "--to", "timm", "--all", "--out", "out"])
    assert "left out: --to: timm cannot express resnet18: layout is 'resnet'" in capsys.readouterr().out
    index = json.loads((here / "out" / "index.json").read_text())
    assert list(index["refused"]) == ["resnet18-timm"]
    assert len(index["exports"]) == 1


def test_weights_of_a_file_set_the_classes(tmp_path):
    torch.save(build_model(load("mobilenet_v2"), 7).state_dict(), tmp_path / "w.pth")
    assert with_weights(Network("it", load("mobilenet_v2")), str(tmp_path / "w.pth")).num_classes == 7


def test_old_names_of_densenets_are_known(tmp_path):
    state = build_model(load("densenet121")).state_dict()
    names = {name: name.replace("norm1", "norm.1").replace("conv2", "conv.2") for name in state if "denselayer" in name}
    torch.save({names.get(name, name): tensor for name, tensor in state.items()}, tmp_path / "w.pth")
    with_weights(Network("it", load("densenet121")), str(tmp_path / "w.pth")).model()


def test_weights_of_old_files_are_read(tmp_path):
    state = build_model(load("mobilenet_v2"), 7).state_dict()
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    assert with_weights(Network("it", load("mobilenet_v2")), str(tmp_path / "w.pth")).num_classes == 7


def test_the_origin_of_weights_is_kept(here, capsys):
    command.main(["mobilenet_v2", "--to", "json", "--num-classes", "3"])
    command.main(["exports/mobilenet_v2-json/network.json", "--to", "yaml", "--out", "again"])
    assert capsys.readouterr().out.count("weights: freshly initialised;") == 2


def test_names_that_are_alike_as_folders_or_strange(here, capsys):
    folder = here / "fam" / "family"
    folder.mkdir(parents=True)
    for number, name in enumerate(("a b", "a_b", "a[/x]b/../c")):
        arch = load("mobilenet_v2").at(32 + 32 * number).to_dict()
        (folder / f"{number}.json").write_text(json.dumps({"name": name, "arch": arch}))
    command.main(["fam", "--to", "json", "--all"])
    index = json.loads((here / "exports" / "fam" / "index.json").read_text())
    assert [entry["network"] for entry in index["exports"]] == ["a b", "a_b", "a[/x]b/../c"]
    assert len(list((here / "exports" / "fam").iterdir())) == 4
    command.main(["fam", "--to", "json", "--network", "a b"])


def test_weights_with_group_norm_are_refused(here):
    model = build_model(load("mobilenet_v2"))
    to_group_norm(model)
    torch.save(model.state_dict(), here / "group.pth")
    with pytest.raises(UserError, match="were trained with group norm, which no target has"):
        command.main(["mobilenet_v2", "--to", "json", "--weights", "group.pth"])
    assert [path.name for path in here.iterdir()] == ["group.pth"]


def test_a_missing_extra_is_named(here, monkeypatch):
    monkeypatch.setattr("nas.export.targets.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"keras, not installed here: pip install 'nas-scaling\[keras\]'"):
        command.main(["efficientnet_b0", "--to", "keras"])


READ = {
    "torchvision:efficientnet_b0": "efficientnet_b0",
    "torchvision:efficientnet_v2_s": "efficientnet_v2_s",
    "torchvision:mobilenet_v2": "mobilenet_v2",
    "timm:efficientnet_b1": "efficientnet_b1",
}


@pytest.mark.parametrize("source", READ)
def test_builders_networks_are_read_back_as_the_published_ones(source):
    found, published = read(source).arch, load(READ[source])
    assert found.stages == published.stages
    assert found.layout == published.layout or source.startswith("timm")
    assert found.resolution == published.resolution or source.startswith("timm")  # which has weights of its own


def test_tensorflows_padding_is_read():
    assert read("timm:tf_efficientnetv2_b0").arch.padding == "same"


@pytest.mark.parametrize("space", ["v1", "v2", "v2_s"])
def test_block_strings_are_read_back(space):
    rng, found = random.Random(0), load_space(space)
    for _ in range(50):
        stages = found.sample(rng).stages
        assert tuple(stage_of(stage.text) for stage in stages) == stages


@pytest.mark.parametrize("text", ["xx_r1", "ir_r1_k3_s1_e6", "ir_r1_k3_s1_e6_c8_q5", "ir_r1_k4_s1_e6_c8", "", "ir_k"])
def test_a_wrong_block_string_is_refused(text):
    with pytest.raises(UserError):
        stage_of(text)


@pytest.mark.parametrize("ratio", [0.25, 1 / 3, 1 / 24, 0.1 + 0.2])
def test_no_ratio_is_lost_in_a_block_string(ratio):
    text = f"ir_r1_k3_s1_e6_c16_se{ratio}"
    assert stage_of(stage_of(text).text).se_ratio == ratio
