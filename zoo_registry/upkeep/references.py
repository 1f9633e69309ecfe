"""What refers to blobs: every small file of a zoo that is no blob itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from zoo_registry.errors import NameInvalidError, ObjectNotFoundError
from zoo_registry.format.layout import BLOBS, PROBE, TRASH
from zoo_registry.parallel import in_order
from zoo_registry.store.protocol import SMALL, Listed, Store, check_key

READERS = 16

_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


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
