"""All entries of a zoo at a glance: one listing, and the champions' small files, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from zoo_registry.errors import RegistryError, ReleaseNotFoundError, WithdrawnError
from zoo_registry.format import layout
from zoo_registry.format.manifest import Manifest
from zoo_registry.format.names import EntryName
from zoo_registry.parallel import in_order
from zoo_registry.zoo.registry import CHAMPION, Registry

READERS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class EntryOverview:
    """One entry, as a list shows it."""

    entry: EntryName
    """The entry."""
    releases: tuple[int, ...]
    """The numbers of its releases, rising."""
    manifest: Manifest | None
    """Of the release that the alias points at, also if that was withdrawn; None when there is no such alias, or
    ``problem`` says why."""
    problem: str | None = None
    """What is wrong with the alias or the release, in a sentence; None when nothing is."""


def overview(
    registry: Registry, *, alias: str = CHAMPION, progress: Callable[[int, int], None] | None = None
) -> Iterator[EntryOverview]:
    """All entries with at least one release, sorted.

    A zoo of n entries on S3 takes a request for every thousand files, and two for each entry, 16 at a time: its alias,
    and its manifest unless that is in the cache. No other manifest is read.

    Args:
        registry: the zoo.
        alias: whose release is shown.
        progress: told ``(done, total)``.

    Yields:
        One entry after the other, as they are read.

    Raises:
        ZooNotFoundError: there is no zoo at this address, or something else is.
        StoreUnavailableError: the store cannot be listed.
    """
    found = registry.list_keys()
    entries: dict[EntryName, list[int]] = {}
    for key in found:
        both = layout.parse_manifest_key(key)
        if both is not None:
            entries.setdefault(both[0], []).append(both[1])
    aliased = set(found)
    names = sorted(entries)

    def look(name: EntryName) -> EntryOverview:
        releases = tuple(sorted(entries[name]))
        if layout.alias_key(name, alias) not in aliased:
            return EntryOverview(entry=name, releases=releases, manifest=None)
        try:
            # As the alias says, whoever may follow it: this is a list of what is there.
            move = registry.alias_log.present(name, alias)
            if move is None:
                return EntryOverview(entry=name, releases=releases, manifest=None)
            manifest = registry.resolve(name, move.release, trust_cache=True)
            if layout.withdrawals_key(name) in aliased:
                registry.withdrawn.check(name, manifest.release)
        except WithdrawnError as error:
            return EntryOverview(entry=name, releases=releases, manifest=manifest, problem=str(error))
        except ReleaseNotFoundError as error:
            return EntryOverview(entry=name, releases=releases, manifest=None, problem=str(error))
        except RegistryError as error:
            return EntryOverview(entry=name, releases=releases, manifest=None, problem=str(error))
        over = f"{alias} was to be followed until {move.expires}" if move.is_over else None
        return EntryOverview(entry=name, releases=releases, manifest=manifest, problem=over)

    for done, row in enumerate(in_order(look, names, workers=READERS), start=1):
        yield row
        if progress is not None:
            progress(done, len(names))
