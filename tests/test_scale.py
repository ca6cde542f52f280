"""``python -m nas.scale`` without a study: the published family, coefficients that are given, targets and limits."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from nas.latency.footprint import peak_memory_mb
from nas.scale import measuring
from nas.scale.__main__ import main
from nas.scale.settings import Settings, phis, targets, triple
from search_spaces import load
from search_spaces.cost import count
from studies.scaling_record import SCALING, read
from studies.spec import LatencySpec

RATIOS = [2.573, 4.693, 8.426, 16.380, 29.482, 52.082, 102.806]


@pytest.fixture
def scale(run_here, tmp_path):
    """Runs the command into a new folder; the CompletedProcess and the folder."""

    def run(*flags, out="run"):
        return run_here(main, *flags, "--out", tmp_path / out), tmp_path / out

    return run


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The published family, once for all tests that look at it."""
    folder = tmp_path_factory.mktemp("published") / "run"
    main(["--coefficients", "published", "--phi", "1..7", "--out", str(folder)])
    return folder


def test_the_published_family_is_torchvisions(published):
    import torch
    import torchvision.models as models
    from torch.utils.flop_counter import FlopCounterMode

    for place, member in enumerate(read(published / SCALING).family, 1):
        with torch.device("meta"):
            model = getattr(models, f"efficientnet_b{place}")().eval()
            x = torch.empty(1, 3, member.network.resolution, member.network.resolution)
        assert member.name == f"b{place}"
        assert member.network.params == sum(parameter.numel() for parameter in model.parameters())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(x)
        assert 2 * member.network.macs == counter.get_total_flops()
        assert load(published / "family" / f"b{place}.json") == load(f"efficientnet_b{place}")


def test_published_and_formula_side_by_side(published):
    """B1 to B7 do not lie on whole phi, and their dimensions imply different ones."""
    official = json.loads((Path(__file__).parent / "data" / "compound.json").read_text())["official"]
    for one in read(published / SCALING).implied:
        known = official[one.name.removeprefix("efficientnet_")]
        assert one.phi_depth == pytest.approx(known["implied_phi_depth"])
        assert one.phi_width == pytest.approx(known["implied_phi_width"])
        assert one.phi_resolution == pytest.approx(known["implied_phi_resolution"])
    dropouts = [member.dropout for member in read(published / SCALING).family]
    assert dropouts == [official[f"b{i}"]["dropout"] for i in range(1, 8)]


def test_a_run_folder_holds_what_it_needs(published):
    spec = yaml.safe_load((published / "spec.yaml").read_text())
    assert spec["scale"]["coefficients"] == "published"
    assert spec["command"].startswith("python -m nas.scale --coefficients published")
    assert (published / "report.html").stat().st_size > 1e6
    entry = json.loads((published / "family" / "b1.json").read_text())
    assert entry["macs"] == count(load("efficientnet_b1")).macs


def test_the_formula_costs_more_than_it_says(scale):
    done, folder = scale("--coefficients", "1.2,1.1,1.15", "--base", "efficientnet_b0", "--phi", "1..7")
    assert done.returncode == 0, done.stderr
    family = read(folder / SCALING).family
    assert [round(member.counted, 3) for member in family] == RATIOS
    assert [member.promised for member in family] == pytest.approx([1.92027**phi for phi in range(1, 8)])
    for ratio in ("2.573", "102.806", "1.920"):
        assert ratio in done.stdout


def test_targets_are_reached_or_the_nearest_two_are_named(scale):
    done, folder = scale("--coefficients", "1.2,1.1,1.15", "--base", "efficientnet_b0", "--target-macs", "7e8,1e9,2e9")
    assert done.returncode == 0, done.stderr
    for member in read(folder / SCALING).family:
        missed = abs(member.network.macs / member.targets[0] - 1)
        assert (missed > 0.02) == bool(member.nearest)
        if member.nearest:
            assert min(member.nearest, key=lambda macs: abs(macs - member.targets[0])) == member.network.macs


