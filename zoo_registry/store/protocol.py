"""What the registry asks of a store: bytes under keys, two conditional writes, and what upkeep needs beside."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from zoo_registry.errors import BlobCorruptError, NameInvalidError, ObjectNotFoundError
from zoo_registry.store.files import Progress

SMALL = 8 * 1024 * 1024
"""Bytes: what `Store.get` takes at most unless told otherwise, and the most that is compared and swapped."""

_KEY_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectInfo:
    """What a store knows of an object without its bytes."""

    size: int
    """Bytes."""
    etag: str
    """Changes whenever the object does; good for `Store.compare_and_swap` and for nothing else."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What was stored beside the bytes; a folder has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """An object as a listing tells of it."""

    key: str
    """As it lies there; a file that somebody put into a folder need not have a valid key."""
    size: int
    """Bytes."""
    modified: float
    """When it was written, in seconds since 1970 by the store's clock."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftover:
    """What a writer that was stopped left in a store; no reader ever sees it."""

    what: str
    """For people."""
    name: str
    """For `UpkeepStore.remove_leftover`."""
    since: float
    """When it was begun, in seconds since 1970 by the store's clock."""


class Conditional(Protocol):
    """What a probe takes: the conditional writes of a `Store`, and what it needs to look at them."""

    @property
    def uri(self) -> str:
        """See `Store.uri`."""
        ...

    def read(self, key: str) -> tuple[bytes, str]:
        """See `Store.read`."""
        ...

    def put_if_absent(self, key: str, source: bytes) -> bool:
        """See `Store.put_if_absent`."""
        ...

    def compare_and_swap(self, key: str, data: bytes, expected_etag: str | None) -> bool:
        """See `Store.compare_and_swap`."""
        ...

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        ...


