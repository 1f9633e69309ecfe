"""Checks a zoo: every file is where it should be, can be read, and is what the others say of it.

The zoo may be published to meanwhile. What is missing by the listing, which takes its time, is therefore looked for
once more before it is told of.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from zoo_registry.errors import (
    ManifestInvalidError,
    ObjectNotFoundError,
    RegistryError,
    StoreLacksError,
    StoreUnavailableError,
)
from zoo_registry.format import layout, strict_json
from zoo_registry.format.alias import Move
from zoo_registry.format.identity import Identity
from zoo_registry.format.layout import BLOBS, IDENTITY, PROBE, TEACHERS, TRASH, parse_blob_key, trash_key
from zoo_registry.format.manifest import Manifest
from zoo_registry.format.names import EntryName
from zoo_registry.format.withdrawals import Withdrawals
from zoo_registry.parallel import in_order
from zoo_registry.store.protocol import SMALL, Listed, UpkeepStore
from zoo_registry.store.recognising import check_is_zoo
from zoo_registry.upkeep.findings import Checked, Finding, Kind
from zoo_registry.upkeep.references import READERS, digests

Told = Callable[[str, int, int], None]
"""Told what is being done, and ``(done, total)``; files while they are read, bytes of blobs."""

DEEP_READERS = 4

_SIGNATURE = re.compile(r"entries/[^/]+/[^/]+/[^/]+/signatures/[A-Za-z0-9._/-]+")


def fsck(
    store: UpkeepStore, *, deep: bool = False, before: Identity | None = None, progress: Told | None = None
) -> Checked:
    """Checks a zoo; changes nothing.

    Args:
        store: the zoo's store.
        deep: also read every blob whole and compare its sha256.
        before: which zoo lay there when it was last read, if that is known; another one is told of.
        progress: told of each step.

    Raises:
        ZooNotFoundError: there is no zoo at this address, or something else is.
        StoreRefusedError: the right to list is missing.
        StoreUnavailableError: a remote store cannot be reached.
    """
    check_is_zoo(store)
    return _Check(store, before, progress or (lambda what, done, total: None)).run(deep)


class _Check:
    """One run: what was listed and read so far, and what was found.

    Args:
        store: the zoo's store.
        before: which zoo it was, if that is known.
        tell: told of each step.
    """

    def __init__(self, store: UpkeepStore, before: Identity | None, tell: Told) -> None:
        self._store = store
        self._before = before
        self._tell = tell
        self._listed: dict[str, Listed] = {}
        self._findings: list[Finding] = []
        self._releases: dict[EntryName, set[int]] = defaultdict(set)
        self._referenced: set[str] = set()
        self._aliases = 0
        self._moves: dict[str, Move] = {}
        """By the alias's key: what its file says."""
        self._logged: dict[str, dict[int, Move]] = defaultdict(dict)
        """Likewise: its moves by number, as the log has them."""
        self._zoo: str | None = None

    def run(self, deep: bool) -> Checked:
        self._listed = {item.key: item for item in self._store.scan("")}
        self._sort_out()
        for key, data in self._read_all():
            self._referenced |= digests(data)
            self._look_at(key, data)
        self._compare_with_logs()
        self._look_at_absent_identity()
        self._find_gaps()
        blobs = {sha256: item for item in self._listed.values() if (sha256 := parse_blob_key(item.key))}
        self._find_unreferenced(blobs)
        if deep:
            self._read_blobs(blobs)
        self._find_leftovers()
        return Checked(
            findings=tuple(sorted(set(self._findings), key=lambda one: (not one.kind.is_wrong, one.key, one.what))),
            entries=len(self._releases),
            releases=sum(map(len, self._releases.values())),
            aliases=self._aliases,
            blobs=len(blobs),
            size=sum(item.size for item in blobs.values()),
            zoo=self._zoo,
            deep=deep,
        )

    def _found(self, kind: Kind, key: str, what: str) -> None:
        self._findings.append(Finding(kind=kind, key=key, what=what))

    def _sort_out(self) -> None:
        """What each file is by its key."""
        for key, item in self._listed.items():
            release = layout.parse_manifest_key(key)
            if release is not None:
                self._releases[release[0]].add(release[1])
            elif key.startswith((PROBE, TRASH)):
                whose = "a probe" if key.startswith(PROBE) else "a `kdzoo zoo gc` that was stopped or is at work"
                self._found(Kind.LEFTOVER, key, f"left by {whose}")
            elif not _is_own(key):
                self._found(Kind.FOREIGN_FILE, key, f"{item.size} bytes that are no part of a zoo")

    def _read_all(self) -> Iterator[tuple[str, bytes]]:
        """All small files of the zoo's own, several at a time; one that cannot be read is told of."""
        wanted = [key for key in self._listed if _is_own(key) and not key.startswith((BLOBS, PROBE, TRASH))]

        def read(key: str) -> tuple[str, bytes | RegistryError | None]:
            try:
                return key, self._store.get(key, max_bytes=SMALL)
            except ObjectNotFoundError:
                return key, None  # removed since it was listed
            except StoreUnavailableError as error:
                if self._store.is_remote:
                    raise  # no word on this file, but on the whole store
                return key, error
            except RegistryError as error:
                return key, error

        for done, (key, data) in enumerate(in_order(read, wanted, workers=READERS), start=1):
            if isinstance(data, RegistryError):
                self._found(Kind.UNREADABLE, key, str(data))
            elif data is not None:
                yield key, data
            self._tell("Reading manifests", done, len(wanted))

    def _look_at(self, key: str, data: bytes) -> None:
        if key == IDENTITY:
            self._look_at_identity(data)
        release, alias = layout.parse_manifest_key(key), layout.parse_alias_key(key)
        if release is not None:
            self._look_at_manifest(key, data, *release)
        elif alias is not None or layout.parse_move_key(key) is not None:
            self._look_at_alias(key, data, is_log=alias is None)
        elif (entry := layout.parse_withdrawals_key(key)) is not None:
            self._look_at_withdrawals(key, data, entry)
        elif key.startswith(TEACHERS):
            self._look_at_teacher(key, data)

    def _look_at_withdrawals(self, key: str, data: bytes, entry: EntryName) -> None:
        try:
            found = Withdrawals.parse(data, what="what is withdrawn")
        except ManifestInvalidError as error:
            self._found(Kind.WITHDRAWALS_DAMAGED, key, str(error))
            return
        if found.entry != entry:
            self._found(Kind.WITHDRAWALS_DAMAGED, key, f"it says it is of {found.entry}")

    def _look_at_identity(self, data: bytes) -> None:
        try:
            found = Identity.parse(data, what="what says which zoo this is")
        except ManifestInvalidError as error:
            self._found(Kind.IDENTITY_DAMAGED, IDENTITY, str(error))
            return
        self._zoo = found.id
        if self._before is not None and found != self._before:
            self._found(Kind.IDENTITY_FOREIGN, IDENTITY, f"it is zoo {found.id}; when it was read, {self._before.id}")

    def _look_at_absent_identity(self) -> None:
        if self._is_there(IDENTITY):
            return
        if self._before is not None:
            self._found(Kind.IDENTITY_FOREIGN, IDENTITY, f"it is gone; when it was read, this was {self._before.id}")
        else:
            self._found(Kind.IDENTITY_MISSING, IDENTITY, "the zoo has no id yet, and goes by its address")

    def _look_at_manifest(self, key: str, data: bytes, entry: EntryName, release: int) -> None:
        try:
            manifest = Manifest.parse(data, what="the manifest")
        except ManifestInvalidError as error:
            self._found(Kind.MANIFEST_DAMAGED, key, str(error))
            return
        if (manifest.entry, manifest.release) != (entry, release):
            says = f"it says it is of {manifest.entry} release {manifest.release}"
            self._found(Kind.MANIFEST_MISPLACED, key, says)
        for role, ref in manifest.blobs.items():
            self._look_for_blob(f"{entry} release {release} needs it as {role}", ref.sha256, ref.size)

    def _look_at_alias(self, key: str, data: bytes, *, is_log: bool) -> None:
        logged = layout.parse_move_key(key)
        of, alias = key.removeprefix(layout.ENTRIES).partition("/aliases/")[::2]
        named = (of, alias.removesuffix(".json")) if logged is None else (str(logged[0]), logged[1])
        try:
            move = Move.of(data, named, what="the log of the alias" if is_log else "the alias")
        except ManifestInvalidError as error:
            self._found(Kind.ALIAS_DAMAGED, key, str(error))
            return
        if logged is not None:
            entry, alias, number = logged
            if move.number == number:
                self._logged[layout.alias_key(entry, alias)][number] = move
            else:
                self._found(Kind.ALIAS_DAMAGED, key, f"it says that it is move {move.number}")
        else:
            self._moves[key] = move
        if is_log or move.release is None:
            return  # a log may tell of anything that was, and a deleted alias points at nothing
        self._aliases += 1
        if move.is_over:
            self._found(Kind.ALIAS_EXPIRED, key, f"it was to be followed until {move.expires}")
        target = f"{key.rpartition('/aliases/')[0]}/releases/{move.release:06d}.json"
        if not self._is_there(target):
            self._found(Kind.ALIAS_DANGLING, key, f"it points at release {move.release}, which is not there")

    def _compare_with_logs(self) -> None:
        """Each alias is the newest of its log, or the one after it, which a killed mover may not have written there."""
        for key, move in self._moves.items():
            if _why_replayed(move, self._logged[key]) is None:
                continue
            try:  # it may have been moved since it was read, and the log with it
                again = Move.parse(self._store.get(key, max_bytes=SMALL), what="the alias")
            except (ObjectNotFoundError, ManifestInvalidError):
                continue
            why = _why_replayed(again, self._logged[key])
            if why is not None:
                self._found(Kind.ALIAS_REPLAYED, key, why)

    def _look_at_teacher(self, key: str, data: bytes) -> None:
        try:
            document = strict_json.parse(data, "the file")
        except ManifestInvalidError as error:
            self._found(Kind.REFERENCE_DAMAGED, key, str(error))
            return
        for sha256, size in _blobs_named(document):
            self._look_for_blob(f"{key} refers to it", sha256, size)

    def _look_for_blob(self, why: str, sha256: str, size: int | None) -> None:
        """Tells of a blob that is missing or of another size than announced."""
        key = layout.blob_key(sha256)
        item = self._listed.get(key)
        try:
            found = item.size if item is not None else self._store.stat(key).size
        except ObjectNotFoundError:
            mended = trash_key(sha256) in self._listed
            where = "taken away by a `kdzoo zoo gc` that was stopped (run it again)" if mended else "not there"
            self._found(Kind.BLOB_MISSING, key, f"it is {where}, and {why}")
            return
        if size is not None and found != size:
            self._found(Kind.BLOB_SIZE, key, f"it holds {found} bytes instead of {size}, and {why}")

    def _is_there(self, key: str) -> bool:
        if key in self._listed:
            return True
        try:
            self._store.stat(key)
        except ObjectNotFoundError:
            return False
        return True

    def _find_gaps(self) -> None:
        for entry, numbers in self._releases.items():
            for number in sorted(set(range(1, max(numbers))) - numbers):
                key = layout.manifest_key(entry, number)
                if not self._is_there(key):
                    self._found(Kind.RELEASE_GAP, key, f"{entry} has later releases, and no release {number}")

    def _find_unreferenced(self, blobs: dict[str, Listed]) -> None:
        for sha256 in blobs.keys() - self._referenced:
            self._found(Kind.UNREFERENCED_BLOB, blobs[sha256].key, f"{blobs[sha256].size} bytes")

    def _find_leftovers(self) -> None:
        try:
            for left in self._store.leftovers():
                self._found(Kind.LEFTOVER, left.name.partition("\n")[0], left.what)
        except StoreLacksError as error:
            self._found(Kind.LEFTOVERS_UNKNOWN, "", f"unfinished uploads cannot be listed here: {error}")

    def _read_blobs(self, blobs: dict[str, Listed]) -> None:
        """Compares each blob's bytes with its name."""
        total, done = sum(item.size for item in blobs.values()), 0

        def read(both: tuple[str, Listed]) -> tuple[str, Listed, str | None]:
            sha256, item = both
            try:
                found, size = self._store.digest(item.key)
            except ObjectNotFoundError:
                return sha256, item, None  # removed since it was listed
            except StoreUnavailableError as error:
                if self._store.is_remote:
                    raise
                return sha256, item, str(error)
            return sha256, item, None if found == sha256 else f"its {size} bytes have sha256 {found}"

        for sha256, item, wrong in in_order(read, blobs.items(), workers=DEEP_READERS):
            if wrong is not None:
                used = "" if sha256 in self._referenced else "; nothing refers to it"
                self._found(Kind.BLOB_DAMAGED, item.key, wrong + used)
            done += item.size
            self._tell("Reading blobs", done, total)


