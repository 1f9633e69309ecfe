"""What a person holds after load: predict, show, save.

Shapes: H height, W width of the image as given.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from kdzoo.data.depth import Intensity
from kdzoo.data.images import resize_rgb
from kdzoo.data.placement import Place
from kdzoo.data.roi import Roi, roi_of
from kdzoo.detector_files import DOCUMENT_FILE, TEACHER_FILE, WEIGHTS_FILE
from kdzoo.errors import CheckpointError, ImageError, UsageError
from kdzoo.methods.base import Method
from kdzoo.prediction import Picture, Prediction, batched, in_batches, rgb_of
from kdzoo.rebuilding import rebuild
from kdzoo.regions import RegionRule, find_regions
from kdzoo.storage import write_file
from kdzoo.training.checkpoint import tensor_bytes
from kdzoo.training.document import document_bytes, parse_document, read_document
from kdzoo.training.evaluation import EVALUATION_BATCH, exact, silence
from kdzoo.training.scoring import map_of_image, score_of_map

_SHAPES_KNOWN = 4
"""Masks of what counts that are kept; the images of a camera have one shape, and two masks."""


class Detector:
    """A trained, calibrated model of one category.

    Args:
        method: with its weights.
        document: what `kdzoo.training.outcome` wrote of it.
        device: where to predict; default a GPU if there is one.

    Attributes:
        ignores_places: whether what it knows of the places of whole images is left aside, since it sees tiles.

    Raises:
        CheckpointError: the document lacks something.
        UsageError: there is no such device here.
    """

    def __init__(self, method: Method, document: dict[str, Any], *, device: str | torch.device | None = None) -> None:
        self.device = choose_device(device)
        self.method = method.to(device=self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.document = document
        self.plan = parse_document(document)
        self.calibration, self.size = self.plan.calibration, self.plan.size
        self.options = self.plan.options
        self.threshold = self.calibration.threshold()
        self.pixel_threshold = self.calibration.pixel_threshold()
        self.rule = RegionRule()
        self.roi = roi_of(self.plan.options.roi, "")
        self.tiling = self.options.tiling
        self.ignores_places = False
        self._known: dict[tuple[tuple[int, ...], tuple[int, int]], NDArray[np.bool_]] = {}
        asked = Intensity.parse(self.plan.options.intensity)
        self.intensity = asked if isinstance(asked, Intensity) else None

    def __repr__(self) -> str:
        return f"Detector({self.plan.label}, protocol={self.plan.protocol}, threshold={self.threshold:.4g})"

    def set_threshold(self, threshold: float | None = None, *, false_positive_rate: float | None = None) -> Self:
        """Changes the decision: by a threshold on the score, or by the share of normal images that may alarm.

        Raises:
            UsageError: both or neither given, the threshold is not finite, or the rate is out of range.
        """
        if (threshold is None) == (false_positive_rate is None):
            raise UsageError("give either a threshold or a false-positive rate")
        if threshold is not None:
            if not math.isfinite(threshold):
                raise UsageError(f"threshold {threshold} is not a finite number")
            self.threshold = float(threshold)
        else:
            self.threshold = self.calibration.threshold(false_positive_rate)
            self.pixel_threshold = self.calibration.pixel_threshold(false_positive_rate)
        return self

    def set_roi(self, roi: Roi | str | Path | None) -> Self:
        """Changes the region of interest: outside of it nothing is scored or marked.

        The thresholds stay. In a part of the region that the detector was calibrated with, no more normal images alarm
        than were stated; in a larger one, nobody has counted.

        Args:
            roi: a region; a file with one, as `kdzoo.data.roi` says; None for the whole image.

        Raises:
            ConfigError: there is no such file, or it holds no region of interest.
        """
        self.roi = Roi.read(Path(roi)) if isinstance(roi, str | Path) else roi
        self._known = {}  # a new one: another thread may be in the middle of the old
        return self

    def set_regions(self, *, min_area: int = 0, border: int = 0) -> Self:
        """Says what of a map counts; both in pixels of the images as they are given.

        The threshold stays: what is left out can only lower a score, so fewer normal images alarm than were stated.

        Args:
            min_area: regions of fewer pixels are not marked, and an image without a region does not alarm.
            border: pixels along each edge that cannot alarm.

        Raises:
            ConfigError: a number is negative.
        """
        self.rule = RegionRule(min_area=min_area, border=border)
        self._known = {}  # a new one: another thread may be in the middle of the old
        return self

    def set_tiling(self, side: int | None = None, *, overlap: int | None = None, scale: float | None = None) -> Self:
        """Judges images cut into overlapping tiles, at their own resolution or scaled; what is not given stays.

        The thresholds stay, too: those of a detector that was calibrated otherwise say nothing of what it finds now.
        What a detector of whole images knows of their places is left aside from then on (`ignores_places`): no place of
        a tile is that place of the image.

        Args:
            side: of a tile, pixels: that of the squares that the detector was trained on.
            overlap: of tiles, pixels, at most half a tile; default 32.
            scale: of the image before it is cut.

        Raises:
            UsageError: the side is another.
            ConfigError: the overlap or the scale is out of range.
        """
        if side not in (None, self.size):
            raise UsageError(
                f"tiles of {side} pixels do not fit {self.plan.label}, which was trained on squares of {self.size}",
                hint=f"tiles of {self.size}, or a --scale",
            )
        given = {"overlap": overlap, "scale": scale}
        self.options = self.options.replace(
            resize="tile", **{key: value for key, value in given.items() if value is not None}
        )
        self.tiling, self._known = self.options.tiling, {}
        if self.plan.options.tiling is None:
            self.ignores_places = self.method.ignore_places()
        return self

    @property
    def images_at_once(self) -> int:
        """How many images are judged together: one where it is cut into tiles, which may be very large."""
        return EVALUATION_BATCH if self.tiling is None else 1

    @overload
    def predict(self, images: Picture) -> Prediction: ...  # type: ignore[overload-overlap]  # a path is a sequence too
    @overload
    def predict(self, images: Sequence[Picture]) -> list[Prediction]: ...
    # A batch in one array or tensor is a list of images, too, which a type cannot say of them.
    def predict(self, images: Picture | Sequence[Picture]) -> Prediction | list[Prediction]:
        """Judges one image or several of them.

        Args:
            images: a path, the bytes of an image file, a PIL image, an array ``[H, W]`` (gray) or ``[H, W, C]``, a
                tensor ``[H, W]``, ``[1, H, W]`` or ``[3, H, W]`` (uint8, or float in [0, 1]); or several: a list of
                these, an array ``[N, H, W, C]``, a tensor ``[N, C, H, W]``, which give a list.

        Raises:
            ImageError: an image cannot be read; names it.
            CheckpointError: the weights give NaN or infinite scores.
        """
        several = batched(images)
        if several is not None:
            return list(self.predict_each(several))
        return next(self.predict_each([images]))  # type: ignore[list-item]

    def predict_each(self, images: Sequence[Picture], *, batch_size: int = EVALUATION_BATCH) -> Iterator[Prediction]:
        """Judges images one after the other, in batches of a few dozen megabytes, of which one is held in memory."""
        for seen in self._seen(images, batch_size):
            yield from self.predict_rgb(seen)

    def _seen(self, images: Sequence[Picture], batch_size: int) -> Iterator[list[NDArray[np.uint8]]]:
        """The images as RGB, some at a time."""
        read = (rgb_of(image, self.intensity) for image in images)
        yield from in_batches(read, min(batch_size, self.images_at_once), lambda image: image.nbytes)

    def _inside(self, shape: tuple[int, ...], grid: tuple[int, int] | None = None) -> NDArray[np.bool_] | None:
        """What counts of an image: the region of interest without the border; None: all of it.

        Args:
            shape: of the image, height and width first, pixels.
            grid: height and width of a map of the whole image, for which it is asked; default the image's own.

        Raises:
            ImageError: nothing counts.
        """
        if self.roi is None:
            return self.rule.inside(shape, grid)
        grid = grid or (shape[0], shape[1])
        key, known = (shape[:2], grid), self._known
        found = known.get(key)
        if found is None:  # at the size of a camera's image it takes longer than the network
            found = self._of_interest(self.roi, shape, grid)
            if len(known) >= _SHAPES_KNOWN:
                known.clear()
            known[key] = found
        return found

    def _of_interest(self, roi: Roi, shape: tuple[int, ...], grid: tuple[int, int]) -> NDArray[np.bool_]:
        kept = self.rule.inside(shape, grid)
        of_interest = roi.inside(*grid)
        if kept is not None:
            of_interest &= kept
            if not of_interest.any():
                raise ImageError("the region of interest lies in the border, so nothing is left", hint="lower --border")
        return of_interest

    def _place(self, image: NDArray[np.uint8]) -> Place:
        return Place.of(image.shape, self.size, self.options.to_square)

    def _silence(self, maps: Tensor, seen: list[NDArray[np.uint8]]) -> None:
        """Gives of each map what does not count the least value of its rest, in place."""
        for small, image in zip(maps, seen, strict=True):
            counted = self._counted(image)
            if counted is not None:
                silence(small[None], torch.from_numpy(counted).to(small.device))

    def _counted(self, image: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
        """``[S, S]``, what counts of an image in its square, or of its map of tiles; None: all of it."""
        if self.tiling is not None:
            return self._inside(image.shape, self.tiling.grid(*image.shape[:2]).shape)
        place = self._place(image)
        grid = place.height, place.width
        kept = self._inside(image.shape, grid)
        if kept is None:
            return None if place.whole else place.zero_padded(np.ones(grid, dtype=bool))
        return place.zero_padded(kept)

    def score_each(
        self, images: Sequence[Picture], *, batch_size: int = EVALUATION_BATCH
    ) -> Iterator[tuple[float, NDArray[np.float32], NDArray[np.bool_] | None]]:
        """Scores images without deciding.

        Gives of each the image score, the ``[S, S]`` map at the input size, or of tiled images ``[h, w]`` as they are
        seen, and what counts of that: likewise, bool; None where all of it does.

        Raises:
            ImageError: an image cannot be read; names it.
            CheckpointError: the weights give NaN or infinite scores.
        """
        for seen in self._seen(images, batch_size):
            maps, scores = self._maps_and_scores(seen)
            self._check_finite(scores)
            yield from zip(scores, (made.cpu().numpy() for made in maps), map(self._counted, seen), strict=True)

    def _check_finite(self, scores: list[float]) -> None:
        if not all(map(math.isfinite, scores)):
            raise CheckpointError(f"the weights of {self.plan.label} give scores that are NaN or infinite")

    @exact()
    def _maps_and_scores(self, seen: list[NDArray[np.uint8]]) -> tuple[Sequence[Tensor], list[float]]:
        if self.tiling is not None:
            found = [map_of_image(self.method, image, self.tiling, self.device) for image in seen]
            counted = map(self._counted, seen)
            scores = [score_of_map(self.method, *each, self.device) for each in zip(found, counted, strict=True)]
            return [torch.from_numpy(made) for made in found], scores
        resized = np.stack([resize_rgb(image, self.size, self.options.to_square) for image in seen])
        batch = torch.from_numpy(resized).to(self.device).permute(0, 3, 1, 2).float().div_(255)
        maps = self.method.anomaly_map(self.method.teacher.normalise(batch)).float()
        # What does not count is silenced in the score alone: in a map it would spill over its edge when it is resized.
        scored = maps.clone()
        self._silence(scored, seen)
        return list(maps), self.method.image_score(scored).cpu().tolist()

    def predict_rgb(self, seen: list[NDArray[np.uint8]]) -> Iterator[Prediction]:
        """Judges ``[H, W, 3]`` RGB images as `kdzoo.prediction.rgb_of` gives them, together; none give nothing."""
        if not seen:
            return
        maps, scores = self._maps_and_scores(seen)
        self._check_finite(scores)
        scale = self.calibration.heat_scale()
        for image, made, score in zip(seen, maps, scores, strict=True):
            full = self._at_own_size(made, image)
            mask = self._marked(full)
            yield Prediction(
                score=score,
                threshold=self.threshold,
                anomalous=score > self.threshold and (not self.rule.min_area or bool(mask.any())),
                anomaly_map=full,
                mask=mask,
                pixel_threshold=self.pixel_threshold,
                image=image,
                heat_scale=scale,
            )

    def _at_own_size(self, made: Tensor, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``[H, W]``, a map at the size of its image."""
        if self.tiling is None:
            place = self._place(image)
            made = made[place.rows, place.columns]
        elif made.shape == image.shape[:2]:
            return made.numpy()
        full = F.interpolate(made[None, None], size=image.shape[:2], mode="bilinear", align_corners=False)
        return full[0, 0].cpu().numpy()

    def _marked(self, full: NDArray[np.float32]) -> NDArray[np.bool_]:
        """What of a map at the image's own size is marked; what does not count is silenced there, too."""
        kept = self._inside(full.shape)
        mask: NDArray[np.bool_] = full > self.pixel_threshold
        if kept is not None:
            np.copyto(full, full.min(where=kept, initial=np.inf), where=~kept)
            mask &= kept  # where all that counts is anomalous, its least value is, too
        return find_regions(mask, full, min_area=self.rule.min_area)[1] if self.rule.min_area > 1 else mask

    def save(self, folder: str | Path) -> Path:
        """Writes the detector's three files: document, weights, teacher.

        Raises:
            StorageError: the folder cannot be written.
            CheckpointError: a weight is NaN or infinite.
        """
        folder = Path(folder)
        state = self.method.learned_state()
        for name, tensor in state.items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise CheckpointError(f"'{name}' holds NaN or infinite values, so the detector is not saved")
        weights, document = tensor_bytes(state), self.document
        if "weights" in document:  # an earlier document stays as it was
            document = document | {"weights": {"sha256": hashlib.sha256(weights).hexdigest()}}
        write_file(folder / WEIGHTS_FILE, weights)
        write_file(folder / TEACHER_FILE, self.method.teacher.weights())
        write_file(folder / DOCUMENT_FILE, document_bytes(document))
        return folder

    @classmethod
    def open(cls, folder: str | Path, *, device: str | torch.device | None = None) -> Self:
        """Reads a detector that `save` wrote; weights and teacher must have the digests that the document names.

        Who vouches for it is not asked: `kdzoo.open_detector` does that.

        Raises:
            CheckpointError: a file is damaged, or is not of this detector.
            StorageError: there is no detector.
        """
        folder = Path(folder)
        document = read_document(folder / DOCUMENT_FILE)
        return cls.from_files(document, folder / WEIGHTS_FILE, folder / TEACHER_FILE, device=device)

    @classmethod
    def from_files(
        cls, document: dict[str, Any], weights: Path, teacher: Path, *, device: str | torch.device | None = None
    ) -> Self:
        """Rebuilds a detector from its document and its two weight files, trusting none of the three.

        Raises:
            CheckpointError: the document lacks something, or a file does not fit it.
            UsageError: there is no such device here.
        """
        chosen = choose_device(device)
        return cls(rebuild(document, weights, teacher), document, device=chosen)


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """The device asked for, else a GPU if there is one, else the CPU.

    Raises:
        UsageError: there is no such device here.
    """
    try:
        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device '{device}' is not there: {str(error).splitlines()[0]}") from error
    return chosen
