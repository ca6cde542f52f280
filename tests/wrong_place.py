"""A folder with everything that a user can point a command at by mistake: runs of each kind, whole and damaged, files
of other kinds, folders of images that are none."""

import json
import pickle
import shutil

import torch
import yaml
from images import photo
from made_up_run import write as make_run
from run_folders import make_catalogue, make_scaling, make_search

from nas.latency.predictor import SCHEMA
from search_spaces import load


def make(place):
    """The folder, which is made."""
    place.mkdir()
    _runs(place)
    _damaged(place)
    _files(place)
    _images(place)
    return place


ABOUT = {"command": "python -m nas", "created": "then", "environment": {"torch": "2"}}
B0 = load("efficientnet_b0").to_dict()


class Evil:
    def __reduce__(self):
        return print, ("EVIL",)


def _runs(place):
    make_search(place / "a", 2)
    make_search(place / "b", 2)
    make_run(place / "latencies", 4, data={"source": "digits"})
    make_catalogue(place / "cat")
    scaling(place / "scale")
    fidelity(place / "fid")
    for run in ("a", "b", "latencies", "cat", "scale", "fid"):
        (place / run / ".lock").touch()  # as every run leaves it
    make_search(place / "locked", 1)
    (place / "locked" / ".lock").unlink(missing_ok=True)
    (place / "locked" / ".lock").mkdir()
    (place / "fresh").mkdir()
    (place / "fresh" / "spec.yaml").write_text("scale: {}\n")


def scaling(folder, **settings):
    make_scaling(folder)
    entry = {"name": "efficientnet_b0", "found": "published", "classes": 1000, "arch": B0}
    (folder / "base.json").write_text(json.dumps(entry))
    (folder / "family").mkdir()
    (folder / "family" / "b1.json").write_text(json.dumps({"name": "b1", "arch": B0}))
    spec = ABOUT | {"scale": {"coefficients": "1.2,1.1,1.15", "phis": [1.0], **settings}}
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
    return folder


def fidelity(folder):
    folder.mkdir()
    proxy = {"epochs": 4, "resolution": None, "share": 1.0, "width": 1.0}
    settings = {"networks": 4, "seeds": 1, "proxy_seeds": 1, "long_epochs": 8, "threshold": 0.6, "top": 1}
    (folder / "spec.yaml").write_text(yaml.safe_dump(ABOUT | {"fidelity": settings | {"proxies": [proxy]}}))
    (folder / "networks.json").write_text(json.dumps([B0] * 4))
    shutil.copy(folder.parent / "a" / "space.yaml", folder / "space.yaml")
    (folder / "fidelity.json").write_text("{}")
    return folder


def run_of(section, content, **more):
    return yaml.safe_dump(ABOUT | {section: content} | more)


HEADLESS = json.dumps({"name": "x", "found": "y", "classes": 10, "arch": {"stages": []}})
# The file of a run, and what it holds instead, by the end of the folder's name: a-trials-torn.
DAMAGED = {
    ("a", "trials.jsonl"): {"torn": "{}\n", "foreign": '{"trial": 0, "schema": 7}\n', "gone": None},
    ("a", "spec.yaml"): {
        "list": "[1, 2]",
        "odd": "search: {objectives: [speed]}",
        "half": "search: [",
        "empty": "",
    },
    ("a", "space.yaml"): {"half": "base: {", "other": "base: resnet18\n", "gone": None},
    ("scale", "base.json"): {"half": '{"name": "eff', "bare": "{}", "list": "[]", "gone": None, "headless": HEADLESS},
    ("scale", "scaling.json"): {"half": "{", "old": '{"schema": 0}', "bare": "{}", "list": "[]"},
    ("scale", "spec.yaml"): {
        "text": run_of("scale", 5),
        "odd": run_of("scale", {"phis": "one"}),
        "data": run_of("scale", {}, data=5),
        "bare": "scale: {}",
    },
    ("fid", "fidelity.json"): {"half": "{"},
    ("fid", "networks.json"): {"half": "[", "gone": None, "dict": "{}", "odd": "[1]"},
    ("fid", "spec.yaml"): {
        "text": run_of("fidelity", 5),
        "none": run_of("fidelity", {}),
        "odd": run_of("fidelity", {"networks": "x"}),
        "bare": "fidelity: {}",
    },
    ("cat", "spec.yaml"): {"text": "catalogue: 5", "bare": "catalogue: {}"},
}


