"""What the methods of reverse distillation share: a student behind a bottleneck rebuilds features of normal images.

Source: Deng & Li, Anomaly Detection via Reverse Distillation from One-Class Embedding, CVPR 2022 (arXiv 2201.10703).
Shapes: B images, C channels and h x w positions of a level, H x W input size.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from kdzoo.data.synthesis.config import SynthesisConfig
from kdzoo.methods.base import Batch, OptimizerConfig, Stage
from kdzoo.methods.config import ReverseDistillationConfig
from kdzoo.methods.layers.levels import LevelSum
from kdzoo.methods.layers.losses import flattened_cosine_loss
from kdzoo.methods.layers.maps import cosine_distances
from kdzoo.methods.layers.student import Student
from kdzoo.teachers.backbone import Teacher


class ReverseDistillation(LevelSum):
    """Base of the methods that compare `targets` with what a `Student` makes of them.

    A method says what differs: other `targets`, what is done to the student's levels (`rebuilt`), another
    `distil_loss`, stages before or beside its `distillation`.

    Args:
        teacher: frozen backbone.
        config: knobs.
    """

    config: ReverseDistillationConfig

    def __init__(self, teacher: Teacher, config: ReverseDistillationConfig) -> None:
        super().__init__(teacher, config)
        self.student = Student(teacher.shape, width=config.width, kind=config.student)

    def rebuilt(self, features: list[Tensor]) -> list[Tensor]:
        """What the student's side makes of features, levels ``[B, C, h, w]`` to levels of the same shapes."""
        levels: list[Tensor] = self.student(features)
        return levels

    def distances(self, features: list[Tensor]) -> list[Tensor]:
        """Cosine distance of what `targets` gave and what is rebuilt: ``[B, C, h, w]`` to ``[B, h, w]`` a level."""
        return cosine_distances(features, self.rebuilt(features))

    def learned_targets(self, batch: Batch) -> list[Tensor]:
        """`targets` of a batch's images as they are: taken from the batch where it has them."""
        return self.targets(batch.images) if batch.features is None else batch.features

    def distil_loss(self, batch: Batch) -> dict[str, Tensor]:
        """The published loss on images as they are: how far whole levels are from what is rebuilt of them."""
        features = self.learned_targets(batch)
        return {"loss": flattened_cosine_loss(features, self.rebuilt(features))}

    def distillation(
        self,
        name: str,
        *,
        epochs: int,
        optimizer: OptimizerConfig,
        synthesis: SynthesisConfig | None = None,
        beside: Sequence[nn.Module] = (),
    ) -> Stage:
        """The stage that trains the student by `distil_loss`.

        Args:
            name: shown in progress and logs.
            epochs: passes over the training images.
            optimizer: of the stage.
            synthesis: how anomalies are planted; None trains on the images as they are.
            beside: modules that train together with the student.
        """
        return Stage(
            name=name,
            epochs=epochs,
            synthesis=synthesis,
            modules=[self.student, *beside],
            loss=self.distil_loss,
            optimizer=optimizer,
            frozen=self.frozen(),
        )