class Store(Protocol):
    """Bytes under keys, with the two conditional writes that make a registry safe.

    Keys are parts joined by ``/``; a part is ``[A-Za-z0-9][A-Za-z0-9._-]*``. Every method raises `NameInvalidError`
    for another key, `StoreUnavailableError` when the store cannot be reached or written, and `StoreRefusedError` when
    it answers with a refusal. All methods may be called from many threads and processes at once.

    A remote store has proved its conditional writes (`prove`) before it writes anything, whoever asks it to.
    """

    @property
    def uri(self) -> str:
        """The address, as in messages; holds no credentials."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether it takes a network to reach it."""
        ...

    @property
    def server(self) -> str:
        """Which server the address is asked of, such as ``https://s3.eu-central-1.amazonaws.com``; without credentials.

        Two servers may both have the same address. Empty for a folder.

        Raises:
            StoreRefusedError: the settings that name it cannot be used.
        """
        ...

    def prove(self, *, afresh: bool = False) -> None:
        """Sees to it that the conditional writes work; see `probing.probe`. Once proved, costs nothing.

        Args:
            afresh: look again, whatever was proved before.

        Raises:
            StoreRefusedError: they do not, or the right to write is missing.
            StoreUnavailableError: the store cannot be reached or written.
        """
        ...

    def get(self, key: str, *, max_bytes: int = SMALL) -> bytes:
        """The bytes of an object.

        Raises:
            ObjectNotFoundError: there is none.
            ObjectTooLargeError: it holds more than ``max_bytes``.
        """
        ...

    def read(self, key: str, *, max_bytes: int = SMALL) -> tuple[bytes, str]:
        """The bytes of an object and their etag, of one and the same state of it; raises as `get` does."""
        ...

    def get_to_file(
        self, key: str, path: Path, *, max_bytes: int | None = None, progress: Progress | None = None
    ) -> str:
        """Writes an object to a new file, and waits until it is on the disk.

        What it holds is not checked here: the caller compares the digest with the one it knows.

        Args:
            key: the object.
            path: must not exist; after an error there may be a part of the object, which the caller removes.
            max_bytes: the most to take; None for no limit.
            progress: called with the number of bytes of each piece.

        Returns:
            The sha256 of the bytes that were written, taken on their way.

        Raises:
            ObjectNotFoundError: there is none.
            ObjectTooLargeError: it holds more than ``max_bytes``.
        """
        ...

    def digest(self, key: str, *, progress: Progress | None = None) -> tuple[str, int]:
        """The sha256 (64 hexadecimal digits) and the size in bytes of an object, which is read whole.

        Raises:
            ObjectNotFoundError: there is none.
        """
        ...

    def put_if_absent(
        self,
        key: str,
        source: bytes | Path,
        *,
        write_id: str | None = None,
        sha256: str | None = None,
        progress: Progress | None = None,
    ) -> bool:
        """Creates an object, whole or not at all, unless there is one already.

        Of two calls with bytes, one creates it. Of two with files that are sent in parts, some servers (Ceph) tell
        both that they did, and the later one's bytes stay. So a file may only be sent under a key that says what is in
        it, as a blob's does: there both write the same.

        Args:
            key: the object.
            source: its bytes, or the file that holds them.
            write_id: how this write is known again when the store's answer is lost; default a new one.
            sha256: what the bytes must have; checked before the object can be seen.
            progress: called with the number of bytes of each piece.

        Returns:
            True when this call created it, False when it was there or somebody else was faster.

        Raises:
            BlobCorruptError: the bytes do not have ``sha256``; nothing was written.
            PublishStateUnknownError: the store did not say whether it was written.
        """
        ...

    def compare_and_swap(self, key: str, data: bytes, expected_etag: str | None) -> bool:
        """Replaces an object, of at most 8 MiB, if it is still the one that was read.

        Args:
            key: the object.
            data: its new bytes.
            expected_etag: as `read` gave it; None when there must be no object yet.

        Returns:
            True when it was replaced, False when the object is another one or gone.

        Raises:
            PublishStateUnknownError: the store did not say whether it was written.
        """
        ...

    def list(self, prefix: str) -> list[str]:
        """All keys that start with ``prefix``, sorted; none is no error."""
        ...

    def top(self) -> Sequence[str] | None:
        """The first parts of the keys there are, sorted, hidden ones left out; None when there is no such place."""
        ...

    def delete(self, key: str) -> None:
        """Removes an object; one that is not there is no error."""
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Size, etag and metadata of an object.

        Raises:
            ObjectNotFoundError: there is none.
        """
        ...


class UpkeepStore(Store, Protocol):
    """What looking after a store takes beyond reading and publishing."""

    def scan(self, prefix: str) -> Sequence[Listed]:
        """All objects whose keys start with ``prefix``, sorted by key; none is no error."""
        ...

    def move(self, key: str, target: str) -> None:
        """Gives an object another key, under which it is whole before the old one is gone.

        Args:
            key: the object.
            target: its new key. An object that is there already is taken to hold the same bytes and stays.

        Raises:
            ObjectNotFoundError: there is no object ``key``.
        """
        ...

    def leftovers(self) -> Sequence[Leftover]:
        """What writers that were stopped left, or are still about."""
        ...

    def remove_leftover(self, leftover: Leftover) -> None:
        """Removes what `leftovers` told of; one that is gone is no error. A writer still about it will fail."""
        ...


def check_key(key: str) -> str:
    """Gives ``key`` back when it is a valid key of at most 600 characters.

    Raises:
        NameInvalidError: it could leave the store's root, or is not portable.
    """
    if len(key) > 600 or not all(_KEY_PART.fullmatch(part) for part in key.split("/")):
        raise NameInvalidError(f"key {ascii(key)[:100]} is not valid", hint="keys are made of names joined by '/'")
    return key


def check_prefix(prefix: str) -> str:
    """Gives ``prefix`` back when a valid key can start with it.

    Raises:
        NameInvalidError: none can.
    """
    if prefix:
        check_key(prefix.removesuffix("/"))
    return prefix


def not_found(uri: str, key: str) -> ObjectNotFoundError:
    """The error for a key that a store does not hold."""
    return ObjectNotFoundError(f"{uri} holds no '{key}'", hint="check the name and the zoo's address")


def changed(source: bytes | Path, key: str, sha256: str) -> BlobCorruptError:
    """The error for bytes to be written that do not have the sha256 they were announced with."""
    return BlobCorruptError(
        f"{source if isinstance(source, Path) else key} does not have sha256 {sha256}",
        hint="the file changed while it was published; publish it again",
    )
