"""Where things lie in a store: the keys of blobs, manifests and aliases, and back."""

from __future__ import annotations

import re

from zoo_registry.errors import NameInvalidError
from zoo_registry.names import EntryName, check_alias

ENTRIES = "entries/"

_RELEASE = re.compile(r"entries/([^/]+/[^/]+/[^/]+)/releases/([0-9]{6})\.json")
_ALIAS = re.compile(r"entries/([^/]+/[^/]+/[^/]+)/aliases/([^/]+)\.json")


def blob_key(sha256: str) -> str:
    """The key of a blob, by its 64 hexadecimal digits."""
    return f"blobs/sha256/{sha256[:2]}/{sha256}"


def releases_prefix(entry: EntryName) -> str:
    """What the keys of all manifests of an entry start with."""
    return f"entries/{entry}/releases/"


def manifest_key(entry: EntryName, release: int) -> str:
    """The key of a manifest; six digits, so that keys sort as releases do."""
    return f"{releases_prefix(entry)}{release:06d}.json"


def aliases_prefix(entry: EntryName) -> str:
    """What the keys of all aliases of an entry start with."""
    return f"entries/{entry}/aliases/"


def alias_key(entry: EntryName, alias: str) -> str:
    """The key of an alias.

    Raises:
        NameInvalidError: the alias is not a valid name.
    """
    return f"{aliases_prefix(entry)}{check_alias(alias)}.json"


def parse_manifest_key(key: str) -> tuple[EntryName, int] | None:
    """Entry and release of a manifest's key; None for any other key, such as a file that somebody left there."""
    match = _RELEASE.fullmatch(key)
    if match is None or int(match[2]) == 0:
        return None
    try:
        return EntryName.parse(match[1]), int(match[2])
    except NameInvalidError:
        return None  # not a name this registry could have written, so not one of its manifests


def parse_alias_key(key: str) -> str | None:
    """The alias of an alias file's key; None for any other key."""
    match = _ALIAS.fullmatch(key)
    if match is None:
        return None
    try:
        return check_alias(match[2])
    except NameInvalidError:
        return None  # as above
