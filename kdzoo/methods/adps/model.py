"""ADPS: distil a student that sees only patches, then segment what it could not copy.

Source: Xing, Tang, Tang, Li, Asymmetric Distillation Post-Segmentation Method for Image Anomaly Detection, arXiv
2210.10495 (TNNLS 2024). No code was released and this module was written from the abstract's level of detail: the
asymmetric inputs, the Weight Mask Block (WMB), the Post-Segmentation Module (PSM) and the two stages are the paper's;
the patch grid, the push on synthetic anomalies, the layers, the losses' forms and every number are this project's
reading. Reported figures of the paper are therefore not promised.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdzoo.data.synthesis.knobs import BlendKnobs
from kdzoo.data.synthesis.perlin import PerlinConfig
from kdzoo.methods.adps.config import ADPSConfig
from kdzoo.methods.adps.losses import distillation_losses
from kdzoo.methods.adps.segmentation import PostSegmentation, WeightMask
from kdzoo.methods.adps.student import PatchStudent
from kdzoo.methods.base import Batch, Frozen, Method, OptimizerConfig, Stage
from kdzoo.methods.layers.exact import exact
from kdzoo.methods.layers.maps import mean_of_largest, smooth
from kdzoo.methods.layers.masks import focal_loss_of_logits, pooled_mask
from kdzoo.teachers.backbone import Teacher

_SEGMENTS_ALONE = (
    "segment_epochs", "segment_learning_rate", "wmb_gain", "wmb_weight", "psm_channels", "focal_alpha", "focal_gamma",
    "l1_weight", "top_t", "smoothing_sigma",
)  # fmt: skip


class ADPS(Method):
    """Two stages: asymmetric distillation, then weight masks and segmentation on top of the frozen pair.

    With ``patch_grid = 1``, ``push_weight = 0`` and ``wmb_gain = 0`` the first stage is plain teacher-student
    distillation on normal images. With ``wmb_gain = 0`` there are no weight masks: the segmentation sees the plain
    teacher.

    Args:
        teacher: frozen backbone.
        config: knobs.
    """

    def __init__(self, teacher: Teacher, config: ADPSConfig) -> None:
        super().__init__()
        self.teacher, self.config = teacher, config
        self.student = PatchStudent(teacher, grid=config.patch_grid)
        self.masks = nn.ModuleList(
            WeightMask(channels) for channels in (teacher.shape.channels if config.wmb_gain else ())
        )
        self.segmenter = PostSegmentation(
            teacher.shape.channels, width=config.psm_channels, reductions=teacher.shape.reductions
        )

    def stages(self) -> Sequence[Stage]:
        """Distillation of the student, then segmentation with student and teacher frozen; both on synthetic anomalies.

        Without a push there is nothing to learn from anomalies in the first stage, and it sees normal images.
        """
        config = self.config
        planted = PerlinConfig(**config.part(BlendKnobs), probability=config.anomaly_probability)
        distil = Stage(
            name="distil",
            epochs=config.distil_epochs,
            synthesis=planted if config.push_weight else None,
            modules=[self.student],
            loss=self._distil_loss,
            optimizer=OptimizerConfig.with_late_steps(config.distil_learning_rate),
            frozen=None if config.push_weight else self.frozen(),
            # The map is the segmentation's, which has learned nothing yet.
            detects=False,
            untouched_by=_SEGMENTS_ALONE,
        )
        segment = Stage(
            name="segment",
            epochs=config.segment_epochs,
            synthesis=planted,
            modules=[self.masks, self.segmenter] if config.wmb_gain else [self.segmenter],
            loss=self._segment_loss,
            optimizer=OptimizerConfig.with_late_steps(config.segment_learning_rate),
        )
        return [distil, segment]

    def frozen(self) -> Frozen:
        """The teacher's features: what maps weigh, and what a student learns that is not pushed from anomalies."""
        return self.frozen_teacher()

    def anomaly_map(self, images: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """The segmentation's probability of each pixel being anomalous: ``[B, 3, H, W]`` to ``[B, H, W]`` in [0, 1]."""
        logits, _ = self._segmented(images, features)
        return smooth(torch.sigmoid(logits)[:, 0], self.config.smoothing_sigma)

    def image_score(self, maps: Tensor) -> Tensor:
        """``[B, H, W]`` maps to ``[B]`` scores: the mean of the ``top_t`` largest pixels (at most all)."""
        return mean_of_largest(maps, self.config.top_t)

    def retired_state(self) -> dict[str, Tensor]:
        """The student's layers after the last level, which an earlier kdzoo built and never trained."""
        return {f"student.backbone.{name}": value for name, value in self.teacher.unread.items()}

    def _segmented(self, images: Tensor, features: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        """Logits of the map ``[B, 1, H, W]`` and of each level's weight mask ``[B, 1, h, w]``."""
        features = self.teacher(images) if features is None else features
        if not self.masks:
            return self.segmenter(features), []
        pairs = zip(self.masks, features, self.student(images), strict=True)
        coarse = [mask(level, copied) for mask, level, copied in pairs]
        gain = self.config.wmb_gain
        weighted = [level * (1 + gain * torch.sigmoid(mask)) for level, mask in zip(features, coarse, strict=True)]
        return self.segmenter(weighted), coarse

    def _distil_loss(self, batch: Batch) -> dict[str, Tensor]:
        # Given are those of the images as they are: only without a push are these what the student sees.
        features = self.teacher(batch.augmented) if batch.features is None else batch.features
        pull, push = distillation_losses(
            features, self.student(batch.augmented), self._truths(batch, features), margin=self.config.push_margin
        )
        return {"loss": pull + self.config.push_weight * push, "pull_loss": pull, "push_loss": push}

    def _segment_loss(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        logits, coarse = self._segmented(batch.augmented)
        focal = focal_loss_of_logits(logits, batch.masks, alpha=config.focal_alpha, gamma=config.focal_gamma)
        distance = F.l1_loss(torch.sigmoid(exact(logits)), batch.masks)
        losses = {"loss": focal + config.l1_weight * distance, "focal_loss": focal, "l1_loss": distance}
        if coarse:
            pairs = zip(coarse, self._truths(batch, coarse), strict=True)
            each = [
                focal_loss_of_logits(mask, truth, alpha=config.focal_alpha, gamma=config.focal_gamma)
                for mask, truth in pairs
            ]
            losses["mask_loss"] = torch.stack(each).sum()
            losses["loss"] = losses["loss"] + config.wmb_weight * losses["mask_loss"]
        return losses

    def _truths(self, batch: Batch, levels: Sequence[Tensor]) -> list[Tensor]:
        """The planted mask at each level's size."""
        threshold = self.config.mask_threshold
        return [pooled_mask(batch.masks, (each.shape[-2], each.shape[-1]), threshold=threshold) for each in levels]
