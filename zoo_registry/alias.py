"""An alias: a small file that says which release a movable name points at."""

from __future__ import annotations

from dataclasses import dataclass

from zoo_registry import records, strict_json
from zoo_registry.errors import ManifestInvalidError

SCHEMA = "kdzoo-alias/1"
MAX_BYTES = 4096

_REQUIRED = frozenset({"schema", "release", "updated", "write_id"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Alias:
    """Where an alias points, and which write put it there.

    Raises:
        ManifestInvalidError: a field is out of its range.
    """

    release: int
    """The release it points at, 1 to 999999."""
    updated: str
    """When it was moved, in UTC."""
    write_id: str
    """32 hexadecimal digits, drawn anew for each move: two moves to the same release are told apart."""

    def __post_init__(self) -> None:
        records.whole(self.release, "release", low=1, high=records.MAX_RELEASE)
        records.time(self.updated, "updated")
        records.write_id(self.write_id, "write_id")

    def to_bytes(self) -> bytes:
        """The canonical JSON of this alias."""
        fields = {"schema": SCHEMA, "release": self.release, "updated": self.updated, "write_id": self.write_id}
        return strict_json.dump(fields, "alias")

    @classmethod
    def parse(cls, data: bytes, *, what: str = "alias") -> Alias:
        """Reads an alias file, strictly.

        Args:
            data: the file's bytes.
            what: which alias it is, for the message.

        Raises:
            ManifestInvalidError: not JSON, another schema, a key missing or unknown, or a value out of its range.
        """
        fields = strict_json.parse(data, what)
        records.check_schema(fields, what, SCHEMA)
        records.check_keys(fields, what, required=_REQUIRED)
        try:
            return cls(release=fields["release"], updated=fields["updated"], write_id=fields["write_id"])
        except ManifestInvalidError as error:
            raise ManifestInvalidError(f"{what} is not valid: {error}", hint=error.hint) from error
