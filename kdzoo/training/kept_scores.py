"""Scores of single images, kept in the document: what decisions and comparisons can be taken from anew later."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

MOST_KEPT: Final = 20_000
"""Images of a part; of more, nothing is kept: a manifest is read whole."""


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptScores:
    """Scores and labels of the images of a part, in the part's order.

    Attributes:
        images: sha256 hex over the images' names: equal digests mean the same images in the same order.
        labels: ``[N]``, 1 for an anomalous image, 0 for a normal one.
        scores: ``[N]`` image scores.
    """

    images: str
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]

    @classmethod
    def of(cls, names: Sequence[str], labels: NDArray[np.int64], scores: NDArray[np.float32]) -> Self:
        """Of a part's names, labels and scores."""
        digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
        return cls(images=digest, labels=labels, scores=scores.astype(np.float64))

    def as_dict(self) -> dict[str, Any] | None:
        """Plain values, ready for JSON; None where there are too many to keep."""
        if len(self.scores) > MOST_KEPT:
            return None
        # As few digits as a float32 needs: half of what its double would take.
        scores = [float(str(score)) for score in self.scores.astype(np.float32)]
        return {"images": self.images, "labels": "".join(map(str, self.labels)), "scores": scores}

    @classmethod
    def find(cls, document: Mapping[str, Any], part: str) -> Self | None:
        """What a document holds of a part, which a stranger may have written; None where that is nothing usable.

        Args:
            document: of a detector.
            part: ``selection`` or ``report``.
        """
        parts = document.get("scores")
        kept = parts.get(part) if isinstance(parts, Mapping) else None
        if not isinstance(kept, Mapping):
            return None
        images, labels, scores = (kept.get(key) for key in ("images", "labels", "scores"))
        if not isinstance(images, str) or not isinstance(labels, str) or not isinstance(scores, list):
            return None
        numbers = all(isinstance(score, int | float) and not isinstance(score, bool) for score in scores)
        if not numbers or not set(labels) <= {"0", "1"} or len(labels) != len(scores) or len(scores) > MOST_KEPT:
            return None
        try:
            with np.errstate(over="ignore"):  # a number too large for a float32 is infinite, and refused as that
                found = np.asarray(scores, np.float64).astype(np.float32).astype(np.float64)
        except OverflowError:
            return None
        if not np.isfinite(found).all():
            return None
        return cls(images=images, labels=np.array([int(label) for label in labels], np.int64), scores=found)
