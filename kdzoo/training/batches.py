"""What a stage's loss sees of some train images: changed if asked for, with anomalies planted, frozen features."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kdzoo.data.synthesis.base import Synthesizer
from kdzoo.data.synthesis.config import SynthesisConfig
from kdzoo.methods.base import Batch, Method, Phase, Stage
from kdzoo.training.augmenting import augmented
from kdzoo.training.data import TrialData
from kdzoo.training.features import FeatureSource
from kdzoo.training.images import ImageSource
from kdzoo.training.rows import Rows


class BatchMaker:
    """Makes the batches of all stages of a trial.

    Args:
        method: whose teacher normalises.
        stages: of the method; each one's synthesizer is built once.
        data: the trial's.
        source: of its train images.
        plant: makes a synthesizer of a stage's configuration.
    """

    def __init__(
        self,
        method: Method,
        stages: Sequence[Phase],
        data: TrialData,
        source: ImageSource,
        plant: Callable[[SynthesisConfig], Synthesizer],
    ) -> None:
        self._method, self._data, self._source = method, data, source
        self._augmentation = data.options.augmentation
        self._foreground: Rows | None = None
        self._synthesizers = {stage.name: plant(stage.synthesis) for stage in stages if stage.synthesis is not None}

    def __call__(
        self, stage: Stage, indices: NDArray[np.int64], generator: torch.Generator, features: FeatureSource | None
    ) -> Batch:
        """The batch of some train images.

        Args:
            stage: whose loss will see it.
            indices: of the images.
            generator: what anomalies are drawn from, on the images' device.
            features: where the stage's frozen features come from; None when it takes none.
        """
        images = self._source.batch(indices)
        synthesizer = self._synthesizers.get(stage.name)
        foreground = None if synthesizer is None else self._foreground_of(indices)
        if self._augmentation.changes:
            images, foreground = augmented(images, foreground, self._augmentation, generator)
        normalise = self._method.teacher.normalise
        clean = normalise(images)
        given = None if features is None else features.batch(indices, clean)
        if synthesizer is None or foreground is None:
            blank = images.new_zeros(len(images), 1, *images.shape[-2:])
            everywhere = torch.ones_like(blank, dtype=torch.bool)
            return Batch(images=clean, augmented=clean, masks=blank, foreground=everywhere, features=given)
        made = synthesizer(images, foreground, generator)
        return Batch(
            images=clean,
            augmented=normalise(made.images),
            masks=made.masks,
            foreground=foreground,
            features=given,
        )

    def _foreground_of(self, indices: NDArray[np.int64]) -> Tensor:
        """``[B, 1, S, S]`` bool, where the product is in some train images as they are."""
        if self._foreground is None:
            self._foreground = Rows(self._data.foreground, self._source.device)
        return self._foreground.take(indices)[:, None]
