"""Configuration of `stfpm`. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from kdzoo.config import knob
from kdzoo.methods.config import TrainedConfig


@dataclass(frozen=True, kw_only=True)
class STFPMConfig(TrainedConfig):
    """Values of the paper, but for the optimizer: Adam in place of SGD with a step size of 0.4."""

    batch_size: int = knob(32, "images a training step", low=1, high=1024)
    smoothing_sigma: float = knob(0.0, "Gaussian over the anomaly map, in pixels of the input size", low=0.0, high=32.0)
    learning_rate: float = knob(0.001, "Adam's step size", above=0.0, high=1.0)
    epochs: int = knob(100, "passes over the training images", low=1, high=10_000)

    def planted(self) -> str:
        """None: it learns from images as they are."""
        return ""
