"""Exact pixel and image metrics, and the frozen report of a detector's test."""

from kdzoo.metrics.image import ImageScores
from kdzoo.metrics.pixel import PixelCurve
from kdzoo.metrics.report import DEFAULT_FPR_LIMIT, METRIC_NAMES, OBJECTIVES, Report, evaluate

__all__ = ["DEFAULT_FPR_LIMIT", "METRIC_NAMES", "OBJECTIVES", "ImageScores", "PixelCurve", "Report", "evaluate"]
