"""The names of the metrics; light, so that a command line may offer them."""

from __future__ import annotations

from typing import Final

METRIC_NAMES: Final = ("image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro")
"""The seven metrics, in the order in which they are shown."""

OBJECTIVES: Final = METRIC_NAMES
"""What a sweep may maximise. Of every one, higher is better."""

DEFAULT_FPR_LIMIT: Final = 0.3
"""Where AUPRO's integral ends unless the person says otherwise, as in Bergmann et al."""
