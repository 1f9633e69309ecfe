"""Configuration of `patchcore`. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from kdzoo.config import knob
from kdzoo.methods.config import PatchesConfig


@dataclass(frozen=True, kw_only=True)
class PatchCoreConfig(PatchesConfig):
    """Values of the paper's PatchCore-10%, and two bounds that it has none of.

    For n patches of C channels that the bank is chosen from (at most ``candidates``) and r rows that it gets (at most
    ``most_rows``): memory while it is filled grows with n C, the time of the choice with n r, the time of a prediction
    and the size of the detector with r C.
    """

    coreset_ratio: float = knob(0.1, "share of the train images' patches that the bank keeps", above=0.0, high=1.0)
    most_rows: int = knob(20_000, "patches that the bank keeps at most", low=1, high=1_000_000)
    candidates: int = knob(
        250_000, "patches that the bank is chosen from at most, as many of each image", low=1, high=10_000_000
    )
