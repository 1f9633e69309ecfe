"""A document with blobs: a small file of a zoo that names its kind and itself, and by their digests the blobs it is of.

A release's manifest is one, and so is a teacher's card. All are published in one way (`zoo_registry.zoo.publishing`)
and signed in one way (`zoo_registry.zoo.signatures`): whatever else a zoo may come to hold is a kind of its own here.
"""

from __future__ import annotations

from dataclasses import dataclass

from zoo_registry.format.layout import TEACHERS, manifest_key
from zoo_registry.format.manifest import BlobRef, Manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A document as it lies, or will lie, in a zoo; never changed once written."""

    key: str
    """Where it lies."""
    data: bytes
    """Its bytes, which name kind, name and blobs."""
    blobs: tuple[BlobRef, ...]
    """What it is of."""
    signatures: str
    """What the keys of its signatures start with."""
    title: str
    """For people: ``aand/demo/weave release 3``."""
    sign_with: str
    """The command that signs it, up to its key."""
    write_id: str | None = None
    """By which its write is known again; None to go by its bytes."""
    created: str | None = None
    """When it was published, in UTC, where it says so."""


def release_document(manifest: Manifest) -> Document:
    """A release's manifest as a document."""
    name, number = manifest.entry, manifest.release
    return Document(
        key=manifest_key(name, number),
        data=manifest.signed_bytes,
        blobs=tuple(manifest.blobs.values()),
        signatures=f"entries/{name}/signatures/{number:06d}/",
        title=f"{name} release {number}",
        sign_with=f"kdzoo zoo sign {name} --release {number}",
        write_id=manifest.write_id,
        created=manifest.created,
    )


def teacher_document(name: str, card: bytes, blob: BlobRef) -> Document:
    """A teacher's card as a document.

    Args:
        name: the teacher's, which is a valid one.
        card: its bytes, which say that name.
        blob: its weights.
    """
    return Document(
        key=f"{TEACHERS}{name}.json",
        data=card,
        blobs=(blob,),
        signatures=f"{TEACHERS}{name}/signatures/",
        title=f"teacher {name}",
        sign_with=f"kdzoo teacher sign {name}",
    )
