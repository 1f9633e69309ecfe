"""Named cards beside the entries: a small file and the one blob that it speaks of, each written once.

::

    <zoo>/teachers/plant-resnet.json          a card, written once and never changed
    <zoo>/blobs/sha256/ab/abcdef...           what it speaks of, by its digest, beside all other blobs
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.cache.remembering import RememberingReader
from zoo_registry.errors import ObjectNotFoundError
from zoo_registry.format.document import Document, teacher_document
from zoo_registry.format.layout import TEACHERS, blob_key
from zoo_registry.format.manifest import BlobRef
from zoo_registry.format.names import check_part
from zoo_registry.store.files import Progress
from zoo_registry.store.protocol import Store
from zoo_registry.store.recognising import check_is_zoo
from zoo_registry.zoo.publishing import Publisher
from zoo_registry.zoo.signatures import Signatures

Kind = Literal["teacher"]
"""What a shelf holds."""

_PREFIXES: dict[Kind, str] = {"teacher": TEACHERS}
_DOCUMENTS: dict[Kind, Callable[[str, bytes, BlobRef], Document]] = {"teacher": teacher_document}
_LARGEST = 2**20
_Card = TypeVar("_Card")


class CardShelf:
    """The cards of one kind in a zoo; what is in them is for others to know.

    Args:
        store: where the zoo is.
        cache: keeps cards for when the store is out of reach.
        kind: what the cards are of.
        offline: never reach a remote store.
        warn: called with a sentence when something other than asked for is used.
    """

    def __init__(
        self, store: Store, cache: BlobCache, kind: Kind, *, offline: bool, warn: Callable[[str], None]
    ) -> None:
        self._store, self._kind, self._prefix, self._warn = store, kind, _PREFIXES[kind], warn
        self._reader = RememberingReader(store, cache, offline=offline, warn=warn)
        self.signatures = Signatures(store, self._reader, warn=warn)
        """Who signed which card."""

    @property
    def uri(self) -> str:
        """The zoo's address."""
        return self._store.uri

    def names(self) -> list[str]:
        """The names of all cards, sorted; none where there is no zoo yet.

        Raises:
            StoreUnavailableError: the zoo cannot be reached.
            StoreRefusedError: it may not be listed.
        """
        self._reader.need_store(f"list {self._kind}s")
        keys = (key.removeprefix(self._prefix) for key in self._store.list(self._prefix))
        return [key.removesuffix(".json") for key in keys if key.endswith(".json") and "/" not in key]

    def check_there(self) -> None:
        """Tells an empty zoo from a wrong address.

        Raises:
            ZooNotFoundError: there is no zoo at this address, or something else is.
        """
        check_is_zoo(self._store)

    def read(self, name: str, parse: Callable[[bytes, str], _Card]) -> _Card | None:
        """A card, parsed; None when the zoo has none of that name.

        Args:
            name: the card's.
            parse: makes something of its bytes, told what they are for its messages; or raises.

        Raises:
            NameInvalidError: it is no valid name.
            ManifestInvalidError: the card is larger than any can be.
            StoreUnavailableError: the zoo cannot be reached, and the card was never kept.
        """
        check_part(name, self._kind)
        what = f"the card of {self._kind} '{name}' in {self.uri}"
        try:
            return self._reader.load(self._key(name), lambda data: parse(data, what), what=what, max_bytes=_LARGEST)
        except ObjectNotFoundError:
            return None

    def document(self, name: str, card: bytes, blob: BlobRef) -> Document:
        """A card of this kind as what can be signed: its name, its bytes, and the blob that they name."""
        return _DOCUMENTS[self._kind](name, card, blob)

    def put(
        self,
        name: str,
        card: bytes,
        blob: BlobRef,
        file: Path,
        *,
        check: Callable[[], None],
        progress: Progress | None = None,
    ) -> bool:
        """Puts a card into the zoo: its blob first, then the card, then its signature if there is a key.

        Args:
            name: the card's.
            card: its bytes, which name the blob's digest: what no small file names is garbage.
            blob: what it speaks of.
            file: holds the blob.
            check: looks at the card that is there, if any, and raises where it must not be taken for this one; called
                before anything is sent, and again when somebody else was faster.
            progress: called with bytes as they are sent or found to be there.

        Returns:
            False when a card of that name was there; a damaged blob of it is sent again.

        Raises:
            NameInvalidError: it is no valid name.
            BlobCorruptError: the file does not hold the blob.
            RegistryError: the zoo cannot be written.
        """
        check_part(name, self._kind)
        self._reader.need_store(f"push {self._kind} '{name}'")
        check()
        publisher = Publisher(self._store, self._reader, self.signatures, warn=self._warn)
        publisher.probe()
        document = self.document(name, card, blob)
        put = publisher.put(lambda: [document], [(blob, file)], taken=check, progress=progress)
        if not put.is_ours and self.signatures.own_key() is not None:
            self._warn(f"{document.title} is not signed: its card in {self.uri} says other things than this one")
        return put.is_new

    def fetch(self, name: str, blob: BlobRef, path: Path, *, progress: Progress | None = None) -> str:
        """Writes what a card speaks of to a new file.

        Args:
            name: the card's, for messages.
            blob: as the card says.
            path: must not exist; after an error there may be a part of the blob, which the caller removes.
            progress: called with the number of bytes of each piece.

        Returns:
            The sha256 of what came, which the caller compares.

        Raises:
            ObjectNotFoundError: the zoo does not have the blob.
            ObjectTooLargeError: it is larger than the card says.
            StoreUnavailableError: the zoo cannot be reached.
        """
        self._reader.need_store(f"fetch {self._kind} '{name}'")
        return self._store.get_to_file(blob_key(blob.sha256), path, max_bytes=blob.size, progress=progress)

    def _key(self, name: str) -> str:
        return f"{self._prefix}{name}.json"
