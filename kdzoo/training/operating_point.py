"""What the calibrated threshold decides on each part, with exact intervals, and what may be stated of other images."""

from __future__ import annotations

from typing import Any

from kdzoo.metrics.binomial import CONFIDENCE, Share
from kdzoo.metrics.decisions import Decisions
from kdzoo.training.calibration import Calibration


def operating_point(
    calibration: Calibration,
    *,
    selection: Decisions | None = None,
    report: Decisions | None = None,
    folds: int = 0,
) -> dict[str, Any]:
    """The operating point as the document says it, in JSON values.

    Args:
        calibration: of the detector; gives the threshold.
        selection: decisions on the selection part; None where they are not known.
        report: decisions on the report part; None where there is none, or it could not be measured.
        folds: how many models scored the calibration's images; 0 where the detector did.
    """
    parts = {"selection": selection, "report": report}
    return {
        "threshold": calibration.threshold(),
        "confidence": CONFIDENCE,
        "calibration": {**calibration_part(calibration), **({"folds": folds} if folds else {})},
        **{name: decisions.as_dict() for name, decisions in parts.items() if decisions is not None},
    }


def calibration_part(calibration: Calibration, false_positive_rate: float | None = None) -> dict[str, Any]:
    """Alarms on the images of the calibration, and what they let one state of further ones.

    Args:
        calibration: of the detector.
        false_positive_rate: share of normal images that may alarm; default the calibrated one.
    """
    claim = calibration.claim(false_positive_rate)
    alarms = Share.counted(claim.above, claim.images)
    return {"origin": calibration.origin, "false_alarms": alarms.as_dict(), **claim.as_dict()}


def as_metrics(point: dict[str, Any]) -> dict[str, float]:
    """An operating point as flat numbers for a tracker: counts, rates and the ends of their intervals.

    Names begin with ``calibration_``, ``val_`` or ``test_``, such as ``test_false_alarm_rate_high``.
    """
    found: dict[str, float] = {}
    for part, prefix in (("calibration", "calibration_"), ("selection", "val_"), ("report", "test_")):
        for kind, images in (("false_alarms", "normal_images"), ("misses", "defective_images")):
            share = point.get(part, {}).get(kind)
            if not share:
                continue
            rate = prefix + ("false_alarm_rate" if kind == "false_alarms" else "miss_rate")
            found[prefix + kind], found[prefix + images] = share["count"], share["of"]
            found[rate] = share["count"] / share["of"]
            found[rate + "_low"], found[rate + "_high"] = share["low"], share["high"]
    if found:
        stated = point["calibration"]
        found["calibration_expected_rate"] = stated["expected_rate"]
        found["calibration_at_most"] = stated["at_most"]
    return found
