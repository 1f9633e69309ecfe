"""Weights from a file under a name of one's own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdzoo.errors import TeacherError, UsageError
from kdzoo.teachers.backbone import Teacher, load_named_teacher, load_teacher
from kdzoo.teachers.card import UNKNOWN_LICENCE, TeacherCard
from kdzoo.teachers.local import LocalTeachers
from kdzoo.teachers.names import TeacherName, check_own_name
from zoo_registry.store.files import write_synced

_LARGEST_CARD = 2**20
_OWN_DETAILS = ("bytes",)


def add_teacher(
    file: Path,
    teachers: LocalTeachers,
    *,
    name: str | None = None,
    architecture: str | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    licence: str | None = None,
    replace: bool = False,
) -> tuple[TeacherCard, bool]:
    """Keeps what a backbone needs of a weight file, under a name.

    Args:
        file: ``.safetensors``, ``.pth`` or ``.pt``, with timm's or torchvision's names; a ``.pth`` or ``.pt`` with any
            names if its tensors stand in the order of timm's layers.
        teachers: where to keep it.
        name: of the teacher; default, as of all that follows, what a card beside the file says.
        architecture: timm's name of the backbone.
        mean: channel means of the input transform; without a card timm's of the backbone.
        std: channel standard deviations likewise.
        licence: of the weights.
        replace: take the name from other weights.

    Returns:
        The card, and whether anything changed.

    Raises:
        NameInvalidError, UsageError: the name cannot be borne or bears other weights, or is missing, as may be the
            backbone; the backbone is unknown, or the file not there.
        TeacherError: the file is damaged, holds more than tensors, or does not fit the backbone; or a card is damaged.
        StoreUnavailableError: it cannot be kept.
    """
    beside = _card_beside(file)
    name = name or (beside.name if beside else None)
    architecture = architecture or (beside.architecture if beside else None)
    if name is None or architecture is None:
        raise UsageError(
            f"'{file}' does not say what it is: {'--name' if name is None else '--architecture'} is missing",
            hint=f"for example: kdzoo teacher add {file} --name plant-resnet --architecture resnet18",
        )
    check_own_name(name)
    teacher = load_teacher(f"{architecture}@{file}", teachers=teachers)
    of_card = beside if beside is not None and beside.architecture == architecture else None
    return keep_teacher(
        teacher,
        teachers,
        name=name,
        mean=mean or (of_card.mean if of_card else teacher.mean),
        std=std or (of_card.std if of_card else teacher.std),
        licence=licence or (of_card.licence if of_card else UNKNOWN_LICENCE),
        details=_details(file, of_card),
        replace=replace,
    )


def keep_teacher(
    teacher: Teacher,
    teachers: LocalTeachers,
    *,
    name: str,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    licence: str,
    details: Mapping[str, Any],
    replace: bool,
) -> tuple[TeacherCard, bool]:
    """Keeps a teacher's weights on this machine, with a card.

    Args:
        teacher: whose weights and backbone.
        teachers: where to keep it.
        name: that the card gives it.
        mean: channel means of its input transform.
        std: channel standard deviations likewise.
        licence: of the weights.
        details: what else the card says.
        replace: take the name from other weights.

    Returns:
        The card, and whether anything changed: not when the name bears the same weights already, be it in a file of an
        earlier kdzoo, which kept layers that no level reads.

    Raises:
        UsageError: the name bears other weights.
        TeacherError: a card that is there is damaged.
        StoreUnavailableError: it cannot be kept.
    """
    data = teacher.weights()
    there = None if replace else teachers.card(name)
    if there is not None and there.architecture == teacher.name.architecture and _gives(there, teachers, data):
        return there, False
    card = TeacherCard(
        name=name,
        architecture=teacher.name.architecture,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        mean=mean,
        std=std,
        licence=licence,
        details=details,
    )
    with teachers.incoming() as path:
        write_synced(path, data)
        return card, teachers.add(card, path, replace=replace)


def _gives(card: TeacherCard, teachers: LocalTeachers, data: bytes) -> bool:
    """Whether a teacher that is kept in another form has the very weights that are to be kept."""
    if card.sha256 == hashlib.sha256(data).hexdigest():
        return False  # in the same form: whatever is damaged of it is to be mended
    name = TeacherName(architecture=card.architecture, source="local", file=teachers.file(card), card=card)
    try:
        return load_named_teacher(name).weights() == data
    except TeacherError:
        return False


def _card_beside(file: Path) -> TeacherCard | None:
    """The card that `kdzoo teacher pretrain` left beside a weight file; None where there is none of these weights."""
    path = file.with_suffix(".json")
    try:
        with path.open("rb") as opened:
            data = opened.read(_LARGEST_CARD)
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return None  # no card, or no file, which is told of when it is loaded
    if b"kdzoo-teacher/" not in data:
        return None  # another JSON file of that name
    card = TeacherCard.parse(data, name=None, what=f"'{path}'")
    if card.sha256 != digest:
        raise TeacherError(
            f"the weights in '{file}' are not those of the card beside it, '{path}'",
            hint="one of the two is damaged or of another run; move the card away to add the file without it",
        )
    return card


def _details(file: Path, beside: TeacherCard | None) -> dict[str, object]:
    """What the new card says besides: where the weights come from, and all that the card beside them says."""
    if beside is None:
        return {"origin": f"file {file.name}"}
    kept = {key: value for key, value in beside.details.items() if key not in _OWN_DETAILS}
    return {**kept, "origin": f"file {file.name}, sha256 {beside.sha256}"}
