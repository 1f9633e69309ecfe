"""Reverse Distillation: the student rebuilds the teacher's features from a one-class embedding of them.

Source: Deng & Li, Anomaly Detection via Reverse Distillation from One-Class Embedding, CVPR 2022 (arXiv 2201.10703).
"""

from __future__ import annotations

from collections.abc import Sequence

from kdzoo.methods.base import OptimizerConfig, Stage
from kdzoo.methods.layers.reverse_distillation import ReverseDistillation
from kdzoo.methods.rd.config import RDConfig


class RD(ReverseDistillation):
    """The baseline: one stage, normal images only.

    Args:
        teacher: frozen backbone.
        config: knobs.
    """

    config: RDConfig

    def stages(self) -> Sequence[Stage]:
        """One stage of distillation on normal images."""
        optimizer = OptimizerConfig(learning_rate=self.config.learning_rate)
        return [self.distillation("distil", epochs=self.config.epochs, optimizer=optimizer)]
