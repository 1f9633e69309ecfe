"""A manifest: everything the zoo says of one release, and the digests of its blobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo_registry.errors import ManifestInvalidError, NameInvalidError
from zoo_registry.format import records, strict_json
from zoo_registry.format.digests import digest_of
from zoo_registry.format.names import EntryName, check_role

SCHEMA = "kdzoo-manifest/1"
DEFAULT_MEDIA_TYPE = "application/octet-stream"
MAX_MESSAGE = 4096

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,62}/[a-z0-9][a-z0-9.+-]{0,62}")
_REQUIRED = frozenset({"schema", "entry", "release", "created", "write_id", "document", "blobs"})


@dataclass(frozen=True, kw_only=True, slots=True)
class BlobRef:
    """What identifies a blob.

    Raises:
        ManifestInvalidError: a field is out of its range.
    """

    sha256: str
    """64 lower-case hexadecimal digits."""
    size: int
    """Bytes, 0 to 2^53."""
    media_type: str = DEFAULT_MEDIA_TYPE
    """Such as ``application/vnd.safetensors``, in lower case."""

    def __post_init__(self) -> None:
        records.sha256(self.sha256, "a blob's sha256")
        records.whole(self.size, "a blob's size", low=0, high=records.MAX_BLOB_BYTES)
        if not isinstance(self.media_type, str) or not _MEDIA_TYPE.fullmatch(self.media_type):
            raise ManifestInvalidError(
                f"a blob's media_type is {ascii(self.media_type)[:80]}, not of the form type/subtype"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """One release of an entry, as it stands in the zoo; never changed once written.

    Raises:
        ManifestInvalidError: a field is out of its range.
    """

    entry: EntryName
    """Whose release it is."""
    release: int
    """1 to 999999, counted up without a gap."""
    created: str
    """When it was published, in UTC: ``2031-05-06T07:08:09.123456Z``."""
    write_id: str
    """32 hexadecimal digits, drawn anew for each publish."""
    document: Mapping[str, Any]
    """What kdzoo says of the model; the registry does not look into it."""
    blobs: Mapping[str, BlobRef]
    """Role, such as ``weights``, to blob."""
    message: str = ""
    """A person's words on this release, at most 4096 characters."""
    _read: bytes | None = field(default=None, init=False, compare=False, repr=False)
    # Not taken over by `dataclasses.replace`, because a changed manifest has other bytes.

    def __post_init__(self) -> None:
        records.whole(self.release, "release", low=1, high=records.MAX_RELEASE)
        records.time(self.created, "created")
        records.write_id(self.write_id, "write_id")
        records.text(self.message, "message", longest=MAX_MESSAGE)
        for role in self.blobs:
            _role(role)

    @property
    def signed_bytes(self) -> bytes:
        """The bytes that a signature covers: those this was read from, else those it would be written as.

        Raises:
            ManifestInvalidError: as `to_bytes` does.
        """
        return self.to_bytes() if self._read is None else self._read

    @property
    def digest(self) -> str:
        """``sha256:`` and 64 digits of its bytes, which pins the release: they name all that is in it."""
        return digest_of(self.signed_bytes)

    def to_bytes(self) -> bytes:
        """The canonical JSON of this manifest.

        Raises:
            ManifestInvalidError: the document holds what is not JSON, or is too large or too deep.
        """
        fields = {
            "schema": SCHEMA,
            "entry": str(self.entry),
            "release": self.release,
            "created": self.created,
            "write_id": self.write_id,
            "message": self.message,
            "document": dict(self.document),
            "blobs": {
                role: {"sha256": ref.sha256, "size": ref.size, "media_type": ref.media_type}
                for role, ref in self.blobs.items()
            },
        }
        return strict_json.dump(fields, f"manifest of {self.entry}")

    @classmethod
    def parse(cls, data: bytes, *, what: str = "manifest") -> Manifest:
        """Reads a manifest, strictly.

        Args:
            data: the file's bytes.
            what: which manifest it is, for the message.

        Raises:
            ManifestInvalidError: not JSON as `strict_json.parse` takes it, another schema, a key missing or unknown,
                or a value out of its range.
        """
        fields = strict_json.parse(data, what)
        records.check_schema(fields, what, SCHEMA)
        records.check_keys(fields, what, required=_REQUIRED, optional={"message"})
        try:
            manifest = cls(
                entry=EntryName.parse(records.text(fields["entry"], "entry", longest=200)),
                release=fields["release"],
                created=fields["created"],
                write_id=fields["write_id"],
                document=records.mapping(fields["document"], "document"),
                blobs={
                    _role(role): _blob(role, ref) for role, ref in records.mapping(fields["blobs"], "blobs").items()
                },
                message=fields.get("message", ""),
            )
        except (ManifestInvalidError, NameInvalidError) as error:
            raise ManifestInvalidError(f"{what} is not valid: {error}", hint=error.hint) from error
        object.__setattr__(manifest, "_read", bytes(data))
        return manifest


def _role(role: str) -> str:
    try:
        return check_role(role)
    except NameInvalidError as error:
        raise ManifestInvalidError(error.message, hint=error.hint) from error


def _blob(role: str, value: object) -> BlobRef:
    what = f"blob {role}"
    fields = records.mapping(value, what)
    records.check_keys(fields, what, required={"sha256", "size", "media_type"})
    return BlobRef(sha256=fields["sha256"], size=fields["size"], media_type=fields["media_type"])
