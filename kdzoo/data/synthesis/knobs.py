"""What of synthetic anomalies a method lets people tune: typed here once, inherited by the method and the synthesizer.

A method's configuration stays flat: documents, search spaces and ``--set`` know these fields by their own names, and
`Config.part` hands them to the synthesizer's. Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass

from kdzoo.config import Config, knob
from kdzoo.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class BlendKnobs(Config):
    """How much of the image shows through an anomaly that is filled with something else."""

    blend_low: float = knob(0.0, "least share of the image that shows through an anomaly", low=0.0, high=1.0)
    blend_high: float = knob(0.8, "largest share of the image that shows through an anomaly", low=0.0, high=1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_order(self, "blend_low", "blend_high")


@dataclass(frozen=True, kw_only=True)
class SwapKnobs(Config):
    """Which patches of an image are pasted elsewhere on it; shares are in [0, 1], grey levels in [0, 255]."""

    patches: int = knob(3, "most patches an image; each after the first has a half chance", low=1, high=16)
    rows_low: float = knob(0.03, "least half-height of a patch, as a share of the height", low=0.0, high=0.5)
    rows_high: float = knob(0.4, "largest half-height of a patch, as a share of the height", low=0.0, high=0.5)
    columns_low: float = knob(0.03, "least half-width of a patch, as a share of the width", low=0.0, high=0.5)
    columns_high: float = knob(0.4, "largest half-width of a patch, as a share of the width", low=0.0, high=0.5)
    min_object_pct: float = knob(0.7, "least share of a patch that is object; 0 cuts anywhere", low=0.0, high=1.0)
    min_overlap_pct: float = knob(
        0.25, "least share of the object in a patch that falls on object; 0 any", low=0.0, high=1.0
    )
    background_level: float | None = knob(None, "grey level of the background; none: estimated", low=0.0, high=255.0)
    background_tolerance: float = knob(20.0, "background is this near its level, in grey levels", low=0.0, high=255.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_order(self, "rows_low", "rows_high")
        check_order(self, "columns_low", "columns_high")


def check_order(config: Config, low: str, high: str) -> None:
    """Checks that one field of a configuration is not above another.

    Raises:
        ConfigError: naming both.
    """
    least, most = getattr(config, low), getattr(config, high)
    if least > most:
        raise ConfigError(f"{low} = {least:g} is above {high} = {most:g}", hint=f"allowed: {low} <= {high}")
