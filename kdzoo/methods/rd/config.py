"""Configuration of `rd`. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from kdzoo.config import knob
from kdzoo.methods.config import ReverseDistillationConfig


@dataclass(frozen=True, kw_only=True)
class RDConfig(ReverseDistillationConfig):
    """Published values of Reverse Distillation."""

    learning_rate: float = knob(0.005, "Adam's step size", above=0.0, high=1.0)
    epochs: int = knob(200, "passes over the training images", low=1, high=10_000)

    def planted(self) -> str:
        """None: it learns from images as they are."""
        return ""
