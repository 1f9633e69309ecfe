"""The zoo: releases of entries that are published once and never change, and aliases that point at them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.cache.latest import LatestSeen
from zoo_registry.cache.remembering import RememberingReader
from zoo_registry.cache.zoo_notes import ZooNotes
from zoo_registry.errors import (
    BlobCorruptError,
    ManifestInvalidError,
    ObjectNotFoundError,
    RegistryError,
    SignatureError,
    StaleError,
)
from zoo_registry.format import layout, records
from zoo_registry.format.alias import MAX_BYTES as ALIAS_BYTES
from zoo_registry.format.alias import Alias, Move
from zoo_registry.format.digests import check_bytes, check_digest
from zoo_registry.format.identity import Identity
from zoo_registry.format.manifest import Manifest
from zoo_registry.format.names import EntryName, check_alias
from zoo_registry.format.strict_json import MAX_BYTES as MANIFEST_BYTES
from zoo_registry.store.files import Progress
from zoo_registry.store.open import open_store
from zoo_registry.store.protocol import Store
from zoo_registry.store.recognising import check_is_zoo
from zoo_registry.zoo import aliasing
from zoo_registry.zoo.aliasing import WHATEVER, Expected, Reason
from zoo_registry.zoo.drafting import draft_manifest, places_for, with_digests
from zoo_registry.zoo.history import AliasLog
from zoo_registry.zoo.pinned import absent, find_by_digest
from zoo_registry.zoo.publishing import Publisher
from zoo_registry.zoo.signatures import Signatures
from zoo_registry.zoo.states import SignedStates
from zoo_registry.zoo.withdrawing import WithdrawnReleases

CHAMPION = "champion"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """What a publish did."""

    entry: EntryName
    """The entry."""
    release: int
    """The number it got."""
    manifest: Manifest
    """The manifest as it stands in the zoo."""
    alias: str | None
    """The alias that was moved to it; None when none was asked for, or it points at a later release already."""
    uploaded: tuple[str, ...]
    """Roles whose blobs were not in the zoo before, in the order given."""


class Registry:
    """Reads and writes a zoo.

    Blobs are written first, then the manifest, then the alias: whoever reads never sees a part of a release, wherever
    the writer stops. What is read from a remote store is kept in the cache, and used when the store cannot be reached.

    Args:
        store: where the zoo is.
        cache: where fetched blobs go.
        offline: never reach a remote store; what was resolved and fetched before can be had again.
        on_warning: called with a sentence when something other than asked for is used; default the log.
    """

    def __init__(
        self,
        store: Store,
        cache: BlobCache,
        *,
        offline: bool = False,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        self._store = store
        self._cache = cache
        self._warn = on_warning or _log.warning
        self._reader = RememberingReader(store, cache, offline=offline, warn=self._warn)
        self.signatures = Signatures(store, self._reader, warn=self._warn)
        """Who signed which release."""
        notes = ZooNotes(self._reader.place, cache, "latest")
        self.states = SignedStates(self.signatures, self._reader, LatestSeen(notes))
        """Signs what changes, and says what of it may be followed."""
        self.alias_log = AliasLog(store, self._reader, sign=self.states.sign_move, warn=self._warn)
        """Every move of every alias."""
        self.withdrawn = WithdrawnReleases(store, self._reader, notes, self.states, warn=self._warn)
        """Releases that nobody is to use."""
        self._publisher = Publisher(store, self._reader, self.signatures, warn=self._warn)

    @classmethod
    def open(
        cls,
        uri: str | Path,
        *,
        cache: Path,
        offline: bool = False,
        on_warning: Callable[[str], None] | None = None,
    ) -> Registry:
        """A registry by the store's address; see `open_store`, whose errors it raises."""
        return cls(open_store(uri, notes=cache), BlobCache(cache), offline=offline, on_warning=on_warning)

    @property
    def uri(self) -> str:
        """The store's address."""
        return self._store.uri

    def identity(self) -> Identity | None:
        """Which zoo this is; None for one that has no id yet. As `ZooPlace.current`, whose errors it raises."""
        return self._reader.place.current()

    def probe(self, *, afresh: bool = False) -> None:
        """Checks that the store can be published to; see `Store.prove`. `publish` does so by itself.

        Args:
            afresh: look again, whatever was found before.
        """
        self._publisher.probe(afresh=afresh)

    def list_keys(self) -> list[str]:
        """The keys of all files of all entries, sorted; for those who look at the zoo as a whole.

        Raises:
            ZooNotFoundError: there is no zoo at this address, or something else is.
        """
        self._reader.need_store("list entries")
        found = self._store.list(layout.ENTRIES)
        if not found:
            check_is_zoo(self._store)
        return found

    def list_entries(self) -> list[EntryName]:
        """All entries with at least one release, sorted.

        Raises:
            ZooNotFoundError: there is no zoo at this address, or something else is.
        """
        parsed = map(layout.parse_manifest_key, self.list_keys())
        return sorted({found[0] for found in parsed if found is not None})

    def releases(self, entry: EntryName | str) -> list[int]:
        """The release numbers of an entry, rising; none when there is no such entry."""
        name = EntryName.of(entry)
        self._reader.need_store(f"list the releases of {name}")
        parsed = map(layout.parse_manifest_key, self._store.list(layout.releases_prefix(name)))
        return sorted(found[1] for found in parsed if found is not None)

    def aliases(self, entry: EntryName | str) -> dict[str, Alias]:
        """The aliases of an entry by name, sorted; none when there is no such entry."""
        name = EntryName.of(entry)
        self._reader.need_store(f"list the aliases of {name}")
        parsed = map(layout.parse_alias_key, self._store.list(layout.aliases_prefix(name)))
        states = {alias: aliasing.read(self._store, name, alias)[0] for alias in parsed if alias is not None}
        return {alias: state.alias for alias, state in states.items() if state and state.alias}

    def read_alias(self, entry: EntryName | str, alias: str) -> Alias:
        """Where an alias points.

        Raises:
            EntryNotFoundError: there is no such entry.
            ReleaseNotFoundError: the entry has no such alias.
            ManifestInvalidError: the alias file is damaged.
        """
        return self._alias(EntryName.of(entry), alias, follow=False)

    def follow_alias(self, entry: EntryName | str, alias: str) -> Alias:
        """Where an alias points, for who is about to use what it points at; kept for when the store is out of reach.

        Raises:
            StaleError: it is older than when last followed here, or was to be followed until a time that is over.
            SignatureError: it is not signed as it must be (`SignedStates.demand`).
            RegistryError: as `read_alias` does.
        """
        return self._alias(EntryName.of(entry), alias, follow=True)

    def _alias(self, name: EntryName, alias: str, *, follow: bool) -> Alias:
        """Where an alias points; one that may be followed is kept for when the store is out of reach."""
        before, what = self.states.seen(name, check_alias(alias)), f"alias {alias} of {name}"
        key = layout.alias_key(name, alias)
        try:
            data, is_kept = self._reader.fetch(key, what=what, max_bytes=ALIAS_BYTES)
        except ObjectNotFoundError as error:
            raise absent(self, name, f"alias '{alias}'") from error
        move = Move.of(data, (str(name), alias), what=what)
        try:
            self.states.take(name, alias, move, before, is_kept=is_kept, expires=follow)
            # Another process may have followed a later one meanwhile.
            if not is_kept and move.number >= self.states.seen(name, alias).number:
                self._reader.keep(key, data)
        except (StaleError, SignatureError):
            if follow:
                raise
        if move.alias is None:
            raise absent(self, name, f"alias '{alias}'")
        return move.alias

    def resolve(
        self,
        entry: EntryName | str,
        release: int | None = None,
        alias: str = CHAMPION,
        *,
        trust_cache: bool = False,
        digest: str | None = None,
    ) -> Manifest:
        """The manifest of a release.

        Args:
            entry: the entry, also as ``"aand/visa/candle"``.
            release: the number; None for the one that ``alias`` points at.
            alias: used when ``release`` is None.
            trust_cache: a manifest that is in the cache is taken without asking the store: it never changes there.
            digest: ``sha256:...`` of the manifest, compared with its bytes before anything is made of them. Without
                ``release`` the release is looked for that has it; ``alias`` then only says where to look first.

        Raises:
            EntryNotFoundError: there is no such entry; the hint says the nearest.
            ReleaseNotFoundError: the entry has no such release or alias.
            ManifestInvalidError: the manifest or alias is damaged, or is of another entry, release or digest.
            NameInvalidError: ``digest`` is none.
            StaleError, SignatureError: ``alias`` may not be followed, as `follow_alias` says.
        """
        name = EntryName.of(entry)
        if digest is not None and release is None:
            return find_by_digest(self, name, check_digest(digest), alias)
        pin = None if digest is None else check_digest(digest)
        number = self.follow_alias(name, alias).release if release is None else release
        if not 1 <= number <= records.MAX_RELEASE:
            raise absent(self, name, f"release {number}")
        what = f"manifest of {name} release {number}"

        def parse(data: bytes) -> Manifest:
            if pin is not None:
                check_bytes(data, pin, what)
            manifest = Manifest.parse(data, what=what)
            if (manifest.entry, manifest.release) != (name, number):
                raise ManifestInvalidError(f"{what} says it is of {manifest.entry} release {manifest.release}")
            return manifest

        try:
            key = layout.manifest_key(name, number)
            return self._reader.load(key, parse, what=what, max_bytes=MANIFEST_BYTES, trust_cache=trust_cache)
        except ObjectNotFoundError as error:
            raise absent(self, name, f"release {number}") from error

    def fetch(self, manifest: Manifest, role: str, *, verify: bool = True, progress: Progress | None = None) -> Path:
        """The file of a blob in the cache, downloaded if it is not there.

        Args:
            manifest: as `resolve` gave it.
            role: which of its blobs.
            verify: read a blob that is in the cache whole and compare its sha256; False compares its size alone. A
                downloaded one is always compared whole.
            progress: called with the number of bytes of each downloaded piece.

        Raises:
            ObjectNotFoundError: the manifest has no such role, or the store no such blob.
            BlobCorruptError: the store's bytes are not those of the manifest, twice in a row.
            StoreUnavailableError: the store cannot be reached, or the cache not written.
        """
        title = f"{manifest.entry} release {manifest.release}"
        ref = manifest.blobs.get(role)
        if ref is None:
            raise ObjectNotFoundError(
                f"{title} has no blob '{role}'", hint=f"its blobs: {', '.join(sorted(manifest.blobs)) or '(none)'}"
            )
        found = self._cache.find(ref, verify=verify)
        if found is not None:
            return found
        self._reader.need_store(f"fetch blob '{role}' of {title}")

        def fill(path: Path) -> str:
            return self._store.get_to_file(layout.blob_key(ref.sha256), path, max_bytes=ref.size, progress=progress)

        try:
            return self._cache.add(ref, fill, origin=self._store.uri)
        except BlobCorruptError as error:
            # Damage on the way is as likely as damage in the store, and is over when it is sent again.
            self._warn(f"blob '{role}' of {title} came damaged and is fetched again: {error}")
            return self._cache.add(ref, fill, origin=self._store.uri)

    def publish(
        self,
        entry: EntryName | str,
        document: Mapping[str, Any],
        blobs: Mapping[str, Path],
        *,
        alias: str | None = CHAMPION,
        message: str = "",
        media_types: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> Release:
        """Makes a new release.

        Args:
            entry: whose.
            document: what the manifest is to say of the model: JSON values alone.
            blobs: role to file. A blob that is in the zoo already is not sent again.
            alias: moved to the new release, unless it points at a later one by then; None moves none.
            message: a person's words on this release, at most 4096 characters.
            media_types: role to media type; default ``application/octet-stream``.
            progress: called with bytes as they are sent or found to be there; they add up to the blobs' sizes.

        Raises:
            NameInvalidError: entry or alias is not a valid name.
            ManifestInvalidError: document, message or a role cannot be written, and nothing was; or the alias file is
                damaged, and the release is there.
            BlobCorruptError: a file changed meanwhile.
            ConflictError: the alias could not be moved for others' moves; the release is there.
            StoreRefusedError: the store denies the right, or has no working conditional writes.
            StoreUnavailableError: a file or the store cannot be read or written.
            PublishStateUnknownError: the store did not say whether the release was written.
        """
        name = EntryName.of(entry)
        if alias is not None:
            check_alias(alias)
        self._reader.need_store(f"publish {name}")
        draft = draft_manifest(name, document, blobs, message, media_types or {})
        with ThreadPoolExecutor(1) as pool:
            probed = pool.submit(self.probe)  # its round trips take about as long as to read the files
            draft = with_digests(draft, blobs)
            probed.result()
        files = [(draft.blobs[role], path) for role, path in blobs.items()]
        put = self._publisher.put(lambda: places_for(draft, self._store), files, progress=progress)
        manifest = Manifest.parse(put.document.data, what=f"manifest of {name}")
        uploaded = tuple(role for role, was_sent in zip(blobs, put.sent, strict=True) if was_sent)
        moved = alias is not None and self._advance(manifest, alias)
        return Release(
            entry=name, release=manifest.release, manifest=manifest, alias=alias if moved else None, uploaded=uploaded
        )

    def set_alias(
        self,
        entry: EntryName | str,
        alias: str,
        release: int,
        *,
        expected: Expected = WHATEVER,
        reason: Reason | None = None,
    ) -> Alias:
        """Points an alias at a release.

        Args:
            entry: the entry.
            alias: the alias; made when it is not there.
            release: a release that exists.
            expected: the alias as `read_alias` gave it, or None for no alias yet: it is moved only if that still holds.
            reason: what the log is to say of the move.

        Raises:
            EntryNotFoundError: there is no such entry.
            ReleaseNotFoundError: the entry has no such release.
            ConflictError: the alias is not as expected.
            SignatureError: the release is not signed, and must be (`Signatures.demand`).
            WithdrawnError: it is withdrawn.
        """
        name = EntryName.of(entry)
        check_alias(alias)
        self._reader.need_store(f"move an alias of {name}")
        # An alias must never point at nothing, nor at a manifest that cannot be read, nor at one that nobody may load.
        self.signatures.check_demand(self.resolve(name, release))
        self.withdrawn.check(name, release)
        self._reader.place.claim()
        sign = self.states.sign_move()
        return aliasing.point(self._store, name, alias, release, expected=expected, reason=reason, sign=sign)

    def _advance(self, manifest: Manifest, alias: str) -> bool:
        """Moves an alias forward to a release just published; False when it is at a later one."""
        name, release = manifest.entry, manifest.release
        try:
            self.signatures.check_demand(manifest)
            return aliasing.advance(self._store, name, alias, release, sign=self.states.sign_move())
        except RegistryError as error:
            # The release stands; who catches this must not publish it a second time.
            raise type(error)(
                f"{name} release {release} is published, but alias {alias} was not moved: {error}",
                hint=error.hint or "set the alias to the release",
            ) from error
