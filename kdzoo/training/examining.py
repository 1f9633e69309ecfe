"""What a stage that is over finds of itself on anomalies planted on held-out normal images.

The images are normal ones of the selection part, up to a number and always the same for a seed; what the report is
measured on has no say. Every image that has room gets an anomaly: once of the kind that the stage has learned from,
which is the easiest that it will meet, and once of kinds that it has not, which is nearer to a real defect. What is
found is logged and kept; it chooses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from kdzoo.data.synthesis.base import Synthesizer
from kdzoo.data.synthesis.registry import SYNTHESES, kind_of
from kdzoo.errors import CheckpointError
from kdzoo.methods.base import Batch, Findings, Method, Phase, Stage
from kdzoo.training.data import TrialData
from kdzoo.training.evaluation import EVALUATION_BATCH, evaluating, exact
from kdzoo.training.images import ImageSource
from kdzoo.training.planting import Planting
from kdzoo.training.precision import gpus
from kdzoo.training.selection_anomalies import SelectionAnomalies

OTHER: Final = "_other"
"""Ends the names of metrics on anomalies of kinds that the stage has not learned from."""

MOST_EXAMINED: Final = 32
"""Images: each has thousands of positions, and whether these tell is seen on few."""


class Examinations:
    """Examines the stages of a trial, each once, when it is over.

    Args:
        method: on its device.
        data: the trial's.
        source: gives the images of the selection part.
        planting: makes the synthesizer of a stage.

    Attributes:
        found: what was found so far, by stage.
    """

    def __init__(
        self,
        method: Method,
        data: TrialData,
        source: Callable[[], ImageSource],
        planting: Planting,
    ) -> None:
        self._method, self._data, self._source, self._planting = method, data, source, planting
        self.found: dict[str, Findings] = {}

    def of(self, over: Sequence[Phase]) -> Findings:
        """Examines those of the stages that are over which were not yet; gives what that found, of all together."""
        new: list[Findings] = []
        for stage in over:
            if isinstance(stage, Stage) and stage.examine is not None and stage.name not in self.found:
                self.found[stage.name] = self._examined(stage, stage.examine)
                new.append(self.found[stage.name])
        return Findings(
            metrics={name: value for each in new for name, value in each.metrics.items()},
            warnings=tuple(warning for each in new for warning in each.warnings),
        )

    def as_dict(self) -> dict[str, Any]:
        """What was found as plain values, for a manifest or a resume state: by stage, metrics and warnings."""
        return {
            name: {"metrics": dict(found.metrics), "warnings": list(found.warnings)}
            for name, found in self.found.items()
        }

    def load(self, values: Mapping[str, Any]) -> None:
        """The inverse of `as_dict`.

        Raises:
            CheckpointError: it is no such thing.
        """
        try:
            self.found = {
                str(name): Findings(
                    metrics={str(key): float(value) for key, value in found["metrics"].items()},
                    warnings=tuple(map(str, found["warnings"])),
                )
                for name, found in values.items()
            }
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"what stages found of themselves is not readable: {error}") from error

    def _examined(self, stage: Stage, examine: Callable[[Iterator[Batch]], Findings]) -> Findings:
        device = self._source().device
        with torch.random.fork_rng(devices=gpus(device)), exact(), evaluating(self._method):
            if stage.synthesis is None:
                return examine(self._batches(None))
            planted = replace(self._planting.config(stage.synthesis), probability=1.0)
            found = examine(self._batches(self._planting(planted)))
            others = [name for name in SYNTHESES if name != kind_of(planted).name]
            other = examine(self._batches(SelectionAnomalies(others)))
        # What is asked of a stage is asked of what it has learned from.
        return replace(found, metrics={**found.metrics, **{f"{name}{OTHER}": v for name, v in other.metrics.items()}})

    def _batches(self, plant: Synthesizer | None) -> Iterator[Batch]:
        """The chosen images with anomalies planted, made as they are asked for."""
        source, seed = self._source(), self._data.options.split_seed
        normalise, device = self._method.teacher.normalise, source.device
        generator = torch.Generator(device=device).manual_seed(seed)
        chosen = self._chosen(seed)
        for start in range(0, len(chosen), EVALUATION_BATCH):
            rows = chosen[start : start + EVALUATION_BATCH]
            images = source.batch(rows)
            room = torch.from_numpy(self._data.room_on(rows))[:, None].to(device)
            clean = normalise(images)
            if plant is None:
                blank = torch.zeros_like(images[:, :1])
                yield Batch(images=clean, augmented=clean, masks=blank, foreground=room)
            else:
                made = plant(images, room, generator)
                yield Batch(images=clean, augmented=normalise(made.images), masks=made.masks, foreground=room)

    def _chosen(self, seed: int) -> NDArray[np.int64]:
        labels, _ = self._data.selection.by_row
        normal = np.flatnonzero(labels == 0)
        return np.sort(np.random.default_rng(seed).permutation(normal)[:MOST_EXAMINED])
