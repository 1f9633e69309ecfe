"""Signatures in a zoo: small files beside the documents, one a key, written once.

``entries/<entry>/signatures/<release>/<zoo id>/<key id>.json``, ``teachers/<name>/signatures/<zoo id>/<key id>.json``;
without the zoo where an older version signed. Whoever trusts some keys knows the names of the files to ask for, so that
none has to be listed, and what was asked for once is in the cache for when the store is out of reach.

A signature counts in the zoo that it names. One that names none could be of any zoo's release of that number. It counts
for releases that were published before their zoo had an id, as it did then; the time of publishing is signed with them,
so that no later release passes for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from zoo_registry.cache.remembering import RememberingReader
from zoo_registry.errors import (
    ManifestInvalidError,
    NameInvalidError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    RegistryError,
    SignatureError,
    StoreUnavailableError,
)
from zoo_registry.format import records
from zoo_registry.format.document import Document, release_document
from zoo_registry.format.identity import Identity
from zoo_registry.format.manifest import Manifest
from zoo_registry.format.names import EntryName
from zoo_registry.format.signing import MAX_BYTES, PublicKey, Signature, SigningKey, TrustedKeys, check_key_id
from zoo_registry.store.protocol import Store

_KEY = re.compile(
    r"(entries/([^/]+/[^/]+/[^/]+)/signatures/([0-9]{6})/|teachers/[^/]+/signatures/)"
    r"(?:([0-9a-f]{32})/)?([0-9a-f]{32})\.json"
)

Signable = Manifest | Document
"""A release's manifest, or any other document."""


def signature_key(signatures: str, key_id: str, zoo: str | None = None) -> str:
    """The key of a signature's file.

    Args:
        signatures: what the keys of the document's signatures start with.
        key_id: whose signature.
        zoo: the id of the zoo that it is bound to; None for none.

    Raises:
        ManifestInvalidError: ``key_id`` or ``zoo`` is not one.
    """
    bound = "" if zoo is None else f"{records.write_id(zoo, 'zoo')}/"
    return f"{signatures}{bound}{check_key_id(key_id)}.json"


def parse_signature_key(key: str) -> tuple[EntryName, int, str] | None:
    """Entry, release and key id of the file of a release's signature; None for any other key."""
    match = _KEY.fullmatch(key)
    if match is None or match[2] is None or int(match[3]) == 0:
        return None
    try:
        return EntryName.parse(match[2]), int(match[3]), match[5]
    except NameInvalidError:
        return None  # not a name this registry could have written


def zoo_of_key(key: str) -> str | None:
    """The zoo that the signature of a file is bound to; None for none, and for any other key."""
    match = _KEY.fullmatch(key)
    return None if match is None else match[4]


def signed_by_key(key: str) -> str | None:
    """What the keys of all signatures of a document start with, by the file of one; None for any other key."""
    match = _KEY.fullmatch(key)
    return None if match is None else match[1]


def is_at(signature: Signature, key: str) -> bool:
    """Whether a signature is what the key of its file says."""
    match = _KEY.fullmatch(key)
    return match is not None and (signature.zoo, signature.key_id) == (match[4], match[5])


@dataclass(frozen=True, kw_only=True, slots=True)
class Vouched:
    """Who vouches for a document."""

    key: PublicKey
    """Whose signature it is."""
    zoo: str | None
    """The zoo that it is bound to; None for none."""


