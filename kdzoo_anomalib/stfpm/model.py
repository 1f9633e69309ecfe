"""STFPM: a student of the teacher's architecture, taught the teacher's features of normal images at three levels.

Source: Wang et al., Student-Teacher Feature Pyramid Matching for Anomaly Detection, BMVC 2021 (arXiv 2103.04257), by
anomalib's loss and map. What differs: the optimizer; the loss is a mean over the images of a batch where anomalib has
the sum, so that its size does not follow the batch's.
Shapes: B images, C_k channels and h x w positions of level k = 1..3, H x W input size.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from kdzoo.methods.base import Batch, Frozen, Method, OptimizerConfig, Stage
from kdzoo.methods.layers.exact import exact_levels
from kdzoo.methods.layers.maps import smooth
from kdzoo.teachers.backbone import Teacher, build_teacher
from kdzoo_anomalib.parts import STFPMLoss, STFPMMap
from kdzoo_anomalib.stfpm.config import STFPMConfig


class STFPM(Method):
    """One stage, normal images only.

    Args:
        teacher: frozen backbone.
        config: knobs.
    """

    def __init__(self, teacher: Teacher, config: STFPMConfig) -> None:
        super().__init__()
        self.teacher, self.config = teacher, config
        self.student = build_teacher(teacher.name).backbone.requires_grad_(True)
        # Neither has weights.
        self._matching, self._compare = STFPMLoss(), STFPMMap()

    def stages(self) -> Sequence[Stage]:
        """Distillation on normal images."""
        return [
            Stage(
                name="match",
                epochs=self.config.epochs,
                synthesis=None,
                modules=[self.student],
                loss=self._loss,
                optimizer=OptimizerConfig(learning_rate=self.config.learning_rate),
                frozen=self.frozen(),
            )
        ]

    def frozen(self) -> Frozen:
        """The teacher's features, which loss and map begin with."""
        return self.frozen_teacher()

    def anomaly_map(self, images: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """The product over the levels of their distances at full size: ``[B, 3, H, W]`` to ``[B, H, W]``."""
        expected, found = self._pair(images, features)
        size = (images.shape[-2], images.shape[-1])
        maps: Tensor = self._compare.compute_anomaly_map(expected, found, image_size=size)[:, 0]
        return smooth(maps, self.config.smoothing_sigma)

    def _pair(self, images: Tensor, features: list[Tensor] | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The levels of teacher and student, by number."""
        expected = self.teacher(images) if features is None else features
        return _named(expected), _named(self.student(images))

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        expected, found = self._pair(batch.images, batch.features)
        return {"loss": self._matching(expected, found) / len(batch.images)}


def _named(levels: list[Tensor]) -> dict[str, Tensor]:
    return {str(number): level for number, level in enumerate(exact_levels(levels))}
