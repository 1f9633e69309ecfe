"""The data of one trial: parts of the protocol, decoded once, read when they may be read.

The report part is decoded on first use and not before: with `synthetic` and `holdout`, nothing of it is read until
the final report.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from kdzoo.data.cache.decoded import DecodedPart, decode
from kdzoo.data.catalog import Dataset
from kdzoo.data.depth import Intensity
from kdzoo.data.foreground.masks import read_foreground_masks
from kdzoo.data.foreground.placed import find_placed_foreground
from kdzoo.data.foreground.rule import ForegroundRule
from kdzoo.data.images import found_intensity
from kdzoo.data.placement import Place, places_of
from kdzoo.data.roi import Roi, counted, roi_of
from kdzoo.data.samples import Sample
from kdzoo.data.splits import Parts, fold_of, split
from kdzoo.data.synthesis.perlin import Perlin, PerlinConfig
from kdzoo.errors import DatasetError
from kdzoo.training.images import digest_of_pixels
from kdzoo.training.spec import RunOptions

_CHUNK = 16
_DESCRIBED = 64
"""Images from which the document's share of the foreground is taken."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """Images with their truth.

    Attributes:
        images: ``[N, S, S, 3]`` uint8.
        masks: ``[N, S, S]`` uint8 of {0, 1}; None when the data set has no pixel truth.
        labels: ``[N]`` int64, 1 for anomalous.
        names: what each image is called in pictures and reports.
        inside: ``[S, S]`` bool, or ``[N, S, S]`` where images differ in shape: what counts of them, in the image and in
            the region of interest, outside of which masks are 0; None: everything.
        places: of each image in its square; None where all fill it.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8] | None
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    inside: NDArray[np.bool_] | None = None
    places: tuple[Place, ...] | None = None


