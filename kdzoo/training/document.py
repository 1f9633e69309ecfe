"""The document of a trained model, read back: checked as something that a stranger may have written.

`kdzoo.training.outcome` writes it; here are the parts that a detector is rebuilt from.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kdzoo.errors import CheckpointError, KdzooError, StorageError
from kdzoo.methods.config import MethodConfig
from kdzoo.methods.registry import find_method
from kdzoo.teachers.names import TeacherName
from kdzoo.training.calibration import Calibration
from kdzoo.training.spec import RunOptions
from zoo_registry.store.files import open_regular

DOCUMENT_SCHEMA = "kdzoo-detector/1"
RESIZES: Final[dict[str, str]] = {
    "stretch": "bilinear-antialiased-square",
    "pad": "bilinear-antialiased-padded",
    "tile": "bilinear-antialiased-tiles",
}
"""What `kdzoo.data.images.resize_rgb` or `kdzoo.data.tiling` does, as the document's schema names it."""

_LARGEST = 8 * 2**20
_DIGEST = re.compile("[0-9a-f]{64}")
_WIDEST_INPUT = 255.0


@dataclass(frozen=True, kw_only=True)
class DetectorPlan:
    """What a detector is rebuilt from.

    Attributes:
        label: ``method/dataset/category``.
        protocol: what selection looked at.
        method: name of the method.
        config: its configuration.
        teacher: the backbone and where its weights came from.
        teacher_sha256: hex digest of the teacher's weight file.
        weights_sha256: hex digest of the file of learned weights; None where an earlier kdzoo wrote none.
        mean: channel means of the input transform.
        std: channel standard deviations of the input transform.
        size: side of the square input, pixels.
        calibration: what normal images score.
        options: how its trial ran; says which images belong to which part.
        split_digest: of that split.
    """

    label: str
    protocol: str
    method: str
    config: MethodConfig
    teacher: TeacherName
    teacher_sha256: str
    weights_sha256: str | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    calibration: Calibration
    options: RunOptions
    split_digest: str


def read_document(path: Path) -> dict[str, Any]:
    """Reads a detector's JSON document.

    Raises:
        StorageError: it is not there or cannot be read.
        CheckpointError: it is not the JSON of a detector.
    """
    try:
        with open_regular(path) as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise CheckpointError(f"'{path}' is too large to be a detector's document")
        document = json.loads(data, parse_constant=_refuse_constant, parse_float=_finite)
    except OSError as error:
        raise StorageError(f"there is no detector at '{path.parent}': {error.strerror or error}") from error
    except CheckpointError:
        raise
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"'{path}' is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise CheckpointError(f"'{path}' is not a detector's document")
    return document


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """A document as it stands in a detector's folder.

    Raises:
        ValueError: it holds a number that is not finite.
    """
    return json.dumps(dict(document), indent=2, allow_nan=False).encode()


def with_command(document: dict[str, Any], command: str) -> dict[str, Any]:
    """A document that keeps the command that it came of.

    Args:
        document: of a detector.
        command: as it was typed; empty where none was, and nothing is added then.
    """
    if not command:
        return document
    return document | {"provenance": {**document.get("provenance", {}), "command": command}}


def examined_metrics(document: Mapping[str, Any]) -> dict[str, float]:
    """What training stages found of themselves, as flat numbers; empty where none looked."""
    stages = document.get("examined", {}).values()
    return {name: value for found in stages for name, value in found["metrics"].items()}


def with_weights(document: dict[str, Any], sha256: str) -> dict[str, Any]:
    """A document that names the digest of its weights.

    Args:
        document: of a detector.
        sha256: of its weights' file, in hex.

    Raises:
        CheckpointError: it names other weights.
    """
    named = document.get("weights")
    if named is None:
        return document | {"weights": {"sha256": sha256}}
    if not isinstance(named, dict) or named.get("sha256") != sha256:
        raise CheckpointError(
            "the detector's document names other weights than those that go with it",
            hint="the files of a detector belong together",
        )
    return document


