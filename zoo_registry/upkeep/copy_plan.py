"""What copying from one zoo to another takes, compared before anything is written, so that conflicts are told first."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, TypeVar

from zoo_registry.errors import (
    ConflictError,
    EntryNotFoundError,
    ManifestInvalidError,
    NameInvalidError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    ReleaseNotFoundError,
)
from zoo_registry.format import layout
from zoo_registry.format.alias import MAX_BYTES as ALIAS_BYTES
from zoo_registry.format.alias import Move
from zoo_registry.format.layout import TEACHERS
from zoo_registry.format.manifest import BlobRef, Manifest
from zoo_registry.format.names import EntryName
from zoo_registry.format.strict_json import MAX_BYTES
from zoo_registry.format.withdrawals import Withdrawals
from zoo_registry.parallel import in_order
from zoo_registry.store.protocol import Store
from zoo_registry.upkeep.references import READERS, digests
from zoo_registry.zoo import aliasing
from zoo_registry.zoo.signatures import parse_signature_key, signed_by_key
from zoo_registry.zoo.withdrawing import next_state

Stand = Literal["new", "same", "forward", "ahead", "diverged"]
"""How an alias stands in the target: not there, the same, behind, ahead, or moved on its own."""

_SHOWN = 5
_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True, kw_only=True, slots=True)
class FileToCopy:
    """A small file that refers to blobs: a manifest, or a teacher's card."""

    key: str
    """Where it lies, here as there."""
    data: bytes
    """Its bytes."""
    blobs: tuple[BlobRef, ...]
    """What it refers to."""
    title: str
    """For people: ``aand/demo/weave release 3``."""
    is_new: bool
    """False when the target has the same bytes already."""
    write_id: str | None = None
    """By which its write is known again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AliasToCopy:
    """An alias, and how the target's stands to it."""

    entry: EntryName
    alias: str
    newest: Move
    """The source's."""
    moves: dict[int, Move]
    """The source's log, by number."""
    present: Move | None
    """The target's; None when it has none."""
    etag: str | None
    """Of the target's file."""
    stand: Stand


