"""Teachers on this machine: added from a file or pulled from a zoo, each under a name. Torch-free.

::

    <folder>/plant-resnet.json                   the card
    <folder>/blobs/sha256/ab/abcdef...           the weights, by their digest
"""

from __future__ import annotations

import errno
import logging
import os
from contextlib import AbstractContextManager
from pathlib import Path

from kdzoo.errors import TeacherError, UnknownNameError, UsageError
from kdzoo.settings import Settings
from kdzoo.teachers.card import TeacherCard
from zoo_registry.errors import BlobCorruptError, NameInvalidError
from zoo_registry.format.layout import blob_key
from zoo_registry.format.names import check_part
from zoo_registry.store import files

_LARGEST_CARD = 2**20
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}

_log = logging.getLogger(__name__)


class LocalTeachers:
    """A folder of teachers; safe under many processes and a kill at any point.

    Weights are written before the card that names them, and a card is never half there.

    Args:
        folder: made by the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    @classmethod
    def of(cls, settings: Settings) -> LocalTeachers:
        """Those in the cache that the settings name."""
        return cls(settings.cache / "teachers")

    def incoming(self) -> AbstractContextManager[Path]:
        """A path of its own for weights on their way, on the disk of the others; what is left there is removed."""
        return files.temporary(self.folder / ".tmp")

    def names(self) -> list[str]:
        """The names there are, sorted.

        Raises:
            StoreUnavailableError: the folder cannot be listed.
        """
        with files.storage_errors("list", self.folder):
            try:
                found = sorted(path.stem for path in self.folder.iterdir() if path.suffix == ".json")
            except FileNotFoundError:
                return []
        return [name for name in found if _is_name(name)]

    def card(self, name: str) -> TeacherCard | None:
        """The card of a teacher; None when there is none of that name.

        Raises:
            TeacherError: the card is damaged.
            StoreUnavailableError: it cannot be read.
        """
        if not _is_name(name):
            return None
        path = self._card_file(name)
        with files.storage_errors("read", path):
            try:
                with files.open_regular(path) as opened:
                    data = opened.read(_LARGEST_CARD)
            except FileNotFoundError:
                return None
        try:
            return TeacherCard.parse(data, name=name, what=f"'{path}'")
        except TeacherError as error:
            raise TeacherError(
                error.message, hint=f"remove it with: kdzoo teacher remove {name}; then add or pull it again"
            ) from error

    def file(self, card: TeacherCard) -> Path:
        """Where the weights of a card lie."""
        return self.folder / blob_key(card.sha256)

    def holds(self, card: TeacherCard) -> bool:
        """Whether the weights of a card are here, read whole and compared with its digest."""
        path = self.file(card)
        with files.storage_errors("read", path):
            try:
                return files.digest(path)[0] == card.sha256
            except FileNotFoundError:
                return False

    def add(self, card: TeacherCard, weights: Path, *, replace: bool = False) -> bool:
        """Takes a teacher in. Damaged weights of the same digest are replaced by the right ones.

        Args:
            card: its name must be free here, or bear the same weights.
            weights: the file that has the card's digest; copied.
            replace: take the name from other weights.

        Returns:
            Whether anything changed but for damage: False when the same weights bore the name already.

        Raises:
            UsageError: the name bears other weights.
            TeacherError: the card that is there is damaged.
            BlobCorruptError: the file does not have the card's digest.
            StoreUnavailableError: the folder cannot be written.
        """
        data, path = card.to_bytes(), self._card_file(card.name)
        before = self._read_or_none(card.name) if replace else self._refuse_other(card)
        self._keep(card, weights)
        with files.storage_errors("write", path), self.incoming() as made:
            files.write_synced(made, data)
            changed = _moved(made, path) if replace else _linked(made, path)
            files.sync_folder(self.folder)
        if not changed:
            self._refuse_other(card)
        # Another command may have removed the weights together with a card that named them too.
        self._keep(card, weights)
        if before is not None:
            self._drop_unused(before)
        return changed

    def remove(self, name: str) -> None:
        """Forgets a teacher, and its weights unless another name bears them.

        Raises:
            UnknownNameError: there is none of that name.
            StoreUnavailableError: the folder cannot be written.
        """
        if name not in self.names():
            raise UnknownNameError("local teacher", name, self.names())
        card, path = self._read_or_none(name), self._card_file(name)
        with files.storage_errors("delete", path):
            path.unlink(missing_ok=True)
        if card is not None:
            self._drop_unused(card)

    def _card_file(self, name: str) -> Path:
        return self.folder / f"{check_part(name, 'teacher')}.json"

    def _keep(self, card: TeacherCard, weights: Path) -> None:
        """Sees to it that the weights are there and whole."""
        if self.holds(card):
            return
        path = self.file(card)
        with files.storage_errors("write", path), self.incoming() as made:
            with files.open_regular(weights) as source:
                found = files.copy(source, made)
            if found != card.sha256:
                raise BlobCorruptError(f"'{weights}' does not have the sha256 of teacher '{card.name}'")
            files.make_folder(path.parent)
            made.replace(path)
            files.sync_folder(path.parent)

    def _digests(self) -> set[str]:
        """Of the weights that cards name; a card that cannot be read is passed over."""
        found = set()
        for name in self.names():
            card = self._read_or_none(name)
            if card is not None:
                found.add(card.sha256)
        return found

    def _drop_unused(self, card: TeacherCard) -> None:
        """Deletes the weights of a card that is gone, unless another names them.

        They are moved aside before the second look: a command that names them later than that look finds them gone
        and brings them again.
        """
        path = self.file(card)
        if card.sha256 in self._digests():
            return
        with files.storage_errors("delete", path), self.incoming() as aside:
            try:
                path.replace(aside)
            except FileNotFoundError:
                return
            if card.sha256 in self._digests():
                aside.replace(path)

    def _read_or_none(self, name: str) -> TeacherCard | None:
        """A card; None also for a damaged one, whose weights are not known and which is mended by being replaced."""
        try:
            return self.card(name)
        except TeacherError as error:
            _log.warning("%s", error)
            return None

    def _refuse_other(self, card: TeacherCard) -> TeacherCard | None:
        """The card of that name that is here, whose weights must be the same."""
        there = self.card(card.name)
        if there is not None and there.sha256 != card.sha256:
            raise UsageError(
                f"there is a teacher '{card.name}' with other weights (sha256 {there.sha256[:12]}...)",
                hint=f"choose another name, give --replace, or remove it: kdzoo teacher remove {card.name}",
            )
        return there


def _linked(made: Path, path: Path) -> bool:
    """Gives a finished file its name unless that is taken; whether it did."""
    try:
        os.link(made, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A disk without hard links: two commands that add the same name at the same moment are not told apart.
        return not path.exists() and _moved(made, path)
    return True


def _moved(made: Path, path: Path) -> bool:
    made.replace(path)
    return True


def _is_name(text: str) -> bool:
    try:
        return bool(check_part(text, "teacher"))
    except NameInvalidError:
        return False
