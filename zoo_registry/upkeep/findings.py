"""What a check of a zoo can find: each kind with what it means and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """A kind of finding; the value is its name for programs.

    Those before ``IDENTITY_MISSING`` are wrong: somebody who loads by name may fail. The others are for information.
    """

    IDENTITY_DAMAGED = "identity-damaged"
    IDENTITY_FOREIGN = "identity-foreign"
    ALIAS_DAMAGED = "alias-damaged"
    ALIAS_DANGLING = "alias-dangling"
    ALIAS_REPLAYED = "alias-replayed"
    ALIAS_EXPIRED = "alias-expired"
    WITHDRAWALS_DAMAGED = "withdrawals-damaged"
    MANIFEST_DAMAGED = "manifest-damaged"
    MANIFEST_MISPLACED = "manifest-misplaced"
    REFERENCE_DAMAGED = "reference-damaged"
    BLOB_MISSING = "blob-missing"
    BLOB_SIZE = "blob-size"
    BLOB_DAMAGED = "blob-damaged"
    UNREADABLE = "unreadable"
    IDENTITY_MISSING = "identity-missing"
    RELEASE_GAP = "release-gap"
    UNREFERENCED_BLOB = "unreferenced-blob"
    FOREIGN_FILE = "foreign-file"
    LEFTOVER = "leftover"
    LEFTOVERS_UNKNOWN = "leftovers-unknown"

    @property
    def is_wrong(self) -> bool:
        """Whether the zoo needs mending; otherwise this is for information."""
        return self not in _FOR_INFORMATION

    @property
    def advice(self) -> str:
        """What to do about it."""
        return _ADVICE[self]


_AGAIN = "publish the same files again, which sends the right bytes; or copy the blob from another zoo"
_FOR_INFORMATION = (
    Kind.IDENTITY_MISSING,
    Kind.RELEASE_GAP,
    Kind.UNREFERENCED_BLOB,
    Kind.FOREIGN_FILE,
    Kind.LEFTOVER,
    Kind.LEFTOVERS_UNKNOWN,
)
_ADVICE = {
    Kind.IDENTITY_DAMAGED: "put the file back from a copy of these files; without it nobody can read or write safely",
    Kind.IDENTITY_FOREIGN: "see whether the address is right, and whether somebody put another zoo's file there",
    Kind.IDENTITY_MISSING: "an older kdzoo made the zoo; the next write gives it an id, and nothing needs to be done",
    Kind.ALIAS_DAMAGED: "put the file back from a copy, or delete it and set the alias: kdzoo zoo promote",
    Kind.ALIAS_DANGLING: "point the alias at a release that is there: kdzoo zoo promote",
    Kind.ALIAS_REPLAYED: "somebody put another file there; point the alias where it should be: kdzoo zoo promote",
    Kind.ALIAS_EXPIRED: "nobody follows it any more; renew it: kdzoo zoo alias ENTRY ALIAS RELEASE --expires 30d",
    Kind.WITHDRAWALS_DAMAGED: "put the file back from a copy; without it no release of the entry is loaded",
    Kind.MANIFEST_DAMAGED: "put the file back from a copy of the zoo; point aliases at another release meanwhile",
    Kind.MANIFEST_MISPLACED: "somebody copied it here; put the right file back, or point aliases at another release",
    Kind.REFERENCE_DAMAGED: "put the file back from a copy of the zoo, or publish it again",
    Kind.BLOB_MISSING: _AGAIN,
    Kind.BLOB_SIZE: _AGAIN,
    Kind.BLOB_DAMAGED: _AGAIN,
    Kind.UNREADABLE: "check the rights of the file, and whether it is a link or a folder",
    Kind.RELEASE_GAP: "a manifest was deleted, or never copied (kdzoo zoo copy --alias); nothing needs to be done",
    Kind.UNREFERENCED_BLOB: "no release refers to it; kdzoo zoo gc removes it when it is old enough",
    Kind.FOREIGN_FILE: "kdzoo did not write it and does not read it; remove it, or leave it",
    Kind.LEFTOVER: "a stopped writer left it; kdzoo zoo gc removes it when it is old enough",
    Kind.LEFTOVERS_UNKNOWN: "have the server's own rules remove uploads that were begun and not finished in days",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that a check found."""

    kind: Kind
    """What it is."""
    key: str
    """The file it is about."""
    what: str
    """The matter in a sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What a check of a zoo came to."""

    findings: tuple[Finding, ...]
    """Wrong ones first, then by key."""
    entries: int
    """Entries with a release."""
    releases: int
    """Manifests."""
    aliases: int
    """Aliases that are set."""
    blobs: int
    """Blobs."""
    size: int
    """Bytes of all blobs."""
    zoo: str | None
    """The zoo's id; None where it has none that can be read."""
    deep: bool
    """Whether every blob was read and its sha256 compared."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong; there may be things for information."""
        return not any(found.kind.is_wrong for found in self.findings)
