"""Configuration of `mrkd`. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from kdzoo.config import knob
from kdzoo.data.synthesis.knobs import SwapKnobs
from kdzoo.methods.config import ReverseDistillationConfig


@dataclass(frozen=True, kw_only=True)
class MRKDConfig(SwapKnobs, ReverseDistillationConfig):
    """Published values of MRKD; of those that differ by category, the ones of most categories of objects."""

    learning_rate: float = knob(0.005, "Adam's step size", above=0.0, high=1.0)
    epochs: int = knob(200, "passes over the training images", low=1, high=10_000)
    mask_ratio_1: float = knob(0.2, "share of level 1's positions that are masked (FLM)", low=0.0, high=0.95)
    mask_ratio_2: float = knob(0.2, "share of level 2's positions that are masked (FLM)", low=0.0, high=0.95)
    mask_ratio_3: float = knob(0.2, "share of level 3's positions that are masked (FLM)", low=0.0, high=0.95)
    anomaly_probability: float = knob(1.0, "share of images that get patch swaps (ILM); 0: none", low=0.0, high=1.0)

    def planted(self) -> str:
        """Patch swaps, unless no image gets any."""
        return "nsa" if self.anomaly_probability else ""

    @property
    def mask_ratios(self) -> tuple[float, float, float]:
        """Of the three levels, level 1 first."""
        return self.mask_ratio_1, self.mask_ratio_2, self.mask_ratio_3
