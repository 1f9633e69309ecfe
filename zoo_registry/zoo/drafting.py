"""A manifest made of what a publisher gives, before anything is written, and the numbers it may take."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo_registry.errors import ConflictError, ManifestInvalidError, ObjectNotFoundError, StoreUnavailableError
from zoo_registry.format import layout, records
from zoo_registry.format.document import Document, release_document
from zoo_registry.format.manifest import DEFAULT_MEDIA_TYPE, BlobRef, Manifest
from zoo_registry.format.names import EntryName
from zoo_registry.parallel import in_order
from zoo_registry.store import files
from zoo_registry.store.protocol import Store

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


def places_for(draft: Manifest, store: Store) -> Iterator[Document]:
    """A draft under each number that may be free. Numbers are taken one by one, so none is left out.

    Raises:
        ConflictError: there is none.
        StoreUnavailableError: the store lists a release that it does not have, or cannot be reached.
    """
    parsed = map(layout.parse_manifest_key, store.list(layout.releases_prefix(draft.entry)))
    last = max((found[1] for found in parsed if found is not None), default=0)
    if last and not _has_release(store, draft.entry, last):
        raise StoreUnavailableError(
            f"{store.uri} lists release {last} of {draft.entry} and does not have it",
            hint=f"try again; if it stays so, run: kdzoo zoo fsck --zoo {store.uri}",
        )
    for number in range(last + 1, records.MAX_RELEASE + 1):
        yield release_document(dataclasses.replace(draft, release=number))
    raise ConflictError(f"{draft.entry} has no release number left")


def _has_release(store: Store, name: EntryName, release: int) -> bool:
    """Asked for by name: a listing that was damaged on its way would make a number be left out for good."""
    try:
        store.stat(layout.manifest_key(name, release))
    except ObjectNotFoundError:
        return False
    return True
