"""The threshold by cost: what alarms and misses cost together, on images that are known to be normal or defective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdzoo.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """What wrong decisions cost, in any unit, the same for both.

    Attributes:
        miss: of a defective image that does not alarm, above 0.
        alarm: of a normal image that alarms, above 0.
        defect_rate: share of defective images where the detector will stand, in (0, 1); None as among the images given.

    Raises:
        UsageError: a value is out of range.
    """

    miss: float
    alarm: float
    defect_rate: float | None = None

    def __post_init__(self) -> None:
        for name, cost in (("a miss", self.miss), ("an alarm", self.alarm)):
            if not 0 < cost < float("inf"):
                raise UsageError(f"{name} cannot cost {cost}", hint="a cost is a number above 0")
        if self.defect_rate is not None and not 0 < self.defect_rate < 1:
            raise UsageError(f"a share of defects of {self.defect_rate} is out of range", hint="above 0 and below 1")

    def each(self, normals: int, defects: int) -> tuple[float, float]:
        """What one alarm of so many normals, and one miss of so many defects, add to the cost of an image judged."""
        rate = defects / (normals + defects) if self.defect_rate is None else self.defect_rate
        return self.alarm * (1 - rate) / normals, self.miss * rate / defects

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"miss": self.miss, "alarm": self.alarm, "defect_rate": self.defect_rate}


def cheapest_threshold(normals: NDArray[Any], defects: NDArray[Any], costs: Costs) -> tuple[float, float]:
    """The threshold at which wrong decisions cost least, and what they cost an image judged.

    Of thresholds that cost the same, the middle of the widest gap between scores is taken, then the higher one.

    Args:
        normals: scores of normal images, at least one.
        defects: scores of defective images, at least one.
        costs: of a miss and of an alarm.

    Raises:
        UsageError: there are no normal or no defective images.
    """
    if not len(normals) or not len(defects):
        raise UsageError("a threshold by cost takes normal and defective images")
    normals, defects = np.sort(np.asarray(normals, np.float64)), np.sort(np.asarray(defects, np.float64))
    values = np.unique(np.concatenate([normals, defects]))
    # Below all, between any two neighbours, above all: what lies between two scores decides alike.
    thresholds = np.concatenate([[np.nextafter(values[0], -np.inf)], (values[:-1] + values[1:]) / 2, [values[-1]]])
    gaps = np.concatenate([[0.0], np.diff(values), [0.0]])
    alarms = len(normals) - np.searchsorted(normals, thresholds, side="right")
    misses = np.searchsorted(defects, thresholds, side="right")
    of_alarm, of_miss = costs.each(len(normals), len(defects))
    spent = of_alarm * alarms + of_miss * misses
    least = np.flatnonzero(spent <= spent.min() * (1 + 1e-12))
    best = max(least, key=lambda index: (gaps[index], thresholds[index]))
    return float(thresholds[best]), float(spent[best])
