"""JSON of labelling tools: read with line and column where it is no JSON, with a path of keys where it is another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from kdzoo.data.files import printable
from kdzoo.data.tables.rows import wrong
from kdzoo.errors import DatasetError

_LARGEST_BYTES = 2 * 1024**3


def read_json(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        DatasetError: it cannot be read, or is no JSON; names line and column.
    """
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            raise DatasetError(f"{printable(file)} is larger than {_LARGEST_BYTES} bytes", hint="export it in parts")
        return json.loads(file.read_text(encoding="utf-8-sig"), parse_constant=_refuse)
    except OSError as error:
        raise DatasetError(f"cannot read {printable(file)}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{printable(file)} is not UTF-8: {error}") from error
    except json.JSONDecodeError as error:
        raise DatasetError(f"{printable(file)}, line {error.lineno}, column {error.colno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{printable(file)} is not JSON: {error or 'nested too deep'}") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def objects(value: Any, place: str, key: str) -> list[Mapping[str, Any]]:
    """A list of objects, checked; nothing counts as an empty one.

    Raises:
        DatasetError: it is something else.
    """
    found = [] if value is None else value
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise wrong(place, key, "a list of objects belongs here")
    return found


def text(row: Mapping[str, Any], place: str, key: str) -> str:
    """A text that must be there.

    Raises:
        DatasetError: it is not, or is empty.
    """
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise wrong(place, key, f"a text belongs here, not {_short(value)}")
    return value


def whole(row: Mapping[str, Any], place: str, key: str) -> int:
    """A whole number that must be there.

    Raises:
        DatasetError: it is not.
    """
    value = row.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong(place, key, f"a whole number belongs here, not {_short(value)}")
    return value


def numbers(value: Any, place: str, key: str) -> list[float]:
    """A list of numbers.

    Raises:
        DatasetError: it is something else.
    """
    if not isinstance(value, list) or not all(isinstance(each, int | float) and each is not True for each in value):
        raise wrong(place, key, f"a list of numbers belongs here, not {_short(value)}")
    try:
        return [float(each) for each in value]
    except OverflowError as error:  # JSON's whole numbers have no end
        raise wrong(place, key, "a number is too large") from error


def _short(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:60]
