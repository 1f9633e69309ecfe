"""Configuration of `adps`. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from kdzoo.config import knob
from kdzoo.errors import ConfigError
from kdzoo.methods.config import TexturedConfig, TrainedConfig

PATCH_GRIDS = (1, 2, 4, 8)


@dataclass(frozen=True, kw_only=True)
class ADPSConfig(TexturedConfig, TrainedConfig):
    """Values of ADPS. None were published with code: all of them are this project's, chosen near those of `aand`.

    `patch_grid` is 2 because that is the finest grid that every allowed image size (a multiple of 32) can be cut by.
    """

    smoothing_sigma: float = knob(
        0.0, "Gaussian over the anomaly map, in pixels; fine boundaries want none", low=0.0, high=32.0
    )
    distil_epochs: int = knob(100, "epochs of asymmetric distillation", low=1, high=10_000)
    distil_learning_rate: float = knob(0.005, "Adam's step size of the distillation stage", above=0.0, high=1.0)
    segment_epochs: int = knob(100, "epochs of weight masks and segmentation", low=1, high=10_000)
    segment_learning_rate: float = knob(0.001, "Adam's step size of the segmentation stage", above=0.0, high=1.0)
    patch_grid: int = knob(
        2, "the student sees the image cut into this many patches a side: 1, 2, 4 or 8", low=1, high=8
    )
    push_weight: float = knob(
        0.1, "weight of pushing student and teacher apart on synthetic anomalies; 0 distils on normal images alone",
        low=0.0, high=100.0,
    )  # fmt: skip
    push_margin: float = knob(0.5, "similarity on anomalies above which the push acts", low=-1.0, high=1.0)
    wmb_gain: float = knob(1.0, "how much a weight mask lifts the teacher's features; 0: no masks", low=0.0, high=100.0)
    wmb_weight: float = knob(1.0, "weight of the weight masks' own loss", above=0.0, high=100.0)
    psm_channels: int = knob(
        64, "channels of the segmentation decoder, halved at each of its last two steps", low=4, high=1024
    )
    focal_alpha: float = knob(0.8, "weight of anomalous pixels in the focal losses", low=0.0, high=1.0)
    focal_gamma: float = knob(2.0, "focus of the focal losses on hard pixels", low=0.0, high=10.0)
    l1_weight: float = knob(1.0, "weight of the L1 loss of the anomaly map", low=0.0, high=100.0)
    mask_threshold: float = knob(0.3, "anomalous share above which a feature position counts", low=0.0, high=0.99)
    top_t: int = knob(100, "largest pixels of the map whose mean is the image score", low=1, high=1_000_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch_grid not in PATCH_GRIDS:
            raise ConfigError(f"patch_grid = {self.patch_grid} is no power of two", hint="allowed: 1, 2, 4, 8")

    def planted(self) -> str:
        """Patches of texture."""
        return "perlin"
