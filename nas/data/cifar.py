"""``cifar10:DIR`` and ``cifar100:DIR``: torchvision's reader on files that the user has; their test split stays unread.

Whatever a search looks at, it fits. The test images are therefore left for the one final figure, and validation images
come out of the training ones.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.data.pool import Outline, Pool, Request, resize_all
from nas.data.split import keep_per_class
from search_spaces.errors import UserError


@dataclass(frozen=True)
class Cifar:
    """One of the two: its data name, torchvision's class for it, and the folder that its archive unpacks to."""

    name: str
    dataset: str
    folder: str
    classes: int

    def check(self, argument: str) -> Outline:
        if not argument:
            raise UserError(f"data '{self.name}': needs a folder, as in {self.name}:DIR with DIR/{self.folder} in it")
        if not os.path.isdir(Path(argument).expanduser() / self.folder):
            raise self._missing(argument)
        return Outline(self.classes, images=50_000)

    def load(self, argument: str, request: Request) -> Pool:
        self.check(argument)
        from torchvision import datasets

        # Without a test_list the class neither needs nor looks at the test batch.
        train_only = type(self.dataset, (getattr(datasets, self.dataset),), {"test_list": []})
        try:
            train = train_only(root=Path(argument).expanduser(), train=True, download=False)
        except (RuntimeError, OSError):
            raise self._missing(argument) from None
        labels = np.asarray(train.targets, np.int64)
        kept = keep_per_class(labels, request.max_per_class, request.seed)
        return Pool(tuple(train.classes), resize_all(train.data[kept], request), labels[kept], flip=True)

    def _missing(self, argument: str) -> UserError:
        return UserError(
            f"data '{self.name}:{argument}': {self.folder} is missing, incomplete or corrupt in {argument}; expected "
            f"is the folder that the Python version of the {self.dataset} archive unpacks to, unchanged"
        )


CIFAR10 = Cifar("cifar10", "CIFAR10", "cifar-10-batches-py", 10)
CIFAR100 = Cifar("cifar100", "CIFAR100", "cifar-100-python", 100)
