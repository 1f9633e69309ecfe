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


def saturated_text(objective: str, value: float, metrics: Mapping[str, float]) -> str:
    """Where selection can tell nothing better any more: that it cannot, and what has decided; empty where it can.

    Args:
        objective: what selection maximises.
        value: the best that was reached.
        metrics: name to value at that epoch, without a prefix.
    """
    if value < 1.0:
        return ""
    named = next((name for name in TIE_BREAKERS if name != objective and name in metrics), None)
    decided = "the later epoch has decided" if named is None else f"{named} ({metrics[named]:.3f}) has decided"
    return f"selection is saturated: {objective} is 1.000 and tells nothing better; {decided}"