def _damaged(place):
    for (run, name), contents in DAMAGED.items():
        for word, content in contents.items():
            copy = place / f"{run}-{name.partition('.')[0]}-{word}"
            shutil.copytree(place / run, copy)
            if content is None:
                (copy / name).unlink()
            else:
                (copy / name).write_text(content)


def _files(place):
    texts = {
        "text.txt": "somebody's\n",
        "there.html": "somebody's\n",
        "there.csv": "somebody's\n",
        "there.db": "somebody's\n",
        "there.log": "somebody's\n",
        "half.json": '{"arch": {"stages"',
        "number.json": "5",
        "empty.json": "",
        "null.json": "null",
        "bad.json": '{"arch": {"stages": []}}',
        "two.json": json.dumps([B0, B0]),
        "none.json": "[]",
        "nan.json": json.dumps({"arch": B0, "mean": [float("nan"), 0, 0]}),
        "label.json": json.dumps({"arch": B0, "classes": "ab"}),
        "names.json": json.dumps({"arch": B0, "classes": ["a"], "num_classes": 5}),
        "gone.json": json.dumps({"arch": B0, "weights": "gone.pt"}),
        "b0.json": json.dumps(B0),
        "table.json": json.dumps({"schema": SCHEMA, "key": {}}),
        "old_table.json": json.dumps({"schema": 99}),
        "list.yaml": "- 1\n",
        "empty.yaml": "",
        "damaged.yaml": "train: {epochs: [4\nseed: 1",
        "kernel.yaml": "base: efficientnet_b0\nchoices: {kernel: [4]}\n",
        "nothing.yaml": "base: efficientnet_b0\nchoices: {kernel: []}\n",
        "block.yaml": "base: efficientnet_b0\nchoices: {block: [transformer]}\n",
        "field.yaml": "base: efficientnet_b0\nchoices: {kernels: [3]}\n",
        "base.yaml": "base: efficientnet_b9\n",
        "stage.yaml": "base: efficientnet_b0\nstages: {9: {kernel: [3]}}\n",
        "one.yaml": "base: efficientnet_b0\n",
        "sides.yaml": "base: efficientnet_b0\nresolution: [32, big]\n",
        "epochs.yaml": "train: {epochs: many}\n",
        "typo.yaml": "trian: {epochs: 4}\n",
        "flat.yaml": "train: 5\n",
        "alias.yaml": "train: &a {epochs: *a}\n",
        "tag.yaml": "train: !!python/object/apply:os.system ['true']\n",
        "recipe.yaml": "learning_speed: 0.1\n",
        "model.onnx": "somebody's\n",
        "text.pth": "hello",
    }
    for name, text in texts.items():
        (place / name).write_text(text)
    (place / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    (place / "pickled.pth").write_bytes(pickle.dumps(Evil()))
    torch.save({"weight": Evil()}, place / "evil.pth")
    torch.save({"a": torch.zeros(3)}, place / "flat.pth")
    torch.save({"classifier.1.weight": torch.zeros(7, 4)}, place / "other.pth")
    (place / "link").symlink_to(place / "a")
    (place / "full").mkdir()
    (place / "full" / "x").write_text("x")
    (place / "empty").mkdir()
    for name in ("folder.json", "folder.yaml", "folder.csv", "folder.html", "folder.pth"):
        (place / name).mkdir()


def _images(place):
    for name in (
        "one/cat/1.png",
        "lone/cat/1.png",
        "lone/dog/1.png",
        "uneven/train/cat/1.png",
        "uneven/train/dog/1.png",
        "uneven/val/cat/1.png",
    ):
        photo(place / "images" / name, (9, 9, 9))
    for name in ("bare/cat", "bare/dog"):
        (place / "images" / name).mkdir(parents=True)
