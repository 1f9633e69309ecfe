"""The zoo: releases of entries that are published once and never change, and aliases that point at them."""

from __future__ import annotations

import dataclasses
import difflib
import logging
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo_registry import aliasing, files, layout, records
from zoo_registry.alias import MAX_BYTES as ALIAS_BYTES
from zoo_registry.alias import Alias
from zoo_registry.aliasing import WHATEVER, Expected
from zoo_registry.cache import BlobCache
from zoo_registry.errors import (
    BlobCorruptError,
    ConflictError,
    EntryNotFoundError,
    ManifestInvalidError,
    ObjectNotFoundError,
    RegistryError,
    ReleaseNotFoundError,
)
from zoo_registry.files import Progress
from zoo_registry.manifest import DEFAULT_MEDIA_TYPE, BlobRef, Manifest
from zoo_registry.names import EntryName, check_alias
from zoo_registry.probing import probe
from zoo_registry.remembering import RememberingReader
from zoo_registry.store import Store, open_store
from zoo_registry.strict_json import MAX_BYTES as MANIFEST_BYTES

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
        self._probed = False
        self._verified: set[str] = set()

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
        return cls(open_store(uri), BlobCache(cache), offline=offline, on_warning=on_warning)

    @property
    def uri(self) -> str:
        """The store's address."""
        return self._store.uri

    def probe(self) -> None:
        """Checks, once, that the store can be published to; see `probing.probe`. `publish` does so by itself."""
        self._reader.need_store("publish")
        if not self._probed:
            probe(self._store)
            self._probed = True

    def list_entries(self) -> list[EntryName]:
        """All entries with at least one release, sorted."""
        self._reader.need_store("list entries")
        parsed = map(layout.parse_manifest_key, self._store.list(layout.ENTRIES))
        return sorted({found[0] for found in parsed if found is not None})

    def releases(self, entry: EntryName | str) -> list[int]:
        """The release numbers of an entry, rising; none when there is no such entry."""
        name = _entry(entry)
        self._reader.need_store(f"list the releases of {name}")
        parsed = map(layout.parse_manifest_key, self._store.list(layout.releases_prefix(name)))
        return sorted(found[1] for found in parsed if found is not None)

    def aliases(self, entry: EntryName | str) -> dict[str, Alias]:
        """The aliases of an entry by name, sorted; none when there is no such entry."""
        name = _entry(entry)
        self._reader.need_store(f"list the aliases of {name}")
        parsed = map(layout.parse_alias_key, self._store.list(layout.aliases_prefix(name)))
        return {alias: self.read_alias(name, alias) for alias in parsed if alias is not None}

    def read_alias(self, entry: EntryName | str, alias: str) -> Alias:
        """Where an alias points.

        Raises:
            EntryNotFoundError: there is no such entry.
            ReleaseNotFoundError: the entry has no such alias.
            ManifestInvalidError: the alias file is damaged.
        """
        name = _entry(entry)
        what = f"alias {alias} of {name}"
        try:
            return self._reader.load(
                layout.alias_key(name, alias),
                lambda data: Alias.parse(data, what=what),
                what=what,
                max_bytes=ALIAS_BYTES,
            )
        except ObjectNotFoundError as error:
            raise self._missing(name, f"alias '{alias}'") from error

    def resolve(self, entry: EntryName | str, release: int | None = None, alias: str = CHAMPION) -> Manifest:
        """The manifest of a release.

        Args:
            entry: the entry, also as ``"aand/visa/candle"``.
            release: the number; None for the one that ``alias`` points at.
            alias: used when ``release`` is None.

        Raises:
            EntryNotFoundError: there is no such entry; the hint says the nearest.
            ReleaseNotFoundError: the entry has no such release or alias.
            ManifestInvalidError: the manifest or alias is damaged, or is of another entry or release.
        """
        name = _entry(entry)
        number = self.read_alias(name, alias).release if release is None else release
        if not 1 <= number <= records.MAX_RELEASE:
            raise self._missing(name, f"release {number}")
        what = f"manifest of {name} release {number}"

        def parse(data: bytes) -> Manifest:
            manifest = Manifest.parse(data, what=what)
            if (manifest.entry, manifest.release) != (name, number):
                raise ManifestInvalidError(f"{what} says it is of {manifest.entry} release {manifest.release}")
            return manifest

        try:
            return self._reader.load(layout.manifest_key(name, number), parse, what=what, max_bytes=MANIFEST_BYTES)
        except ObjectNotFoundError as error:
            raise self._missing(name, f"release {number}") from error

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

        def fill(path: Path) -> None:
            self._store.get_to_file(layout.blob_key(ref.sha256), path, max_bytes=ref.size, progress=progress)

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
        name = _entry(entry)
        if alias is not None:
            check_alias(alias)
        self._reader.need_store(f"publish {name}")
        draft = _draft(name, document, blobs, message, media_types or {})
        self.probe()
        uploaded = tuple(role for role, path in blobs.items() if self._upload(draft.blobs[role], path, progress))
        manifest = self._claim(draft)
        moved = alias is not None and self._advance(name, alias, manifest.release)
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
    ) -> Alias:
        """Points an alias at a release.

        Args:
            entry: the entry.
            alias: the alias; made when it is not there.
            release: a release that exists.
            expected: the alias as `read_alias` gave it, or None for no alias yet: it is moved only if that still holds.

        Raises:
            EntryNotFoundError: there is no such entry.
            ReleaseNotFoundError: the entry has no such release.
            ConflictError: the alias is not as expected.
        """
        name = _entry(entry)
        check_alias(alias)
        self._reader.need_store(f"move an alias of {name}")
        self.resolve(name, release)  # an alias must never point at nothing, nor at a manifest that cannot be read
        return aliasing.point(self._store, name, alias, release, expected=expected)

    def _upload(self, ref: BlobRef, path: Path, progress: Progress | None) -> bool:
        """Sends a blob unless the store has it whole; whether it was sent.

        What the store has is read once and compared: a release must not name a blob that cannot be loaded. A damaged
        one is replaced by the right bytes, which mends every release that names it.
        """
        key = layout.blob_key(ref.sha256)
        if self._store.put_if_absent(key, path, sha256=ref.sha256, progress=progress):
            return True
        if ref.sha256 not in self._verified:
            if not self._is_whole(key, ref):
                self._warn(f"{self._store.uri} holds damaged bytes under '{key}'; they are replaced")
                self._store.delete(key)
                self._store.put_if_absent(key, path, sha256=ref.sha256, progress=progress)
                return True
            self._verified.add(ref.sha256)
        if progress is not None:
            progress(ref.size)
        return False

    def _is_whole(self, key: str, ref: BlobRef) -> bool:
        """Whether the store's bytes are those of the digest."""
        if self._store.stat(key).size != ref.size:
            return False
        with tempfile.TemporaryDirectory(prefix="zoo-verify-") as folder:
            copy = Path(folder) / ref.sha256
            try:
                self._store.get_to_file(key, copy, max_bytes=ref.size)
            except BlobCorruptError:
                return False
            return files.digest(copy)[0] == ref.sha256

    def _claim(self, draft: Manifest) -> Manifest:
        """Writes the manifest under the first free number. Numbers are taken one by one, so none is left out."""
        for number in range(max(self.releases(draft.entry), default=0) + 1, records.MAX_RELEASE + 1):
            manifest = dataclasses.replace(draft, release=number)
            key = layout.manifest_key(draft.entry, number)
            if self._store.put_if_absent(key, manifest.to_bytes(), write_id=draft.write_id):
                return manifest
        raise ConflictError(f"{draft.entry} has no release number left")

    def _advance(self, name: EntryName, alias: str, release: int) -> bool:
        """Moves an alias forward to a release just published; False when it is at a later one."""
        try:
            return aliasing.advance(self._store, name, alias, release)
        except RegistryError as error:
            # The release stands; who catches this must not publish it a second time.
            raise type(error)(
                f"{name} release {release} is published, but alias {alias} was not moved: {error}",
                hint=error.hint or "set the alias to the release",
            ) from error

    def _missing(self, name: EntryName, wanted: str) -> RegistryError:
        """The error for a release or alias that is not there: what there is instead."""
        numbers = self.releases(name)
        if numbers:
            shown = ", ".join(map(str, numbers[-10:]))
            return ReleaseNotFoundError(f"{name} has no {wanted} in {self.uri}", hint=f"its latest releases: {shown}")
        names = [str(entry) for entry in self.list_entries()]
        near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5) or names[:10]
        hint = f"did you mean {' or '.join(near)}?" if near else "the zoo is empty; publish to it, or check its address"
        return EntryNotFoundError(f"{self.uri} has no entry {name}", hint=hint)


def _entry(entry: EntryName | str) -> EntryName:
    return EntryName.parse(entry) if isinstance(entry, str) else entry


def _draft(
    name: EntryName, document: Mapping[str, Any], blobs: Mapping[str, Path], message: str, types: Mapping[str, str]
) -> Manifest:
    """The manifest to be, under release 1; refuses what could not be written before anything is sent."""
    unknown = sorted(types.keys() - blobs.keys())
    if unknown:
        raise ManifestInvalidError(f"media types are given for roles that are not: {', '.join(unknown)}")
    draft = Manifest(
        entry=name,
        release=1,
        created=records.now(),
        write_id=uuid.uuid4().hex,
        document=document,
        blobs={role: _ref(path, types.get(role, DEFAULT_MEDIA_TYPE)) for role, path in blobs.items()},
        message=message,
    )
    # As it will be read back: later changes of the caller's document must not get into it.
    return Manifest.parse(draft.to_bytes(), what=f"manifest of {name}")


def _ref(path: Path, media_type: str) -> BlobRef:
    with files.storage_errors("read", path):
        sha256, size = files.digest(path)
    return BlobRef(sha256=sha256, size=size, media_type=media_type)
