"""What the configurations of all synthetic anomalies have in common. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from kdzoo.config import Config, knob


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig(Config):
    """Base of the configurations of synthetic anomalies; its class says which synthesizer it is for."""

    probability: float = knob(1.0, "share of the images that get an anomaly", low=0, high=1)
