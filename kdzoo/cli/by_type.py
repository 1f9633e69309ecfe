"""What a detector reaches on each defect type, as lines of a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdzoo.metrics.decision_words import share_text

_COLUMNS = {
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "pixel_ap": "pixel AP",
    "aupro": "AUPRO",
}


def type_lines(found: Mapping[str, Any]) -> list[str]:
    """A line a defect type, under a heading; metrics that none of them has are left out, and all of it of one type.

    Args:
        found: as `kdzoo.metrics.by_type.by_defect_type` gives it, which a stranger may have written.
    """
    rows = {str(kind): row for kind, row in found.items() if isinstance(row, Mapping)}
    if len(rows) < 2:
        return []
    columns = [name for name in _COLUMNS if any(_is_number(row.get(name)) for row in rows.values())]
    width = max(len("defect type"), *map(len, rows))
    titles = [f"{_COLUMNS[name]:>11}" for name in columns]
    lines = ["  ".join([f"  {'defect type':{width}}", "images", *titles, "missed"])]
    for kind, row in rows.items():
        cells = [f"{row[name]:11.4f}" if _is_number(row.get(name)) else f"{'–':>11}" for name in columns]
        misses = row.get("misses")
        missed = share_text(misses) if isinstance(misses, Mapping) else ""
        lines.append("  ".join([f"  {kind:{width}}", f"{row.get('images', '–')!s:>6}", *cells, missed or "–"]))
    return lines


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
