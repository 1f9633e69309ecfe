"""Frozen features of a part's images: made once and read from then on where there is room, else made for each batch.

Convolutions may give other last bits for batches of other sizes. So the features of images as they are always come
from blocks of the same number of images, filled up where some are missing: the numbers are the same whether they were
kept or not, in whichever order they are asked for.

On a CPU they are kept in files that all trials of the node share (`kdzoo.data.cache.features`), for which a key names
all that has a say in their bits. On a GPU they stay in its memory for the trial: reading them from a disk takes longer
than making them.

Shapes: N images of a part, B of a batch, n of a block.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kdzoo.data.cache.features import FeatureCache, FeatureLabel, KeptFeatures
from kdzoo.data.devices import uploaded, waits
from kdzoo.methods.base import Frozen, Method
from kdzoo.training.digests import digest_of_sources, digest_of_tensors
from kdzoo.training.images import ImageSource
from kdzoo.training.rows import RESIDENT_SHARE, free_memory
from kdzoo.training.telling import Told, nobody

BLOCK = 4
"""n: a batch is filled up to a multiple of it, so a large one would waste work on small batches."""

_SCHEMA = "kdzoo-features/1"
_CHECKED = 4

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FeaturePart:
    """The images whose features are wanted.

    Attributes:
        source: of the images.
        pixels: gives a digest of them.
        name: ``dataset/category``.
        part: which part of the category it is.
    """

    source: ImageSource
    pixels: Callable[[], str]
    name: str
    part: str


class FeatureSource:
    """The frozen features of a part's images, a batch at a time.

    Args:
        frozen: what is asked of the images.
        method: whose it is; its teacher normalises.
        part: the images.
        told: how many images' features are made, while `keep` makes those of all.
    """

    def __init__(self, frozen: Frozen, method: Method, part: FeaturePart, *, told: Told = nobody) -> None:
        self._frozen, self._method, self._part, self._told = frozen, method, part, told
        self._cache: FeatureCache | None = None
        self._kept: KeptFeatures | None = None
        self._resident: list[tuple[Tensor, list[int]]] = []

    @property
    def kept(self) -> bool:
        """Whether batches are read rather than computed."""
        return self._kept is not None or bool(self._resident)

    def keep(self, cache: FeatureCache, *, passes: int) -> None:
        """Makes the features of all images now, or opens what another trial has kept, where there is room for them.

        Args:
            cache: where they are kept; on a GPU it only says whether they are at all.
            passes: how often this trial will still ask for each image; 0 opens what is there and makes nothing.
        """
        shared = self._frozen.modules == (self._method.teacher,)
        if any(parameter.requires_grad for module in self._frozen.modules for parameter in module.parameters()):
            return  # they train after all
        if waits(self._part.source.device):
            self._resident = self._in_memory() if passes > 1 and not cache.off else []
            return
        if cache.off or (passes < 2 and not shared):
            return
        key = feature_key(self._frozen, self._method, self._part)
        kept = cache.open(key, len(self._part.source))
        if kept is not None and not self._agrees(kept):
            folder, kept = kept.folder, None
            _log.warning("the features in %s are not those that are computed here, and are not used", folder)
            if not cache.discard(folder):
                return
        if kept is None and passes > 0:
            first = self._computed(self._block(0))
            kept = cache.keep(key, self._label(shared, first), self._blocks(first))
        self._kept, self._cache = kept, None if shared else cache

    def batch(self, indices: NDArray[np.int64], images: Tensor) -> list[Tensor]:
        """``[B, C, h, w]`` a level.

        Args:
            indices: of the images in the part.
            images: ``[B, 3, S, S]`` the same, normalised.
        """
        if self._kept is not None:
            return _rows(self._kept, indices)
        if self._resident:
            chosen = uploaded(torch.from_numpy(indices), images.device)
            return [_as_computed(rows.index_select(0, chosen), axes) for rows, axes in self._resident]
        return in_blocks(self._frozen, images)

    def give_up(self) -> bool:
        """Frees the device's memory and goes on without kept features; says whether there was anything to free."""
        had, self._resident = bool(self._resident), []
        return had

    def close(self) -> None:
        """Lets go of what is kept, and deletes it where no other trial could use it."""
        kept, self._kept, self._resident = self._kept, None, []
        if kept is not None and self._cache is not None:
            folder = kept.folder
            del kept
            self._cache.discard(folder)

    def _label(self, shared: bool, first: Sequence[Tensor]) -> FeatureLabel:
        what = self._method.teacher.name.label if shared else f"{self._method.teacher.name.label} {self._frozen.name}"
        images = self._part.source.images
        return FeatureLabel(
            name=self._part.name,
            part=f"{self._part.part}, {what}",
            images=len(images),
            side=images.shape[1],
            layout=json.dumps([_axes(level) for level in first]),
            passing=not shared,
        )

    def _block(self, start: int) -> NDArray[np.int64]:
        return np.arange(start, min(start + BLOCK, len(self._part.source)))

    def _computed(self, indices: NDArray[np.int64]) -> list[Tensor]:
        return in_blocks(self._frozen, self._method.teacher.normalise(self._part.source.batch(indices)))

    def _blocks(self, first: list[Tensor]) -> Iterator[list[NDArray[np.float32]]]:
        """All images in order, a block at a time, each level as it lies in memory."""
        for start in range(0, len(self._part.source), BLOCK):
            levels = self._computed(self._block(start)) if start else first
            yield [_as_it_lies(level, _axes(level)).numpy() for level in levels]
            self._told("features", min(start + BLOCK, len(self._part.source)), len(self._part.source))

    def _agrees(self, kept: KeptFeatures) -> bool:
        """Whether some images' kept features are to the bit what is computed here: neither damaged nor another's."""
        some = np.unique(np.linspace(0, len(self._part.source) - 1, _CHECKED).round().astype(np.int64))
        return all(map(_same, _rows(kept, some), self._computed(some)))

    def _in_memory(self) -> list[tuple[Tensor, list[int]]]:
        """All images' features on the device as they lie in memory, and their axes; none where there is no room."""
        device, count = self._part.source.device, len(self._part.source)
        whole: list[tuple[Tensor, list[int]]] = []
        try:
            for start in range(0, count, BLOCK):
                levels = self._computed(self._block(start))
                if not whole:
                    needed = sum(level[0].nbytes for level in levels) * count
                    if needed > free_memory(device) * RESIDENT_SHARE:
                        return []
                    for level in levels:
                        axes = _axes(level)
                        whole.append((level.new_empty(count, *(level.shape[axis] for axis in axes)), axes))
                for (rows, axes), level in zip(whole, levels, strict=True):
                    rows[start : start + BLOCK] = _as_it_lies(level, axes)
                self._told("features", min(start + BLOCK, count), count)
        except torch.OutOfMemoryError:
            return []  # another trial was quicker to take what was free
        return whole