def parse_document(document: dict[str, Any]) -> DetectorPlan:
    """Takes from a document what a detector is rebuilt from, and checks it.

    Raises:
        CheckpointError: naming the key that is missing or has an unusable value.
    """
    schema = _text(document, "schema")
    if schema != DOCUMENT_SCHEMA:
        raise CheckpointError(
            f"the detector's document is of schema '{schema}', this kdzoo reads {DOCUMENT_SCHEMA}", hint="update kdzoo"
        )
    method = _text(document, "method")
    try:
        config = find_method(method).config.from_mapping(_value(document, "config", dict))
        size = RunOptions(image_size=_value(document, "input.size", int)).image_size
        seen = {"image_size": size, "resize": _resize(document), **_tiling(document)}
        options = RunOptions.from_record({**_value(document, "options", dict), **seen})
    except CheckpointError:
        raise
    except KdzooError as error:
        raise CheckpointError(f"the detector's document cannot be used: {error}", hint=error.hint) from error
    return DetectorPlan(
        label=f"{method}/{_text(document, 'dataset.name')}/{_text(document, 'dataset.category')}",
        protocol=_text(document, "protocol"),
        method=method,
        config=config,
        teacher=TeacherName(
            architecture=_text(document, "teacher.architecture"), source=_text(document, "teacher.source")
        ),
        teacher_sha256=_digest(document, "teacher.sha256"),
        weights_sha256=_digest(document, "weights.sha256") if "weights" in document else None,
        mean=_three(document, "teacher.mean", low=-_WIDEST_INPUT),
        std=_three(document, "teacher.std", low=1 / _WIDEST_INPUT**2),
        size=size,
        calibration=Calibration.from_dict(_value(document, "calibration", dict)),
        options=options,
        split_digest=_text(document, "split.digest"),
    )


def _value(document: dict[str, Any], key: str, kind: type) -> Any:
    """The value at a dotted key, which must be of a kind."""
    found: Any = document
    for part in key.split("."):
        if not isinstance(found, dict) or part not in found:
            raise CheckpointError(f"the detector's document lacks '{key}'")
        found = found[part]
    if not isinstance(found, kind) or isinstance(found, bool):
        raise _unusable(key, kind.__name__, found)
    return found


def _resize(document: dict[str, Any]) -> str:
    """How images are brought to the square: wrongly done, every map would be wrong."""
    name = document["input"].get("resize", RESIZES["stretch"])
    for resize, known in RESIZES.items():
        if name == known:
            return resize
    raise _unusable("input.resize", " or ".join(RESIZES.values()), name)


def _tiling(document: dict[str, Any]) -> dict[str, Any]:
    """Overlap and scale, which the input of a tiled detector has."""
    if _resize(document) != "tile":
        return {}
    scale = document["input"].get("scale")
    if isinstance(scale, bool) or not isinstance(scale, int | float):
        raise _unusable("input.scale", "a number", scale)
    return {"overlap": _value(document, "input.overlap", int), "scale": float(scale)}


def _text(document: dict[str, Any], key: str) -> str:
    return str(_value(document, key, str))


def _digest(document: dict[str, Any], key: str) -> str:
    found = _text(document, key)
    if not _DIGEST.fullmatch(found):
        raise _unusable(key, "64 hex digits", found)
    return found


def _three(document: dict[str, Any], key: str, *, low: float) -> tuple[float, ...]:
    """Three channel values from ``low`` to 255."""
    found = _value(document, key, list)
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in found)
    if len(found) != 3 or not numbers or not all(low <= each <= _WIDEST_INPUT for each in found):
        raise _unusable(key, "three numbers, one a channel", found)
    return tuple(map(float, found))


def _unusable(key: str, expected: str, found: object) -> CheckpointError:
    shown = repr(found)[:80]
    return CheckpointError(f"the detector's document has an unusable '{key}': expected {expected}, got {shown}")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_constant(text)


def _refuse_constant(name: str) -> float:
    raise CheckpointError(f"a detector's document must hold finite numbers, and this one holds {name}")
