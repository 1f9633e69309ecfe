"""What tells a zoo from every other, whatever its address: a random id, written once into its root."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from zoo_registry.errors import ManifestInvalidError
from zoo_registry.format import records, strict_json

SCHEMA = "kdzoo-zoo/1"
MAX_BYTES = 4096
"""Of the file."""

_REQUIRED = frozenset({"schema", "id", "created"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Which zoo this is.

    Raises:
        ManifestInvalidError: a field is out of its range.
    """

    id: str
    """32 random lower-case hexadecimal digits."""
    created: str
    """When the zoo got it, in UTC: ``2031-05-06T07:08:09.123456Z``; an older zoo has releases from before."""

    def __post_init__(self) -> None:
        records.write_id(self.id, "id")
        records.time(self.created, "created")

    @classmethod
    def new(cls) -> Identity:
        """One that no other zoo has."""
        return cls(id=uuid.uuid4().hex, created=records.now())

    def to_bytes(self) -> bytes:
        """The canonical JSON of this identity."""
        return strict_json.dump({"schema": SCHEMA, "id": self.id, "created": self.created}, "identity of the zoo")

    @classmethod
    def parse(cls, data: bytes, *, what: str = "identity of the zoo") -> Identity:
        """Reads the file, strictly.

        Raises:
            ManifestInvalidError: not JSON, another schema, a key missing or unknown, or a value out of its range.
        """
        fields = strict_json.parse(data, what)
        records.check_schema(fields, what, SCHEMA)
        records.check_keys(fields, what, required=_REQUIRED)
        try:
            return cls(id=fields["id"], created=fields["created"])
        except ManifestInvalidError as error:
            raise ManifestInvalidError(f"{what} is not valid: {error}") from error
