"""Where the product is in images that lie padded in their squares.

What is estimated is estimated of the images alone: their padding would pass for background, or for product where the
product touches their edge. Images of one place are looked at together; whether the category shows objects is for all
of them to say.

Letters: N images, S side of the square.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kdzoo.data.foreground.estimate import find_foreground, object_masks, shows_object
from kdzoo.data.foreground.rule import ForegroundRule
from kdzoo.data.placement import Place


def find_placed_foreground(
    images: NDArray[np.uint8],
    places: Sequence[Place],
    rule: ForegroundRule,
    *,
    of_category: tuple[NDArray[np.uint8], Sequence[Place]],
) -> NDArray[np.bool_]:
    """Where the product is, by a rule that reads no files.

    Args:
        images: ``[N, S, S, 3]`` uint8, RGB, of one category.
        places: of the N images.
        rule: any but ``masks``.
        of_category: the images that say, under ``auto``, whether the category shows objects, and their places.

    Returns:
        ``[N, S, S]`` bool, False beside an image.

    Raises:
        UsageError: not uint8, or not of that shape, or no image; or the rule is ``masks``.
    """
    if all(place.whole for place in (*places, *of_category[1])):
        return find_foreground(images, rule, of_category=of_category[0])
    objects = rule.kind == "auto" and shows_object(*(pictures for _, _, pictures in _alike(*of_category)))
    found = np.zeros(images.shape[:3], dtype=bool)
    for place, chosen, pictures in _alike(images, places):
        if rule.kind == "auto":
            masks = object_masks(pictures) if objects else np.ones(pictures.shape[:3], dtype=bool)
        else:
            masks = find_foreground(pictures, rule)
        found[chosen, place.rows, place.columns] = masks
    return found


def _alike(
    images: NDArray[np.uint8], places: Sequence[Place]
) -> Iterator[tuple[Place, NDArray[np.intp], NDArray[np.uint8]]]:
    """Images of one place at a time: the place, which they are, and what they show without their padding."""
    numbers: dict[Place, list[int]] = {}
    for number, place in enumerate(places):
        numbers.setdefault(place, []).append(number)
    for place, alike in numbers.items():
        chosen = np.array(alike, dtype=np.intp)
        yield place, chosen, images[chosen, place.rows, place.columns]
