"""Configuration of `patchcore`. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kdzoo.config import knob
from kdzoo.errors import ConfigError
from kdzoo.methods.config import MethodConfig


@dataclass(frozen=True, kw_only=True)
class PatchCoreConfig(MethodConfig):
    """Values of the paper's PatchCore-10%, and two bounds that it has none of.

    For n patches of C channels that the bank is chosen from (at most ``candidates``) and r rows that it gets (at most
    ``most_rows``): memory while it is filled grows with n C, the time of the choice with n r, the time of a prediction
    and the size of the detector with r C.
    """

    passes = 1

    batch_size: int = knob(16, "images that are looked at at once; changes memory alone", low=1, high=1024)
    levels: Literal["2+3", "1+2+3", "2", "3"] = knob("2+3", "the teacher's levels that a patch is described by")
    neighbourhood: int = knob(3, "side of the square of positions that a patch averages over, odd", low=1, high=15)
    coreset_ratio: float = knob(0.1, "share of the train images' patches that the bank keeps", above=0.0, high=1.0)
    most_rows: int = knob(20_000, "patches that the bank keeps at most", low=1, high=1_000_000)
    candidates: int = knob(
        250_000, "patches that the bank is chosen from at most, as many of each image", low=1, high=10_000_000
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbourhood % 2 == 0:
            raise ConfigError(
                f"PatchCoreConfig.neighbourhood: {self.neighbourhood} is even, and a patch has no middle then",
                hint=f"{self.neighbourhood - 1} or {self.neighbourhood + 1}",
            )

    def planted(self) -> str:
        """None: it remembers images as they are."""
        return ""

    @property
    def chosen_levels(self) -> tuple[int, ...]:
        """Which of the teacher's levels, from 0, the finest first."""
        return tuple(int(level) - 1 for level in self.levels.split("+"))
