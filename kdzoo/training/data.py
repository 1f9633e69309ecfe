"""The data of one trial: parts of the protocol, decoded once, read when they may be read.

The report part is decoded on first use and not before: with `synthetic` and `holdout`, nothing of it is read until
the final report.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kdzoo.data.cache.decoded import DecodedPart, decode
from kdzoo.data.catalog import Dataset
from kdzoo.data.depth import Intensity
from kdzoo.data.foreground.masks import read_foreground_masks
from kdzoo.data.foreground.placed import find_placed_foreground
from kdzoo.data.foreground.rule import ForegroundRule
from kdzoo.data.images import found_intensity
from kdzoo.data.mask_files import MASK_RULE
from kdzoo.data.placement import Place, places_of
from kdzoo.data.roi import Roi, counted, roi_of
from kdzoo.data.samples import Sample, digest_of_samples
from kdzoo.data.splits import Parts, fold_of, split
from kdzoo.data.synthesis.fill import FolderTextures, TextureSource
from kdzoo.data.texture_sets import TextureChoice
from kdzoo.errors import DatasetError
from kdzoo.training.evaluation_set import EvaluationSet, with_synthetic_anomalies
from kdzoo.training.images import digest_of_pixels
from kdzoo.training.spec import RunOptions
from kdzoo.training.tiled_foreground import cut_foreground, given_foreground, small_copies
from kdzoo.training.tiled_set import tiled_set, with_synthetic_tiles
from kdzoo.training.tiles import Tiles

_TEXTURE_SIDE = 256
_DESCRIBED = 64
"""Images from which the document's share of the foreground is taken."""

