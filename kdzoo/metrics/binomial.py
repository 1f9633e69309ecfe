"""Shares with exact intervals: what n of N images show of the rate behind them (Clopper and Pearson, 1934)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Self

from kdzoo.errors import UsageError

CONFIDENCE: Final = 0.95
"""Of every interval and every bound that kdzoo states, unless it says another."""

SMALLEST_RATE: Final = 1e-12
"""Lower rates are as good as 0: no number of images shows them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """How many of a number of images, and where the rate behind it lies.

    Attributes:
        count: how many, 0 to ``of``.
        of: of how many images.
        low: lower end of the exact two-sided interval of `CONFIDENCE`; a fraction.
        high: its upper end. Of no images anything is possible: 0 to 1.
    """

    count: int
    of: int
    low: float
    high: float

    @classmethod
    def counted(cls, count: int, of: int) -> Self:
        """The share with its interval.

        Raises:
            UsageError: the count is negative or more than there are.
        """
        low, high = interval(count, of)
        return cls(count=count, of=of, low=low, high=high)

    @property
    def rate(self) -> float | None:
        """The fraction; None of no images."""
        return self.count / self.of if self.of else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"count": self.count, "of": self.of, "low": self.low, "high": self.high}


def interval(count: int, of: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact two-sided interval of the rate behind ``count`` of ``of``, both ends as fractions.

    Args:
        count: successes, 0 to ``of``.
        of: independent tries; of none the interval is 0 to 1.
        confidence: in (0, 1).

    Raises:
        UsageError: the count or the confidence is out of range.
    """
    _check(count, of, confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else _beta_quantile(tail, count, of - count + 1)
    return low, _at_most(count, of, tail)


def upper_bound(count: int, of: int, *, confidence: float = CONFIDENCE) -> float:
    """What the rate behind ``count`` of ``of`` is at most, with a confidence: the exact one-sided bound, a fraction.

    Raises:
        UsageError: the count or the confidence is out of range.
    """
    _check(count, of, confidence)
    return _at_most(count, of, 1 - confidence)


def bound_of_a_choice(count: int, of: int, *, confidence: float = CONFIDENCE) -> float:
    """What the rate behind ``count`` of ``of`` is at most where the threshold was chosen by these very images.

    Holds for all thresholds at once (the inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant), and so
    for whichever was chosen; a fraction, wider than `upper_bound`.

    Raises:
        UsageError: the count or the confidence is out of range.
    """
    _check(count, of, confidence)
    return min(count / of + math.sqrt(math.log(1 / (1 - confidence)) / (2 * of)), 1.0) if of else 1.0


def images_without_one(rate: float, *, confidence: float = CONFIDENCE) -> int | None:
    """How many images without a single one show that the rate is at most this; None of a rate of 0.

    Args:
        rate: a fraction, below 1.
        confidence: in (0, 1).
    """
    if rate < SMALLEST_RATE:
        return None
    # A hair less: where the quotient is whole, its last bit must not ask for one image more.
    return math.ceil(math.log(1 - confidence) / math.log1p(-rate) - 1e-9)


def _at_most(count: int, of: int, tail: float) -> float:
    return 1.0 if count == of else _beta_quantile(1 - tail, count + 1, of - count)


def _beta_quantile(share: float, first: int, second: int) -> float:
    from scipy.special import betaincinv  # the rest of scipy.stats takes seconds to load

    return float(betaincinv(first, second, share))


def _check(count: int, of: int, confidence: float) -> None:
    if not 0 <= count <= of:
        raise UsageError(f"{count} of {of} is no share")
    if not 0 < confidence < 1:
        raise UsageError(f"a confidence of {confidence} is out of range", hint="above 0 and below 1, such as 0.95")
