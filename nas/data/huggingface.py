"""``huggingface:DIR``: a folder of Hugging Face's ``datasets``, as ``save_to_disk`` writes it or as it lies on the hub
(parquet files, or an image folder with splits in their names); or one parquet file. Nothing is downloaded."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nas.data.decode import decode_square, shorter_side
from nas.data.listing import Listing, Outline, Part, census
from search_spaces.errors import UserError

SAVED = ("dataset_dict.json", "state.json")  # what save_to_disk leaves
VAL = ("validation", "val", "valid")


@dataclass(frozen=True)
class HuggingFace:
    """argument: what stands behind ``huggingface:``."""

    argument: str
    flip = True
    warnings = ()

    @classmethod
    def open(cls, argument: str, seed: int, test_fraction: float) -> HuggingFace:
        if not argument:
            raise UserError("data 'huggingface': needs a folder, as in huggingface:DIR, or a parquet file")
        if not Path(argument).expanduser().exists():
            raise UserError(f"data 'huggingface:{argument}': no such folder or file")
        return cls(argument)

    @property
    def root(self) -> str:
        return str(Path(self.argument).expanduser())

    @cached_property
    def own_test(self) -> bool:
        return "test" in self._splits

    def outline(self) -> Outline:
        listing = self.listing("search")
        return Outline(len(listing.classes), len(listing.labels), self.own_test)

    def identity(self, part: Part) -> Any:
        path = Path(self.root)
        files = census(path, ["."]) if path.is_dir() else census(path.parent, [path.name])
        return ["huggingface", part, files]

    def listing(self, part: Part) -> Listing:
        splits = self._splits
        if part == "test":
            return self._listing(("test",))
        train = "train" if "train" in splits else next(iter(splits))
        if train != "train" and len(splits) > 1:
            raise UserError(f"data 'huggingface:{self.argument}': no split 'train' among {', '.join(splits)}")
        val = [name for name in VAL if name in splits][:1]
        return self._listing((train, *val))

    def _listing(self, names: tuple[str, ...]) -> Listing:
        image, label = self._columns(self._splits[names[0]])
        values = [np.asarray(self._splits[name][label][:]) for name in names]
        classes = getattr(self._splits[names[0]].features[label], "names", None)
        labels = np.concatenate(values)
        if classes is None:  # numbers or texts, sorted over what a search may see
            known = sorted({value for name in self._searched for value in self._splits[name][label][:]})
            classes, numbers = [str(value) for value in known], {value: i for i, value in enumerate(known)}
            labels = np.array([numbers[value] for value in labels.tolist()])
        if (labels < 0).any():
            raise UserError(f"data 'huggingface:{self.argument}': images without a label in split {names[0]}")
        sizes = [len(value) for value in values]
        rows = [f"{name} row {i}" for name, size in zip(names, sizes, strict=True) for i in range(size)]
        is_val = np.arange(len(labels)) >= sizes[0] if len(names) == 2 else None
        read = ReadRows(self.argument, names, image, tuple(sizes))
        return Listing(tuple(classes), labels.astype(np.int64), rows, read, is_val)

    @property
    def _searched(self) -> list[str]:
        return [name for name in self._splits if name != "test"]

    @cached_property
    def _splits(self) -> dict[str, Any]:
        return load_splits(self.argument)

    def _columns(self, split: Any) -> tuple[str, str]:
        """The column of images and the one of labels."""
        kinds = {name: type(feature).__name__ for name, feature in split.features.items()}
        images = [name for name, kind in kinds.items() if kind == "Image"]
        labels = [name for name, kind in kinds.items() if kind == "ClassLabel"] + [
            name for name in ("label", "labels") if name in kinds
        ]
        if not images or not labels:
            has = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
            raise UserError(
                f"data 'huggingface:{self.argument}': needs a column of Image and one of ClassLabel (or named label); "
                f"it has {has}"
            )
        return images[0], labels[0]


@dataclass(frozen=True)
class ReadRows:
    """Reads rows of splits that follow one another; another process opens them anew."""

    argument: str
    splits: tuple[str, ...]
    column: str
    sizes: tuple[int, ...]

    def __call__(self, i: int, resolution: int) -> np.ndarray:
        return decode_square(self._held(i), resolution).transpose(2, 0, 1)

    def side(self, i: int) -> int:
        return shorter_side(self._held(i))

    def _held(self, i: int) -> Any:
        """A path, or a file in memory."""
        split = 0
        while i >= self.sizes[split]:
            i, split = i - self.sizes[split], split + 1
        cell = self._undecoded[split][i][self.column]
        if cell is None:
            raise ValueError("no image")
        return io.BytesIO(cell["bytes"]) if cell["bytes"] is not None else cell["path"]

    @cached_property
    def _undecoded(self) -> list[Any]:
        from datasets import Image

        opened = load_splits(self.argument)
        return [
            opened[name].select_columns([self.column]).cast_column(self.column, Image(decode=False))
            for name in self.splits
        ]

    def __reduce__(self) -> Any:
        return type(self), (self.argument, self.splits, self.column, self.sizes)


def load_splits(argument: str) -> dict[str, Any]:
    """Each split by its name, mapped from disk. Raises UserError where the extra or what it reads is missing."""
    try:
        import datasets
    except ImportError:
        raise UserError(
            f"data 'huggingface:{argument}': needs the extra: pip install 'nas-scaling[huggingface]'"
        ) from None
    path = Path(argument).expanduser().absolute()
    try:
        if path.is_file():
            found = datasets.load_dataset("parquet", data_files=str(path))
        elif any((path / name).exists() for name in SAVED):
            found = datasets.load_from_disk(str(path))
        else:
            found = datasets.load_dataset(str(path))
    except Exception as error:  # its readers raise as many kinds as there are formats
        why = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"data 'huggingface:{argument}': cannot be read: {why}") from None
    return dict(found) if isinstance(found, dict) else {"train": found}
