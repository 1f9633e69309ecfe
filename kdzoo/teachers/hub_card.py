"""The card of a backbone with its published weights, by timm's metadata. Loads timm where it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdzoo.teachers.card import UNKNOWN_LICENCE, TeacherCard

if TYPE_CHECKING:
    from kdzoo.teachers.backbone import Teacher


def hub_card(teacher: Teacher, *, sha256: str, size: int) -> TeacherCard:
    """The card of a teacher of the hub.

    Args:
        teacher: with its weights.
        sha256: hex digest of the file that they are in.
        size: its bytes.
    """
    import timm

    architecture = teacher.name.architecture
    return TeacherCard(
        name=architecture,
        architecture=architecture,
        sha256=sha256,
        size=size,
        mean=teacher.mean,
        std=teacher.std,
        licence=getattr(timm.get_pretrained_cfg(architecture), "license", None) or UNKNOWN_LICENCE,
        details={"origin": _origin(architecture)},
    )


def is_published(card: TeacherCard, architecture: str) -> bool:
    """Whether a card, of whatever name, is of the weights that the hub publishes of a backbone with a tag."""
    return "." in architecture and card.details.get("origin") == _origin(architecture)


def _origin(architecture: str) -> str:
    """Where the hub has a backbone's published weights."""
    import timm

    return f"hub {getattr(timm.get_pretrained_cfg(architecture), 'hf_hub_id', None) or 'timm'}"