Progress = Callable[[int, int], None]


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
        self._textures = TextureChoice.parse(options.textures) if options.textures else None
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
        textures = {} if self._textures is None else {"textures": self._textures.digest()}
        return {"fingerprint": self.fingerprint, "split": self.parts.digest, **masks, **textures}

    @cached_property
    def textures(self) -> TextureSource | None:
        """The photographs that anomalies are filled with in training, read when first asked for; None: by formula.

        Raises:
            DatasetNotFoundError: they are not there.
            ImageError: one cannot be decoded.
        """
        # They go on mirrored beyond their edges, so that one size serves all images.
        return None if self._textures is None else FolderTextures(self._textures.folder, _TEXTURE_SIDE)

    @cached_property
    def part_digests(self) -> dict[str, str]:
        """Digests of the parts, each over the names, kinds and sizes of its files, and over what counts of them.

        Where train images were added they say which of the other parts are what they were.
        """
        rule = self._rule.label if self.parts.synthetic_select and self._rule.kind != "auto" else ""
        roi = "" if self.roi is None else self.roi.text
        return {
            "train": digest_of_samples(self.parts.train),
            "selection": digest_of_samples(self.parts.select, f"{self.parts.synthetic_select}\0{rule}\0{roi}"),
            "report": digest_of_samples(self.parts.report, roi),
        }

    @cached_property
    def intensity(self) -> Intensity | None:
        """Which values of images of more than 8 bits are black and white; None: the full range of a file."""
        asked = Intensity.parse(self.options.intensity)
        if isinstance(asked, Intensity):
            return asked
        return found_intensity([sample.path for sample in self.parts.train]) if asked == "auto" else None

    def places_of(self, part: DecodedPart) -> list[Place]:
        """Where each image of a part lies in its square."""
        size = self.options.image_size
        if part.shapes is None:
            return [Place.of((size, size), size, "stretch")] * len(part.images)
        return places_of(part.shapes, size, self.options.to_square)

    def inside_of(self, part: DecodedPart) -> NDArray[np.bool_] | None:
        """What counts of a part's images that are seen whole, as `EvaluationSet.inside` says it."""
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
        whole, seed = self.set_of(part), self.options.split_seed
        if not self.parts.synthetic_select:
            return whole
        product = self._foreground_of(part)
        if whole.tiles is not None:
            return with_synthetic_tiles(whole, whole.tiles, product, seed=seed, folder=self.cache)
        return with_synthetic_anomalies(whole, product, seed=seed)

    def room_on(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Where an anomaly may lie on some images of the selection part: ``[B, S, S]`` by their rows.

        Estimated, since a person's masks may be of the train images alone; of tiles, all that counts.
        """
        size, whole = self.options.image_size, self.selection
        _, inside = whole.by_row
        if inside is None:
            counts = np.ones((len(rows), size, size), dtype=bool)
        else:
            counts = inside[rows] if not isinstance(inside, np.ndarray) or inside.ndim == 3 else inside[None]
        if whole.tiles is not None:
            return counts
        full = Place.of((size, size), size, "stretch")
        places = [full if whole.places is None else whole.places[row] for row in rows]
        rule = ForegroundRule(kind="auto") if self._rule.kind == "masks" else self._rule
        return counts & self._estimated(whole.images[rows], places, rule)

    @cached_property
    def report(self) -> EvaluationSet | None:
        """What the final report is measured on; None when the data set has no test part."""
        if not self.parts.report:
            return None
        return self.set_of(self._decode(self.parts.report, masks=True))

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
        data.selection = self.selection  # the same images, with the same anomalies planted
        data.textures = self.textures
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
            "masks": MASK_RULE,
            "foreground": self._describe_foreground(),
            **self._describe_what_counts(),
        }

    def _describe_what_counts(self) -> dict[str, Any]:
        """Shares of the region of interest, of an image, and of padding, of the train images' squares; textures."""
        told: dict[str, Any] = {}
        size = self.options.image_size
        if self.roi is not None:
            told["roi"] = {"share": float(self.roi.inside(size, size).mean())}
        if self.train.grids is not None:
            told["tiles"] = {"train": len(self.train.images), "mean": len(self.train.images) / len(self.train.grids)}
        elif self.train.shapes is not None:
            seen = np.mean([place.height * place.width for place in self.places_of(self.train)])
            told["padding"] = {"share": 1 - float(seen) / size**2}
        if self._textures is not None:
            count = len(self._textures.files())
            told["textures"] = {"name": self._textures.label, "images": count, "sha256": self._textures.digest()}
        return told

    def _describe_foreground(self) -> dict[str, Any]:
        """The rule, the share of the train images that is product, and of a person's masks their digest."""
        if self._rule.kind == "masks":
            share = self._share_of_masks()
            return {"rule": self._rule.label, "share": share, "sha256": self._foreground_digest()}
        # Some of the images tell it as well, and a method that never asks for the foreground pays little for it.
        some = np.unique(np.linspace(0, len(self.train.labels) - 1, _DESCRIBED).round().astype(int)).tolist()
        images, places = self._seen_whole(self.train, some)
        found = self._estimated(images, places)
        return {"rule": self._rule.label, "share": self._share(found, places)}

    def _share(self, masks: NDArray[np.bool_], places: Sequence[Place]) -> float:
        """Of the images' pixels, without their padding, that masks cover."""
        return float(masks.sum() / sum(place.height * place.width for place in places))

    def _share_of_masks(self) -> float:
        """Of the train images' pixels, that a person's masks cover."""
        if self.train.grids is None:
            return self._share(self.foreground, self.places_of(self.train))
        masks = Tiles.in_order(self.train.grids).wholes(self.foreground)
        covered, pixels = np.array([(np.count_nonzero(mask), mask.size) for mask in masks]).sum(axis=0)
        return float(covered / pixels)

    def _foreground_digest(self) -> str:
        return hashlib.sha256(np.packbits(self.foreground).tobytes()).hexdigest()

    def _foreground_of(self, part: DecodedPart) -> NDArray[np.bool_]:
        size, names = self.options.image_size, (self.index.category, self.index.root.name)
        folder = self._rule.folder
        if part.grids is not None:
            tiles = Tiles.in_order(part.grids, self.roi)
            if folder is not None:
                return given_foreground(folder, part.samples, tiles, names=names, side=size, folder=self.cache)
            images, places = self._seen_whole(part)
            return cut_foreground(self._estimated(images, places), places, tiles, side=size, folder=self.cache)
        if folder is None:
            found = self._estimated(*self._seen_whole(part))
        else:
            found = read_foreground_masks(folder, part.samples, size=size, names=names, resize=self.options.to_square)
        inside = self.inside_of(part)
        return found if inside is None else found & inside

    def _seen_whole(
        self, part: DecodedPart, some: Sequence[int] | None = None
    ) -> tuple[NDArray[np.uint8], list[Place]]:
        """A part's images, or some of them, in one square each, and their places there: tiled ones made small."""
        if part.grids is not None:
            return small_copies(Tiles.in_order(part.grids), part.images, some)
        places = self.places_of(part)
        return (part.images, places) if some is None else (part.images[some], [places[number] for number in some])

    @cached_property
    def _category_seen_whole(self) -> tuple[NDArray[np.uint8], list[Place]]:
        return self._seen_whole(self.train)

    def _estimated(
        self, images: NDArray[np.uint8], places: Sequence[Place], rule: ForegroundRule | None = None
    ) -> NDArray[np.bool_]:
        """By a rule; whether a category shows objects is for its train images to say, also of held-out ones."""
        return find_placed_foreground(images, places, rule or self._rule, of_category=self._category_seen_whole)

    @cached_property
    def train_set(self) -> EvaluationSet:
        """The train images with what counts of them."""
        return self.set_of(self.train)

    def set_of(self, part: DecodedPart) -> EvaluationSet:
        """A decoded part with its truth, as it is."""
        if part.grids is not None:
            return tiled_set(part, self.roi)
        inside = self.inside_of(part)
        return EvaluationSet(
            images=part.images,
            masks=part.masks if part.masks is None or inside is None else part.masks * inside.astype(np.uint8),
            labels=part.labels,
            names=tuple(sample.id for sample in part.samples),
            kinds=tuple(sample.defect_type for sample in part.samples),
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
            resize=self.options.to_square,
            tiling=self.options.tiling,
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