class TrialData:
    """Everything of a category that a trial may look at, under its protocol.

    Args:
        dataset: an opened data set.
        category: one of its categories.
        options: size, protocol and seeds.
        cache: folder of the caches of decoded images and of features.
        progress: told ``(done, total)`` while images are decoded.

    Attributes:
        cache: as given.
        skipped: id to reason of images left out because they cannot be read, of the parts decoded so far.
    """

    def __init__(
        self, dataset: Dataset, category: str, options: RunOptions, *, cache: Path, progress: Progress | None = None
    ) -> None:
        self.dataset, self.options = dataset, options
        self.index = dataset.category(category)
        self._rule = ForegroundRule.parse(options.foreground)
        parts = split(self.index, options.protocol, seed=options.split_seed)
        self.roi = roi_of(options.roi, self.index.category)
        self.parts: Parts = replace(parts, digest=_selection_digest(parts, self._rule, self.roi))
        self.skipped: dict[str, str] = {}
        self.cache, self._progress = cache, progress
        self._pixels: dict[str, str] = {}

    @cached_property
    def fingerprint(self) -> str:
        """Of the category's images; asks the disk for each of them once."""
        return self.index.fingerprint()

    @cached_property
    def identity(self) -> dict[str, str]:
        """Digests that say whether two trials learn from the same images, with anomalies planted in the same places."""
        masks = {} if self._rule.kind != "masks" else {"foreground": self._foreground_digest()}
        return {"fingerprint": self.fingerprint, "split": self.parts.digest, **masks}

    @cached_property
    def intensity(self) -> Intensity | None:
        """Which values of images of more than 8 bits are black and white; None: the full range of a file."""
        asked = Intensity.parse(self.options.intensity)
        if isinstance(asked, Intensity):
            return asked
        return found_intensity([sample.path for sample in self.parts.train]) if asked == "auto" else None

    def places_of(self, part: DecodedPart) -> list[Place]:
        """Where each image of a part lies in its square."""
        size, resize = self.options.image_size, self.options.resize
        if part.shapes is None:
            return [Place.of((size, size), size, "stretch")] * len(part.images)
        return places_of(part.shapes, size, resize)

    def inside_of(self, part: DecodedPart) -> NDArray[np.bool_] | None:
        """What counts of a part's images, as `EvaluationSet.inside` says it."""
        return counted(self.roi, self.places_of(part)) if len(part.images) else None

    @cached_property
    def train(self) -> DecodedPart:
        """The normal images to learn from."""
        part = self._decode(self.parts.train, masks=False)
        if not len(part.images):
            raise DatasetError(f"'{self.index.name}' has no usable train images")
        return part

    def pixels_of(self, part: Literal["train", "selection"]) -> str:
        """Digest of a part's images as they are decoded, with the anomalies that are planted on them."""
        if part not in self._pixels:
            images = self.train.images if part == "train" else self.selection.images
            self._pixels[part] = digest_of_pixels(images)
        return self._pixels[part]

    @cached_property
    def foreground(self) -> NDArray[np.bool_]:
        """``[N, S, S]``: where the product is in each train image.

        Raises:
            DatasetError: the person's masks are not there, incomplete or unusable.
        """
        return self._foreground_of(self.train)

    def check_foreground(self) -> None:
        """Reads the person's masks, if that is where the foreground comes from: before hours of training.

        Raises:
            DatasetError: they are not there, incomplete or unusable.
        """
        if self._rule.kind == "masks":
            _ = self.foreground

    @cached_property
    def selection(self) -> EvaluationSet:
        """What selection and the decision threshold may look at."""
        part = self._decode(self.parts.select, masks=not self.parts.synthetic_select)
        if self.parts.synthetic_select:
            product = self._foreground_of(part)
            return _with_synthetic_anomalies(self._evaluation_set(part), product, seed=self.options.split_seed)
        return self._evaluation_set(part)

    @cached_property
    def report(self) -> EvaluationSet | None:
        """What the final report is measured on; None when the data set has no test part."""
        if not self.parts.report:
            return None
        return self._evaluation_set(self._decode(self.parts.report, masks=True))

    def fold(self, number: int, folds: int) -> tuple[TrialData, DecodedPart]:
        """The same data without a fold of the train images, and that fold.

        Args:
            number: of the fold, from 0.
            folds: how many there are, 2 up to the number of train images.
        """
        kept, held_out = fold_of(self.train.samples, number, folds, seed=self.options.split_seed)
        data = TrialData(self.dataset, self.index.category, self.options, cache=self.cache, progress=self._progress)
        digest = hashlib.sha256(f"{self.parts.digest}\0fold {number} of {folds}".encode()).hexdigest()
        data.parts = replace(self.parts, train=kept, digest=digest)
        data.intensity = self.intensity  # found from all train images: the brightest may be in the fold
        return data, self._decode(held_out, masks=False)

    def describe(self) -> dict[str, Any]:
        """What a manifest says of the data."""
        return {
            "name": self.index.dataset,
            "category": self.index.category,
            "licence": self.dataset.info.licence,
            "fingerprint": self.fingerprint,
            "train_images": len(self.parts.train) - self._skipped_of(self.parts.train),
            "select_images": len(self.parts.select) - self._skipped_of(self.parts.select),
            "report_images": len(self.parts.report) - self._skipped_of(self.parts.report),
            "skipped": sorted(self.skipped),
            "foreground": self._describe_foreground(),
            **self._describe_what_counts(),
        }

    def _describe_what_counts(self) -> dict[str, Any]:
        """Shares of the region of interest, of an image, and of padding, of the train images' squares."""
        told: dict[str, Any] = {}
        size = self.options.image_size
        if self.roi is not None:
            told["roi"] = {"share": float(self.roi.inside(size, size).mean())}
        if self.train.shapes is not None:
            seen = np.mean([place.height * place.width for place in self.places_of(self.train)])
            told["padding"] = {"share": 1 - float(seen) / size**2}
        return told

    def _describe_foreground(self) -> dict[str, Any]:
        """The rule, the share of the train images that is product, and of a person's masks their digest."""
        if self._rule.kind == "masks":
            share = self._share(self.foreground, self.places_of(self.train))
            return {"rule": self._rule.label, "share": share, "sha256": self._foreground_digest()}
        # Some of the images tell it as well, and a method that never asks for the foreground pays little for it.
        some = np.unique(np.linspace(0, len(self.train.images) - 1, _DESCRIBED).round().astype(int))
        everywhere = self.places_of(self.train)
        places = [everywhere[number] for number in some.tolist()]
        found = self._estimated(self.train.images[some], places)
        return {"rule": self._rule.label, "share": self._share(found, places)}

    def _share(self, masks: NDArray[np.bool_], places: Sequence[Place]) -> float:
        """Of the images' pixels, without their padding, that masks cover."""
        return float(masks.sum() / sum(place.height * place.width for place in places))

    def _foreground_digest(self) -> str:
        return hashlib.sha256(np.packbits(self.foreground).tobytes()).hexdigest()

    def _foreground_of(self, part: DecodedPart) -> NDArray[np.bool_]:
        folder = self._rule.folder
        if folder is None:
            found = self._estimated(part.images, self.places_of(part))
        else:
            names = (self.index.category, self.index.root.name)
            found = read_foreground_masks(
                folder, part.samples, size=self.options.image_size, names=names, resize=self.options.resize
            )
        inside = self.inside_of(part)
        return found if inside is None else found & inside

    def _estimated(self, images: NDArray[np.uint8], places: Sequence[Place]) -> NDArray[np.bool_]:
        """By the rule; whether a category shows objects is for its train images to say, also of held-out ones."""
        category = self.train.images, self.places_of(self.train)
        return find_placed_foreground(images, places, self._rule, of_category=category)

    def _evaluation_set(self, part: DecodedPart) -> EvaluationSet:
        inside = self.inside_of(part)
        return EvaluationSet(
            images=part.images,
            masks=part.masks if part.masks is None or inside is None else part.masks * inside.astype(np.uint8),
            labels=part.labels,
            names=tuple(sample.id for sample in part.samples),
            inside=inside,
            places=None if part.shapes is None else tuple(self.places_of(part)),
        )

    def _skipped_of(self, samples: tuple[Sample, ...]) -> int:
        return sum(sample.id in self.skipped for sample in samples)

    def _decode(self, samples: tuple[Sample, ...], *, masks: bool) -> DecodedPart:
        part = decode(
            samples,
            size=self.options.image_size,
            cache_dir=self.cache,
            masks=masks,
            skip_unreadable=self.options.skip_unreadable,
            progress=self._progress,
            intensity=self.intensity,
            resize=self.options.resize,
        )
        reasons = dict(part.skipped)
        self.skipped |= {sample.id: reasons[sample.path] for sample in samples if sample.path in reasons}
        return part


