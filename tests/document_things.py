"""What the commands of documents name: small real ones, each made once and copied to where a command runs."""

import json
import re
import shutil
from dataclasses import replace
from functools import cached_property

import yaml
from documents import PAGES, blocks
from images import cifar_batches, photos

from search_spaces import Arch

_INSIDE = re.compile(r"/(?:archs|family|confirm|report\.html)\b")  # behind a run folder's name
OUTPUTS = r"--(?:out|csv|parquet|png|svg|optuna|tensorboard|fit-table)[ =]\S+"
TRAINED = ["--data=digits", "--cpus=1", "--gpus=0"]
for _setting in ("data.max_per_class=20", "train.batch_size=32", "latency.max_s=0.05", "latency.retries=0"):
    TRAINED += ["--set", _setting]
TINY_SPACE = """
base: {stem_channels: 8, head_channels: 16, resolution: 16, stages: [
  {block: mbconv, kernel: 3, stride: 2, expansion: 2, channels: 8, layers: 1, se_ratio: 0.25}]}
choices: {kernel: [3, 5], layers: [1, 2]}
"""


class Things:
    def __init__(self, root):
        self.root = root
        (root / "tiny.yaml").write_text(TINY_SPACE)
        self.trained = [f"--space={root / 'tiny.yaml'}", *TRAINED]

    @staticmethod
    def quick(spec):
        """The measurement as short as can be."""
        return replace(spec, warmup_s=0.0, max_s=0.02, block_ms=0.5, retries=0)

    def bring(self, text, here, monkeypatch):
        """Everything that the text reads is in the folder ``here``."""
        text = re.sub(OUTPUTS, "", text)
        for name in {_INSIDE.split(path)[0] for path in re.findall(r"runs/[\w./-]+", text)}:
            shutil.copytree(self._run(name), here / name)
        for pattern, maker in {
            r"[\w/.-]+network\.json": lambda path: shutil.copy(self.network, path),
            r"[\w/.-]+\.onnx": lambda path: shutil.copy(self.onnx, path),
            r"[\w.-]+\.pth": lambda path: shutil.copy(self.weights, path),
            r"[\w/.-]+-timm\b": lambda path: shutil.copytree(self.timm, path),
            r"\btable\.json": lambda path: shutil.copy(self.table, path),
            r"\b\w+\.yaml": lambda path: path.write_text(self.written[path.name]),
        }.items():
            for name in set(re.findall(pattern, text)):
                if not (here / name).exists():
                    (here / name).parent.mkdir(parents=True, exist_ok=True)
                    maker(here / name)
        if "photos" in text:
            shutil.copytree(self.photos, here / "photos")
        if "cifar" in text:
            cifar_batches(here / "cifar", monkeypatch)
        (here / "tiny.yaml").write_text(TINY_SPACE)

    def _run(self, name):
        if name.endswith(("-scale", "/study")):
            return self.family
        return self.study if name.endswith("-fidelity") else self.search

    @cached_property
    def written(self):
        """Files that documents show: blocks of YAML that begin with their name."""
        found = [block.text for path in PAGES for block in blocks(path, "yaml")]
        return {text[2:].split("\n")[0]: text for text in found if text.startswith("# ")}

    @cached_property
    def photos(self):
        return photos(self.root / "photos")

    @cached_property
    def network(self):
        path = self.root / "network.json"
        space = yaml.safe_load(TINY_SPACE)
        path.write_text(json.dumps(Arch.from_dict(space["base"]).to_dict()))
        return path

    @cached_property
    def weights(self):
        import torch
        from torchvision.models import efficientnet_b0

        torch.save(efficientnet_b0().state_dict(), self.root / "weights.pth")
        return self.root / "weights.pth"

    @cached_property
    def onnx(self):
        from nas.export.__main__ import main

        main([str(self.network), "--to", "onnx", "--out", str(self.root / "onnx")])
        return self.root / "onnx" / "network.onnx"

    @cached_property
    def timm(self):
        from nas.export.__main__ import main

        main([str(self.search), "--to", "timm", "--out", str(self.root / "timm")])
        return self.root / "timm"

    @cached_property
    def table(self):
        from nas.latency.__main__ import main

        path = self.root / "table.json"
        main(["--fit-table", str(path), "--space", str(self.root / "tiny.yaml"), "--networks=4", "--classes=10"])
        fitted = json.loads(path.read_text())
        for network in fitted["networks"]:
            network["status"] = "ok"  # as on a machine that is quiet
        path.write_text(json.dumps(fitted))
        return path

    @cached_property
    def search(self):
        """Two networks, of which the best was confirmed."""
        from nas.search import main

        flags = ["--trials=2", "--sampler=random", "--confirm=1", "--confirm-epochs=1", "--seeds=1"]
        main([*self.trained, "--epochs=1", *flags, f"--out={self.root / 'search'}"])
        return self.root / "search"

    @cached_property
    def study(self):
        from nas.fidelity.__main__ import main

        flags = ["--networks=4", "--seeds=1", "--epochs=1", "--long-epochs=2", "--proxy=epochs=1"]
        main([*self.trained, *flags, f"--out={self.root / 'study'}"])
        return self.root / "study"

    @cached_property
    def family(self):
        from nas.scale.__main__ import main

        out = self.root / "family"
        main(["--base", str(self.network), "--coefficients=1.2,1.1,1.15", "--phi=1", f"--out={out}"])
        return out
