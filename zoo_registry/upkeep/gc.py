"""Removes blobs that nothing refers to, while others publish.

A blob is not removed where it lies. It is moved to ``trash/`` first; then every file that may refer to blobs and was
not read before is read; and only what still nothing refers to is removed for good, while the rest is moved back. A
publisher does it the other way round: it writes its manifest, and then looks whether the blobs are there, and sends
again what is not (`zoo_registry.zoo.blob_upload`). Let the publisher write at ``w`` and look at ``l > w``, and let this
take the blob away at ``t`` and read the files at ``r > t``. If ``w < r``, the manifest is seen here, and the blob comes
back. Otherwise ``l > w >= r > t``: the publisher sees that the blob is gone, and sends it. Neither waits for the other,
no clock is compared, and no lock is held that a killed process could leave behind. It takes a store in which a write
is seen by every later read and listing, as in a folder and on S3.

Killed between the two steps, the next run finds the blobs in ``trash/`` and does the second step. Two runs at once do
no harm: each reads the files after it has seen a blob in ``trash/``, and a publisher that neither sees has itself seen
that the blob is gone.

The grace period is thus not what makes this safe. It spares the blobs of publishers that were killed and will be
started again, and those that a person may want back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zoo_registry.errors import ObjectNotFoundError, StoreLacksError
from zoo_registry.format import layout
from zoo_registry.format.layout import BLOBS, PROBE, TRASH, parse_blob_key, parse_trash_key, trash_key
from zoo_registry.store.identity import claim_identity
from zoo_registry.store.protocol import Leftover, Listed, UpkeepStore
from zoo_registry.upkeep.references import may_refer, read_references

WRITING = 86_400.0
"""Seconds within which an unfinished write is taken for one that goes on, whatever the grace period."""

Told = Callable[[str, int, int], None]
"""Told what is being done, and ``(done, total)``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    """What `collect` did, or would do."""

    removed: tuple[str, ...]
    """Digests of the blobs that were removed, sorted; with ``dry_run`` those that would be."""
    freed: int
    """Bytes of these blobs."""
    restored: tuple[str, ...]
    """Digests of blobs that were taken away and came back, because something refers to them by now."""
    recent: int
    """How many blobs nothing refers to either, but are younger than the grace period."""
    referenced: int
    """How many blobs something refers to."""
    leftovers: tuple[Leftover, ...]
    """What stopped writers had left, which was removed; with ``dry_run`` what would be."""
    notes: tuple[str, ...] = ()
    """What could not be looked at, and why."""


def collect(
    store: UpkeepStore, *, grace: float, dry_run: bool = False, now: float | None = None, progress: Told | None = None
) -> Collected:
    """Removes blobs that nothing refers to, and what stopped writers have left.

    Args:
        store: the zoo's store.
        grace: seconds; nothing younger is removed, and no unfinished write younger than a day. The store's clock
            counts.
        dry_run: only say what would be removed.
        now: seconds since 1970; default this machine's clock.
        progress: told of each step.

    Raises:
        ValueError: ``grace`` is negative.
        StoreRefusedError: the right to read, list, write or delete is missing.
        RegistryError: the store cannot be reached, or a file that may refer to blobs cannot be read: nothing that it
            might refer to is removed then.
    """
    if not grace >= 0:
        raise ValueError(f"grace is {grace}; it must be 0 or more seconds")
    now = time.time() if now is None else now
    before, begun = now - grace, now - max(grace, WRITING)
    tell = progress or (lambda what, done, total: None)
    seen = [item for item in store.scan("") if may_refer(item)]
    wanted = read_references(store, seen, progress=lambda done, total: tell("Reading manifests", done, total))
    blobs = {sha256: item for item in store.scan(BLOBS) if (sha256 := parse_blob_key(item.key))}
    loose = {sha256: item for sha256, item in blobs.items() if sha256 not in wanted}
    doomed = {sha256: item for sha256, item in loose.items() if item.modified < before}
    trash = {sha256: item for item in store.scan(TRASH) if (sha256 := parse_trash_key(item.key))}
    found, notes = _leftovers(store)
    leftovers = [left for left in found if left.since < begun]
    if dry_run:
        removed = doomed | {sha256: item for sha256, item in trash.items() if sha256 not in wanted}
        restored = tuple(sorted(trash.keys() & wanted))
    else:
        store.prove()  # before blobs are taken away: publishers bring back what they miss by conditional writes
        if doomed or trash:
            claim_identity(store)
        _take_away(store, doomed, tell)
        removed, restored = _settle(store, doomed | trash, seen, wanted, tell)
        for done, left in enumerate(leftovers, start=1):
            _remove_leftover(store, left)
            tell("Removing leftovers", done, len(leftovers))
    return Collected(
        removed=tuple(sorted(removed)),
        freed=sum(item.size for item in removed.values()),
        restored=restored,
        recent=len(loose) - len(doomed),
        referenced=len(blobs) - len(loose),
        leftovers=tuple(leftovers),
        notes=notes,
    )


def _take_away(store: UpkeepStore, doomed: dict[str, Listed], tell: Told) -> None:
    for done, (sha256, item) in enumerate(doomed.items(), start=1):
        try:
            store.move(item.key, trash_key(sha256))
        except ObjectNotFoundError:
            continue  # another run was faster
        finally:
            tell("Taking blobs away", done, len(doomed))


def _settle(
    store: UpkeepStore, taken: dict[str, Listed], seen: Sequence[Listed], wanted: set[str], tell: Told
) -> tuple[dict[str, Listed], tuple[str, ...]]:
    """Removes what was taken away, but for what something refers to by now; gives both.

    Manifests never change, so one that was read is not read again.
    """
    if not taken:
        return {}, ()
    known = {item for item in seen if layout.parse_manifest_key(item.key)}
    fresh = [item for item in store.scan("") if may_refer(item) and item not in known]
    now_wanted = wanted | read_references(store, fresh)
    removed, restored = {}, []
    for done, (sha256, item) in enumerate(sorted(taken.items()), start=1):
        if sha256 in now_wanted:
            _bring_back(store, sha256)
            restored.append(sha256)
        else:
            store.delete(trash_key(sha256))
            removed[sha256] = item
        tell("Removing blobs", done, len(taken))
    return removed, tuple(restored)


def _bring_back(store: UpkeepStore, sha256: str) -> None:
    try:
        store.move(trash_key(sha256), layout.blob_key(sha256))
    except ObjectNotFoundError:
        return  # another run brought it back


def _leftovers(store: UpkeepStore) -> tuple[list[Leftover], tuple[str, ...]]:
    """Unfinished writes, and what probes could not remove; and why the first are not known, if they are not."""
    probes = [
        Leftover(what=f"what is left of a probe, {item.key}", name=item.key, since=item.modified)
        for item in store.scan(PROBE)
    ]
    try:
        return [*store.leftovers(), *probes], ()
    except StoreLacksError as error:
        return probes, (f"unfinished uploads cannot be listed here and stay: {error}",)


def _remove_leftover(store: UpkeepStore, left: Leftover) -> None:
    if left.name.startswith(PROBE):
        store.delete(left.name)
    else:
        store.remove_leftover(left)
