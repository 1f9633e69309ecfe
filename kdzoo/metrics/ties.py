"""What decides between results that the objective does not tell apart: on few images, many reach the same value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TIE_BREAKERS: Final = ("pixel_ap", "aupro")
"""The first of these that is defined decides, other than the objective itself."""


def tie_breaker(metrics: Mapping[str, float], objective: str) -> float:
    """What is compared where two results have the same objective, higher is better; 0 where nothing is defined.

    Args:
        metrics: name to value, those that are defined.
        objective: the metric that is equal.
    """
    return next((metrics[name] for name in TIE_BREAKERS if name != objective and name in metrics), 0.0)
