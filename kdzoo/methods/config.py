"""What the configurations of all methods have in common. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kdzoo.config import Config, knob
from kdzoo.data.synthesis.knobs import BlendKnobs
from kdzoo.errors import ConfigError


def levels_named(text: str) -> tuple[int, ...]:
    """Levels as a knob names them, such as ``2+3``, counted from 0."""
    return tuple(int(level) - 1 for level in text.split("+"))


@dataclass(frozen=True, kw_only=True)
class MethodConfig(Config):
    """Base of the methods' configurations: the knobs that every method has, also one that takes no gradient steps.

    Attributes:
        passes: stages of one pass over the images, which no field holds the epochs of; no field itself.
    """

    passes = 0

    batch_size: int = knob(16, "images a training step", low=1, high=1024)
    smoothing_sigma: float = knob(4.0, "Gaussian over the anomaly map, in pixels of the input size", low=0.0, high=32.0)

    def planted(self) -> str | None:
        """The kind of synthetic anomalies that the method learns from, by name; empty where it plants none.

        None, the default, leaves it to the stages: what depends on it is then checked when the method is built.
        """
        return None

    @classmethod
    def epoch_keys(cls) -> tuple[str, ...]:
        """The fields that hold the stages' epochs, in training order."""
        return tuple(key for key in cls.__dataclass_fields__ if key == "epochs" or key.endswith("_epochs"))

    def total_epochs(self) -> int:
        """Epochs over all stages."""
        return self.passes + sum(int(getattr(self, key)) for key in self.epoch_keys())

    def last_epochs(self) -> tuple[str | None, int]:
        """The field that holds the epochs of the last stage, and how many they are; no field where it is one pass."""
        keys = self.epoch_keys()
        return (keys[-1], int(getattr(self, keys[-1]))) if keys else (None, 1)

    def epoch_split(self, total: int) -> dict[str, int]:
        """Splits a total number of epochs over the stages in their current proportion, at least one each.

        A stage without epochs stays without.

        Args:
            total: epochs over all stages; fewer than stages gives each stage one.
        """
        planned = {key: getattr(self, key) for key in self.epoch_keys()}
        split = dict.fromkeys(planned, 0)
        stages = [key for key, epochs in planned.items() if epochs]
        left = max(total, len(stages))
        for position, key in enumerate(stages):
            later = stages[position + 1 :]
            share = planned[key] / sum(planned[each] for each in stages[position:])
            # Every later stage still needs one.
            split[key] = min(max(1, round(left * share)), left - len(later))
            left -= split[key]
        return split


@dataclass(frozen=True, kw_only=True)
class PatchesConfig(MethodConfig):
    """Base of the configurations of methods that remember patches of normal images: how a patch is described."""

    passes = 1

    batch_size: int = knob(16, "images that are looked at at once; changes memory alone", low=1, high=1024)
    levels: Literal["2+3", "1+2+3", "2", "3"] = knob("2+3", "the teacher's levels that a patch is described by")
    neighbourhood: int = knob(3, "side of the square of positions that a patch averages over, odd", low=1, high=15)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbourhood % 2 == 0:
            raise ConfigError(
                f"{type(self).__name__}.neighbourhood: {self.neighbourhood} is even, and a patch has no middle then",
                hint=f"{self.neighbourhood - 1} or {self.neighbourhood + 1}",
            )

    def planted(self) -> str:
        """None: it remembers images as they are."""
        return ""

    @property
    def chosen_levels(self) -> tuple[int, ...]:
        """Which of the teacher's levels, from 0, the finest first."""
        return levels_named(self.levels)


@dataclass(frozen=True, kw_only=True)
class TrainedConfig(MethodConfig):
    """Base of the configurations of methods that learn by gradient steps: how the steps are spent."""

    epoch_steps: int = knob(
        0, "steps an epoch, however many images there are; 0: one pass over them", low=0, high=100_000
    )
    schedule: Literal["published", "cosine"] = knob("published", "how the learning rate falls over a stage")
    warmup: float = knob(0.0, "share of a stage's steps in which the learning rate rises", low=0.0, high=0.9)
    weight_decay: float = knob(0.0, "by how much a step shrinks weights, times the learning rate", low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class LevelSumConfig(TrainedConfig):
    """Base of the configurations whose map is a sum over the teacher's levels."""

    level_scale: Literal["sum", "zscore", "place"] = knob(
        "sum", "how levels are added: as they are, each by its spread on normal images, or also by each place's mean"
    )
    map_levels: Literal["1+2+3", "2+3", "2", "3"] = knob("1+2+3", "the levels that are added, the finest first")
    top_t: int = knob(1, "largest pixels of a map whose mean is an image's score; 1: the maximum", low=1, high=100_000)

    @property
    def added_levels(self) -> tuple[int, ...]:
        """Which of the teacher's levels a map adds, from 0, the finest first."""
        return levels_named(self.map_levels)


@dataclass(frozen=True, kw_only=True)
class ReverseDistillationConfig(LevelSumConfig):
    """Base of the configurations of reverse distillation: what its student is like."""

    student: Literal["mirror", "fitted"] = knob(
        "mirror", "of a teacher that is no ResNet: a resnet18's decoder, or one with linear ends and smaller blocks"
    )
    width: float = knob(1.0, "factor on the inner width of bottleneck embedding and decoder", low=0.125, high=4.0)


@dataclass(frozen=True, kw_only=True)
class TexturedConfig(BlendKnobs):
    """For the configurations of methods that learn from patches of texture, in front of their base."""

    anomaly_probability: float = knob(0.8, "share of images that get a synthetic anomaly", above=0.0, high=1.0)
