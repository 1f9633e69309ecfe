"""Puts documents with blobs into a zoo, in the one order in which a reader never sees a part of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo_registry.cache.remembering import RememberingReader
from zoo_registry.errors import ManifestInvalidError, RegistryError
from zoo_registry.format.document import Document
from zoo_registry.format.manifest import BlobRef
from zoo_registry.format.strict_json import MAX_BYTES
from zoo_registry.store.files import Progress
from zoo_registry.store.protocol import Store
from zoo_registry.zoo.blob_upload import BlobSender
from zoo_registry.zoo.signatures import Signatures


@dataclass(frozen=True, kw_only=True, slots=True)
class Put:
    """What became of a document."""

    document: Document
    """The one that stands in the zoo, or the one whose place was taken."""
    is_new: bool
    """Whether it was written; False where its place was taken."""
    sent: tuple[bool, ...]
    """Of each blob, whether it was not in the zoo before."""
    is_ours: bool
    """Whether these very bytes stand there, which then are signed if there is a key."""


class Publisher:
    """Publishes into a zoo: blobs first, then the document that names them, then its signature.

    Args:
        store: where the zoo is.
        reader: says whether the store may be asked, and which zoo it is.
        signatures: sign what is published, if there is a key.
        warn: called with a sentence when damaged bytes are replaced.
    """

    def __init__(
        self, store: Store, reader: RememberingReader, signatures: Signatures, *, warn: Callable[[str], None]
    ) -> None:
        self._store = store
        self._reader = reader
        self._signatures = signatures
        self._sender = BlobSender(store, warn=warn)

    def probe(self, *, afresh: bool = False) -> None:
        """Checks that the store can be published to, and reads the key that signs; see `Store.prove`.

        Args:
            afresh: look again, whatever was found before.
        """
        self._reader.need_store("publish")
        self._signatures.prepare()
        self._store.prove(afresh=afresh)

    def put(
        self,
        places: Callable[[], Iterable[Document]],
        files: Sequence[tuple[BlobRef, Path]],
        *,
        taken: Callable[[], None] | None = None,
        progress: Progress | None = None,
    ) -> Put:
        """Publishes a document under the first place that is free; `probe` comes before it.

        Args:
            places: the document at each place that it may take, in turn; asked for once its blobs are there.
            files: its blobs.
            taken: looks at what is at the last place when none was free, and raises where that must not be taken for
                this document.
            progress: called with bytes as they are sent or found to be there; they add up to the blobs' sizes.

        Raises:
            BlobCorruptError: a file changed meanwhile.
            RegistryError: the store cannot be written; where the message says so, the document stands.
        """
        self._reader.place.claim()
        sent = tuple(self._sender.send(ref, path, progress) for ref, path in files)
        is_new, document = self._claim(places())
        if not is_new and taken is not None:
            taken()
        is_ours = self._look_again(document, dict(files), is_new=is_new)
        if is_ours:
            self._signatures.add_own(document)
        return Put(document=document, is_new=is_new, sent=sent, is_ours=is_ours)

    def _claim(self, places: Iterable[Document]) -> tuple[bool, Document]:
        document = None
        for document in places:
            if self._store.put_if_absent(document.key, document.data, write_id=document.write_id):
                return True, document
        if document is None:
            raise ValueError("a document needs a place")
        return False, document

    def _look_again(self, document: Document, files: dict[BlobRef, Path], *, is_new: bool) -> bool:
        """Reads back what was written, before anything makes it known; whether it is this document that stands."""
        try:
            is_ours = self._store.get(document.key, max_bytes=MAX_BYTES) == document.data
            if is_new and not is_ours:
                raise ManifestInvalidError(f"{self._store.uri} gave back other bytes than it was written with")
            self._sender.keep(files)
        except RegistryError as error:
            # It stands; who catches this must not publish it a second time before having looked.
            raise type(error)(
                f"{document.title} is written, but could not be looked at again: {error}",
                hint=f"look at it with: kdzoo zoo fsck --deep --zoo {self._store.uri}",
            ) from error
        return is_ours
