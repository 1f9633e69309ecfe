"""The release that a digest names, whatever its number, and what there is where a name leads to nothing."""

from __future__ import annotations

import difflib
from typing import Protocol

from zoo_registry.errors import (
    EntryNotFoundError,
    ManifestInvalidError,
    RegistryError,
    ReleaseNotFoundError,
    ZooNotFoundError,
)
from zoo_registry.format.alias import Alias
from zoo_registry.format.manifest import Manifest
from zoo_registry.format.names import EntryName


class Shelf(Protocol):
    """What of a registry it takes to look for a release."""

    @property
    def uri(self) -> str:
        """The zoo's address."""
        ...

    def releases(self, entry: EntryName | str) -> list[int]:
        """The release numbers of an entry, rising."""
        ...

    def list_entries(self) -> list[EntryName]:
        """All entries."""
        ...

    def read_alias(self, entry: EntryName | str, alias: str) -> Alias:
        """Where an alias points, whoever may follow it."""
        ...

    def resolve(
        self, entry: EntryName | str, release: int | None = None, alias: str = ..., *, trust_cache: bool = False
    ) -> Manifest:
        """The manifest of a release."""
        ...


def find_by_digest(zoo: Shelf, entry: EntryName, digest: str, alias: str) -> Manifest:
    """The release with a digest: most often the one that an alias points at, else it is looked for, the latest first.

    Args:
        zoo: where.
        entry: whose.
        digest: of its manifest, as `check_digest` gave it.
        alias: where to look first.

    Raises:
        ReleaseNotFoundError: the entry has no such release, or only a damaged one.
        RegistryError: as `Registry.resolve` does.
    """
    tried = set()
    try:
        found = zoo.resolve(entry, zoo.read_alias(entry, alias).release)
        if found.digest == digest:
            return found
        tried.add(found.release)
    except (ManifestInvalidError, ReleaseNotFoundError):
        pass  # what is damaged is not the one, and an alias need not be there
    for number in reversed(zoo.releases(entry)):
        if number in tried:
            continue
        try:
            found = zoo.resolve(entry, number, trust_cache=True)
        except ManifestInvalidError:
            continue
        if found.digest == digest:
            return found
    raise absent(zoo, entry, f"release with digest {digest}")


def absent(zoo: Shelf, entry: EntryName, wanted: str) -> RegistryError:
    """The error for a release or alias that is not there: what there is instead."""
    numbers = zoo.releases(entry)
    if numbers:
        shown = ", ".join(map(str, numbers[-10:]))
        return ReleaseNotFoundError(f"{entry} has no {wanted} in {zoo.uri}", hint=f"its latest releases: {shown}")
    try:
        names = [str(name) for name in zoo.list_entries()]
    except ZooNotFoundError as error:
        return EntryNotFoundError(f"there is no entry {entry}: {error}", hint=error.hint)
    near = difflib.get_close_matches(str(entry), names, n=3, cutoff=0.5) or names[:10]
    hint = f"did you mean {' or '.join(near)}?" if near else "the zoo is empty; publish to it, or check its address"
    return EntryNotFoundError(f"{zoo.uri} has no entry {entry}", hint=hint)
