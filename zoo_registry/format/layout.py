"""Where things lie in a store: the keys of everything a zoo holds, and back."""

from __future__ import annotations

import re

from zoo_registry.errors import NameInvalidError
from zoo_registry.format.names import EntryName, check_alias

ENTRIES = "entries/"
BLOBS = "blobs/"
TEACHERS = "teachers/"
TRASH = "trash/"
PROBE = "probe/"
IDENTITY = "zoo.json"
"""The key of what tells this zoo from every other."""
OWN = frozenset({"blobs", "entries", "teachers", "trash", "probe", IDENTITY})
"""The first parts of all keys that a zoo has."""

_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{2})/(\1[0-9a-f]{62})")
_TRASH = re.compile(r"trash/([0-9a-f]{64})")
_RELEASE = re.compile(r"entries/([^/]+/[^/]+/[^/]+)/releases/([0-9]{6})\.json")
_ALIAS = re.compile(r"entries/([^/]+/[^/]+/[^/]+)/aliases/([^/]+)\.json")
_MOVE = re.compile(r"entries/([^/]+/[^/]+/[^/]+)/history/([^/]+)/([0-9]{6})\.json")

_WITHDRAWN = re.compile(r"entries/([^/]+/[^/]+/[^/]+)/withdrawn\.json")


def blob_key(sha256: str) -> str:
    """The key of a blob, by its 64 hexadecimal digits."""
    return f"blobs/sha256/{sha256[:2]}/{sha256}"


def parse_blob_key(key: str) -> str | None:
    """The sha256 of a blob's key; None for any other key."""
    match = _BLOB.fullmatch(key)
    return match[2] if match else None


def trash_key(sha256: str) -> str:
    """Where a blob lies that is about to be removed."""
    return f"{TRASH}{sha256}"


def parse_trash_key(key: str) -> str | None:
    """The sha256 of a blob that is about to be removed; None for any other key."""
    match = _TRASH.fullmatch(key)
    return match[1] if match else None


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


def withdrawals_key(entry: EntryName) -> str:
    """The key of what is withdrawn of an entry."""
    return f"entries/{entry}/withdrawn.json"


def parse_withdrawals_key(key: str) -> EntryName | None:
    """The entry whose withdrawn releases a file names; None for any other key."""
    match = _WITHDRAWN.fullmatch(key)
    try:
        return None if match is None else EntryName.parse(match[1])
    except NameInvalidError:
        return None  # not a name this registry could have written


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


def history_prefix(entry: EntryName, alias: str | None = None) -> str:
    """What the keys of all moves of an alias start with; without one, of all aliases of an entry.

    Raises:
        NameInvalidError: the alias is not a valid name.
    """
    return f"entries/{entry}/history/" + ("" if alias is None else f"{check_alias(alias)}/")


def move_key(entry: EntryName, alias: str, number: int) -> str:
    """The key of an alias's move; six digits, so that keys sort as moves do.

    Raises:
        NameInvalidError: the alias is not a valid name.
    """
    return f"{history_prefix(entry, alias)}{number:06d}.json"


def parse_move_key(key: str) -> tuple[EntryName, str, int] | None:
    """Entry, alias and number of a move's key; None for any other key."""
    match = _MOVE.fullmatch(key)
    if match is None or int(match[3]) == 0:
        return None
    try:
        return EntryName.parse(match[1]), check_alias(match[2]), int(match[3])
    except NameInvalidError:
        return None  # as above
