"""A store in a folder: safe under many processes and a kill at any point, on one machine or a shared disk."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from zoo_registry.errors import ObjectTooLargeError, StoreRefusedError
from zoo_registry.store import files, locks
from zoo_registry.store.files import Progress
from zoo_registry.store.probing import probe
from zoo_registry.store.proof import Dialect, Proof
from zoo_registry.store.protocol import SMALL, Leftover, Listed, ObjectInfo, changed, check_key, check_prefix, not_found

# No valid key starts with a dot, so these can be taken for no object.
_TEMPORARY = ".tmp"
_LOCKS = ".locks"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_ABSENT = (FileNotFoundError, NotADirectoryError)


class FolderStore:
    """Objects as files under a root folder, which the first write makes.

    A new object is written to a file of its own, synced, and hard-linked to its name: the link either makes a whole
    object or fails because there is one. A replaced object is compared under a lock and renamed over.

    Args:
        root: the folder; made absolute.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._proof = Proof()

    @property
    def uri(self) -> str:
        """The root folder."""
        return str(self._root)

    @property
    def is_remote(self) -> bool:
        """Never: a folder on a network disk is the operating system's to reach."""
        return False

    @property
    def server(self) -> str:
        """None."""
        return ""

    def prove(self, *, afresh: bool = False) -> None:
        """Has the disk show links and locks in one round; see `Store.prove`. They are atomic wherever there are any."""

        def ask() -> Dialect:
            probe(self, rounds=1)
            return Dialect()

        self._proof.need(self.uri, ask, afresh=afresh)

    def get(self, key: str, *, max_bytes: int = SMALL) -> bytes:
        """The bytes of an object; see `Store.get`."""
        return self.read(key, max_bytes=max_bytes)[0]

    def read(self, key: str, *, max_bytes: int = SMALL) -> tuple[bytes, str]:
        """The bytes of an object and their etag; see `Store.read`."""
        path = self._path(key)
        with files.storage_errors("read", path):
            try:
                with files.open_regular(path) as file:
                    data = file.read(max_bytes + 1)
            except _ABSENT:
                raise not_found(self.uri, key) from None
        if len(data) > max_bytes:
            raise ObjectTooLargeError(f"{path} holds more than {max_bytes} bytes")
        return data, _etag(data)

    def get_to_file(
        self, key: str, path: Path, *, max_bytes: int | None = None, progress: Progress | None = None
    ) -> str:
        """Writes an object to a new file; see `Store.get_to_file`."""
        source = self._path(key)
        with files.storage_errors(f"copy {source} to", path):
            try:
                opened = files.open_regular(source)
            except _ABSENT:
                raise not_found(self.uri, key) from None
            with opened:
                return files.copy(opened, path, max_bytes=max_bytes, progress=progress)

    def digest(self, key: str, *, progress: Progress | None = None) -> tuple[str, int]:
        """The sha256 and the size of an object; see `Store.digest`."""
        path = self._path(key)
        with files.storage_errors("read", path):
            try:
                return files.digest(path, progress=progress)
            except _ABSENT:
                raise not_found(self.uri, key) from None

    def put_if_absent(
        self,
        key: str,
        source: bytes | Path,
        *,
        write_id: str | None = None,
        sha256: str | None = None,
        progress: Progress | None = None,
    ) -> bool:
        """Creates an object unless there is one; see `Store.put_if_absent`.

        A link cannot be lost on the way as an answer over a network can, so ``write_id`` is not needed here.
        """
        target = self._path(key)
        with files.storage_errors("write", target):
            if target.exists():
                files.sync_folder(target.parent)  # its maker may not have come to that yet
                return False
            with files.temporary(self._own_folder(_TEMPORARY)) as made:
                found = self._fill(made, source, progress)
                if sha256 is not None and found != sha256:
                    raise changed(source, key, sha256)
                files.make_folder(target.parent)
                created = self._link(made, target, key)
            files.sync_folder(target.parent)
        return created

    def compare_and_swap(self, key: str, data: bytes, expected_etag: str | None) -> bool:
        """Replaces an object if it is still the one that was read; see `Store.compare_and_swap`."""
        if expected_etag is None:
            return self.put_if_absent(key, data)
        target = self._path(key)
        with (
            files.storage_errors("write", target),
            self._locked(key),
            files.temporary(self._own_folder(_TEMPORARY)) as made,
        ):
            try:
                with files.open_regular(target) as file:
                    now = file.read(SMALL + 1)
            except _ABSENT:
                return False
            if _etag(now) != expected_etag:
                return False
            files.write_synced(made, data)
            made.replace(target)
            files.sync_folder(target.parent)
        return True

    def list(self, prefix: str) -> list[str]:
        """All keys that start with ``prefix``, sorted; see `Store.list`."""
        return sorted(key for key, _ in self._walk(prefix))

    def scan(self, prefix: str) -> Sequence[Listed]:
        """All files under ``prefix``, sorted by key; see `UpkeepStore.scan`. A link is as large as what it points at.

        Names of bytes that are no UTF-8 are given with those bytes escaped.
        """
        found = []
        with files.storage_errors("list", self._root):
            for key, path in self._walk(prefix):
                try:
                    state = path.stat()
                except OSError:
                    try:
                        state = path.lstat()  # a link to nothing, or a loop
                    except FileNotFoundError:
                        continue  # gone since it was listed
                found.append(Listed(key=key, size=state.st_size, modified=state.st_mtime))
        return sorted(found, key=lambda item: item.key)

    def top(self) -> Sequence[str] | None:
        """The names in the root folder, sorted; see `Store.top`."""
        with files.storage_errors("list", self._root):
            try:
                return sorted(path.name for path in self._root.iterdir() if not path.name.startswith("."))
            except FileNotFoundError:
                return None

    def move(self, key: str, target: str) -> None:
        """Gives an object another key; see `UpkeepStore.move`."""
        source, place = self._path(key), self._path(target)
        with files.storage_errors("move", source):
            if not source.exists():
                raise not_found(self.uri, key)
            files.make_folder(place.parent)
            self._link(source, place, target)
            files.sync_folder(place.parent)
            source.unlink(missing_ok=True)
            files.sync_folder(source.parent)

    def leftovers(self) -> Sequence[Leftover]:
        """Files that killed writers began; see `UpkeepStore.leftovers`."""
        folder, found = self._root / _TEMPORARY, []
        with files.storage_errors("list", folder):
            try:
                paths = sorted(folder.iterdir())
            except _ABSENT:
                return []
            for path in paths:
                try:
                    since = path.lstat().st_mtime
                except FileNotFoundError:
                    continue  # its writer has just finished
                what = f"unfinished file {_TEMPORARY}/{path.name}"
                found.append(Leftover(what=what, name=path.name, since=since))
        return found

    def remove_leftover(self, leftover: Leftover) -> None:
        """Removes an unfinished file; see `UpkeepStore.remove_leftover`."""
        path = self._root / _TEMPORARY / check_key(leftover.name)
        with files.storage_errors("delete", path):
            path.unlink(missing_ok=True)

    def delete(self, key: str) -> None:
        """Removes an object; see `Store.delete`."""
        path = self._path(key)
        with files.storage_errors("delete", path):
            try:
                path.unlink()
            except _ABSENT:
                return
            files.sync_folder(path.parent)

    def stat(self, key: str) -> ObjectInfo:
        """Size and etag of an object; see `Store.stat`.

        The etag of an object over 8 MiB is of its file, not of its bytes: it would have to be read whole. Such an
        object is never compared and swapped.
        """
        path = self._path(key)
        with files.storage_errors("read", path):
            try:
                with files.open_regular(path) as file:
                    state = os.fstat(file.fileno())
                    if state.st_size > SMALL:
                        return ObjectInfo(size=state.st_size, etag=f"file-{state.st_ino}-{state.st_mtime_ns}")
                    data = file.read(SMALL + 1)
            except _ABSENT:
                raise not_found(self.uri, key) from None
        return ObjectInfo(size=len(data), etag=_etag(data))

    def _walk(self, prefix: str) -> Iterator[tuple[str, Path]]:
        """Key and file of all that starts with ``prefix``, hidden files and folders left out."""
        check_prefix(prefix)
        above = prefix.rpartition("/")[0]
        start = self._path(above) if above else self._root

        def failed(error: OSError) -> None:
            if not isinstance(error, _ABSENT):
                raise error

        with files.storage_errors("list", start):
            for folder, below, names in os.walk(start, onerror=failed):
                below[:] = [name for name in below if not name.startswith(".")]
                place = Path(folder).relative_to(self._root).as_posix()
                lead = "" if place == "." else f"{place}/"
                for name in names:
                    if not name.startswith(".") and (lead + name).startswith(prefix):
                        yield lead + name, Path(folder, name)

    def _path(self, key: str) -> Path:
        """The file of a key, which lies under the root even when somebody put symbolic links there."""
        path = self._root / check_key(key)
        with files.storage_errors("read", path):
            inside = _resolved(path).is_relative_to(_resolved(self._root))
        if not inside:
            raise StoreRefusedError(
                f"{path} is a symbolic link out of the zoo {self._root}",
                hint="remove the link, or copy the files there",
            )
        return path

    def _own_folder(self, name: str) -> Path:
        """A folder of the store's own, made when it is not there, and no link to another place."""
        folder = self._root / name
        if folder.is_symlink():
            raise StoreRefusedError(f"{folder} is a symbolic link, which is not followed", hint="remove the link")
        files.make_folder(folder)
        return folder

    def _fill(self, made: Path, source: bytes | Path, progress: Progress | None) -> str:
        """Writes the source to the file ``made`` and gives its sha256."""
        if isinstance(source, bytes):
            files.write_synced(made, source)
            if progress is not None:
                progress(len(source))
            return hashlib.sha256(source).hexdigest()
        with files.storage_errors("read", source), files.open_regular(source) as opened:
            return files.copy(opened, made, progress=progress)

    def _link(self, made: Path, target: Path, key: str) -> bool:
        """Gives the finished file its name, unless that is taken."""
        try:
            os.link(made, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            return True
        # A disk without hard links (exFAT, some network disks): a lock takes their place.
        with self._locked(key):
            if target.exists():
                return False
            made.replace(target)
            return True

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """Holds the lock of a key, which other processes and threads wait for; a killed holder lets it go."""
        folder = self._own_folder(_LOCKS)
        # Keys share 256 locks, so that a zoo does not collect one for every key there ever was.
        path = folder / hashlib.sha256(key.encode()).hexdigest()[:2]
        with ExitStack() as held:
            try:
                held.enter_context(locks.exclusive(path))
            except OSError as error:
                if error.errno not in locks.NONE:
                    raise
                raise StoreRefusedError(
                    f"the disk of {self._root} has no file locks, so an alias cannot be moved safely",
                    hint="put the zoo on a local disk or on S3",
                ) from error
            yield


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _resolved(path: Path) -> Path:
    """The path without symbolic links; a loop of them is an OSError, as any other unusable path is."""
    try:
        return path.resolve()
    except RuntimeError as error:  # what Python before 3.13 raises for a loop
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
