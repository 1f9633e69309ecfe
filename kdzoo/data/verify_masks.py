"""What masks of a category look like, where that is not as masks should: told, since nothing is wrong for certain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from kdzoo.data.files import printable
from kdzoo.data.mask_files import MaskLook

_SIDE: Final = 256
"""The side of the input that small defects are told of for, pixels: the usual one."""
_INVERTED: Final = 0.9
"""A mask that marks more of its image than this is perhaps the other way round."""
_MANY_GRAYS: Final = 16
"""Values other than black from which on a mask is no drawing of one or a few kinds of defect."""


def mask_notes(looks: Mapping[str, MaskLook]) -> list[str]:
    """Notes on the masks of a category.

    Args:
        looks: id of an image to what its mask looks like.
    """
    odd: tuple[tuple[Callable[[MaskLook], bool], str], ...] = (
        (
            lambda look: look.lossy,
            "are JPEGs, whose compression blurs edges: what is brighter than half of the brightest counts as defect; "
            "PNG keeps what was drawn",
        ),
        (
            lambda look: not look.lossy and look.grays > _MANY_GRAYS,
            "have many shades of gray: every pixel that is not black counts as defect",
        ),
        (
            lambda look: look.marked > _INVERTED,
            f"mark more than {_INVERTED:.0%} of their image as defect: are black and white the wrong way round?",
        ),
        (
            lambda look: 0 < look.marked < 1 / _SIDE**2,
            f"mark less than a pixel is at --image-size {_SIDE}: a larger size, or --tile, shows such defects",
        ),
    )
    notes = []
    for is_so, text in odd:
        found = [name for name, look in looks.items() if is_so(look)]
        if found:
            notes.append(f"{len(found)} of {len(looks)} masks {text}; first that of {printable(found[0])}")
    return notes
