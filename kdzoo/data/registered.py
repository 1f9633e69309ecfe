"""The folders that a person gave a name with `kdzoo data add`: a small JSON file under ``KDZOO_HOME``.

::

    {"schema": "kdzoo-datasets/1", "datasets": {"lids": "/mnt/line3/lids", "visa": "/mnt/visa"}}
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kdzoo.data.file_lock import advisory_lock
from kdzoo.data.files import printable
from kdzoo.errors import DatasetError, StorageError, UnknownNameError, UsageError
from kdzoo.settings import Settings
from zoo_registry.errors import RegistryError
from zoo_registry.format.names import check_part
from zoo_registry.format.strict_json import dump, parse
from zoo_registry.store.files import make_folder, sync_folder, temporary, write_synced

SCHEMA = "kdzoo-datasets/1"
"""Of the file; another one is refused."""

_PATIENCE_S = 30.0


def registered(settings: Settings) -> dict[str, Path]:
    """The registered names and their folders, ordered by name; the folders need not be there any more.

    Raises:
        DatasetError: the file is damaged, or of another schema.
        StorageError: the file cannot be read.
    """
    file = settings.registered_datasets
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StorageError(f"cannot read '{file}': {error.strerror or error}", hint="check its rights") from error
    try:
        known = _checked(parse(data, f"'{file}'"), file)
    except RegistryError as error:
        raise _damaged(file, str(error)) from error
    return {name: _here(folder, settings) for name, folder in sorted(known.items())}


def _here(folder: Path, settings: Settings) -> Path:
    """A registered folder; of a table, that of this home, which may have been moved or copied since."""
    ours = settings.tables / folder.name
    return ours if folder.parent.name == settings.tables.name and ours.is_dir() else folder


def register(name: str, folder: Path, settings: Settings) -> Path | None:
    """Gives a folder a name, in place of the folder that bore it before.

    Args:
        name: by the zoo's rules for names, since models will be published under it.
        folder: absolute; not looked at here.
        settings: whose home keeps the file.

    Returns:
        The folder that bore the name before, None when there was none.

    Raises:
        NameInvalidError: the name cannot be published under.
        UsageError: the folder's path is not absolute or not UTF-8.
        DatasetError: the file is damaged.
        StorageError: the file cannot be read or written.
    """
    check_part(name, "data set")
    if not folder.is_absolute():
        raise UsageError(f"{printable(folder)} is not an absolute path", hint="give the whole path")
    try:
        str(folder).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the path {printable(folder)} is not valid UTF-8", hint="rename it, or register a link to it"
        ) from error
    with _held(settings):
        known = registered(settings)
        before = known.get(name)
        _write({**known, name: folder}, settings)
    return before


def unregister(name: str, settings: Settings) -> Path:
    """Takes a name away; the folder itself is left alone.

    Returns:
        The folder that bore it.

    Raises:
        UnknownNameError: no folder bears it.
        DatasetError: the file is damaged.
        StorageError: the file cannot be read or written.
    """
    with _held(settings):
        known = registered(settings)
        if name not in known:
            raise UnknownNameError("registered data set", name, known)
        folder = known.pop(name)
        _write(known, settings)
    return folder


@contextmanager
def _held(settings: Settings) -> Iterator[None]:
    """Keeps two commands from each writing over what the other added."""
    file = settings.registered_datasets
    try:
        make_folder(file.parent)
        with advisory_lock(file.with_name(f".{file.name}.lock"), patience_s=_PATIENCE_S):
            yield
    except OSError as error:
        if isinstance(error, StorageError | DatasetError):
            raise
        raise StorageError(
            f"cannot write '{file}': {error.strerror or error}",
            hint="free some space, or set KDZOO_HOME to a folder that can be written",
        ) from error


def _write(known: Mapping[str, Path], settings: Settings) -> None:
    file = settings.registered_datasets
    folders = {name: str(folder) for name, folder in known.items()}
    data = dump({"schema": SCHEMA, "datasets": folders}, f"'{file}'")
    with temporary(file.parent) as unfinished:
        write_synced(unfinished, data)
        os.replace(unfinished, file)  # noqa: PTH105 - the same, and shorter than rebinding
    sync_folder(file.parent)


def _checked(document: Mapping[str, object], file: Path) -> dict[str, Path]:
    if document.get("schema") != SCHEMA:
        raise _damaged(file, f"schema is {document.get('schema')!r}, expected '{SCHEMA}'")
    extra = sorted(document.keys() - {"schema", "datasets"})
    if extra:
        raise _damaged(file, f"unknown key {extra[0][:60]!r}")
    folders = document.get("datasets")
    if not isinstance(folders, dict):
        raise _damaged(file, "'datasets' must be an object of names and folders")
    found = {}
    for name, folder in folders.items():
        check_part(name, "data set")
        if not isinstance(folder, str) or "\0" in folder or not Path(folder).is_absolute():
            raise _damaged(file, f"the folder of '{name}' must be an absolute path")
        found[name] = Path(folder)
    return found


def _damaged(file: Path, reason: str) -> DatasetError:
    return DatasetError(
        f"'{file}' cannot be used: {reason}",
        hint=f"mend it, or remove it and register the folders again: rm '{file}', then kdzoo data add NAME PATH",
    )