class Signatures:
    """The signatures of a zoo.

    Args:
        store: where the zoo is.
        reader: reads and remembers small files.
        warn: called with a sentence when a signature is damaged.
    """

    def __init__(self, store: Store, reader: RememberingReader, *, warn: Callable[[str], None]) -> None:
        self._store = store
        self._reader = reader
        self._warn = warn
        self._load: Callable[[], SigningKey] | None = None
        self._own: SigningKey | None = None
        self._demanded: Callable[[Manifest], object] | None = None

    def sign_by(self, load: Callable[[], SigningKey]) -> None:
        """From now on whatever is published here is signed.

        Args:
            load: reads the key; called before the first thing is written.
        """
        self._load, self._own = load, None

    def demand(self, check: Callable[[Manifest], object]) -> None:
        """From now on no alias of this zoo is pointed at a release that is not signed as it must be.

        Args:
            check: raises what is wrong with a release's signatures.
        """
        self._demanded = check

    def check_demand(self, manifest: Manifest) -> Manifest:
        """Gives a release back that an alias may point at; raises what the check of `demand` does."""
        if self._demanded is not None:
            self._demanded(manifest)
        return manifest

    def check_repeated(self, manifest: Manifest) -> Manifest:
        """Gives a release back that may be published anew under another name, and so be signed by the own key.

        Whoever trusts that key would come to trust what anybody put here, were it not signed before: as `demand` asks,
        or, where nothing is demanded, by the own key itself. Without a key and a demand any release may be.

        Raises:
            SignatureError: it is not.
            RegistryError: its signature, or the own key, cannot be read.
        """
        own = None if self._demanded is not None else self.own_key()
        if own is not None:
            self.find(manifest, TrustedKeys(keys=(own.public,), source="KDZOO_SIGNING_KEY"))
        return self.check_demand(manifest)

    def prepare(self) -> None:
        """Reads the key that signs what is published, if there is one; raises what reading it raises."""
        if self._load is not None and self._own is None:
            self._own = self._load()

    def own_key(self) -> SigningKey | None:
        """The key that signs what is published; None where there is none. Raises what reading it raises."""
        self.prepare()
        return self._own

    def add_own(self, signed: Signable) -> bool:
        """Signs what was just published, if there is a key to sign with; whether the signature is new.

        Raises:
            RegistryError: the signature cannot be written; what was published stands.
        """
        key, document = self.own_key(), _document(signed)
        if key is None:
            return False
        try:
            return self.add(document, key)
        except RegistryError as error:
            raise type(error)(
                f"{document.title} is written, but not signed: {error}",
                hint=f"sign it with: {document.sign_with} --key FILE",
            ) from error

    def add(self, signed: Signable, key: SigningKey, *, bound: bool = True) -> bool:
        """Signs a document of this zoo.

        Args:
            signed: as it was read from this zoo, or just written to it.
            key: who signs.
            bound: to this zoo; otherwise as older versions did, which read no other signatures.

        Returns:
            False when the same signature was there already. A damaged one is replaced.

        Raises:
            StoreRefusedError: the store denies the right.
            StoreUnavailableError: the store cannot be reached.
        """
        document = _document(signed)
        self._reader.need_store(f"sign {document.title}")
        zoo = self._reader.place.claim().id
        made = key.sign(document.data, zoo if bound else None)
        return write_signature(self._store, document, made, warn=self._warn)

    def of(self, signed: Signable) -> list[Signature]:
        """All signatures of a document, by key id; checked by nobody yet. Damaged ones are warned of and left out.

        Raises:
            StoreUnavailableError: the store cannot be asked.
        """
        document = _document(signed)
        self._reader.need_store(f"list the signatures of {document.title}")
        found = []
        for key in self._store.list(document.signatures):
            if signed_by_key(key) is None:
                continue
            try:
                signature = Signature.parse(self._store.get(key, max_bytes=MAX_BYTES), what=f"'{key}'")
            except (ManifestInvalidError, ObjectTooLargeError) as error:
                self._warn(f"a signature is left out: {error}")
                continue
            if not is_at(signature, key):
                self._warn(f"a signature is left out: '{key}' says that it is {described(signature)}")
                continue
            found.append(signature)
        return found

    def require(self, signed: Signable, trusted: TrustedKeys, *, signed_for: Sequence[str] = ()) -> PublicKey:
        """Sees to it that a trusted key has signed a document; as `find`, and gives the key that has."""
        return self.find(signed, trusted, signed_for=signed_for).key

    def find(self, signed: Signable, trusted: TrustedKeys, *, signed_for: Sequence[str] = ()) -> Vouched:
        """Finds a trusted key's signature of a document that counts in this zoo.

        Args:
            signed: as `Registry.resolve` gave it, which has compared its entry and release with those asked for.
            trusted: whose signatures count.
            signed_for: ids of the zoos for which it may be signed, such as the one that this is a copy of; nothing else
                counts then. Default this zoo's own, and of a release from before this zoo had an id, any.

        Raises:
            SignatureError: there is none, or it is not one of these bytes; or another zoo lies here than before.
            StoreUnavailableError: the store is out of reach, and the signature was never kept.
            SigningUnavailableError: `cryptography` is not installed.
        """
        document, unread, wrong = _document(signed), None, None
        title = document.title
        zoo = self._reader.place.current()
        if not signed_for:
            self._check_same(title)
        zoos: list[str | None] = [*signed_for] or ([zoo.id] if zoo is not None else [])
        if not signed_for and _is_older(document, zoo):
            zoos.append(None)
        for key in trusted.keys:
            for named in zoos:
                try:
                    self._check(document, key, named)
                except ObjectNotFoundError:
                    continue
                except ManifestInvalidError as error:
                    wrong = error
                except StoreUnavailableError as error:
                    unread = error
                else:
                    return Vouched(key=key, zoo=named)
                break
        if unread is not None and wrong is None:
            raise StoreUnavailableError(f"it cannot be told whether {title} is signed: {unread}", hint=unread.hint)
        why = f"its signature does not hold: {wrong}" if wrong else self._why_none(document, trusted)
        raise SignatureError(
            f"{title} is not signed by a key of '{trusted.source}': {why}",
            hint=f"who trusts it signs it: {document.sign_with} --key FILE",
        ) from wrong

    def _check_same(self, title: str) -> None:
        before = self._reader.place.before
        if before is not None:
            raise SignatureError(
                f"{title} is not trusted: another zoo lies at {self._store.uri} than before, when it was {before.id}",
                hint="if this is meant, remove the file that the warning names, or name the zoo in KDZOO_SIGNED_FOR",
            )

    def _why_none(self, document: Document, trusted: TrustedKeys) -> str:
        """What there is in place of a signature that counts, as far as it can be read."""
        ours = {key.key_id for key in trusted.keys}
        try:
            found = [one for one in self.of(document) if one.key_id in ours]
        except RegistryError:
            found = []
        if not found:
            return "no signature of these keys is there"
        zoo = self._reader.place.current()
        here = "this zoo has no id" if zoo is None else f"this is zoo {zoo.id}"
        return f"there is only one {'; one '.join(map(described, found))}, which does not count here; {here}"

    def _check(self, document: Document, key: PublicKey, zoo: str | None) -> None:
        """Reads one key's signature and compares it; a damaged one in the cache is read again from the store."""
        what = f"signature of {document.title} by {key.key_id}"

        def check(data: bytes) -> None:
            signature = Signature.parse(data, what=what)
            if signature.zoo != zoo or not key.has_signed(document.data, signature):
                raise ManifestInvalidError(f"{what} is of other bytes or of another key")

        self._reader.load(
            signature_key(document.signatures, key.key_id, zoo),
            check,
            what=what,
            max_bytes=MAX_BYTES,
            trust_cache=True,
        )


