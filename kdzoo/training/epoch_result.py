"""What one epoch of a trial gave."""

from __future__ import annotations

from dataclasses import dataclass, field

from kdzoo.methods.base import Findings
from kdzoo.metrics.report import Report


@dataclass(frozen=True, kw_only=True)
class EpochResult:
    """What one epoch gave.

    Attributes:
        epoch: over all stages, from 1.
        stage: name of the stage.
        selection_epoch: epochs of detecting stages so far; the clock that trials are compared by.
        losses: means over the epoch.
        report: selection metrics, None when this epoch was not measured.
        seconds: training time, then time of measuring.
        parts: in how many parts each batch was taken; more than one after the GPU's memory ran out.
        found: what stages that are over found of themselves, where it is new.
    """

    epoch: int
    stage: str
    selection_epoch: int
    losses: dict[str, float]
    report: Report | None
    seconds: tuple[float, float]
    parts: int
    found: Findings = field(default_factory=Findings)
