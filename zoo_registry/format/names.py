"""Names in the zoo: what an entry, an alias and a blob's role may be called."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from zoo_registry.errors import NameInvalidError

_PART = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# Devices on Windows, whatever follows the first dot: a zoo folder must be copyable to any machine.
_DEVICES = frozenset({"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)})
_RULE = "use 1 to 64 of a-z 0-9 . _ - in lower case, starting with a letter or digit and not ending with a dot"


def check_part(text: str, kind: str) -> str:
    """Gives ``text`` back when it is a valid part of a name.

    Args:
        text: the part: 1 to 64 of ``a-z 0-9 . _ -``, starting with a letter or digit, not ending with a dot.
        kind: what the part stands for, such as ``"category"``; used in the message.

    Raises:
        NameInvalidError: it is not valid, or is a device's name on Windows.
    """
    if not isinstance(text, str) or not _PART.fullmatch(text) or text.endswith("."):
        raise NameInvalidError(f"{kind} {_shown(text)} is not a valid name", hint=_RULE)
    if text.split(".", 1)[0] in _DEVICES:
        raise NameInvalidError(
            f"{kind} {_shown(text)} is the name of a device on Windows",
            hint="choose another name, such as 'x-" + text + "'",
        )
    return text


def check_alias(text: str) -> str:
    """Gives ``text`` back when it is a valid alias name, such as ``champion``.

    Raises:
        NameInvalidError: it is not valid.
    """
    return check_part(text, "alias")


def check_role(text: str) -> str:
    """Gives ``text`` back when it is a valid role of a blob, such as ``weights``.

    Raises:
        NameInvalidError: it is not valid.
    """
    return check_part(text, "role")


def slug(text: str) -> str:
    """A valid part made from any text, such as a folder's name: ``"Metal Nut"`` becomes ``"metal-nut"``.

    Two texts can give the same part (``"A b"`` and ``"a-b"``). A text with nothing usable in it gives ``x-`` and
    eight digits of its sha256, so that it stays the same from run to run.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    part = re.sub(r"[^a-z0-9._]+", "-", plain).lstrip("._-")[:64].rstrip("._-")
    if not part:
        return "x-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    if part.split(".", 1)[0] in _DEVICES:
        return f"x-{part}"[:64].rstrip("._-")
    return part


@dataclass(frozen=True, order=True, slots=True)
class EntryName:
    """The name of an entry: a method trained for one category of a data set, as in ``aand/visa/candle``.

    Raises:
        NameInvalidError: a part is not valid.
    """

    method: str
    """The algorithm, such as ``aand``."""
    dataset: str
    """The data set, such as ``visa``."""
    category: str
    """The product category, such as ``candle``."""

    def __post_init__(self) -> None:
        for kind in ("method", "dataset", "category"):
            check_part(getattr(self, kind), kind)

    @classmethod
    def of(cls, entry: EntryName | str) -> EntryName:
        """An entry's name that may be given as text.

        Raises:
            NameInvalidError: it is neither, or not valid.
        """
        return entry if isinstance(entry, EntryName) else cls.parse(entry)

    @classmethod
    def parse(cls, text: str) -> EntryName:
        """Reads ``method/dataset/category``.

        Raises:
            NameInvalidError: it is no text, there are not exactly three parts, or one is not valid.
        """
        parts = text.split("/") if isinstance(text, str) else []
        if len(parts) != 3:
            raise NameInvalidError(
                f"entry {_shown(text)} is not of the form method/dataset/category", hint="for example aand/visa/candle"
            )
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.method}/{self.dataset}/{self.category}"


def _shown(text: object) -> str:
    """The text as it can stand in a message: escaped, and cut when long."""
    shown = ascii(text)
    return shown if len(shown) <= 100 else shown[:97] + "..."