@dataclass(frozen=True, kw_only=True, slots=True)
class WithdrawalsToCopy:
    """What is withdrawn of an entry, and how the target's stands to it."""

    entry: EntryName
    data: bytes
    """What the target's file is to be."""
    etag: str | None
    """Of the target's file; None when it has none."""
    added: tuple[int, ...]
    """Releases that the target has not withdrawn yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyPlan:
    """What is to be copied."""

    files: tuple[FileToCopy, ...]
    """Manifests and teachers' cards, by key: a release's earlier ones come first."""
    missing: tuple[BlobRef, ...]
    """Blobs of these files that the target does not have, or has in another size."""
    doubtful: tuple[BlobRef, ...]
    """Blobs of new files that the target has; their bytes are compared before anything refers to them."""
    signatures: tuple[str, ...]
    """Keys of signatures that the target does not have."""
    signed: tuple[str, ...]
    """Keys of signatures that it has."""
    aliases: tuple[AliasToCopy, ...]
    withdrawals: tuple[WithdrawalsToCopy, ...]
    skipped: tuple[EntryName, ...]
    """Entries that were chosen and do not have the alias asked for."""

    @property
    def size(self) -> int:
        """Bytes of the missing blobs."""
        return sum(ref.size for ref in self.missing)


def choose_entries(entries: Sequence[EntryName], patterns: Iterable[str], *, where: str) -> list[EntryName]:
    """The entries that match one of the patterns, sorted.

    Args:
        entries: what there is.
        patterns: such as ``aand/mvtec/*``; ``*``, ``?`` and ``[...]`` stand for characters of one part of the name.
        where: the zoo, for messages.

    Raises:
        NameInvalidError: a pattern does not have three parts.
        EntryNotFoundError: a pattern matches nothing; the hint says the nearest.
    """
    chosen = set()
    for pattern in patterns:
        parts = pattern.split("/")
        if len(parts) != 3:
            raise NameInvalidError(
                f"entry {ascii(pattern)[:100]} is not of the form method/dataset/category",
                hint="for example aand/demo/weave or 'aand/mvtec/*'",
            )
        found = [name for name in entries if all(map(fnmatchcase, str(name).split("/"), parts))]
        if not found:
            names = [str(name) for name in entries]
            near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.5) or names[:_SHOWN]
            raise EntryNotFoundError(
                f"{where} has no entry {ascii(pattern)[1:-1][:100]}",
                hint=f"did you mean {' or '.join(near)}?" if near else "the zoo is empty",
            )
        chosen.update(found)
    return sorted(chosen)


def make_plan(
    source: Store,
    target: Store,
    patterns: Sequence[str] | None,
    *,
    alias: str | None = None,
    tell: Callable[[str, int, int], None] | None = None,
) -> CopyPlan:
    """Compares two zoos; writes nothing.

    Args:
        source: where from.
        target: where to.
        patterns: which entries, see `choose_entries`; None for all, and for the teachers that stand by themselves.
        alias: copy only the release that this alias points at, and no other alias; None for all.
        tell: told what is being done, and ``(done, total)``.

    Raises:
        EntryNotFoundError, ReleaseNotFoundError: there is nothing to copy.
        ConflictError: the target has other releases under the same numbers.
        ManifestInvalidError: a manifest of the source is damaged, or of another entry or release.
    """
    return _Planner(source, target, tell or (lambda what, done, total: None)).plan(patterns, alias)


class _Planner:
    def __init__(self, source: Store, target: Store, tell: Callable[[str, int, int], None]) -> None:
        self._source, self._target, self._tell = source, target, tell

    def plan(self, patterns: Sequence[str] | None, alias: str | None) -> CopyPlan:
        keys, there = self._source.list(layout.ENTRIES), set(self._target.list(layout.ENTRIES))
        releases = {found for key in keys if (found := layout.parse_manifest_key(key)) is not None}
        entries = sorted({entry for entry, _ in releases})
        chosen = entries if patterns is None else choose_entries(entries, patterns, where=self._source.uri)
        if not chosen:
            raise EntryNotFoundError(f"{self._source.uri} is empty", hint="check the address of the source")
        aliases = self._aliases(set(chosen), keys, alias)
        # A release may have been published, and an alias moved to it, since the files were listed.
        releases |= {(one.entry, one.newest.release) for one in aliases if one.newest.release is not None}
        wanted = sorted(found for found in releases if found[0] in set(chosen))
        if alias is not None:
            pointed = {(one.entry, one.newest.release) for one in aliases}
            wanted = [found for found in wanted if found in pointed]
            if not wanted:
                raise ReleaseNotFoundError(
                    f"none of the {len(chosen)} entries has alias '{alias}' in {self._source.uri}",
                    hint="leave --alias out to copy all releases",
                )
        files = self._manifests(wanted, there)
        if patterns is None:
            files += self._teachers()
        _refuse_conflicts(files, self._source.uri, self._target.uri)
        copied = [file for file, _ in files]
        missing, doubtful = self._blobs(copied)
        numbers = set(wanted)
        signatures = [key for key in keys if (signed := parse_signature_key(key)) is not None and signed[:2] in numbers]
        if patterns is None:
            signatures += [key for key in self._source.list(TEACHERS) if signed_by_key(key) is not None]
            there |= set(self._target.list(TEACHERS))
        skipped = sorted(set(chosen) - {entry for entry, _ in wanted})
        return CopyPlan(
            files=tuple(copied),
            missing=missing,
            doubtful=doubtful,
            signatures=tuple(key for key in signatures if key not in there),
            signed=tuple(key for key in signatures if key in there),
            aliases=tuple(aliases),
            withdrawals=tuple(self._withdrawals(set(chosen), keys)),
            skipped=tuple(skipped),
        )

    def _manifests(self, wanted: list[tuple[EntryName, int]], there: set[str]) -> list[tuple[FileToCopy, str]]:
        """The manifests, each with what is wrong with the target's; empty when nothing is."""

        def read(one: tuple[EntryName, int]) -> tuple[FileToCopy, str]:
            entry, number = one
            title, key = f"{entry} release {number}", layout.manifest_key(entry, number)
            data = _get(self._source, key, f"manifest of {title}")
            manifest = Manifest.parse(data, what=f"manifest of {title}")
            if (manifest.entry, manifest.release) != one:
                raise ManifestInvalidError(
                    f"manifest of {title} says it is of {manifest.entry} release {manifest.release}"
                )
            present = _get(self._target, key, f"manifest of {title} in {self._target.uri}") if key in there else None
            file = FileToCopy(
                key=key,
                data=data,
                blobs=tuple(sorted(manifest.blobs.values(), key=lambda ref: ref.sha256)),
                title=title,
                is_new=present is None,
                write_id=manifest.write_id,
            )
            return file, _difference(manifest, present)

        return self._each("Reading manifests", read, wanted)

    def _teachers(self) -> list[tuple[FileToCopy, str]]:
        """The cards of teachers that stand by themselves, with the blobs they refer to."""
        there = set(self._target.list(TEACHERS))

        def read(key: str) -> tuple[FileToCopy, str]:
            data = _get(self._source, key, f"'{key}'")
            refs = [ref for sha256 in sorted(digests(data)) if (ref := _stat(self._source, sha256)) is not None]
            present = _get(self._target, key, f"'{key}'") if key in there else None
            differs = "" if present in (None, data) else f"{key} holds something else"
            return FileToCopy(key=key, data=data, blobs=tuple(refs), title=key, is_new=present is None), differs

        return self._each("Reading teachers", read, [key for key in self._source.list(TEACHERS) if _is_card(key)])

    def _withdrawals(self, chosen: set[EntryName], keys: list[str]) -> list[WithdrawalsToCopy]:
        """What is withdrawn of the entries and not yet in the target, beside what is there."""
        wanted = [(key, entry) for key in keys if (entry := layout.parse_withdrawals_key(key)) in chosen and entry]

        def compare(one: tuple[str, EntryName]) -> WithdrawalsToCopy | None:
            key, entry = one
            data = _get(self._source, key, f"'{key}'")
            ours = Withdrawals.parse(data, what=f"'{key}'")
            try:
                present, etag = self._target.read(key, max_bytes=MAX_BYTES)
            except ObjectNotFoundError:
                return WithdrawalsToCopy(entry=entry, data=data, etag=None, added=tuple(sorted(ours.releases)))
            theirs = Withdrawals.parse(present, what=f"'{key}' of {self._target.uri}")
            added = tuple(sorted(ours.releases.keys() - theirs.releases.keys()))
            if not added:
                return None  # what is taken back in the source, its owner in the target takes back there
            if theirs.releases.keys() - ours.releases.keys() or theirs.number >= ours.number:
                data = next_state(entry, theirs.number, {**ours.releases, **theirs.releases}).to_bytes()
            return WithdrawalsToCopy(entry=entry, data=data, etag=etag, added=added)

        return [found for found in self._each("Reading withdrawals", compare, wanted) if found is not None]

    def _blobs(self, files: list[FileToCopy]) -> tuple[tuple[BlobRef, ...], tuple[BlobRef, ...]]:
        """Which blobs the target lacks, and which it has that something new will refer to."""
        needed: dict[str, tuple[BlobRef, bool]] = {}
        for file in files:
            for ref in file.blobs:
                needed[ref.sha256] = (ref, file.is_new or needed.get(ref.sha256, (ref, False))[1])

        def look(one: tuple[BlobRef, bool]) -> tuple[BlobRef, bool, bool]:
            present = _stat(self._target, one[0].sha256)
            return one[0], one[1], present is not None and present.size == one[0].size

        looked = self._each("Comparing files", look, list(needed.values()))
        missing = tuple(ref for ref, _, is_there in looked if not is_there)
        return missing, tuple(ref for ref, is_new, is_there in looked if is_there and is_new)

    def _aliases(self, chosen: set[EntryName], keys: list[str], alias: str | None) -> list[AliasToCopy]:
        """The aliases of the source that were ever set, each as it stands in the target."""
        wanted = []
        for key in keys:
            name = layout.parse_alias_key(key)
            if name is None or (alias is not None and name != alias):
                continue
            entry = EntryName.parse(key.removeprefix(layout.ENTRIES).partition("/aliases/")[0])
            if entry in chosen:
                wanted.append((entry, name))
        found = self._each("Reading aliases", lambda one: self._alias(*one), wanted)
        return [one for one in found if one is not None and (alias is None or one.newest.release is not None)]

    def _alias(self, entry: EntryName, alias: str) -> AliasToCopy | None:
        newest, _ = aliasing.read(self._source, entry, alias)
        if newest is None:
            return None  # removed since it was listed
        present, etag = aliasing.read(self._target, entry, alias)
        moves = _log(self._source, entry, alias) | {newest.number: newest}
        theirs = _log(self._target, entry, alias)
        last = present or (theirs[max(theirs)] if theirs else None)
        stand = _stand(newest, moves, last, theirs)
        if present is None and stand == "same":
            stand = "forward"  # a person removed the file, and the log is still there
        return AliasToCopy(
            entry=entry,
            alias=alias,
            newest=newest,
            moves=moves,
            present=present,
            etag=etag,
            stand=stand,
        )

    def _each(self, what: str, work: Callable[[_In], _Out], items: list[_In]) -> list[_Out]:
        made = []
        for done, one in enumerate(in_order(work, items, workers=READERS), start=1):
            made.append(one)
            self._tell(what, done, len(items))
        return made


def _is_card(key: str) -> bool:
    return key.endswith(".json") and "/" not in key.removeprefix(TEACHERS)


def _stand(newest: Move, moves: dict[int, Move], present: Move | None, theirs: dict[int, Move]) -> Stand:
    """How the target's alias stands to the source's: whether one log is the beginning of the other."""
    if present is None:
        return "new"
    if present.write_id == newest.write_id:
        return "same"
    here = moves.get(present.number)
    if present.number < newest.number and here is not None and here.write_id == present.write_id:
        return "forward"
    there = theirs.get(newest.number)
    return "ahead" if there is not None and there.write_id == newest.write_id else "diverged"


def _log(store: Store, entry: EntryName, alias: str) -> dict[int, Move]:
    """The log of an alias by number, without records that are damaged: these prove nothing."""
    found = {}
    for key in store.list(layout.history_prefix(entry, alias)):
        parsed = layout.parse_move_key(key)
        try:
            move = Move.parse(store.get(key, max_bytes=ALIAS_BYTES))
        except (ManifestInvalidError, ObjectTooLargeError, ObjectNotFoundError):
            continue
        if parsed is not None and move.number == parsed[2]:
            found[move.number] = move
    return found


def _difference(manifest: Manifest, present: bytes | None) -> str:
    """What the target's manifest is instead; empty when it is not there or the same."""
    if present is None or present == manifest.signed_bytes:
        return ""
    title = f"{manifest.entry} release {manifest.release}"
    try:
        other = Manifest.parse(present)
    except ManifestInvalidError as error:
        return f"{title} is damaged there ({error})"
    if other.write_id == manifest.write_id:
        return f"{title} is the same publish with other bytes"
    return f"{title}, published {manifest.created} here and {other.created} there"


def _refuse_conflicts(files: list[tuple[FileToCopy, str]], source: str, target: str) -> None:
    wrong = [why for _, why in files if why]
    if not wrong:
        return
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    raise ConflictError(
        f"{source} and {target} differ in what both have: {'; '.join(wrong[:_SHOWN])}{more}",
        hint="nothing was copied; copy to another zoo, or leave these entries out",
    )


def _get(store: Store, key: str, what: str) -> bytes:
    try:
        return store.get(key, max_bytes=MAX_BYTES)
    except ObjectTooLargeError as error:
        raise ManifestInvalidError(f"{what} is not valid: {error}") from error


def _stat(store: Store, sha256: str) -> BlobRef | None:
    """A blob as a store has it; None when it has not."""
    try:
        return BlobRef(sha256=sha256, size=store.stat(layout.blob_key(sha256)).size)
    except ObjectNotFoundError:
        return None
