"""What a study trains: which networks, in which cheaper ways, on which images; and how a search finds its figures."""

import math
import shlex
from dataclasses import replace

import numpy as np
import pytest

from nas import data, search
from nas.data.part import part_of
from nas.fidelity.networks import moved, spread
from nas.fidelity.proxies import Proxy, grid, parse
from nas.flags import read_spec
from search_spaces import UserError, cost
from search_spaces.space_file import load_space
from studies import fidelity_record
from studies.home import cache_root
from studies.runfolder import write_yaml
from studies.spec import DataSpec, Spec
from studies.train_spec import TrainSpec


@pytest.fixture(scope="module")
def space():
    return load_space("v2", width=0.25, resolution=32)


def log_macs(archs):
    return np.array([math.log(cost.count(arch, 10).macs) for arch in archs])


def test_networks_are_spread_evenly_over_the_costs(space):
    found = log_macs(spread(space, 12, 10, seed=0))
    assert (np.diff(found) > 0).all()
    steps = np.diff(found)
    assert steps.max() < 1.6 * steps.mean()
    assert steps.min() > 0.4 * steps.mean()


def test_networks_depend_on_the_seed_and_on_nothing_else(space):
    assert spread(space, 6, 10, seed=1) == spread(space, 6, 10, seed=1)
    assert spread(space, 6, 10, seed=1) != spread(space, 6, 10, seed=2)


def test_a_space_with_too_few_networks_is_named(space_file):
    small = load_space(space_file({"base": "efficientnet_b0", "stages": {0: {"kernel": [3, 5]}}}))
    assert len(spread(small, 2, 10, seed=0)) == 2
    with pytest.raises(UserError, match="--networks: 3, but only 2 different ones"):
        spread(small, 3, 10, seed=0)


def test_a_network_moves_with_its_choices(space):
    arch, narrow = spread(space, 5, 10, seed=0)[2], load_space("v2", width=0.125, resolution=24)
    there = moved(arch, space, narrow)
    assert narrow.contains(there)
    assert there.resolution == 24
    assert [(s.block, s.kernel, s.layers) for s in there.stages] == [(s.block, s.kernel, s.layers) for s in arch.stages]
    assert cost.count(there).macs < cost.count(arch).macs
    assert moved(arch, space, space) == arch


def test_a_width_that_makes_choices_equal_is_refused(space_file):
    path = space_file({"base": "efficientnet_b0", "stages": {1: {"channels": [16, 24]}}})
    wide, narrow = load_space(path), load_space(path, width=0.25)
    with pytest.raises(UserError, match=r"width 0.25 makes choices of s1.channels"):
        moved(wide.base, wide, narrow)


def test_proxies_are_read_and_named():
    proxy = parse("epochs=2, resolution=24,share=.5,width=0.5", 4, [32])
    assert proxy == Proxy(2, 24, 0.5, 0.5)
    assert proxy.name == "epochs=2,resolution=24,share=0.5,width=0.5"
    assert parse("share=0.25", 4, [32]).name == "epochs=4,share=0.25"
    assert parse("resolution=32", 4, [32]) == Proxy(4)
    assert parse(proxy.name, 4, [32]) == proxy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch=2", "'epoch=2' is not of the form epochs=2,"),
        ("epochs=2,epochs=3", "at most once"),
        ("epochs", "is not of the form"),
        ("epochs=2.5", "epochs '2.5' in 'epochs=2.5' is not a whole number"),
        ("share=0", "share 0 in 'share=0' is not above 0 and at most 1"),
        ("width=2", "width 2 in"),
        ("share=nan", "share nan"),
        ("resolution=-8", "is not above 0"),
    ],
)
def test_a_wrong_proxy_is_named(text, words):
    with pytest.raises(UserError) as caught:
        parse(text, 4, [32])
    assert words in str(caught.value)


def test_the_default_proxies_lie_around_the_search():
    names = [proxy.name for proxy in grid(4, 32)]
    assert names[:5] == ["epochs=4", "epochs=2", "epochs=1", "epochs=4,resolution=24", "epochs=4,share=0.5"]
    assert len(names) == len(set(names)) == 8
    assert [proxy.name for proxy in grid(1, 16)] == ["epochs=1", "epochs=1,share=0.5", "epochs=1,width=0.5"]


def test_part_of_the_images_keeps_classes_and_validation():
    whole = data.load("digits", 16, seed=0)
    half, less = part_of(whole, 0.5, 0), part_of(whole, 0.25, 0)
    counts = np.bincount(whole.train.labels)
    assert np.abs(np.bincount(half.train.labels) - counts / 2).max() <= 1
    assert half.val is whole.val
    assert set(less.train.index) < set(half.train.index) < set(whole.train.index)
    assert (np.bincount(part_of(whole, 0.001, 0).train.labels) == 1).all()
    assert len({whole.fingerprint, half.fingerprint, less.fingerprint}) == 3


def test_the_key_is_of_what_decides_a_figure(space, tmp_path, monkeypatch):
    spec = Spec(data=DataSpec(resolution=32))
    key = fidelity_record.key_of(space, spec)
    same = [replace(spec, seed=7), replace(spec, data=DataSpec()), replace(spec, data=DataSpec(cache_gb=1))]
    same.append(replace(spec, train=TrainSpec(recipe="mine.yaml")))
    assert {fidelity_record.key_of(space, one) for one in same} == {key}
    others = [replace(spec, train=TrainSpec(epochs=5)), replace(spec, data=DataSpec(share=0.5))]
    others.append(replace(spec, data=DataSpec("digits")))
    keys = [fidelity_record.key_of(space, one) for one in others]
    keys += [fidelity_record.key_of(load_space("v2", width=0.25, resolution=24), spec)]
    assert len({key, *keys}) == 5
    write_yaml(tmp_path / "space.yaml", space.to_dict())
    assert fidelity_record.key_of(load_space(str(tmp_path / "space.yaml")), spec) == key

    (tmp_path / "a" / "photos").mkdir(parents=True)
    (tmp_path / "b" / "photos").mkdir(parents=True)
    found = set()
    for folder in ("a", "b"):
        monkeypatch.chdir(tmp_path / folder)
        found.add(fidelity_record.key_of(space, Spec(data=DataSpec("imagefolder:photos"))))
    assert len(found) == 2


def test_flags_lead_back_to_the_spec():
    typed = ["--space", "v2", "--width", "0.25", "--data", "digits", "--resolution", "24", "--set", "data.share=0.5"]
    typed += ["--epochs", "2", "--set", "train.batch_size=64", "--set", "train.optimizer=sgd"]
    spec = read_spec(vars(search.parser().parse_args(typed)))
    assert shlex.split(fidelity_record.flags(spec.to_dict())) == typed
    assert fidelity_record.flags({"space": {"name": "v1"}, "data": None}) == "--space v1"


def test_the_cache_is_where_it_is_told_to_be(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "own"))
    assert cache_root() == tmp_path / "own"
    monkeypatch.delenv("NAS_CACHE")
    assert cache_root() == tmp_path / "nas-scaling"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root().parts[-2:] == (".cache", "nas-scaling")
