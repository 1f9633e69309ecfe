"""A detector's folder as one thing: what is in it belongs together, and who vouches for it travels along."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdzoo.detector_files import (
    DOCUMENT_FILE,
    MANIFEST_FILE,
    MEMBERS,
    PICTURE_FILE,
    TEACHER_FILE,
    WEIGHTS_FILE,
    is_signature,
    signature_file,
)
from kdzoo.errors import CheckpointError, StorageError
from kdzoo.storage import folder_written, write_new
from kdzoo.training.checkpoint import read_whole
from kdzoo.training.document import document_bytes, read_document
from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS
from zoo_registry import Manifest
from zoo_registry.format.signing import MAX_BYTES as SIGNATURE_BYTES
from zoo_registry.format.strict_json import MAX_BYTES as MANIFEST_BYTES
from zoo_registry.store.files import copy, open_regular

if TYPE_CHECKING:
    from zoo_registry.format.signing import Signature

FILE_OF = {WEIGHTS: WEIGHTS_FILE, TEACHER: TEACHER_FILE, PICTURE: PICTURE_FILE}
"""The file of each blob that a detector has, by role."""

_MOST_SIGNATURES = 256
_MIXED = "the files of a detector belong together: pull or unpack all of them again"


@dataclass(frozen=True, kw_only=True)
class Carried:
    """A detector's folder, looked at.

    Attributes:
        folder: where.
        document: of the detector: the manifest's, where there is one.
        manifest: of the release that it is; None of a detector that came out of no zoo.
        signatures: the bytes of the files of signatures, by name, sorted; checked by nobody yet.
    """

    folder: Path
    document: dict[str, Any]
    manifest: Manifest | None
    signatures: Mapping[str, bytes]


def look_at(folder: Path) -> Carried:
    """Reads a folder's small files, and sees to it that they are of one release.

    With a manifest, the document must be its own, and must name the weights and the teacher that it names. Where the
    document names no weights, as earlier ones do not, the file is compared with the manifest here. All else is compared
    with the document when the detector is rebuilt.

    Raises:
        CheckpointError: something in it is damaged, or of another release.
        ManifestInvalidError: the manifest is damaged.
        StorageError: there is no detector, or a file cannot be read.
    """
    document = read_document(folder / DOCUMENT_FILE)
    data = _small(folder / MANIFEST_FILE, MANIFEST_BYTES) if (folder / MANIFEST_FILE).exists() else None
    if data is None:
        return Carried(folder=folder, document=document, manifest=None, signatures={})
    manifest = Manifest.parse(data, what=f"'{folder / MANIFEST_FILE}'")
    # As bytes: for Python 1, 1.0 and True are equal.
    if document_bytes(document) != document_bytes(manifest.document):
        raise CheckpointError(f"'{folder / DOCUMENT_FILE}' is not the document of the manifest beside it", hint=_MIXED)
    _compare(folder, document, manifest)
    return Carried(folder=folder, document=document, manifest=manifest, signatures=_signatures(folder))


def write_folder(manifest: Manifest, files: Mapping[str, Path], signatures: Iterable[Signature], out: Path) -> None:
    """Writes a release as a detector's folder, whole or not at all.

    Args:
        manifest: of the release.
        files: role to file of its blobs; roles that a detector has not are left out.
        signatures: that go along.
        out: the folder; one that holds a detector and nothing else is replaced.

    Raises:
        StorageError: ``out`` holds something else, or cannot be written.
    """
    with folder_written(out, may_replace=MEMBERS) as folder:
        for role, path in files.items():
            if role in FILE_OF:
                with open_regular(path) as source:
                    copy(source, folder / FILE_OF[role])
        for name, data in small_files(manifest, signatures).items():
            write_new(folder / name, data)


def small_files(manifest: Manifest, signatures: Iterable[Signature]) -> dict[str, bytes]:
    """What stands beside the blobs of a release in its folder: manifest, signatures and document, by name."""
    signed = {signature_file(data): data for data in (one.to_bytes() for one in signatures)}
    made = {MANIFEST_FILE: manifest.signed_bytes, **dict(sorted(signed.items()))}
    return made | {DOCUMENT_FILE: document_bytes(manifest.document)}


def _compare(folder: Path, document: dict[str, Any], manifest: Manifest) -> None:
    """Raises unless the document's digests are the manifest's."""
    for role in (WEIGHTS, TEACHER):
        named, blob = document.get(role), manifest.blobs.get(role)
        if blob is None:
            raise CheckpointError(f"the manifest in '{folder}' names no {role}")
        if isinstance(named, dict) and "sha256" in named:
            found = named["sha256"]
        else:
            found = hashlib.sha256(read_whole(folder / FILE_OF[role], role)).hexdigest()
        if found != blob.sha256:
            raise CheckpointError(f"the {role} in '{folder}' are not those that its manifest names", hint=_MIXED)


def _signatures(folder: Path) -> dict[str, bytes]:
    try:
        names = sorted(path.name for path in folder.iterdir() if is_signature(path.name))
    except OSError as error:
        raise StorageError(f"cannot read '{folder}': {error.strerror or error}") from error
    if len(names) > _MOST_SIGNATURES:
        raise CheckpointError(f"'{folder}' holds {len(names)} signatures; at most {_MOST_SIGNATURES} are read")
    return {name: _small(folder / name, SIGNATURE_BYTES) for name in names}


def _small(path: Path, most: int) -> bytes:
    try:
        with open_regular(path) as file:
            data = file.read(most + 1)
    except OSError as error:
        raise StorageError(f"cannot read '{path}': {error.strerror or error}") from error
    if len(data) > most:
        raise CheckpointError(f"'{path}' is larger than the {most} bytes that it may hold")
    return data
