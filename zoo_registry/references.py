"""What refers to blobs: every small file of a zoo that is no blob itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from zoo_registry.errors import NameInvalidError, ObjectNotFoundError, ZooNotFoundError
from zoo_registry.parallel import in_order
from zoo_registry.store import SMALL, Listed, Store, check_key

BLOBS = "blobs/"
TEACHERS = "teachers/"
TRASH = "trash/"
PROBE = "probe/"
OWN = frozenset({"blobs", "entries", "teachers", "trash", "probe"})
"""The first parts of all keys that a zoo has."""

READERS = 16

_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{2})/(\1[0-9a-f]{62})")
_TRASH = re.compile(r"trash/([0-9a-f]{64})")
_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def check_is_zoo(store: Store) -> None:
    """Tells an empty zoo from a wrong address.

    Raises:
        ZooNotFoundError: there is no such folder, or it holds other things and nothing of a zoo. An empty bucket or
            prefix passes: S3 does not tell it from one that was never written.
    """
    names = store.top()
    if names is None:
        raise ZooNotFoundError(
            f"there is no zoo at {store.uri}",
            hint="check --zoo and KDZOO_ZOO; publishing makes one, for example: kdzoo sweep aand --dataset demo",
        )
    if names and not OWN & set(names):
        shown = ", ".join(ascii(name)[1:-1] for name in names[:3]) + (", ..." if len(names) > 3 else "")
        raise ZooNotFoundError(
            f"{store.uri} is not a zoo: it holds {shown} and no entries", hint="check --zoo and KDZOO_ZOO"
        )


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


def may_refer(item: Listed) -> bool:
    """Whether a file may refer to blobs: any that is not a blob, not a probe's, and small enough to be read as JSON."""
    if item.key.startswith((BLOBS, TRASH, PROBE)) or item.size > SMALL:
        return False
    try:
        check_key(item.key)
    except NameInvalidError:
        return False  # a file that no kdzoo wrote
    return True


def digests(data: bytes) -> set[str]:
    """All runs of exactly 64 lower-case hexadecimal digits.

    On purpose this does not parse: a manifest that is damaged, or written by a newer kdzoo, keeps its blobs too.
    """
    return {found.decode() for found in _DIGEST.findall(data)}


def read_references(
    store: Store, items: Iterable[Listed], *, progress: Callable[[int, int], None] | None = None
) -> set[str]:
    """The sha256 of every blob that files refer to.

    Args:
        store: where they are.
        items: the files; each is read, `READERS` at a time.
        progress: told ``(done, total)``.

    Raises:
        RegistryError: a file cannot be read; what it refers to is then not known.
    """
    wanted = list(items)

    def read(item: Listed) -> set[str]:
        try:
            return digests(store.get(item.key))
        except ObjectNotFoundError:
            return set()  # removed since it was listed, and so refers to nothing

    found: set[str] = set()
    for done, some in enumerate(in_order(read, wanted, workers=READERS), start=1):
        found |= some
        if progress is not None:
            progress(done, len(wanted))
    return found