def described(signature: Signature) -> str:
    """Whose a signature is, and of which zoo, as words that follow others."""
    bound = "not bound to a zoo" if signature.zoo is None else f"for zoo {signature.zoo}"
    return f"of key {signature.key_id}, {bound}"


def _is_older(document: Document, zoo: Identity | None) -> bool:
    """Whether a document was published before signatures could be bound to its zoo; one without a time never was."""
    return document.created is not None and (zoo is None or _instant(document.created) < _instant(zoo.created))


def _instant(time: str) -> datetime:
    return datetime.fromisoformat(time)


def write_signature(store: Store, document: Document, signature: Signature, *, warn: Callable[[str], None]) -> bool:
    """Puts a signature beside its document; False when it was there. Other bytes under its name are replaced.

    They cannot be a signature of worth: a key's signature of given bytes is one and the same each time.

    Raises:
        StoreRefusedError: the store denies the right.
        StoreUnavailableError: the store cannot be reached.
    """
    key = signature_key(document.signatures, signature.key_id, signature.zoo)
    data = signature.to_bytes()
    if store.put_if_absent(key, data):
        return True
    if _holds(store, key, data):
        return False
    warn(f"{store.uri} holds a damaged signature '{key}'; it is replaced")
    store.delete(key)
    return store.put_if_absent(key, data)


def _holds(store: Store, key: str, data: bytes) -> bool:
    try:
        return store.get(key, max_bytes=MAX_BYTES) == data
    except (ObjectNotFoundError, ObjectTooLargeError):
        return False


def _document(signed: Signable) -> Document:
    return release_document(signed) if isinstance(signed, Manifest) else signed
