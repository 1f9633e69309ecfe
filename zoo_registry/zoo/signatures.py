"""Signatures in a zoo: small files beside the manifests, one a key, written once.

``entries/<entry>/signatures/<release>/<zoo id>/<key id>.json``; without the zoo where an older version signed. Whoever
trusts some keys knows the names of the files to ask for, so that none has to be listed, and what was asked for once is
in the cache for when the store is out of reach.

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
from zoo_registry.format.identity import Identity
from zoo_registry.format.manifest import Manifest
from zoo_registry.format.names import EntryName
from zoo_registry.format.signing import MAX_BYTES, PublicKey, Signature, SigningKey, TrustedKeys, check_key_id
from zoo_registry.store.protocol import Store

_KEY = re.compile(r"entries/([^/]+/[^/]+/[^/]+)/signatures/([0-9]{6})/(?:([0-9a-f]{32})/)?([0-9a-f]{32})\.json")


def signatures_prefix(entry: EntryName, release: int) -> str:
    """What the keys of all signatures of a release start with."""
    return f"entries/{entry}/signatures/{release:06d}/"


def signature_key(entry: EntryName, release: int, key_id: str, zoo: str | None = None) -> str:
    """The key of a signature's file.

    Args:
        entry: the entry.
        release: its number.
        key_id: whose signature.
        zoo: the id of the zoo that it is bound to; None for none.

    Raises:
        ManifestInvalidError: ``key_id`` or ``zoo`` is not one.
    """
    bound = "" if zoo is None else f"{records.write_id(zoo, 'zoo')}/"
    return f"{signatures_prefix(entry, release)}{bound}{check_key_id(key_id)}.json"


def parse_signature_key(key: str) -> tuple[EntryName, int, str] | None:
    """Entry, release and key id of a signature's file; None for any other key."""
    match = _KEY.fullmatch(key)
    if match is None or int(match[2]) == 0:
        return None
    try:
        return EntryName.parse(match[1]), int(match[2]), match[4]
    except NameInvalidError:
        return None  # not a name this registry could have written


def zoo_of_key(key: str) -> str | None:
    """The zoo that the signature of a file is bound to; None for none, and for any other key."""
    match = _KEY.fullmatch(key)
    return None if match is None else match[3]


def is_at(signature: Signature, key: str) -> bool:
    """Whether a signature is what the key of its file says."""
    match = _KEY.fullmatch(key)
    return match is not None and (signature.zoo, signature.key_id) == (match[3], match[4])