def _selection_digest(parts: Parts, rule: ForegroundRule, roi: Roi | None) -> str:
    """The digest of the parts, of where anomalies are planted on the selection part where that is not estimated, and
    of the region of interest.

    Another rule plants them elsewhere, and another region scores elsewhere: what was selected under one does not
    compare with the other.
    """
    digest = parts.digest
    if parts.synthetic_select and rule.kind != "auto":
        digest = hashlib.sha256(f"{digest}\0{rule.label}".encode()).hexdigest()
    return digest if roi is None else hashlib.sha256(f"{digest}\0{roi.text}".encode()).hexdigest()


def _with_synthetic_anomalies(normal: EvaluationSet, product: NDArray[np.bool_], *, seed: int) -> EvaluationSet:
    """Held-out normal images, and the same once more with an anomaly planted on each.

    Made on the CPU from the split's seed, so that every trial on every machine selects on the same pixels.
    """
    generator = torch.Generator().manual_seed(seed)
    synthesizer = Perlin(PerlinConfig(probability=1.0))
    foreground = torch.from_numpy(product)[:, None]
    planted, masks = [], []
    for start in range(0, len(normal.images), _CHUNK):
        chunk = torch.from_numpy(np.array(normal.images[start : start + _CHUNK])).permute(0, 3, 1, 2).float() / 255
        made = synthesizer(chunk, foreground[start : start + _CHUNK], generator)
        planted.append((made.images * 255).round().byte().permute(0, 2, 3, 1).numpy())
        masks.append(made.masks[:, 0].byte().numpy())
    mask, inside = np.concatenate(masks), normal.inside
    if inside is not None:
        mask = mask * inside.astype(np.uint8)
    anomalous = np.asarray(mask.any(axis=(1, 2)))
    again = np.flatnonzero(anomalous).tolist()
    return EvaluationSet(
        images=np.concatenate([normal.images, np.concatenate(planted)[anomalous]]),
        masks=np.concatenate([np.zeros_like(mask), mask[anomalous]]),
        labels=np.concatenate([np.zeros(len(mask), np.int64), np.ones(int(anomalous.sum()), np.int64)]),
        names=(*normal.names, *(f"{normal.names[number]} + synthetic" for number in again)),
        inside=inside if inside is None or inside.ndim == 2 else np.concatenate([inside, inside[anomalous]]),
        places=None if normal.places is None else (*normal.places, *(normal.places[number] for number in again)),
    )