def in_blocks(frozen: Frozen, images: Tensor) -> list[Tensor]:
    """Features of ``[B, 3, S, S]`` normalised images from blocks of `BLOCK`, the last one filled up with zeros."""
    blocks = []
    with torch.no_grad():
        for block in torch.split(images, BLOCK):
            missing = BLOCK - len(block)
            filled = torch.cat([block, block.new_zeros(missing, *block.shape[1:])]) if missing else block
            blocks.append(frozen.compute(filled.contiguous(memory_format=torch.channels_last)))
        return [torch.cat(level)[: len(images)] for level in zip(*blocks, strict=True)]


def feature_key(frozen: Frozen, method: Method, part: FeaturePart) -> str:
    """What kept features are found by: all that has a say in their bits."""
    teacher = method.teacher
    shared = frozen.modules == (teacher,)
    sources = [Path(inspect.getfile(type(teacher))).parent]
    if not shared:
        sources.append(Path(inspect.getfile(type(method))).parent)
    takes_part = {
        "schema": _SCHEMA,
        "pixels": part.pixels(),
        "what": frozen.name,
        "architecture": teacher.name.architecture,
        "weights": [digest_of_tensors(module.state_dict()) for module in frozen.modules],
        "input": [list(teacher.mean), list(teacher.std), BLOCK],
        "software": {name: metadata.version(name) for name in ("torch", "timm")},
        "machine": [processor(), torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()],
        "code": digest_of_sources(sources),
    }
    return hashlib.sha256(json.dumps(takes_part, sort_keys=True).encode()).hexdigest()


def _axes(level: Tensor) -> list[int]:
    """The axes of ``[B, ...]`` features after the first, in the order in which they lie in memory."""
    strides = level.stride()
    return sorted(range(1, level.ndim), key=lambda axis: -strides[axis])


def _rows(kept: KeptFeatures, indices: NDArray[np.int64]) -> list[Tensor]:
    """Kept features of some images, in the order of memory that they were computed in: kernels may depend on it."""
    levels = []
    for level, axes in zip(kept.levels, json.loads(kept.layout), strict=True):
        rows = torch.empty(len(indices), *level.shape[1:])
        np.take(level, indices, axis=0, out=rows.numpy(), mode="clip")
        levels.append(_as_computed(rows, axes))
    return levels


def _as_it_lies(level: Tensor, axes: Sequence[int]) -> Tensor:
    """Features with their axes in a given order, one after the other in memory."""
    return level.permute(0, *axes).contiguous()


def _as_computed(rows: Tensor, axes: Sequence[int]) -> Tensor:
    """The inverse of `_as_it_lies`, without a copy: ``[B, C, h, w]``."""
    return rows.permute(0, *(1 + axes.index(axis) for axis in range(1, rows.ndim)))


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.stride() == other.stride() and torch.equal(one, other)


def processor() -> str:
    """The processor's model: libraries choose their kernels by it, also among those with the same instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
