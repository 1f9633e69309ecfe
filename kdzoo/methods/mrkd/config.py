"""Configuration of `mrkd`. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from kdzoo.config import knob
from kdzoo.errors import ConfigError
from kdzoo.methods.config import ReverseDistillationConfig


@dataclass(frozen=True, kw_only=True)
class MRKDConfig(ReverseDistillationConfig):
    """Published values of MRKD; of those that differ by category, the ones of most categories of objects."""

    learning_rate: float = knob(0.005, "Adam's step size", above=0.0, high=1.0)
    epochs: int = knob(200, "passes over the training images", low=1, high=10_000)
    mask_ratio_1: float = knob(0.2, "share of level 1's positions that are masked (FLM)", low=0.0, high=0.95)
    mask_ratio_2: float = knob(0.2, "share of level 2's positions that are masked (FLM)", low=0.0, high=0.95)
    mask_ratio_3: float = knob(0.2, "share of level 3's positions that are masked (FLM)", low=0.0, high=0.95)
    anomaly_probability: float = knob(1.0, "share of images that get patch swaps (ILM); 0: none", low=0.0, high=1.0)
    patches: int = knob(3, "most patches an image; each after the first has a half chance", low=1, high=16)
    rows_low: float = knob(0.03, "least half-height of a patch, as a share of the height", low=0.0, high=0.5)
    rows_high: float = knob(0.4, "largest half-height of a patch, as a share of the height", low=0.0, high=0.5)
    columns_low: float = knob(0.03, "least half-width of a patch, as a share of the width", low=0.0, high=0.5)
    columns_high: float = knob(0.4, "largest half-width of a patch, as a share of the width", low=0.0, high=0.5)
    min_object_pct: float = knob(0.7, "least share of a patch that is object; 0 cuts anywhere", low=0.0, high=1.0)
    min_overlap_pct: float = knob(0.25, "least share of the place pasted on that is object", low=0.0, high=1.0)
    background_level: float | None = knob(None, "grey level of the background; none: estimated", low=0.0, high=255.0)
    background_tolerance: float = knob(20.0, "background is this near its level, in grey levels", low=0.0, high=255.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for low, high in (("rows_low", "rows_high"), ("columns_low", "columns_high")):
            least, most = getattr(self, low), getattr(self, high)
            if least > most:
                raise ConfigError(f"{low} = {least:g} is above {high} = {most:g}", hint=f"allowed: {low} <= {high}")

    @property
    def mask_ratios(self) -> tuple[float, float, float]:
        """Of the three levels, level 1 first."""
        return self.mask_ratio_1, self.mask_ratio_2, self.mask_ratio_3
