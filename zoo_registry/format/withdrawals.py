"""What was withdrawn of an entry: a small file that names the releases that nobody is to use, who says so, and why.

It is one file an entry, swapped as a whole like an alias, numbered by the time, and may be signed like an alias.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo_registry.errors import ManifestInvalidError
from zoo_registry.format import records, strict_json
from zoo_registry.format.alias import MAX_WHO, MAX_WHY, line
from zoo_registry.format.names import EntryName
from zoo_registry.format.signing import Signature

SCHEMA = "kdzoo-withdrawals/1"
MAX_BYTES = 1_000_000
_MAX_NUMBER = 2**53
_REQUIRED = frozenset({"schema", "entry", "number", "updated", "write_id", "releases"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawn:
    """Why a release is not to be used.

    Raises:
        ManifestInvalidError: a field is out of its range.
    """

    since: str
    """When it was withdrawn, in UTC."""
    who: str = ""
    """Who withdrew it, at most 200 characters; what they say, unless it is signed."""
    why: str = ""
    """Their words, one line of at most 1000 characters."""

    def __post_init__(self) -> None:
        records.time(self.since, "since")
        line(self.who, "who", longest=MAX_WHO)
        line(self.why, "why", longest=MAX_WHY)


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawals:
    """One state of what is withdrawn of an entry.

    Raises:
        ManifestInvalidError: a field is out of its range.
    """

    entry: EntryName
    """Whose."""
    number: int
    """Which state it is, 1 to 2^53: later ones have higher numbers."""
    updated: str
    """When it was written, in UTC."""
    write_id: str
    """32 hexadecimal digits, drawn anew for each state."""
    releases: Mapping[int, Withdrawn]
    """By the release's number."""
    signature: Signature | None = None
    """Of `signed_bytes`; None where it is not signed."""

    def __post_init__(self) -> None:
        records.whole(self.number, "number", low=1, high=_MAX_NUMBER)
        records.time(self.updated, "updated")
        records.write_id(self.write_id, "write_id")
        for release in self.releases:
            records.whole(release, "release", low=1, high=records.MAX_RELEASE)

    @property
    def subject(self) -> str:
        """Whose it says that it is."""
        return str(self.entry)

    def to_bytes(self) -> bytes:
        """The canonical JSON of this state."""
        fields: dict[str, Any] = {
            "schema": SCHEMA,
            "entry": str(self.entry),
            "number": self.number,
            "updated": self.updated,
            "write_id": self.write_id,
            "releases": {str(number): dataclasses.asdict(one) for number, one in self.releases.items()},
        }
        if self.signature is not None:
            fields["signature"] = self.signature.block()
        return strict_json.dump(fields, f"withdrawals of {self.entry}")

    @property
    def signed_bytes(self) -> bytes:
        """What a signature of this state covers: all of it but the signature."""
        return dataclasses.replace(self, signature=None).to_bytes()

    @classmethod
    def parse(cls, data: bytes, *, what: str = "withdrawals") -> Withdrawals:
        """Reads what is withdrawn, strictly.

        Args:
            data: the file's bytes.
            what: whose file it is, for the message.

        Raises:
            ManifestInvalidError: not JSON, another schema, a key missing or unknown, or a value out of its range.
        """
        fields = strict_json.parse(data, what)
        records.check_schema(fields, what, SCHEMA)
        records.check_keys(fields, what, required=_REQUIRED, optional={"signature"})
        try:
            signature = None
            if "signature" in fields:  # null is none of the two: signed is what has one, unsigned what has not
                signature = Signature.of_block(records.mapping(fields["signature"], "signature"))
            return cls(
                entry=EntryName.parse(records.text(fields["entry"], "entry", longest=200)),
                number=fields["number"],
                updated=fields["updated"],
                write_id=fields["write_id"],
                releases=dict(_release(*one) for one in records.mapping(fields["releases"], "releases").items()),
                signature=signature,
            )
        except ValueError as error:  # also a name that is none
            raise ManifestInvalidError(f"{what} is not valid: {error}") from error


def _release(number: str, value: object) -> tuple[int, Withdrawn]:
    if not number.isascii() or not number.isdigit() or len(number) > 6 or number.startswith("0"):
        raise ManifestInvalidError(f"release is {ascii(number)[:80]}, not a number")
    fields = records.mapping(value, "a withdrawal")
    records.check_keys(fields, "a withdrawal", required={"since", "who", "why"})
    return int(number), Withdrawn(**fields)
