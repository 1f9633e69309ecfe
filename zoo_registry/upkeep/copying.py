"""Copies releases from one zoo to another: blobs, manifests, signatures, withdrawals, aliases with their logs.

Manifests are copied byte for byte, so that numbers and digests hold in the target as they did in the source. The target
is a zoo of its own and has its own id: signatures come along and say for which zoo they were made, which is the source.
The order is the one of a publish: blobs, manifests, signatures, then withdrawals and aliases; whoever reads the target
meanwhile never sees a part of a release, and a copy that was stopped goes on where it was when it is started again.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zoo_registry.errors import (
    BlobCorruptError,
    ConflictError,
    ManifestInvalidError,
    NameInvalidError,
    ObjectNotFoundError,
    ObjectTooLargeError,
)
from zoo_registry.format import layout
from zoo_registry.format.layout import withdrawals_key
from zoo_registry.format.manifest import BlobRef
from zoo_registry.format.signing import MAX_BYTES as SIGNATURE_BYTES
from zoo_registry.format.signing import Signature
from zoo_registry.format.strict_json import MAX_BYTES
from zoo_registry.parallel import in_order
from zoo_registry.store import files
from zoo_registry.store.identity import claim_identity, read_identity
from zoo_registry.store.protocol import Store
from zoo_registry.store.recognising import check_is_zoo
from zoo_registry.upkeep.copy_plan import AliasToCopy, CopyPlan, FileToCopy, WithdrawalsToCopy, make_plan
from zoo_registry.upkeep.references import READERS
from zoo_registry.zoo.blob_upload import BlobSender
from zoo_registry.zoo.signatures import described, is_at, zoo_of_key

Told = Callable[[str, int, int], None]
"""Told what is being done, and ``(done, total)``."""

CARRIERS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """What a copy did, or would do."""

    releases: tuple[str, ...]
    """Titles of the releases, and of teachers, that the target did not have."""
    same: int
    """How many it had already, byte for byte."""
    blobs: int
    """Blobs that were sent."""
    size: int
    """Bytes of these."""
    signatures: int
    """Signatures that the target did not have."""
    signed_for: tuple[str, ...]
    """Ids of other zoos that signatures of the releases are bound to, sorted: they do not count in the target by
    themselves."""
    moved: tuple[AliasToCopy, ...]
    """Aliases that point there now where they do in the source."""
    kept: tuple[AliasToCopy, ...]
    """Aliases that were moved in the target on its own, and stay as they are."""
    withdrawn: tuple[str, ...]
    """Titles of the releases that are withdrawn in the target now, and were not."""
    skipped: tuple[str, ...]
    """Entries without the alias asked for."""


def copy(
    source: Store,
    target: Store,
    patterns: Sequence[str] | None,
    *,
    alias: str | None = None,
    dry_run: bool = False,
    warn: Callable[[str], None] = lambda text: None,
    progress: Told | None = None,
) -> Copied:
    """Copies releases, their numbers kept.

    A release that the target has byte for byte is not sent again. An alias is moved when the target's was copied from
    the same log and is behind it; one that was moved in the target by itself stays.

    Args:
        source: where from.
        target: where to.
        patterns: entries such as ``aand/mvtec/*``; None for all, and for teachers that stand by themselves.
        alias: copy only the releases that this alias points at, and no other alias.
        dry_run: write nothing, and only say what would be done.
        warn: called with a sentence when something is left out or mended.
        progress: told of each step.

    Raises:
        NameInvalidError: source and target are one, or a pattern is not valid.
        ZooNotFoundError, EntryNotFoundError, ReleaseNotFoundError: there is nothing to copy.
        ConflictError: the target has another release under the same number; nothing was copied.
        BlobCorruptError: the source's bytes are not those of the digest; what was copied before stays.
        RegistryError: a store cannot be read or written.
    """
    if source.uri == target.uri:
        raise NameInvalidError(f"source and target are both {source.uri}", hint="name two different zoos")
    check_is_zoo(source)
    tell = progress or (lambda what, done, total: None)
    plan = make_plan(source, target, patterns, alias=alias, tell=tell)
    sent: tuple[BlobRef, ...] = plan.missing
    signatures = len(plan.signatures)
    if not dry_run:
        sent, signatures = _Copier(source, target, warn, tell).run(plan)
    return Copied(
        releases=tuple(file.title for file in plan.files if file.is_new),
        same=sum(not file.is_new for file in plan.files),
        blobs=len(sent),
        size=sum(ref.size for ref in sent),
        signatures=signatures,
        signed_for=_signed_for(plan, target),
        moved=tuple(one for one in plan.aliases if one.stand in ("new", "forward")),
        kept=tuple(one for one in plan.aliases if one.stand in ("ahead", "diverged")),
        withdrawn=tuple(f"{one.entry} release {number}" for one in plan.withdrawals for number in one.added),
        skipped=tuple(map(str, plan.skipped)),
    )


def check_blob(store: Store, ref: BlobRef, *, progress: files.Progress | None = None) -> None:
    """Reads a blob whole in its store and compares it with its digest.

    Raises:
        ObjectNotFoundError: it is not there.
        BlobCorruptError: it holds other bytes.
    """
    key = layout.blob_key(ref.sha256)
    found, size = store.digest(key, progress=progress)
    if (found, size) != (ref.sha256, ref.size):
        raise BlobCorruptError(
            f"'{key}' of {store.uri} holds {size} bytes with sha256 {found}",
            hint=f"see what else is wrong with: kdzoo zoo fsck --deep --zoo {store.uri}",
        )


def _signed_for(plan: CopyPlan, target: Store) -> tuple[str, ...]:
    """The zoos that signatures of a plan are bound to, but for the target."""
    named = {zoo for key in (*plan.signatures, *plan.signed) if (zoo := zoo_of_key(key)) is not None}
    own = read_identity(target) if named else None
    return tuple(sorted(named - ({own.id} if own is not None else set())))


class _Copier:
    def __init__(self, source: Store, target: Store, warn: Callable[[str], None], tell: Told) -> None:
        self._source, self._target, self._warn, self._tell = source, target, warn, tell
        self._sender = BlobSender(target, warn=warn)
        self._lock = threading.Lock()
        self._done = self._total = 0

    def run(self, plan: CopyPlan) -> tuple[tuple[BlobRef, ...], int]:
        """Carries a plan out; gives the blobs that were sent, and how many signatures."""
        self._target.prove()
        claim_identity(self._target)
        needed = [(ref, False) for ref in plan.missing] + [(ref, True) for ref in plan.doubtful]
        # Each byte that is sent is read first.
        self._total = sum(ref.size for ref, _ in needed) * 2
        with tempfile.TemporaryDirectory(prefix="kdzoo-copy-") as folder:
            there = Path(folder)
            carried = in_order(lambda one: self._carry(*one, there), needed, workers=CARRIERS)
            sent = [ref for ref, was_sent in carried if was_sent]
            for done, file in enumerate(plan.files, start=1):
                sent += self._write(file, there)
                self._tell("Writing manifests", done, len(plan.files))
        signatures = sum(in_order(self._sign, plan.signatures, workers=READERS))
        for withdrawn in plan.withdrawals:
            self._withdraw(withdrawn)
        for one in plan.aliases:
            self._move(one)
        return tuple(dict.fromkeys(sent)), signatures

    def _carry(self, ref: BlobRef, is_there: bool, folder: Path) -> tuple[BlobRef, bool]:
        """Brings a blob to the target unless it is there and whole."""
        if is_there:
            try:
                check_blob(self._target, ref, progress=self._count)
            except (BlobCorruptError, ObjectNotFoundError) as error:
                self._warn(f"{error}; it is sent again")
                self._add(ref.size)
            else:
                self._count(ref.size)
                return ref, False
        with self._fetched(ref, folder) as path:
            return ref, self._sender.send(ref, path, self._count)

    @contextmanager
    def _fetched(self, ref: BlobRef, folder: Path) -> Iterator[Path]:
        """A blob of the source in a file, compared with its digest."""
        with files.temporary(folder) as path:
            key = layout.blob_key(ref.sha256)
            try:
                sha256 = self._source.get_to_file(key, path, max_bytes=ref.size, progress=self._count)
            except ObjectTooLargeError as error:
                raise self._corrupt(ref, f"more than {ref.size} bytes") from error
            if sha256 != ref.sha256:
                raise self._corrupt(ref, f"sha256 {sha256}")
            yield path

    def _write(self, file: FileToCopy, folder: Path) -> list[BlobRef]:
        """Writes a manifest, then sees to it that its blobs are there; gives those that had to be sent again."""
        is_written = self._target.put_if_absent(file.key, file.data, write_id=file.write_id)
        # Another copy may have been faster, and have brought the same.
        if not is_written and self._target.get(file.key, max_bytes=MAX_BYTES) != file.data:
            raise ConflictError(
                f"{self._target.uri} has another {file.title} since a moment ago",
                hint="copy to another zoo, or leave this entry out",
            )
        # A `kdzoo zoo gc` may have taken some away while nothing referred to them. What was fetched for them is gone
        # too: all blobs of a copy need not fit on this disk.
        again = self._sender.missing(file.blobs)
        for ref in again:
            self._add(2 * ref.size)
            with self._fetched(ref, folder) as path:
                self._sender.keep({ref: path})
            self._count(ref.size)
        return again

    def _sign(self, key: str) -> bool:
        """Copies a signature; whether it was not there. One that is damaged here is left out."""
        try:
            data = self._source.get(key, max_bytes=SIGNATURE_BYTES)
            signature = Signature.parse(data, what=f"'{key}'")
        except (ManifestInvalidError, ObjectTooLargeError, ObjectNotFoundError) as error:
            self._warn(f"a signature is left out: {error}")
            return False
        if not is_at(signature, key):
            self._warn(f"a signature is left out: '{key}' says that it is {described(signature)}")
            return False
        return self._target.put_if_absent(key, data)

    def _withdraw(self, one: WithdrawalsToCopy) -> None:
        """Copies what is withdrawn of an entry, before an alias may lead to it."""
        if not self._target.compare_and_swap(withdrawals_key(one.entry), one.data, one.etag):
            raise ConflictError(
                f"what is withdrawn of {one.entry} was changed in {self._target.uri} meanwhile",
                hint="run the same command again",
            )

    def _move(self, one: AliasToCopy) -> None:
        """Moves an alias, then completes its log.

        The alias comes first: a log that ran ahead of it would give a number away that a mover in the target takes.
        """
        if one.stand in ("new", "forward"):
            key = layout.alias_key(one.entry, one.alias)
            if not self._target.compare_and_swap(key, one.newest.to_bytes(), one.etag):
                raise ConflictError(
                    f"alias {one.alias} of {one.entry} was moved in {self._target.uri} meanwhile",
                    hint="run the same command again",
                )
        if one.stand in ("new", "forward", "same"):
            for number, move in sorted(one.moves.items()):
                self._target.put_if_absent(
                    layout.move_key(one.entry, one.alias, number), move.to_bytes(), write_id=move.write_id
                )

    def _add(self, size: int) -> None:
        with self._lock:
            self._total += size

    def _count(self, size: int) -> None:
        with self._lock:
            self._done += size
            self._tell("Copying", min(self._done, self._total), self._total)

    def _corrupt(self, ref: BlobRef, found: str) -> BlobCorruptError:
        return BlobCorruptError(
            f"blob {ref.sha256} of {self._source.uri} has {found}",
            hint=f"see what else is wrong with: kdzoo zoo fsck --deep --zoo {self._source.uri}",
        )
