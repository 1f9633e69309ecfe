"""What goes into a packed detector, of a zoo or of a folder; the same release gives the same bytes from either."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kdzoo.carried.folder import FILE_OF, Carried, small_files
from kdzoo.carried.opening import look_and_check
from kdzoo.carried.packing import unpack
from kdzoo.detector_files import DOCUMENT_FILE, MANIFEST_FILE
from kdzoo.errors import CheckpointError
from kdzoo.training.document import document_bytes, parse_document
from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS
from zoo_registry import Manifest

if TYPE_CHECKING:
    from zoo_registry.format.signing import Signature


@dataclass(frozen=True, kw_only=True)
class Packable:
    """A detector that can be packed.

    Attributes:
        title: what it is, for people.
        members: name to content or file.
        digests: sha256 hex that files must have, by name.
    """

    title: str
    members: dict[str, bytes | Path]
    digests: dict[str, str]


def of_release(manifest: Manifest, files: Mapping[str, Path], signatures: Iterable[Signature]) -> Packable:
    """A release of a zoo.

    Args:
        manifest: of it.
        files: role to file of its blobs.
        signatures: of it that go along.
    """
    members: dict[str, bytes | Path] = dict(small_files(manifest, signatures))
    members |= {FILE_OF[role]: path for role, path in files.items() if role in FILE_OF}
    return Packable(title=_title(manifest), members=members, digests=_digests(manifest))


def of_folder(folder: Path) -> Packable:
    """A detector's folder; with what is in it beside the detector's files left out.

    Raises:
        StorageError: there is no detector.
        CheckpointError, ManifestInvalidError: something in it is damaged, or of another release.
        SignatureError: a signature is required, and none of a trusted key holds.
    """
    return _of(look_and_check(folder, folder))


def unpack_whole(path: Path, folder: Path) -> None:
    """As `unpack`, and sees to it that all in the file belongs together, and that who must vouch for it does.

    Raises:
        StorageError, CheckpointError, ManifestInvalidError, SignatureError: as `of_folder` and `unpack`.
    """
    found = unpack(path, folder)
    made = _of(look_and_check(folder, path))
    for name, digest in made.digests.items():
        if name in found and found[name] != digest:
            raise CheckpointError(f"'{name}' in '{path}' is not the one that the detector names by its digest")


def _of(carried: Carried) -> Packable:
    folder = carried.folder
    plan = parse_document(carried.document)
    members: dict[str, bytes | Path] = {DOCUMENT_FILE: document_bytes(carried.document), **carried.signatures}
    members |= {FILE_OF[role]: folder / FILE_OF[role] for role in (WEIGHTS, TEACHER)}
    if (folder / FILE_OF[PICTURE]).exists():
        members[FILE_OF[PICTURE]] = folder / FILE_OF[PICTURE]
    if carried.manifest is not None:
        members[MANIFEST_FILE] = carried.manifest.signed_bytes
        return Packable(title=_title(carried.manifest), members=members, digests=_digests(carried.manifest))
    named = {WEIGHTS: plan.weights_sha256, TEACHER: plan.teacher_sha256}
    digests = {FILE_OF[role]: digest for role, digest in named.items() if digest is not None}
    return Packable(title=f"{plan.label}, of no zoo,", members=members, digests=digests)


def _title(manifest: Manifest) -> str:
    return f"{manifest.entry} release {manifest.release}"


def _digests(manifest: Manifest) -> dict[str, str]:
    return {FILE_OF[role]: ref.sha256 for role, ref in manifest.blobs.items() if role in FILE_OF}
