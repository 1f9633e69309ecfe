"""What a trial plants: the method's own anomalies, or the kind and the textures that its options ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kdzoo.data.synthesis.base import Synthesizer
from kdzoo.data.synthesis.config import SynthesisConfig
from kdzoo.data.synthesis.fill import TextureSource
from kdzoo.data.synthesis.registry import build_synthesizer, kind_of, synthesis_config
from kdzoo.errors import ConfigError
from kdzoo.methods.base import Phase
from kdzoo.training.spec import TrialSpec


class Planting:
    """Builds the synthesizers of a trial's stages.

    Args:
        spec: the trial.
        textures: gives what anomalies are filled with; None: by formula. Asked only where something is planted.
    """

    def __init__(self, spec: TrialSpec, textures: Callable[[], TextureSource | None]) -> None:
        self._spec, self._textures = spec, textures

    def config(self, own: SynthesisConfig) -> SynthesisConfig:
        """What is planted in place of a stage's own synthesis.

        Of another kind than the stage's own all knobs are that kind's published ones, but for the share of images.
        """
        asked = self._spec.options.synthesis
        if not asked or kind_of(own).name == asked:
            return own
        return synthesis_config(asked)(probability=own.probability)

    def __call__(self, own: SynthesisConfig) -> Synthesizer:
        """The synthesizer of a stage.

        Raises:
            UsageError: textures were asked for, and what is planted is filled with none.
            DatasetNotFoundError: the textures are not there.
            ImageError: a texture cannot be decoded.
        """
        return build_synthesizer(self.config(own), self._textures())

    def check(self, stages: Sequence[Phase]) -> None:
        """Refuses options about anomalies where no stage plants any, and the configuration could not say so.

        Raises:
            ConfigError: naming the option.
        """
        asked = self._spec.options.about_planting
        if asked and self._spec.config.planted() is None and all(stage.synthesis is None for stage in stages):
            raise ConfigError(
                f"'{self._spec.method}' learns from no planted anomalies, so {asked[0]} says nothing to it",
                hint=f"leave {asked[0]} out",
            )
