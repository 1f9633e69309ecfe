"""Configuration of `nearest`. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from kdzoo.config import knob
from kdzoo.methods.config import PatchesConfig


@dataclass(frozen=True, kw_only=True)
class NearestConfig(PatchesConfig):
    """Ours: what was best over photographed textures, the demo and solar cells together.

    With r rows of C channels the time of a prediction and the size of the detector grow with r C, however many train
    images there are.
    """

    rows: int = knob(8000, "patches that are kept at most, drawn at random", low=1, high=1_000_000)
    top_t: int = knob(1, "largest pixels of a map whose mean is an image's score; 1: the maximum", low=1, high=100_000)
