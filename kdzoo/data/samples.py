"""What a data set is to the rest of the house: an index of samples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

GOOD = "good"
"""The defect type of a normal image."""

_NORMAL = frozenset({GOOD, "ok", "normal"})

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One image of a category.

    Attributes:
        id: path relative to the category's root, with forward slashes; the same on every machine.
        path: where the image lies here.
        split: the data set's own split.
        defect_type: sub-folder of the test part, ``good`` for a normal image.
        mask_path: pixel truth, or None when there is none (normal images, or a data set without masks).
    """

    id: str
    path: Path
    split: Split
    defect_type: str
    mask_path: Path | None = None

    @property
    def label(self) -> int:
        """1 for an anomalous image, 0 for a normal one."""
        return int(self.defect_type != GOOD)


def is_normal(folder: str) -> bool:
    """Whether a folder of such a name holds normal images: ``good``, or what else people call it."""
    return folder.casefold() in _NORMAL


@dataclass(frozen=True, kw_only=True)
class CategoryIndex:
    """All samples of one category, ordered by id.

    Attributes:
        dataset: the data set's name.
        category: the category's name.
        root: its folder.
        samples: its images.
        notes: what a person should know of how it was read, such as images that are left out.
    """

    dataset: str
    category: str
    root: Path
    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``dataset/category``."""
        return f"{self.dataset}/{self.category}"

    def of_split(self, split: Split) -> tuple[Sample, ...]:
        """The samples of one of the data set's own splits."""
        return tuple(sample for sample in self.samples if sample.split == split)

    def count(self, split: Split, label: int | None = None) -> int:
        """How many images a split has, of one label or of both."""
        return sum(sample.split == split and label in (None, sample.label) for sample in self.samples)

    def fingerprint(self) -> str:
        """sha256 hex digest over ids, labels and file sizes: says whether two machines hold the same data."""
        return digest_of_samples(self.samples)


def digest_of_samples(samples: Iterable[Sample], more: str = "") -> str:
    """sha256 hex digest over ids, splits, labels and file sizes.

    Args:
        samples: in an order that is always the same.
        more: what else counts; empty where nothing does.

    Raises:
        OSError: a file is not there.
    """
    digest = hashlib.sha256(f"{more}\n".encode() if more else b"")
    for sample in samples:
        size = sample.path.stat().st_size
        digest.update(f"{sample.id}\0{sample.split}\0{sample.defect_type}\0{size}\n".encode())
    return digest.hexdigest()
