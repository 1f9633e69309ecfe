"""New thresholds for a release, without training: from images that a person gives, with the evidence in a new release.

The new release has the blobs of the one it comes from, so nothing but a manifest is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdzoo.detector import Detector
from kdzoo.errors import UsageError
from kdzoo.metrics.binomial import Share, bound_of_a_choice
from kdzoo.metrics.cost import Costs, cheapest_threshold
from kdzoo.metrics.decisions import Decisions
from kdzoo.provenance import provenance
from kdzoo.training.calibration import Calibration, NormalScores, calibrate_on
from kdzoo.training.document import with_command, with_weights
from kdzoo.training.kept_scores import KeptScores
from kdzoo.training.operating_point import calibration_part, operating_point
from kdzoo.zoo import WEIGHTS
from zoo_registry import Manifest, Registry

_BATCH = 16
_PARTS = ("selection", "report")
_OF_THE_SEARCH = ("sweep", "group", "group_id")
"""What a document says of the command that found its weights, which has not chosen these thresholds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """What a detector says of a person's images, all normal or all defective.

    Attributes:
        normals: scores, peaks and levels of the maps.
        digest: sha256 hex over the sorted sha256 of the files: which images these were, whatever their names.
        copies: files left out because another one holds the same bytes.
    """

    normals: NormalScores
    digest: str
    copies: int

    @property
    def scores(self) -> NDArray[np.float32]:
        """``[N]`` image scores."""
        return self.normals.scores

    def describe(self) -> dict[str, Any]:
        """What the document says of the images."""
        return {"images": len(self.scores), "sha256": self.digest}


def judge_files(detector: Detector, paths: Sequence[Path], told: Callable[[int], None] | None = None) -> Judged:
    """Scores image files, each once however often it is copied: a copy shows nothing that its original did not.

    Args:
        detector: at any threshold.
        paths: of at least one image.
        told: called with the number of images that were scored more.

    Raises:
        UsageError: no paths are given.
        ImageError: a file cannot be read; names it.
    """
    by_digest: dict[str, Path] = {}
    for path in paths:
        by_digest.setdefault(file_digest(path), path)
    files, found = list(by_digest.values()), []
    if not files:
        raise UsageError("there are no images to calibrate on")
    step = min(_BATCH, detector.images_at_once)
    for start in range(0, len(files), step):
        chunk = files[start : start + step]
        scores, maps, counted = zip(*detector.score_each(chunk), strict=True)
        found.append(NormalScores.of(np.array(scores, np.float32), maps, _inside(counted, maps)))
        if told is not None:
            told(len(chunk))
    digest = hashlib.sha256("\n".join(sorted(by_digest)).encode()).hexdigest()
    return Judged(normals=NormalScores.joined(found), digest=digest, copies=len(paths) - len(files))


def _inside(
    counted: Sequence[NDArray[np.bool_] | None], maps: Sequence[NDArray[np.float32]]
) -> list[NDArray[np.bool_]] | None:
    """What counts of each map; None: all of all."""
    if all(each is None for each in counted):
        return None
    return [np.ones(made.shape, bool) if each is None else each for each, made in zip(counted, maps)]


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hex.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror or error}") from error


def recalibrated(
    detector: Detector,
    normals: Judged,
    defects: Judged | None = None,
    *,
    release: int,
    false_positive_rate: float | None = None,
    costs: Costs | None = None,
) -> dict[str, Any]:
    """The detector's document with new thresholds and what they rest on.

    Args:
        detector: whose.
        normals: what it says of normal images.
        defects: what it says of defective ones.
        release: the number of the release that it was loaded from.
        false_positive_rate: share of normal images that may alarm; default the one that the release was calibrated at.
        costs: choose the threshold by these, which takes defects.

    Raises:
        UsageError: the rate is out of range, there are costs and no defects, or both a rate and costs.
    """
    if costs is not None and (defects is None or false_positive_rate is not None):
        raise UsageError(
            "a threshold by cost takes defects, and no rate of false alarms", hint="give --defects, or leave costs out"
        )
    rate = detector.calibration.false_positive_rate if false_positive_rate is None else false_positive_rate
    if not 0 <= rate < 1:
        raise UsageError(f"false-positive rate {rate} is out of range", hint="from 0 up to, but not including, 1")
    threshold, spent = None, None
    if costs is not None and defects is not None:
        threshold, spent = cheapest_threshold(normals.scores, defects.scores, costs)
    calibration = calibrate_on(normals.normals, false_positive_rate=rate, origin="given", chosen=threshold)
    document = {key: value for key, value in detector.document.items() if key not in _OF_THE_SEARCH}
    evidence: dict[str, Any] = {"from_release": release, "normals": normals.describe()}
    if defects is not None:
        evidence["defects"] = defects.describe()
    if costs is not None:
        evidence |= {"costs": costs.as_dict(), "cost_an_image": spent}
    point = _operating_point(document, calibration, normals, defects)
    by_type = document.get("by_defect_type")
    if isinstance(by_type, dict):  # at the new threshold nobody has counted what is missed of a type
        kept = {kind: {**row, "misses": None} for kind, row in by_type.items() if isinstance(row, dict)}
        document["by_defect_type"] = kept
    return document | {"calibration": calibration.as_dict(), "operating_point": point, "recalibrated": evidence}


def publish_recalibrated(
    registry: Registry, base: Manifest, document: dict[str, Any], *, message: str = "", command: str = ""
) -> Manifest:
    """Publishes a document beside the blobs of the release that it comes from; no alias is moved.

    Its ``provenance`` stays that of the weights; that of the thresholds is kept in ``recalibrated``.

    Args:
        registry: the zoo.
        base: the release that it comes from.
        document: as `recalibrated` gives it.
        message: a person's words.
        command: that asked for it, as it was typed.

    Returns:
        The new release's manifest.

    Raises:
        RegistryError: it cannot be published.
        CheckpointError: the document names other weights than the release.
    """
    files = {role: registry.fetch(base, role) for role in base.blobs}
    types = {role: ref.media_type for role, ref in base.blobs.items()}
    own = with_command({"provenance": provenance()}, command)
    document = document | {"recalibrated": {**document.get("recalibrated", {}), **own}}
    if WEIGHTS in base.blobs:
        document = with_weights(document, base.blobs[WEIGHTS].sha256)
    made = registry.publish(base.entry, document, files, alias=None, message=message, media_types=types)
    return made.manifest


def _operating_point(
    document: dict[str, Any], calibration: Calibration, normals: Judged, defects: Judged | None
) -> dict[str, Any]:
    """Decisions on the images given, and on the release's own parts where it has kept their scores."""
    threshold = calibration.threshold()
    kept = {part: KeptScores.find(document, part) for part in _PARTS}
    parts = {part: Decisions.at(threshold, each.scores, each.labels) for part, each in kept.items() if each}
    point = operating_point(calibration, selection=parts.get("selection"), report=parts.get("report"))
    none = np.empty(0, np.float32)
    scores = np.concatenate([normals.scores, none if defects is None else defects.scores])
    labels = np.repeat([0, 1], [len(normals.scores), len(scores) - len(normals.scores)])
    decided = Decisions.at(threshold, scores, labels)
    if calibration.chosen is None:
        stated = calibration_part(calibration)
    else:
        stated = {"origin": calibration.origin, "at_most": _bound(decided.false_alarms)}
        stated |= {"misses_at_most": _bound(decided.misses), "chosen_by": "cost"}
    point["calibration"] = stated | decided.as_dict()
    return point


def _bound(share: Share) -> float:
    return bound_of_a_choice(share.count, share.of)
