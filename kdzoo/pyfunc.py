"""What `mlflow.pyfunc.load_model` finds behind a version of the model registry: a detector, from the zoo.

A version holds a reference and no model: what is loaded here is asked of the zoo and verified like all that
`kdzoo.load` gives. MLflow itself is not needed by this module.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdzoo.errors import StorageError, TrackingError, UsageError
from kdzoo.settings import Settings
from kdzoo.tracking.reference import MAX_BYTES, ReleaseRef
from kdzoo.trust import check_release
from kdzoo.zoo import from_manifest, manifest_digest, open_registry

if TYPE_CHECKING:
    from kdzoo.detector import Detector


class ZooModel:
    """A detector as MLflow asks models.

    Args:
        detector: what answers.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def get_raw_model(self) -> Detector:
        """What `PyFuncModel.get_raw_model` gives: the detector, with anomaly maps and masks."""
        return self._detector

    def predict(self, model_input: Any) -> list[dict[str, Any]]:
        """Judges images.

        Args:
            model_input: a list of what `Detector.predict` takes, or a data frame with one column of it.

        Returns:
            ``score``, ``threshold`` and ``anomalous`` of each.

        Raises:
            UsageError: a data frame has other columns than one.
            ImageError: an image cannot be read; names it.
        """
        judged = self._detector.predict_each(_images(model_input))
        return [{"score": one.score, "threshold": one.threshold, "anomalous": one.anomalous} for one in judged]


def load_reference(ref: ReleaseRef) -> Detector:
    """The detector that a reference names, through the zoo's verified path.

    Raises:
        TrackingError: the zoo's manifest is not the one that the reference was made for.
        RegistryError: the zoo does not have it, or it is damaged.
        SignatureError: a signature is required, and it has none.
    """
    settings = Settings.from_environment()
    registry = open_registry(settings, ref.zoo)
    manifest = registry.resolve(ref.entry, ref.release, trust_cache=True)
    if manifest_digest(manifest) != ref.manifest_sha256:
        # The cache may hold the manifest of another zoo that was at this address before.
        manifest = registry.resolve(ref.entry, ref.release)
    if manifest_digest(manifest) != ref.manifest_sha256:
        raise TrackingError(
            f"release {ref.release} of {ref.entry} in {ref.zoo} is not the one that MLflow's version was made for",
            hint="was the zoo replaced? `kdzoo mlflow sync` brings the model registry up to the zoo",
        )
    check_release(settings, registry, manifest, trust_cache=True)
    return from_manifest(registry, manifest)


def _load_pyfunc(path: str) -> ZooModel:
    """What MLflow calls, by this name, with the reference's file.

    Raises:
        StorageError: the file cannot be read.
        TrackingError: it is no reference; else as `load_reference`.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StorageError(f"cannot read '{path}': {error.strerror}") from error
    return ZooModel(load_reference(ReleaseRef.parse(data)))


def _images(model_input: Any) -> list[Any]:
    """A list of images, from what MLflow hands on."""
    columns = getattr(model_input, "columns", None)
    if columns is not None:
        if len(columns) != 1:
            raise UsageError(f"the data frame has {len(columns)} columns", hint="give one column of image paths")
        return list(model_input[columns[0]])
    if isinstance(model_input, str | Path) or not isinstance(model_input, Iterable):
        return [model_input]
    return list(model_input)
