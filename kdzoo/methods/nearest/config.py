"""Configuration of `nearest`. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kdzoo.config import knob
from kdzoo.errors import ConfigError
from kdzoo.methods.config import MethodConfig


@dataclass(frozen=True, kw_only=True)
class NearestConfig(MethodConfig):
    """Ours: what was best over photographed textures, the demo and solar cells together.

    With r rows of C channels the time of a prediction and the size of the detector grow with r C, however many train
    images there are.
    """

    passes = 1

    batch_size: int = knob(16, "images that are looked at at once; changes memory alone", low=1, high=1024)
    levels: Literal["2+3", "1+2+3", "2", "3"] = knob("2+3", "the teacher's levels that a patch is described by")
    neighbourhood: int = knob(3, "side of the square of positions that a patch averages over, odd", low=1, high=15)
    rows: int = knob(8000, "patches that are kept at most, drawn at random", low=1, high=1_000_000)
    top_t: int = knob(1, "largest pixels of a map whose mean is an image's score; 1: the maximum", low=1, high=100_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbourhood % 2 == 0:
            raise ConfigError(
                f"NearestConfig.neighbourhood: {self.neighbourhood} is even, and a patch has no middle then",
                hint=f"{self.neighbourhood - 1} or {self.neighbourhood + 1}",
            )

    @property
    def chosen_levels(self) -> tuple[int, ...]:
        """Which of the teacher's levels, from 0, the finest first."""
        return tuple(int(level) - 1 for level in self.levels.split("+"))
