"""An alias: a small file that says which release a movable name points at, who moved it there, and why.

A signed one also names itself, so that its signature holds for this alias of this entry alone, and may say until when
it is to be followed. The signature covers the other fields, as canonical JSON, as `zoo_registry.format.signing` says.
It stands in the file, because an alias and its signature must be swapped as one.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from zoo_registry.errors import ManifestInvalidError, ObjectNotFoundError
from zoo_registry.format import records, strict_json
from zoo_registry.format.signing import Signature

SCHEMA = "kdzoo-alias/1"
SIGNED_SCHEMA = "kdzoo-alias/2"
"""Of an alias that is signed, which earlier versions cannot read."""
MAX_BYTES = 16_384
MAX_WHO = 200
MAX_WHY = 1000
MAX_MOVES = 999_999

Action = Literal["publish", "promote", "set", "rollback", "delete"]
"""What a move was: of a new release, of one that is better, by hand, back, or away."""

_ACTIONS = frozenset(get_args(Action))
_REQUIRED = frozenset({"schema", "release", "updated", "write_id"})
_OPTIONAL = frozenset({"number", "previous", "action", "who", "why"})
_SIGNED = _REQUIRED | _OPTIONAL | {"entry", "alias", "expires", "signature"}
# What moves a terminal's cursor or colours it: a log is read there.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """One state of an alias: where it points since a move, and what the log says of that move.

    The alias file holds the newest; `zoo_registry.zoo.history` keeps every one.

    Raises:
        ManifestInvalidError: a field is out of its range.
    """

    release: int | None
    """The release it points at, 1 to 999999; None when the alias was deleted."""
    updated: str
    """When it was moved, in UTC."""
    write_id: str
    """32 hexadecimal digits, drawn anew for each move: two moves to the same release are told apart."""
    number: int = 1
    """Which move of this alias it is, 1 to 999999, counted up without a gap."""
    previous: int | None = None
    """The release it pointed at before; None when it was not there."""
    action: Action = "set"
    """What kind of move it was."""
    who: str = ""
    """Who moved it, such as ``ada@line3``; at most 200 characters, and what the mover says: nobody checks it."""
    why: str = ""
    """The mover's words, one line of at most 1000 characters."""
    subject: tuple[str, str] | None = None
    """Entry and alias, where it is signed; else None."""
    expires: str | None = None
    """Until when it is to be followed, in UTC; None for ever. Only of a signed one."""
    signature: Signature | None = None
    """Of `signed_bytes`; None where it is not signed."""

    def __post_init__(self) -> None:
        for release, what in ((self.release, "release"), (self.previous, "previous")):
            if release is not None:
                records.whole(release, what, low=1, high=records.MAX_RELEASE)
        records.time(self.updated, "updated")
        records.write_id(self.write_id, "write_id")
        records.whole(self.number, "number", low=1, high=MAX_MOVES)
        if not isinstance(self.action, str) or self.action not in _ACTIONS:
            raise ManifestInvalidError(f"action is {ascii(self.action)[:80]}, not one of {', '.join(sorted(_ACTIONS))}")
        if (self.action == "delete") != (self.release is None):
            raise ManifestInvalidError(f"action {self.action} does not go with release {self.release}")
        line(self.who, "who", longest=MAX_WHO)
        line(self.why, "why", longest=MAX_WHY)
        for text in self.subject or ():
            records.text(text, "entry and alias", longest=MAX_WHO)
        if self.expires is not None:
            records.time(self.expires, "expires")

    def fields(self) -> dict[str, Any]:
        """What stands in the file, as JSON values."""
        fields = {"schema": SCHEMA if self.subject is None else SIGNED_SCHEMA, **_common(self)}
        if self.subject is not None:
            fields |= {"entry": self.subject[0], "alias": self.subject[1], "expires": self.expires}
        return fields if self.signature is None else {**fields, "signature": self.signature.block()}

    def to_bytes(self) -> bytes:
        """The canonical JSON of this state."""
        return strict_json.dump(self.fields(), "alias")

    @property
    def signed_bytes(self) -> bytes:
        """What a signature of this state covers: all of it but the signature."""
        return dataclasses.replace(self, signature=None).to_bytes()

    @property
    def is_over(self) -> bool:
        """Whether the time is over until which it was to be followed."""
        return self.expires is not None and datetime.now(UTC) > datetime.fromisoformat(self.expires)

    @property
    def alias(self) -> Alias | None:
        """This state as an alias that is there; None when it was deleted."""
        if self.release is None:
            return None
        return Alias(**{field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    @classmethod
    def of(cls, data: bytes, subject: tuple[str, str], *, what: str = "alias") -> Move:
        """As `parse`, of a file that lies where the state of an alias of an entry should.

        Raises:
            ManifestInvalidError: also, it says that it is another's.
        """
        made = Move.parse(data, what=what)
        if made.subject is not None and made.subject != subject:
            raise ManifestInvalidError(f"{what} says it is alias {made.subject[1]} of {made.subject[0]}")
        return made

    @classmethod
    def parse(cls, data: bytes, *, what: str = "alias") -> Move:
        """Reads an alias file, strictly.

        Args:
            data: the file's bytes.
            what: which alias it is, for the message.

        Raises:
            ManifestInvalidError: not JSON, another schema, a key missing or unknown, or a value out of its range.
        """
        fields = strict_json.parse(data, what)
        is_signed = fields.get("schema") == SIGNED_SCHEMA
        # A newer schema than either is said to be newer than the newest.
        records.check_schema(fields, what, SCHEMA if fields.get("schema") == SCHEMA else SIGNED_SCHEMA)
        if is_signed:
            records.check_keys(fields, what, required=_SIGNED)
        else:
            records.check_keys(fields, what, required=_REQUIRED, optional=_OPTIONAL)
        del fields["schema"]
        try:
            return Move(**(_with_signature(fields) if is_signed else fields))
        except ManifestInvalidError as error:
            raise ManifestInvalidError(f"{what} is not valid: {error}", hint=error.hint) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Alias(Move):
    """Where an alias that is there points, and which write put it there.

    Raises:
        ManifestInvalidError: a field is out of its range.
    """

    release: int
    """The release it points at, 1 to 999999."""

    @classmethod
    def parse(cls, data: bytes, *, what: str = "alias") -> Alias:
        """Reads the file of an alias that is there, strictly; as `Move.parse`.

        Raises:
            ObjectNotFoundError: the file says that the alias was deleted.
        """
        made = Move.parse(data, what=what).alias
        if made is None:
            raise ObjectNotFoundError(f"{what} was deleted", hint="kdzoo zoo history shows by whom")
        return made


def _common(move: Move) -> dict[str, Any]:
    own = ("subject", "expires", "signature")
    return {field.name: getattr(move, field.name) for field in dataclasses.fields(move) if field.name not in own}


def _with_signature(fields: dict[str, Any]) -> dict[str, Any]:
    named = fields.pop("entry"), fields.pop("alias")
    block = records.mapping(fields.pop("signature"), "signature")
    return {**fields, "subject": named, "signature": Signature.of_block(block)}


def line(value: object, what: str, *, longest: int) -> str:
    """A text of one line, of at most ``longest`` characters, without any that steers a terminal.

    Raises:
        ManifestInvalidError: anything else.
    """
    found = records.text(value, what, longest=longest)
    if _UNPRINTABLE.search(found):
        raise ManifestInvalidError(f"{what} is {ascii(found)[:80]}, not one line of plain text")
    return found


def plain(text: str, *, longest: int) -> str:
    """A text made fit for `line`: what steers a terminal is a ``?``, and what is too much is cut off."""
    return _UNPRINTABLE.sub("?", text)[:longest]
