"""The frozen features that a trial asks for: of its train part in the stage that is due, and of its selection part."""

from __future__ import annotations

from typing import Literal

from kdzoo.data.cache.features import FeatureCache
from kdzoo.methods.base import Frozen, Method, OnePass, Phase
from kdzoo.settings import Settings
from kdzoo.training.data import TrialData
from kdzoo.training.evaluation import evaluating, exact
from kdzoo.training.features import FeaturePart, FeatureSource
from kdzoo.training.images import ImageSource
from kdzoo.training.telling import Told, nobody


class TrialFeatures:
    """Opens sources of features when they are first asked for, and lets go of them when a stage ends.

    Args:
        method: on its device.
        data: the trial's.

    Attributes:
        told: how far the making of features is.
    """

    def __init__(self, method: Method, data: TrialData) -> None:
        self._method, self._data = method, data
        self._cache = FeatureCache(data.cache, Settings.from_environment().cache_limit)
        self.told: Told = nobody
        self._stage: str | None = None
        self._open: dict[str, FeatureSource] = {}

    def of_train(self, stage: Phase, images: ImageSource, *, passes: int) -> FeatureSource | None:
        """What a stage's loss takes of the train images; None when it takes nothing of them as they are.

        Args:
            stage: the one that trains, its modules in training mode.
            images: the train part.
            passes: epochs that are left of it.
        """
        self._enter(stage)
        if stage.frozen is None:
            return None
        if "train" not in self._open:
            self._open["train"] = self._source("train", stage.frozen, images)
            # Of images that are changed each time anew there is nothing to keep; one look is at them as they are.
            if isinstance(stage, OnePass) or not self._data.options.augment:
                self._open["train"].keep(self._cache, passes=passes)
        return self._open["train"]

    def of_selection(self, stage: Phase | None, images: ImageSource, *, passes: int) -> FeatureSource | None:
        """What the method's maps take of the selection images; None when it names nothing.

        Args:
            stage: the one that was trained; None after training.
            images: the selection part.
            passes: evaluations that are left in the stage; 0 makes nothing that is not there.
        """
        self._enter(stage)
        frozen = self._method.frozen()
        if frozen is None:
            return None
        if "selection" not in self._open:
            self._open["selection"] = self._source("selection", frozen, images)
            with exact(), evaluating(self._method):
                self._open["selection"].keep(self._cache, passes=passes)
        return self._open["selection"]

    def give_up(self) -> bool:
        """Frees the GPU's memory of features, which are computed from then on; says whether there was any."""
        freed = [source.give_up() for source in self._open.values()]
        return any(freed)

    def close(self) -> None:
        """Lets go of all features; they are found or made again when they are asked for."""
        for source in self._open.values():
            source.close()
        self._open.clear()

    def _enter(self, stage: Phase | None) -> None:
        # In another stage other modules are frozen.
        name = None if stage is None else stage.name
        if name != self._stage:
            self.close()
            self._stage = name

    def _source(self, part: Literal["train", "selection"], frozen: Frozen, images: ImageSource) -> FeatureSource:
        data = self._data
        name = f"{data.index.dataset}/{data.index.category}"
        wanted = FeaturePart(source=images, pixels=lambda: data.pixels_of(part), name=name, part=part)
        return FeatureSource(frozen, self._method, wanted, told=self.told)
