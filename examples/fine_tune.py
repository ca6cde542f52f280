"""Fine-tunes what ``nas.export --to timm`` wrote: ``python examples/fine_tune.py EXPORT PHOTOS EPOCHS [SEED]``.

A training script as anybody writes it, with torch, torchvision and timm; the network is the page EXPORT/network.py.
Only the images come from nas.data, in the split of the search (of its SEED, by default 0): split anew, the test would
hold images that the weights were trained on. The last line is for images that nothing was trained or chosen on.
"""

from __future__ import annotations

import sys
from pathlib import Path
from runpy import run_path

import torch
from timm.optim import create_optimizer_v2
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2

from nas import data
from nas.data import Split


def main(export: Path, photos: str, epochs: int, seed: int = 0) -> None:
    """Trains for so many epochs, and says what that has changed."""
    torch.manual_seed(seed)
    page = run_path(str(export / "network.py"))
    model, side = page["build"](export / "weights.pt", drop_path_rate=0.1), page["RESOLUTION"]
    images = data.load(f"imagefolder:{photos}", side, seed)
    prepare = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(page["MEAN"], page["STD"])])
    augment = v2.Compose([v2.RandomResizedCrop(side, (0.5, 1.0)), v2.RandomHorizontalFlip(), v2.TrivialAugmentWide()])

    def right(split: Split) -> Tensor:
        """Of each image, whether the network is right."""
        model.eval()
        with torch.inference_mode():
            return torch.cat([model(prepare(x)).argmax(1) == y for x, y in DataLoader(_tensors(split), 64)])

    before = right(images.test)
    optimizer = create_optimizer_v2(model, "adamw", lr=1e-3, weight_decay=0.02)
    loader = DataLoader(_tensors(images.train), min(32, len(images.train)), shuffle=True, drop_last=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=epochs * len(loader))
    for epoch in range(1, epochs + 1):
        model.train()
        for x, y in loader:
            loss = cross_entropy(model(prepare(torch.stack([augment(image) for image in x]))), y, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch}: loss {loss:.3f}, validation {right(images.val).float().mean():.1%}", flush=True)
    after = right(images.test)
    torch.save(model.state_dict(), export / "fine_tuned.pt")
    print(f"test images: {before.sum()} of {len(before)} right before, {after.sum()} after; {export / 'fine_tuned.pt'}")


def _tensors(split: Split) -> TensorDataset:
    """Images uint8 (n, 3, side, side) and labels."""
    return TensorDataset(*map(torch.from_numpy, (split.batch(range(len(split))), split.labels)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
