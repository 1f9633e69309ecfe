"""A manifest made of what a publisher gives, before anything is written."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zoo_registry.errors import ManifestInvalidError
from zoo_registry.format import records
from zoo_registry.format.manifest import DEFAULT_MEDIA_TYPE, BlobRef, Manifest
from zoo_registry.format.names import EntryName
from zoo_registry.parallel import in_order
from zoo_registry.store import files

_READERS = 4
_UNKNOWN = "0" * 64


def draft_manifest(
    name: EntryName, document: Mapping[str, Any], roles: Iterable[str], message: str, types: Mapping[str, str]
) -> Manifest:
    """The manifest to be, under release 1, its blobs not read yet; refuses what could not be written.

    Args:
        name: the entry.
        document: JSON values alone.
        roles: of the blobs.
        message: a person's words.
        types: role to media type; default ``application/octet-stream``.

    Raises:
        ManifestInvalidError: document, message or a role cannot be written.
    """
    blobs = tuple(roles)
    unknown = sorted(types.keys() - set(blobs))
    if unknown:
        raise ManifestInvalidError(f"media types are given for roles that are not: {', '.join(unknown)}")
    draft = Manifest(
        entry=name,
        release=1,
        created=records.now(),
        write_id=uuid.uuid4().hex,
        document=document,
        blobs={
            role: BlobRef(sha256=_UNKNOWN, size=0, media_type=types.get(role, DEFAULT_MEDIA_TYPE)) for role in blobs
        },
        message=message,
    )
    # As it will be read back: later changes of the caller's document must not get into it.
    return Manifest.parse(draft.to_bytes(), what=f"manifest of {name}")


def with_digests(draft: Manifest, blobs: Mapping[str, Path]) -> Manifest:
    """A draft with the digests and sizes of its blobs.

    Args:
        draft: as `draft_manifest` made it.
        blobs: role to file; each is read whole, several at a time.

    Raises:
        ManifestInvalidError: with them it is too large.
        StoreUnavailableError: a file cannot be read.
    """

    def read(path: Path) -> tuple[str, int]:
        with files.storage_errors("read", path):
            return files.digest(path)

    found = zip(blobs, in_order(read, blobs.values(), workers=_READERS), strict=True)
    refs = {role: dataclasses.replace(draft.blobs[role], sha256=sha256, size=size) for role, (sha256, size) in found}
    return Manifest.parse(dataclasses.replace(draft, blobs=refs).to_bytes(), what=f"manifest of {draft.entry}")
