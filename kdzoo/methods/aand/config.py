"""Configuration of `aand`. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from kdzoo.config import knob
from kdzoo.methods.config import ReverseDistillationConfig, TexturedConfig


@dataclass(frozen=True, kw_only=True)
class AANDConfig(TexturedConfig, ReverseDistillationConfig):
    """Published values of AAND."""

    amplify_epochs: int = knob(100, "epochs of anomaly amplification; 0 holds the gate at 0", low=0, high=10_000)
    amplify_learning_rate: float = knob(0.005, "Adam's step size of the amplification stage", above=0.0, high=1.0)
    distil_epochs: int = knob(120, "epochs of normality distillation", low=1, high=10_000)
    distil_learning_rate: float = knob(0.005, "Adam's step size of the distillation stage", above=0.0, high=1.0)
    hkd_top_k: int = knob(10, "hardest positions an image and level", low=1, high=256)
    hkd_weight: float = knob(1.0, "weight of the hard positions' loss", low=0.0, high=100.0)
    prototypes: int = knob(50, "prototypes M of the normal and of the anomalous half of the gate", low=1, high=1024)
    temperature: float = knob(0.2, "softmax temperature of the gate", above=0.0, high=10.0)
    margin: float = knob(0.3, "by how much amplification lowers the similarity to normal features", low=0.0, high=2.0)
    amplify_weight: float = knob(0.1, "weight of the amplification loss", low=0.0, high=100.0)
    focal_alpha: float = knob(0.8, "weight of anomalous positions in the gate's focal loss", low=0.0, high=1.0)
    focal_gamma: float = knob(2.0, "focus of the gate's focal loss on hard positions", low=0.0, high=10.0)
    mask_threshold: float = knob(0.3, "anomalous share above which a feature position counts", low=0.0, high=0.99)

    def planted(self) -> str:
        """Patches of texture, unless nothing is amplified."""
        return "perlin" if self.amplify_epochs else ""