def _why_replayed(move: Move, logged: dict[int, Move]) -> str | None:
    """What of an alias's file is not so by its log; None when nothing is."""
    newest = max(logged, default=0)
    if move.number < newest:
        points = logged[newest].release
        where = "it was deleted" if points is None else f"it points at release {points}"
        return f"it says move {move.number}, to release {move.release}, and by the log's move {newest} {where}"
    same = logged.get(move.number)
    if same is not None and same != move:
        return f"its move {move.number} is to release {move.release}, and the log's is to release {same.release}"
    return None


def _is_own(key: str) -> bool:
    """Whether a file is of a kind that kdzoo writes."""
    if key == IDENTITY:
        return True
    if key.startswith(BLOBS):
        return parse_blob_key(key) is not None
    if layout.parse_manifest_key(key) or layout.parse_alias_key(key) or layout.parse_move_key(key):
        return True
    if layout.parse_withdrawals_key(key):
        return True
    if _SIGNATURE.fullmatch(key) or key.startswith((PROBE, TRASH)):
        return True
    return key.startswith(TEACHERS) and key.endswith(".json")


def _blobs_named(value: Any) -> Iterator[tuple[str, int | None]]:
    """Every ``sha256`` field of a JSON value that is a digest, with the ``size`` beside it."""
    if isinstance(value, dict):
        sha256, size = value.get("sha256"), value.get("size")
        if isinstance(sha256, str) and digests(sha256.encode()) == {sha256}:
            yield sha256, size if isinstance(size, int) and not isinstance(size, bool) else None
        for below in value.values():
            yield from _blobs_named(below)
    elif isinstance(value, list):
        for below in value:
            yield from _blobs_named(below)
