"""The teachers that come with the package. Torch-free."""

from __future__ import annotations

from pathlib import Path

from kdzoo.errors import TeacherError
from kdzoo.teachers.card import TeacherCard

SHIPPED = "kdzoo-tiny"
"""A resnet18 up to its third level, trained on images made by formula."""
SHIPPED_NAMES = (SHIPPED,)
SHIPPED_FOLDER = Path(__file__).parent / "shipped"

REINSTALL = "install kdzoo again: pip install --force-reinstall --no-deps kdzoo"
_LARGEST_CARD = 2**20


def shipped_card(name: str, *, folder: Path = SHIPPED_FOLDER) -> TeacherCard:
    """The card of a shipped teacher.

    Args:
        name: one of `SHIPPED_NAMES`.
        folder: where cards and weights lie.

    Raises:
        TeacherError: it is not there or damaged.
    """
    path = folder / f"{name}.json"
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_CARD)
    except OSError as error:
        raise TeacherError(
            f"the shipped teacher '{name}' has no card: {error.strerror or error}", hint=REINSTALL
        ) from error
    try:
        return TeacherCard.parse(data, name=name, what=f"'{path}'")
    except TeacherError as error:
        raise TeacherError(error.message, hint=REINSTALL) from error


def shipped_file(name: str, *, folder: Path = SHIPPED_FOLDER) -> Path:
    """Where the weights of a shipped teacher lie."""
    return folder / f"{name}.safetensors"
