"""The split-conformal threshold: which of N normal scores it is, and what may be said of it.

A threshold at the k-th smallest of N scores is exceeded by the score of a further image of the same kind with a
probability of (N + 1 - k) / (N + 1), or less where scores are equal: of N + 1 exchangeable scores each is as likely to
be the largest as any other. So k = ceil((N + 1) (1 - rate)) keeps a stated rate in expectation, and no N images reach a
rate below 1 / (N + 1): then the threshold is the largest score, and what is stated is its bound.

How often one threshold alarms differs from calibration to calibration, by the law Beta(N + 1 - k, k). Its upper end is
the exact one-sided bound of N - k of N (`kdzoo.metrics.binomial`), although the threshold was chosen on these images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

from kdzoo.metrics.binomial import SMALLEST_RATE, images_without_one, upper_bound

_HAIR = 1e-9
"""A rate such as 0.07 of 100 is 7.000000000000001 or 6.999999999999999 in binary: both allow 7."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What a calibration on normal images may state of false alarms.

    Attributes:
        images: normal images that the threshold comes from.
        above: how many of them alarm at it.
        asked: the rate that was asked for.
        expected: share of further normal images that alarm, in expectation.
        at_most: the same of this very threshold, with a confidence of 95 %.
        images_to_hold: how many images it takes for the asked rate to hold in expectation; None for a rate of 0.
        images_to_show: how many without an alarm would show the asked rate with a confidence of 95 %; likewise.
    """

    images: int
    above: int
    asked: float
    expected: float
    at_most: float
    images_to_hold: int | None
    images_to_show: int | None

    @classmethod
    def of(cls, images: int, rank: int, asked: float) -> Self:
        """Of a threshold at the ``rank``-th smallest of the scores of ``images``, counted from 1."""
        return cls(
            images=images,
            above=images - rank,
            asked=asked,
            expected=(images + 1 - rank) / (images + 1),
            at_most=upper_bound(images - rank, images),
            images_to_hold=None if asked < SMALLEST_RATE else math.ceil(1 / asked - _HAIR) - 1,
            images_to_show=images_without_one(asked),
        )

    @property
    def holds(self) -> bool:
        """Whether there are images enough for the asked rate to hold in expectation."""
        return self.expected <= self.asked + _HAIR

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "asked_rate": self.asked,
            "expected_rate": self.expected,
            "at_most": self.at_most,
            "holds": self.holds,
            "images_to_hold": self.images_to_hold,
            "images_to_show": self.images_to_show,
        }


def conformal_rank(images: int, rate: float) -> int:
    """Which score of ``images`` ascending ones is the threshold, from 1: the ceil((N + 1)(1 - rate))-th, or the last.

    Args:
        images: how many there are, at least 1.
        rate: share of normal images that may alarm, in [0, 1).
    """
    allowed = math.floor(rate * (images + 1) + _HAIR)
    return min(max(images + 1 - allowed, 1), images)
