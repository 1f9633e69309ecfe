"""Reverse Distillation: the student rebuilds the teacher's features from a one-class embedding of them.

Source: Deng & Li, Anomaly Detection via Reverse Distillation from One-Class Embedding, CVPR 2022 (arXiv 2201.10703).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from kdzoo.methods.base import Batch, Frozen, Method, OptimizerConfig, Stage
from kdzoo.methods.layers.losses import flattened_cosine_loss
from kdzoo.methods.layers.maps import cosine_distance_map, smooth
from kdzoo.methods.layers.student import Student
from kdzoo.methods.rd.config import RDConfig
from kdzoo.teachers.backbone import Teacher


class RD(Method):
    """The baseline: one stage, normal images only.

    Args:
        teacher: frozen backbone.
        config: knobs.
    """

    def __init__(self, teacher: Teacher, config: RDConfig) -> None:
        super().__init__()
        self.teacher, self.config = teacher, config
        self.student = Student(teacher.shape, width=config.width)

    def stages(self) -> Sequence[Stage]:
        """One stage of distillation on normal images."""
        return [
            Stage(
                name="distil",
                epochs=self.config.epochs,
                synthesis=None,
                modules=[self.student],
                loss=self._loss,
                optimizer=OptimizerConfig(learning_rate=self.config.learning_rate),
                frozen=self.frozen(),
            )
        ]

    def frozen(self) -> Frozen:
        """The teacher's features, in training and in maps."""
        return self.frozen_teacher()

    def anomaly_map(self, images: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Cosine distance of teacher and student, smoothed: ``[B, 3, H, W]`` to ``[B, H, W]``."""
        features = self.teacher(images) if features is None else features
        maps = cosine_distance_map(features, self.student(features), size=(images.shape[-2], images.shape[-1]))
        return smooth(maps, self.config.smoothing_sigma)

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        features = self.teacher(batch.images) if batch.features is None else batch.features
        return {"loss": flattened_cosine_loss(features, self.student(features))}