@dataclass(frozen=True, kw_only=True, slots=True)
class Vouched:
    """Who vouches for a release."""

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

    def prepare(self) -> None:
        """Reads the key that signs what is published, if there is one; raises what reading it raises."""
        if self._load is not None and self._own is None:
            self._own = self._load()

    def add_own(self, manifest: Manifest) -> None:
        """Signs a release just published, if there is a key to sign with.

        Raises:
            RegistryError: the signature cannot be written; the release stands.
        """
        self.prepare()
        if self._own is None:
            return
        try:
            self.add(manifest, self._own)
        except RegistryError as error:
            name, number = manifest.entry, manifest.release
            raise type(error)(
                f"{name} release {number} is written, but not signed, and no alias was moved to it: {error}",
                hint=f"sign it with: kdzoo zoo sign {name} --release {number} --key FILE",
            ) from error

    def add(self, manifest: Manifest, key: SigningKey, *, bound: bool = True) -> bool:
        """Signs a release of this zoo.

        Args:
            manifest: as it was read from this zoo, or just written to it.
            key: who signs.
            bound: to this zoo; otherwise as older versions did, which read no other signatures.

        Returns:
            False when the same signature was there already. A damaged one is replaced.

        Raises:
            StoreRefusedError: the store denies the right.
            StoreUnavailableError: the store cannot be reached.
        """
        title = _title(manifest)
        self._reader.need_store(f"sign {title}")
        zoo = self._reader.place.claim().id
        made = key.sign(manifest.signed_bytes, zoo if bound else None)
        return write_signature(self._store, manifest, made, warn=self._warn)

    def of(self, manifest: Manifest) -> list[Signature]:
        """All signatures of a release, by key id; checked by nobody yet. Damaged ones are warned of and left out.

        Raises:
            StoreUnavailableError: the store cannot be asked.
        """
        self._reader.need_store(f"list the signatures of {_title(manifest)}")
        found = []
        for key in self._store.list(signatures_prefix(manifest.entry, manifest.release)):
            parsed = parse_signature_key(key)
            if parsed is None:
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

    def require(self, manifest: Manifest, trusted: TrustedKeys, *, signed_for: Sequence[str] = ()) -> PublicKey:
        """Sees to it that a trusted key has signed a release; as `find`, and gives the key that has."""
        return self.find(manifest, trusted, signed_for=signed_for).key

    def find(self, manifest: Manifest, trusted: TrustedKeys, *, signed_for: Sequence[str] = ()) -> Vouched:
        """Finds a trusted key's signature of a release that counts in this zoo.

        Args:
            manifest: as `Registry.resolve` gave it, which has compared its entry and release with those asked for.
            trusted: whose signatures count.
            signed_for: ids of the zoos for which it may be signed, such as the one that this is a copy of; nothing else
                counts then. Default this zoo's own, and of a release from before this zoo had an id, any.

        Raises:
            SignatureError: there is none, or it is not one of these bytes; or another zoo lies here than before.
            StoreUnavailableError: the store is out of reach, and the signature was never kept.
            SigningUnavailableError: `cryptography` is not installed.
        """
        title, unread, wrong = _title(manifest), None, None
        zoo = self._reader.place.current()
        if not signed_for:
            self._check_same(title)
        zoos: list[str | None] = [*signed_for] or ([zoo.id] if zoo is not None else [])
        if not signed_for and _is_older(manifest, zoo):
            zoos.append(None)
        for key in trusted.keys:
            for named in zoos:
                try:
                    self._check(manifest, key, named)
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
        why = f"its signature does not hold: {wrong}" if wrong else self._why_none(manifest, trusted)
        raise SignatureError(
            f"{title} is not signed by a key of '{trusted.source}': {why}",
            hint=f"who trusts it signs it: kdzoo zoo sign {manifest.entry} --release {manifest.release} --key FILE",
        ) from wrong

    def _check_same(self, title: str) -> None:
        before = self._reader.place.before
        if before is not None:
            raise SignatureError(
                f"{title} is not trusted: another zoo lies at {self._store.uri} than before, when it was {before.id}",
                hint="if this is meant, remove the file that the warning names, or name the zoo in KDZOO_SIGNED_FOR",
            )

    def _why_none(self, manifest: Manifest, trusted: TrustedKeys) -> str:
        """What there is in place of a signature that counts, as far as it can be read."""
        ours = {key.key_id for key in trusted.keys}
        try:
            found = [one for one in self.of(manifest) if one.key_id in ours]
        except RegistryError:
            found = []
        if not found:
            return "no signature of these keys is there"
        zoo = self._reader.place.current()
        here = "this zoo has no id" if zoo is None else f"this is zoo {zoo.id}"
        return f"there is only one {'; one '.join(map(described, found))}, which does not count here; {here}"

    def _check(self, manifest: Manifest, key: PublicKey, zoo: str | None) -> None:
        """Reads one key's signature and compares it; a damaged one in the cache is read again from the store."""
        what = f"signature of {_title(manifest)} by {key.key_id}"

        def check(data: bytes) -> None:
            signature = Signature.parse(data, what=what)
            if signature.zoo != zoo or not key.has_signed(manifest.signed_bytes, signature):
                raise ManifestInvalidError(f"{what} is of other bytes or of another key")

        self._reader.load(
            signature_key(manifest.entry, manifest.release, key.key_id, zoo),
            check,
            what=what,
            max_bytes=MAX_BYTES,
            trust_cache=True,
        )


def described(signature: Signature) -> str:
    """Whose a signature is, and of which zoo, as words that follow others."""
    bound = "not bound to a zoo" if signature.zoo is None else f"for zoo {signature.zoo}"
    return f"of key {signature.key_id}, {bound}"


def _is_older(manifest: Manifest, zoo: Identity | None) -> bool:
    """Whether a release was published before signatures could be bound to its zoo."""
    return zoo is None or _instant(manifest.created) < _instant(zoo.created)


def _instant(time: str) -> datetime:
    return datetime.fromisoformat(time)


def write_signature(store: Store, manifest: Manifest, signature: Signature, *, warn: Callable[[str], None]) -> bool:
    """Puts a signature beside its manifest; False when it was there. Other bytes under its name are replaced.

    They cannot be a signature of worth: a key's signature of given bytes is one and the same each time.

    Raises:
        StoreRefusedError: the store denies the right.
        StoreUnavailableError: the store cannot be reached.
    """
    key = signature_key(manifest.entry, manifest.release, signature.key_id, signature.zoo)
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


def _title(manifest: Manifest) -> str:
    return f"{manifest.entry} release {manifest.release}"
