"""Exact pixel and image metrics, and the frozen report of a detector's test.

The names of the metrics are light; what computes loads scipy on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kdzoo.metrics.names import DEFAULT_FPR_LIMIT, METRIC_NAMES, OBJECTIVES

if TYPE_CHECKING:
    from kdzoo.metrics.image import ImageScores
    from kdzoo.metrics.pixel import PixelCurve
    from kdzoo.metrics.report import Report, evaluate

__all__ = ["DEFAULT_FPR_LIMIT", "METRIC_NAMES", "OBJECTIVES", "ImageScores", "PixelCurve", "Report", "evaluate"]

_LAZY = {"ImageScores": "image", "PixelCurve": "pixel", "Report": "report", "evaluate": "report"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'kdzoo.metrics' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"kdzoo.metrics.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
