"""What a detector said of each image of a part, as a table for a spreadsheet: what went wrong comes first."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

from kdzoo.storage import growing_text

COLUMNS: Final = ("image", "defect_type", "label", "decision", "score", "threshold", "distance")
Decision = Literal["missed", "false alarm", "found", "passed"]


def write_image_rows(
    path: Path,
    names: Sequence[str],
    kinds: Sequence[str],
    labels: Sequence[int],
    scores: Sequence[float],
    threshold: float,
) -> None:
    """Writes a row an image: misses first, the clearest first; then false alarms, likewise; then the nearest calls.

    Args:
        path: the file, CSV in UTF-8.
        names: of the images.
        kinds: their defect types.
        labels: 1 for an anomalous image, 0 for a normal one.
        scores: theirs.
        threshold: an image scoring above it alarms.

    Raises:
        StorageError: disk full, no rights.
    """
    with growing_text(path) as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows(_rows(names, kinds, labels, scores, threshold))


def _rows(
    names: Sequence[str], kinds: Sequence[str], labels: Sequence[int], scores: Sequence[float], threshold: float
) -> Iterator[tuple[object, ...]]:
    found = [
        (_decision(label, score > threshold), name, kind, label, score)
        for name, kind, label, score in zip(names, kinds, labels, scores, strict=True)
    ]
    order = {"missed": 0, "false alarm": 1}

    def place(row: tuple[Decision, str, str, int, float]) -> tuple[int, float, str]:
        decision, name, *_, score = row
        distance = abs(score - threshold)
        return order.get(decision, 2), -distance if decision in order else distance, name

    for decision, name, kind, label, score in sorted(found, key=place):
        yield name, kind, label, decision, score, threshold, score - threshold


def _decision(label: int, alarms: bool) -> Decision:
    if label:
        return "found" if alarms else "missed"
    return "false alarm" if alarms else "passed"