def test_the_largest_network_within_limits(scale):
    flags = ["--coefficients", "1.2,1.1,1.15", "--base", "efficientnet_b0"]
    done, folder = scale(*flags, "--constraint", "macs<=2e9", "--constraint", "params<=1e7")
    assert done.returncode == 0, done.stderr
    (member,) = read(folder / SCALING).family
    assert member.network.params <= 1e7
    assert member.network.macs <= 2e9
    from nas.scale.base import find
    from nas.scale.family import growth_of

    growth = growth_of(find("efficientnet_b0"), triple("1.2,1.1,1.15"), Settings())
    beyond = count(growth.at(member.phi + 2e-4))
    assert beyond.params > 1e7 or beyond.macs > 2e9


def test_the_largest_network_within_measured_memory(scale):
    flags = ["--coefficients", "1.2,1.1,1.15", "--base", "mobilenet_v2", "--max-resolution", "224"]
    done, folder = scale(*flags, "--constraint", "peak_memory_mb<=60")
    assert done.returncode == 0, done.stderr
    (member,) = read(folder / SCALING).family
    assert member.phi > 0
    arch = load(folder / "family" / f"{member.name}.json")
    assert peak_memory_mb(arch, LatencySpec(), torch.device("cpu")) < 1.2 * 60  # varies by some MB
    done, other = scale(*flags, "--constraint", "peak_memory_mb<=1", out="other")
    assert done.returncode == 2
    assert "the base itself breaks peak_memory_mb<=1" in done.stderr
    assert not other.exists()


def test_a_member_is_a_base(scale, published):
    done, folder = scale("--base", published / "family" / "b2.json", "--coefficients", "1,1.1,1", "--phi", "1")
    assert done.returncode == 0, done.stderr
    assert read(folder / SCALING).base.id == load("efficientnet_b2").id


def test_members_of_one_phi_are_one(scale):
    flags = ["--coefficients", "1.2,1.1,1.15", "--base", "efficientnet_b0"]
    done, folder = scale(*flags, "--phi", "1", "--target-macs", "992629472,992629473")
    assert done.returncode == 0, done.stderr
    family = read(folder / SCALING).family
    assert len({member.name for member in family}) == len(family)
    assert sorted(path.stem for path in (folder / "family").iterdir()) == sorted(member.name for member in family)


def test_a_file_that_is_called_like_a_published_network(scale, tmp_path):
    path = tmp_path / "efficientnet_b0.json"
    path.write_text(json.dumps(load("mobilenet_v2").to_dict()))
    done, _ = scale("--base", path, "--coefficients", "published")
    assert done.returncode == 2
    assert "has no published family" in done.stderr


def test_latencies_of_a_family(scale, tmp_path, monkeypatch):
    quick = replace(measuring.SPEC, warmup_s=0.0, max_s=0.05, retries=0)
    monkeypatch.setattr(measuring, "SPEC", quick)
    base = tmp_path / "small.json"
    base.write_text(json.dumps(load("mobilenet_v1").at(64).to_dict()))
    flags = ["--coefficients", "1.2,1.1,1.15", "--base", base, "--phi", "0.1", "--measure"]
    done, folder = scale(*flags)
    assert done.returncode == 0, done.stderr
    (member,) = read(folder / SCALING).family
    assert member.latency["p50_ms"] > 0
    assert member.latency["key"]["resolution"] == member.network.resolution


def test_efficientnet_v2s_family(scale):
    done, folder = scale("--base", "efficientnet_v2_b0", "--coefficients", "published", "--phi", "1..3")
    assert done.returncode == 0, done.stderr
    for place in (1, 2, 3):
        assert load(folder / "family" / f"b{place}.json") == load(f"efficientnet_v2_b{place}")


def test_a_family_is_emitted_again_by_resume(run_here, published, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(published, again)
    shutil.rmtree(again / "family")
    done = run_here(main, "--resume", again)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (again / "family").iterdir()) == [f"b{i}.json" for i in range(1, 8)]


def test_phis():
    assert phis("1..7") == (1, 2, 3, 4, 5, 6, 7)
    assert phis("2,0.5,1") == (0.5, 1, 2)
    assert phis("0.5..2.5,1,1") == (0.5, 1, 1.5, 2.5)
    assert phis("0") == (0,)
    assert targets("0.7e9, 1e9") == (7e8, 1e9)


def test_a_product_far_from_two_is_a_warning(scale):
    done, _ = scale("--coefficients", "1.5,1.5,1.5", "--base", "efficientnet_b0", "--phi", "1")
    assert done.returncode == 0
    assert "warning: coefficients 1.5,1.5,1.5 multiply MACs by 7.59 with each step of phi" in done.stdout
