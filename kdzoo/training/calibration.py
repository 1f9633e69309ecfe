"""The decision threshold, from the scores of normal images at a stated false-positive rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from kdzoo.errors import CheckpointError, UsageError
from kdzoo.metrics.conformal import Claim, conformal_rank
from kdzoo.metrics.maps import Maps, is_one, some_of
from kdzoo.pictures import HeatScale

_KEPT_SCORES = 512
_MOST_IMAGES = 10**12
_FORMER_REACH = 0.6
"""How far above the pixel threshold the colours are full, in thresholds, where the normal level is not known."""

Rule = Literal["split-conformal", "share", "cost"]
"""Which score is the threshold. ``share``, of detectors that name no rule, let that share of the calibration's images
alarm; of images not seen before, more do. ``cost``: one that was chosen by what alarms and misses cost."""
Origin = Literal["selection", "folds", "given"]
"""Where the normal images come from: the selection part, train images scored by models that had not seen them, or what
a person gave later."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """What normal images score.

    Attributes:
        false_positive_rate: share of normal images that the default threshold lets alarm.
        normal_images: how many normal images the threshold comes from.
        image_scores: their scores, ascending (at most 512 evenly spaced ones), so another rate can be chosen at load.
        map_peaks: the largest map value of each, likewise; a mask marks pixels above what a normal image reaches.
        map_level: what a pixel of a normal map usually is, the median over images of the map's median; None in
            detectors of kdzoo before it was kept.
        rule: which score is the threshold.
        origin: where the images come from.
        chosen: the threshold that was chosen by cost; None under the other rules. Rates that are asked for at load and
            the pixel threshold go by the conformal quantile then.
    """

    false_positive_rate: float
    normal_images: int
    image_scores: tuple[float, ...]
    map_peaks: tuple[float, ...]
    map_level: float | None = None
    rule: Rule = "split-conformal"
    origin: Origin = "selection"
    chosen: float | None = None

    def threshold(self, false_positive_rate: float | None = None) -> float:
        """An image scoring above this is called anomalous."""
        if false_positive_rate is None and self.chosen is not None:
            return self.chosen
        return self._quantile(self.image_scores, self._rate(false_positive_rate))

    def pixel_threshold(self, false_positive_rate: float | None = None) -> float:
        """A pixel above this is marked: the same share of normal images would show any mark at all."""
        return self._quantile(self.map_peaks, self._rate(false_positive_rate))

    def claim(self, false_positive_rate: float | None = None) -> Claim:
        """What these images let one state of the false alarms at a rate's threshold, the conformal quantile."""
        rate = self._rate(false_positive_rate)
        ranks = self._ranks(len(self.image_scores))
        return Claim.of(int(ranks[-1]), int(ranks[self._index(len(self.image_scores), rate)]), rate)

    def heat_scale(self) -> HeatScale:
        """The colours of this detector's maps, the same for all its images and whatever decision is asked of it.

        None up to what normal images reach, at the calibrated rate; full as far above that as that is above what a
        normal pixel usually is. Where the usual is not known, full at 1.6 of the pixel threshold.
        """
        begin = self.pixel_threshold()
        reach = _FORMER_REACH * abs(begin) if self.map_level is None else begin - self.map_level
        return HeatScale(begin=begin, full=begin + reach)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, with the thresholds a person would look for."""
        level = {} if self.map_level is None else {"map_level": self.map_level}
        return {
            "false_positive_rate": self.false_positive_rate,
            "normal_images": self.normal_images,
            "threshold": self.threshold(),
            "pixel_threshold": self.pixel_threshold(),
            "image_scores": list(self.image_scores),
            "map_peaks": list(self.map_peaks),
            **level,
            "rule": self.rule,
            "origin": self.origin,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `as_dict`.

        Raises:
            CheckpointError: a value is missing or not a finite number.
        """
        try:
            rate, images = _number(values["false_positive_rate"]), values["normal_images"]
            scores, peaks = _ascending(values["image_scores"]), _ascending(values["map_peaks"])
            level = _number(values["map_level"]) if "map_level" in values else None
            rule, origin = (
                _one_of(Rule, values.get("rule", "share")),
                _one_of(Origin, values.get("origin", "selection")),
            )
            chosen = _number(values["threshold"]) if rule == "cost" else None
        except KeyError as error:
            raise CheckpointError(f"the calibration lacks {error}") from error
        except (TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(f"the calibration cannot be read: {error}") from error
        if not 0 <= rate < 1 or not isinstance(images, int) or not 1 <= images <= _MOST_IMAGES:
            raise CheckpointError(f"the calibration holds a rate of {rate} over {str(images)[:80]} normal images")
        return cls(
            false_positive_rate=rate,
            normal_images=images,
            image_scores=scores,
            map_peaks=peaks,
            map_level=level,
            rule=rule,
            origin=origin,
            chosen=chosen,
        )

    def _rate(self, given: float | None) -> float:
        if given is not None and not 0 <= given < 1:
            raise UsageError(f"false-positive rate {given} is out of range", hint="from 0 up to, but not including, 1")
        return self.false_positive_rate if given is None else given

    def _quantile(self, ascending: tuple[float, ...], rate: float) -> float:
        return ascending[self._index(len(ascending), rate)]

    def _index(self, kept: int, rate: float) -> int:
        """Which of the kept scores is the threshold: by the rule's rank among all, or the next that was kept."""
        if self.rule == "share":
            return kept - 1 - min(math.floor(rate * kept + 1e-9), kept - 1)
        ranks = self._ranks(kept)
        return int(np.searchsorted(ranks, conformal_rank(int(ranks[-1]), rate)))

    def _ranks(self, kept: int) -> NDArray[np.int64]:
        """The rank of each kept score among those of all images, from 1."""
        images = max(self.normal_images, kept)
        ranks = _kept_positions(images, kept) + 1
        ranks[-1] = images  # of one kept score of many, which a stranger may write
        return ranks


@dataclass(frozen=True, kw_only=True)
class NormalScores:
    """What is kept of the maps and scores of normal images.

    Attributes:
        scores: ``[N]`` image scores.
        peaks: ``[N]`` largest values of their maps.
        levels: ``[N]`` medians of what counts of their maps.
    """

    scores: NDArray[np.float32]
    peaks: NDArray[np.float32]
    levels: NDArray[np.float64]

    @classmethod
    def of(cls, scores: NDArray[np.float32], maps: Maps, inside: Maps | None = None) -> Self:
        """Of ``[N]`` scores and ``[N, S, S]`` maps of normal images, or of a sequence of N maps.

        Args:
            scores: ``[N]``.
            maps: what of them does not count holds their least value, and would pass for what is usual.
            inside: ``[S, S]`` or ``[N, S, S]`` bool, or a sequence of N, what counts; None: everything.
        """
        each_inside = [inside] * len(maps) if inside is None or is_one(inside) else inside
        # An image at a time: a median sorts a copy.
        levels = [np.median(each if kept is None else each[kept]) for each, kept in zip(maps, each_inside, strict=True)]
        peaks = np.array([each.max() for each in maps], np.float32)
        return cls(scores=scores, peaks=peaks, levels=np.array(levels, np.float64))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The images of several sets, one after the other."""
        return cls(
            scores=np.concatenate([part.scores for part in parts]),
            peaks=np.concatenate([part.peaks for part in parts]),
            levels=np.concatenate([part.levels for part in parts]),
        )


def calibrate(
    scores: NDArray[np.float32],
    maps: Maps,
    labels: NDArray[np.int64],
    *,
    false_positive_rate: float,
    inside: Maps | None = None,
) -> Calibration:
    """Calibrates on the normal images among scored ones.

    Args:
        scores: ``[N]`` image scores.
        maps: ``[N, S, S]`` anomaly maps, or a sequence of N.
        labels: ``[N]``, 1 for anomalous; those images are left out.
        false_positive_rate: share of normal images allowed above the threshold.
        inside: ``[S, S]`` or ``[N, S, S]`` bool, or a sequence of N, what counts of the maps; None: everything.

    Raises:
        UsageError: none is normal.
    """
    normal = labels == 0
    if not normal.any():
        raise UsageError("the decision threshold needs normal images, and selection has none")
    chosen = np.flatnonzero(normal).tolist()
    kept = inside if inside is None or is_one(inside) else some_of(inside, chosen)
    normals = NormalScores.of(scores[normal], some_of(maps, chosen), kept)
    return calibrate_on(normals, false_positive_rate=false_positive_rate)


def calibrate_on(
    normals: NormalScores, *, false_positive_rate: float, origin: Origin = "selection", chosen: float | None = None
) -> Calibration:
    """Calibrates on what normal images score.

    Args:
        normals: of at least one image.
        false_positive_rate: share of normal images allowed above the threshold.
        origin: where the images come from.
        chosen: a threshold that was chosen by cost; default the conformal quantile at the rate.
    """
    return Calibration(
        false_positive_rate=false_positive_rate,
        normal_images=len(normals.scores),
        image_scores=_kept(normals.scores),
        map_peaks=_kept(normals.peaks),
        map_level=float(np.median(normals.levels)),
        rule="split-conformal" if chosen is None else "cost",
        origin=origin,
        chosen=chosen,
    )


def _kept(values: NDArray[np.float32]) -> tuple[float, ...]:
    ordered = np.sort(values.astype(np.float64))
    if len(ordered) > _KEPT_SCORES:
        # Always keeps both ends: the largest normal score is what a strict threshold rests on.
        ordered = ordered[_kept_positions(len(ordered), _KEPT_SCORES)]
    return tuple(ordered.tolist())


def _kept_positions(images: int, kept: int) -> NDArray[np.int64]:
    """Which of ascending scores are kept, evenly spaced: indices from 0."""
    return np.linspace(0, images - 1, kept).round().astype(np.int64)


def _one_of(choices: Any, value: object) -> Any:
    if value not in get_args(choices):
        raise ValueError(f"{str(value)[:80]!r} is none of {', '.join(get_args(choices))}")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{str(value)[:80]} is not a finite number")
    return float(value)


def _ascending(values: object) -> tuple[float, ...]:
    if not isinstance(values, list) or not values:
        raise ValueError("no scores")
    return tuple(sorted(map(_number, values)))
