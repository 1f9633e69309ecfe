"""What a person holds after load: predict, show, save.

Shapes: H height, W width of the image as given.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from kdzoo.data.images import read_image, resize_rgb, to_rgb_array
from kdzoo.errors import CheckpointError, ImageError, KdzooError, StorageError, UsageError
from kdzoo.methods.base import Method
from kdzoo.methods.registry import build_method
from kdzoo.pictures import HeatScale, overlay
from kdzoo.storage import write_file
from kdzoo.teachers.backbone import Teacher, build_teacher
from kdzoo.training.checkpoint import load_tensors, save_tensors
from kdzoo.training.document import DetectorPlan, parse_document, read_document
from kdzoo.training.evaluation import EVALUATION_BATCH, exact
from kdzoo.training.learned import load_learned

DOCUMENT_FILE, WEIGHTS_FILE, TEACHER_FILE = "detector.json", "weights.safetensors", "teacher.safetensors"

Picture = str | Path | Image.Image | NDArray[Any] | Tensor
"""What can be predicted: a path, a PIL image, a uint8 HWC array, a ``[3, H, W]`` tensor (uint8, or float in [0, 1])."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a detector says of one image.

    Attributes:
        score: image score; higher is more anomalous.
        threshold: what the score was compared with.
        anomalous: the decision: score above threshold.
        anomaly_map: ``[H, W]`` float32 at the image's own size.
        mask: ``[H, W]`` bool, pixels above what a normal image reaches.
        pixel_threshold: what the map was compared with.
        image: ``[H, W, 3]`` uint8, the image as it was seen.
        heat_scale: which map values are coloured in the overlay, the same for all images of the detector.
    """

    score: float
    threshold: float
    anomalous: bool
    anomaly_map: NDArray[np.float32] = field(repr=False)
    mask: NDArray[np.bool_] = field(repr=False)
    pixel_threshold: float
    image: NDArray[np.uint8] = field(repr=False)
    heat_scale: HeatScale = field(repr=False)

    def overlay(self) -> Image.Image:
        """The image with the anomaly map laid over it and the marked regions outlined.

        Coloured is what lies above the normal images of the calibration, and no more than that.
        """
        return overlay(self.image, self.anomaly_map, threshold=self.pixel_threshold, scale=self.heat_scale)


class Detector:
    """A trained, calibrated model of one category.

    Args:
        method: with its weights.
        document: what `kdzoo.training.outcome` wrote of it.
        device: where to predict; default a GPU if there is one.

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
        self.threshold = self.calibration.threshold()
        self.pixel_threshold = self.calibration.pixel_threshold()

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

    @overload
    def predict(self, images: Picture) -> Prediction: ...  # type: ignore[overload-overlap]  # a path is a sequence too
    @overload
    def predict(self, images: Sequence[Picture]) -> list[Prediction]: ...
    def predict(self, images: Picture | Sequence[Picture]) -> Prediction | list[Prediction]:
        """Judges one image or a list of them.

        Args:
            images: a path, a PIL image, a uint8 ``[H, W, 3]`` array, a ``[3, H, W]`` tensor (uint8, or float in
                [0, 1]), or a list of these.

        Raises:
            ImageError: an image cannot be read; names it.
            CheckpointError: the weights give NaN or infinite scores.
        """
        if isinstance(images, list | tuple):
            return list(self.predict_each(images))
        return next(self.predict_each([images]))  # type: ignore[list-item]

    def predict_each(self, images: Sequence[Picture], *, batch_size: int = EVALUATION_BATCH) -> Iterator[Prediction]:
        """Judges images one after the other, in batches, holding no more than a batch of them in memory."""
        for start in range(0, len(images), batch_size):
            seen = [_rgb(image) for image in images[start : start + batch_size]]
            yield from self._predict_batch(seen)

    def score_each(
        self, images: Sequence[Picture], *, batch_size: int = EVALUATION_BATCH
    ) -> Iterator[tuple[float, NDArray[np.float32]]]:
        """Scores images without deciding: the image score and the ``[S, S]`` map at the input size of each.

        Raises:
            ImageError: an image cannot be read; names it.
            CheckpointError: the weights give NaN or infinite scores.
        """
        for start in range(0, len(images), batch_size):
            maps, scores = self._maps_and_scores([_rgb(image) for image in images[start : start + batch_size]])
            self._check_finite(scores)
            yield from zip(scores, maps.cpu().numpy(), strict=True)

    def _check_finite(self, scores: list[float]) -> None:
        if not all(map(math.isfinite, scores)):
            raise CheckpointError(f"the weights of {self.plan.label} give scores that are NaN or infinite")

    @exact()
    def _maps_and_scores(self, seen: list[NDArray[np.uint8]]) -> tuple[Tensor, list[float]]:
        resized = np.stack([resize_rgb(image, self.size) for image in seen])
        batch = torch.from_numpy(resized).to(self.device).permute(0, 3, 1, 2).float().div_(255)
        maps = self.method.anomaly_map(self.method.teacher.normalise(batch)).float()
        return maps, self.method.image_score(maps).cpu().tolist()

    def _predict_batch(self, seen: list[NDArray[np.uint8]]) -> Iterator[Prediction]:
        maps, scores = self._maps_and_scores(seen)
        self._check_finite(scores)
        scale = self.calibration.heat_scale()
        for image, small, score in zip(seen, maps, scores, strict=True):
            own_size = F.interpolate(small[None, None], size=image.shape[:2], mode="bilinear", align_corners=False)
            full = own_size[0, 0].cpu().numpy()
            yield Prediction(
                score=score,
                threshold=self.threshold,
                anomalous=score > self.threshold,
                anomaly_map=full,
                mask=full > self.pixel_threshold,
                pixel_threshold=self.pixel_threshold,
                image=image,
                heat_scale=scale,
            )

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
        save_tensors(folder / WEIGHTS_FILE, state)
        write_file(folder / TEACHER_FILE, self.method.teacher.weights())
        write_file(folder / DOCUMENT_FILE, json.dumps(self.document, indent=2, allow_nan=False).encode())
        return folder

    @classmethod
    def open(cls, folder: str | Path, *, device: str | torch.device | None = None) -> Self:
        """Reads a detector that `save` wrote.

        Raises:
            CheckpointError: a file is damaged or does not fit.
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
        plan = parse_document(document)
        method = build_method(plan.method, plan.config, _teacher(plan, teacher))
        learned = load_tensors(weights, method.learned_state(), optional=method.retired_state())
        load_learned(method, {name: learned[name] for name in method.learned_state()})
        return cls(method, document, device=chosen)


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


def _teacher(plan: DetectorPlan, path: Path) -> Teacher:
    """The teacher of a document, its weights read from a file whose digest must be the document's."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StorageError(f"cannot read teacher weights '{path}': {error.strerror or error}") from error
    if digest != plan.teacher_sha256:
        raise CheckpointError(f"'{path}' is not the teacher that the document names by its digest")
    try:
        teacher = build_teacher(plan.teacher)
    except KdzooError as error:
        raise CheckpointError(f"the detector's document cannot be used: {error}", hint=error.hint) from error
    teacher.load_release(load_tensors(path, teacher.backbone.state_dict(), optional=teacher.unread))
    teacher.mean, teacher.std = plan.mean, plan.std
    return teacher


def _rgb(image: Picture) -> NDArray[np.uint8]:
    """Any accepted picture as ``[H, W, 3]`` uint8."""
    if isinstance(image, str | Path):
        return np.asarray(read_image(Path(image)))
    if isinstance(image, Tensor):
        if image.ndim != 3 or image.shape[0] != 3:
            raise ImageError(f"a tensor image must be [3, H, W], got {list(image.shape)}")
        values = image.detach().cpu().permute(1, 2, 0)
        # NumPy has no bfloat16.
        return to_rgb_array((values.float() if values.is_floating_point() else values).numpy())
    return to_rgb_array(image)
