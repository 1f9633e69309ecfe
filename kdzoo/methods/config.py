"""What the configurations of all methods have in common. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from kdzoo.config import Config, knob


@dataclass(frozen=True, kw_only=True)
class MethodConfig(Config):
    """Base of the methods' configurations: the knobs that every method has."""

    batch_size: int = knob(16, "images a training step", low=1, high=1024)
    smoothing_sigma: float = knob(4.0, "Gaussian over the anomaly map, in pixels of the input size", low=0.0, high=32.0)

    @classmethod
    def epoch_keys(cls) -> tuple[str, ...]:
        """The fields that hold the stages' epochs, in training order."""
        return tuple(key for key in cls.__dataclass_fields__ if key == "epochs" or key.endswith("_epochs"))

    def total_epochs(self) -> int:
        """Epochs over all stages."""
        return sum(getattr(self, key) for key in self.epoch_keys())

    def epoch_split(self, total: int) -> dict[str, int]:
        """Splits a total number of epochs over the stages in their current proportion, at least one each; a stage without epochs stays without.

        Args:
            total: epochs over all stages; fewer than stages gives each stage one.
        """
        keys = self.epoch_keys()
        shares = [getattr(self, key) / self.total_epochs() for key in keys]
        split = [max(1, round(total * share)) if share else 0 for share in shares]
        split[-1] = max(1, total - sum(split[:-1]))
        return dict(zip(keys, split, strict=True))
