"""Reverse Distillation: the student rebuilds the teacher's features from a one-class embedding of them.

Source: Deng & Li, Anomaly Detection via Reverse Distillation from One-Class Embedding, CVPR 2022 (arXiv 2201.10703).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from kdzoo.methods.base import Batch, OptimizerConfig, Stage
from kdzoo.methods.layers.levels import LevelSum
from kdzoo.methods.layers.losses import flattened_cosine_loss
from kdzoo.methods.layers.maps import cosine_distances
from kdzoo.methods.layers.student import Student
from kdzoo.methods.rd.config import RDConfig
from kdzoo.teachers.backbone import Teacher


class RD(LevelSum):
    """The baseline: one stage, normal images only.

    Args:
        teacher: frozen backbone.
        config: knobs.
    """

    config: RDConfig

    def __init__(self, teacher: Teacher, config: RDConfig) -> None:
        super().__init__(teacher, config)
        self.student = Student(teacher.shape, width=config.width, kind=config.student)

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

    def distances(self, features: list[Tensor]) -> list[Tensor]:
        """Cosine distance of teacher and student: ``[B, C, h, w]`` to ``[B, h, w]`` a level."""
        return cosine_distances(features, self.student(features))

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        features = self.teacher(batch.images) if batch.features is None else batch.features
        return {"loss": flattened_cosine_loss(features, self.student(features))}
