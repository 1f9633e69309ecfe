"""How a method stands beside the baseline that learns nothing, in words and numbers.

Takes the part `baseline` of a document as it stands there: a stranger may have written it, or an older kdzoo left it
out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def baseline_metrics(baseline: Mapping[str, Any]) -> dict[str, float]:
    """The baseline's numbers as flat names for a tracker, such as ``baseline_test_image_auroc``."""
    return {f"baseline_{name}": value for name, value in _numbers(baseline.get("metrics")).items()}


def compared(
    baseline: Mapping[str, Any], metrics: Mapping[str, float], objective: str
) -> tuple[str, float, float] | None:
    """The value that both have, of the report part where there is one: its name, the method's and the baseline's.

    Args:
        baseline: of the document.
        metrics: the method's, ``val_*`` and ``test_*``.
        objective: what selection went by.
    """
    theirs = _numbers(baseline.get("metrics"))
    for name in (f"test_{objective}", f"val_{objective}"):
        if name in metrics and name in theirs:
            return name, metrics[name], theirs[name]
    return None


def beaten_text(baseline: Mapping[str, Any], metrics: Mapping[str, float], objective: str) -> str:
    """That the baseline is at least as good, with both values; empty where it is not, or was not measured."""
    found = compared(baseline, metrics, objective)
    if found is None or found[2] < found[1]:
        return ""
    name, own, theirs = found
    return f"{theirs:.3f} by '{baseline.get('method')}', which learns nothing, against {own:.3f} ({name})"


def _numbers(values: Any) -> dict[str, float]:
    if not isinstance(values, Mapping):
        return {}
    return {
        str(name): float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
