"""AAND: amplify anomalies in the teacher, then distil its normality.

Source: Tang et al., arXiv 2405.02068 (IEEE TIP 2026). Stage 1 trains one amplifier a level on synthetic anomalies;
stage 2 freezes them and trains a reverse-distillation student on the amplified features of normal images.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from kdzoo.data.synthesis.knobs import BlendKnobs
from kdzoo.data.synthesis.perlin import PerlinConfig
from kdzoo.methods.aand.amplifier import ResidualAmplifier
from kdzoo.methods.aand.config import AANDConfig
from kdzoo.methods.aand.gates import GateScores
from kdzoo.methods.aand.losses import amplification_loss, focal_gate_loss, level_mask
from kdzoo.methods.base import Batch, Findings, Frozen, OptimizerConfig, Stage
from kdzoo.methods.layers.losses import flattened_cosine_loss, hardest_positions_loss
from kdzoo.methods.layers.reverse_distillation import ReverseDistillation
from kdzoo.teachers.backbone import Teacher

# Not `width`: the amplifiers are made after the student, from the same random numbers.
_DISTILS_ALONE = (
    "distil_epochs", "distil_learning_rate", "hkd_top_k", "hkd_weight",
    "smoothing_sigma", "level_scale", "map_levels", "top_t",
)  # fmt: skip


class AAND(ReverseDistillation):
    """Two stages: anomaly amplification, then normality distillation.

    With ``amplify_epochs = 0`` there is no gate, and with ``hkd_weight = 0`` as well the method is exactly `rd`.

    Args:
        teacher: frozen backbone.
        config: knobs.
    """

    config: AANDConfig

    def __init__(self, teacher: Teacher, config: AANDConfig) -> None:
        super().__init__(teacher, config)
        self.amplifiers = nn.ModuleList(
            ResidualAmplifier(channels, prototypes=config.prototypes, temperature=config.temperature)
            for channels in (teacher.shape.channels if config.amplify_epochs else ())
        )

    def stages(self) -> Sequence[Stage]:
        """Amplification on synthetic anomalies (unless it has no epochs), then distillation on normal images."""
        config = self.config
        distil = self.distillation(
            "distil",
            epochs=config.distil_epochs,
            optimizer=OptimizerConfig.with_late_steps(config.distil_learning_rate),
        )
        if not config.amplify_epochs:
            return [distil]
        amplify = Stage(
            name="amplify",
            epochs=config.amplify_epochs,
            synthesis=PerlinConfig(**config.part(BlendKnobs), probability=config.anomaly_probability),
            modules=[self.amplifiers],
            loss=self._amplify_loss,
            optimizer=OptimizerConfig.with_late_steps(config.amplify_learning_rate),
            detects=False,
            untouched_by=_DISTILS_ALONE,
            examine=self._examine,
        )
        return [amplify, distil]

    def frozen(self) -> Frozen:
        """The amplified features, which the second stage learns and maps compare with; without a gate the teacher's."""
        if not self.amplifiers:
            return self.frozen_teacher()
        return Frozen(name="amplified", compute=self.amplified, modules=(self.teacher, self.amplifiers))

    def targets(self, images: Tensor) -> list[Tensor]:
        """The amplified features."""
        return self.amplified(images)

    def amplified(self, images: Tensor) -> list[Tensor]:
        """The teacher's features with each level's own gate applied."""
        features: list[Tensor] = self.teacher(images)
        if not self.amplifiers:
            return features
        return [amplify(level) for amplify, level in zip(self._blocks(), features, strict=True)]

    def _blocks(self) -> list[ResidualAmplifier]:
        return [block for block in self.amplifiers if isinstance(block, ResidualAmplifier)]

    def _truths(self, batch: Batch, levels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Where each level is anomalous, and where it shows the product: ``[B, h*w, 1]`` each."""
        sizes = [(level.shape[-2], level.shape[-1]) for level in levels]
        masks = (batch.masks, batch.foreground.to(batch.masks.dtype))
        truths, inside = (
            [level_mask(mask, size, threshold=self.config.mask_threshold) for size in sizes] for mask in masks
        )
        return truths, inside

    def _examine(self, batches: Iterable[Batch]) -> Findings:
        """How well each level's gate tells planted anomalies from normal positions of the product."""
        blocks = self._blocks()
        scores = GateScores(len(blocks))
        for batch in batches:
            plain = self.teacher(batch.augmented)
            gates = [amplify.gate(level) for amplify, level in zip(blocks, plain, strict=True)]
            scores.add(gates, *self._truths(batch, plain))
        return scores.findings()

    def _amplify_loss(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        plain = self.teacher(batch.augmented)
        truths, inside = self._truths(batch, plain)
        blocks = self._blocks()
        gates = [amplify.gate(level) for amplify, level in zip(blocks, plain, strict=True)]
        # The true mask opens the gate here, so the residual learns where the gate is still wrong.
        lifted = [amplify(level, gate=truth) for amplify, level, truth in zip(blocks, plain, truths, strict=True)]
        focal = focal_gate_loss(gates, truths, alpha=config.focal_alpha, gamma=config.focal_gamma)
        push = amplification_loss(plain, lifted, truths, inside, margin=config.margin)
        return {"loss": focal + config.amplify_weight * push, "gate_loss": focal, "amplification_loss": push}

    def distil_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Hard knowledge distillation: the published loss and that of the hardest positions."""
        features = [level.detach() for level in self.learned_targets(batch)]
        rebuilt = self.rebuilt(features)
        whole = flattened_cosine_loss(features, rebuilt)
        if not self.config.hkd_weight:
            return {"loss": whole}
        hard = hardest_positions_loss(features, rebuilt, top_k=self.config.hkd_top_k)
        return {"loss": whole + self.config.hkd_weight * hard, "whole_loss": whole, "hard_loss": hard}
