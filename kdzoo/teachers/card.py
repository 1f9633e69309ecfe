"""A teacher's card: what is known of weights that bear a name of their own. Torch-free.

The same JSON lies beside a teacher's weights wherever they are: in the package, in the cache, in the zoo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kdzoo.errors import TeacherError
from zoo_registry.errors import RegistryError
from zoo_registry.format import records, strict_json
from zoo_registry.format.names import check_part

SCHEMA = "kdzoo-teacher/1"
UNKNOWN_LICENCE = "unknown"

_REQUIRED = ("name", "architecture", "sha256", "mean", "std")
_LONGEST_TEXT = 200
_WIDEST_INPUT = 255.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherCard:
    """What identifies a teacher's weights, and what a backbone needs beside them.

    Attributes:
        name: as people write it after ``--teacher``; by the zoo's rules for names.
        architecture: timm's name of the backbone.
        sha256: hex digest of the weight file, a safetensors file of the backbone up to its third level.
        mean: channel means of the input transform, of images in [0, 1].
        std: channel standard deviations of the input transform.
        licence: of the weights.
        size: bytes of the weight file; None when the card does not say.
        details: anything else, as JSON values: where the weights come from, the recipe they were trained by.

    Raises:
        TeacherError: a field is out of its range.
    """

    name: str
    architecture: str
    sha256: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    licence: str = UNKNOWN_LICENCE
    size: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            check_part(self.name, "teacher")
            records.text(self.architecture, "architecture", longest=_LONGEST_TEXT)
            records.text(self.licence, "licence", longest=_LONGEST_TEXT)
            records.sha256(self.sha256, "sha256")
            if self.size is not None:
                records.whole(self.size, "size", low=1, high=records.MAX_BLOB_BYTES)
        except RegistryError as error:
            raise TeacherError(f"the card of a teacher is not valid: {error}", hint=error.hint) from error
        _check_three(self.mean, "mean", low=-_WIDEST_INPUT)
        _check_three(self.std, "std", low=1 / _WIDEST_INPUT**2)
        clash = sorted(self.details.keys() & _fixed(self).keys())
        if clash:
            raise TeacherError(f"the card of teacher '{self.name}' says '{clash[0]}' twice")

    def document(self) -> dict[str, Any]:
        """The card as JSON values."""
        return {**_fixed(self), **self.details}

    def to_bytes(self) -> bytes:
        """The canonical JSON of this card.

        Raises:
            TeacherError: a detail is not JSON.
        """
        try:
            return strict_json.dump(self.document(), f"the card of teacher '{self.name}'")
        except RegistryError as error:
            raise TeacherError(error.message, hint=error.hint) from error

    @classmethod
    def parse(cls, data: bytes, *, name: str | None, what: str) -> TeacherCard:
        """Reads a card that a stranger may have written.

        Args:
            data: the file's bytes.
            name: whose card it must be; None for anybody's.
            what: the file, for the message.

        Raises:
            TeacherError: not JSON, another schema, a key missing, a value out of its range, or another's card.
        """
        try:
            fields = strict_json.parse(data, what)
            records.check_schema(fields, what, SCHEMA)
        except RegistryError as error:
            raise TeacherError(error.message, hint=error.hint) from error
        missing = [key for key in _REQUIRED if key not in fields]
        if missing:
            raise TeacherError(f"{what} lacks '{missing[0]}'")
        fixed = {key: fields.pop(key) for key in (*_REQUIRED, "licence", "size") if key in fields}
        fields.pop("schema")
        for key in ("mean", "std"):
            fixed[key] = tuple(fixed[key]) if isinstance(fixed[key], list) else fixed[key]
        try:
            card = cls(**fixed, details=fields)
        except TeacherError as error:
            raise TeacherError(f"{what} cannot be used: {error}", hint=error.hint) from error
        if name is not None and card.name != name:
            raise TeacherError(f"{what} is the card of '{card.name}', not of '{name}'")
        return card


def _fixed(card: TeacherCard) -> dict[str, Any]:
    size = {} if card.size is None else {"size": card.size}
    return {
        "schema": SCHEMA,
        "name": card.name,
        "architecture": card.architecture,
        "sha256": card.sha256,
        **size,
        "mean": list(card.mean),
        "std": list(card.std),
        "licence": card.licence,
    }


def _check_three(values: object, key: str, *, low: float) -> None:
    """Refuses anything but three channel values from ``low`` to 255."""
    three = values if isinstance(values, tuple) and len(values) == 3 else ()
    numbers = [value for value in three if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) != 3 or not all(low <= value <= _WIDEST_INPUT for value in numbers):
        raise TeacherError(f"a teacher's '{key}' must be three numbers, one a channel, got {ascii(values)[:80]}")
