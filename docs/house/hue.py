"""The colours of a picture: ink on white paper, three tones a floor, from warm under the roof to cool on the ground."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

INK, QUIET, PAPER = "#1f2933", "#5b6875", "#ffffff"
_ROOF, _GROUND = 32, 222


@dataclass(frozen=True, kw_only=True)
class Hue:
    """The tones of one floor, as SVG writes colours.

    Args:
        floor: behind its rooms.
        line: around them.
        chip: behind the names in them.
    """

    floor: str
    line: str
    chip: str


def hue(position: int, count: int) -> Hue:
    """Of the floor at ``position`` from the top, of ``count``."""
    share = position / max(count - 1, 1)
    angle = (_ROOF + (_GROUND - _ROOF) * share) / 360
    return Hue(floor=_rgb(angle, 0.96, 0.55), line=_rgb(angle, 0.55, 0.35), chip=_rgb(angle, 0.91, 0.5))


def _rgb(angle: float, lightness: float, saturation: float) -> str:
    return "#" + "".join(f"{round(255 * share):02x}" for share in colorsys.hls_to_rgb(angle, lightness, saturation))
