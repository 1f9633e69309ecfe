"""MRKD: reverse distillation whose student restores what was masked, instead of repeating what it sees.

Source: Jiang, Cao & Shen, Masked Reverse Knowledge Distillation, 2023 (arXiv 2512.15326). The student's side sees the
teacher's features of an image with swapped patches (image-level masking), and at each decoder level positions are
zeroed and filled back (feature-level masking); the target are the teacher's features of the clean image.

Deviation from the released code: nothing is masked when maps are made, so that an image scores the same each time.
Ours: without a background level the object is where kdzoo's own foreground estimate sees it.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from kdzoo.data.synthesis.knobs import SwapKnobs
from kdzoo.data.synthesis.nsa import NsaConfig
from kdzoo.methods.base import Batch, OptimizerConfig, Stage
from kdzoo.methods.layers.losses import flattened_cosine_loss
from kdzoo.methods.layers.reverse_distillation import ReverseDistillation
from kdzoo.methods.mrkd.config import MRKDConfig
from kdzoo.methods.mrkd.generation import Generation, mask_positions
from kdzoo.teachers.backbone import Teacher


class MRKD(ReverseDistillation):
    """One stage of restoration.

    With all mask ratios and ``anomaly_probability`` at 0 only the generation blocks distinguish it from `rd`.

    Args:
        teacher: frozen backbone.
        config: knobs.
    """

    config: MRKDConfig

    def __init__(self, teacher: Teacher, config: MRKDConfig) -> None:
        super().__init__(teacher, config)
        self.generation = Generation(teacher.shape.channels)

    def stages(self) -> Sequence[Stage]:
        """One stage of distillation on patch swaps."""
        return [
            self.distillation(
                "restore",
                epochs=self.config.epochs,
                optimizer=OptimizerConfig(learning_rate=self.config.learning_rate),
                synthesis=self._synthesis(),
                beside=[self.generation],
            )
        ]

    def rebuilt(self, features: list[Tensor]) -> list[Tensor]:
        """The student's levels, filled by the generation blocks; nothing is masked."""
        levels: list[Tensor] = self.generation(self.student(features))
        return levels

    def distil_loss(self, batch: Batch) -> dict[str, Tensor]:
        """The published loss between the clean image's features and what is restored of the masked one's."""
        target = self.learned_targets(batch)
        seen = target if batch.augmented is batch.images else self.teacher(batch.augmented)
        decoded = mask_positions(self.student(seen), self.config.mask_ratios)
        return {"loss": flattened_cosine_loss(target, self.generation(decoded))}

    def _synthesis(self) -> NsaConfig | None:
        config = self.config
        if not config.anomaly_probability:
            return None
        return NsaConfig(
            **config.part(SwapKnobs),
            probability=config.anomaly_probability,
            # The published swap pastes the patch's object also where it juts out of the object.
            inside=False,
        )
