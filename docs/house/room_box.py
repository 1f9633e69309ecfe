"""One room as a box: its name and size, what it is for, what it uses, and in it its own rooms by floor."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from house.building import Shown
from house.hue import INK, PAPER, QUIET, Hue
from house.words import MONO, lines_of, mono_width, sans_width

PAD = 11
_WIDE, _LONGEST_LINE, _CHIP, _SPACE = 640, 720, 18, 3


def text(
    x: float,
    y: float,
    words: str,
    size: float,
    *,
    colour: str = INK,
    mono: bool = False,
    bold: bool = False,
    anchor: str = "",
) -> str:
    """One line of text whose baseline is at ``y``.

    Args:
        x: where it starts, or where its end or middle is if ``anchor`` says so.
        y: its baseline.
        words: what it says, without line breaks.
        size: of the letters, in pixels.
        colour: of the letters.
        mono: in a face whose letters are all as wide.
        bold: in heavier letters.
        anchor: ``end``, ``middle`` or nothing.
    """
    look = f'x="{x:g}" y="{y:g}" font-size="{size:g}"'
    look += f' fill="{colour}"' * (colour != INK) + f' font-family="{MONO}"' * mono
    look += ' font-weight="600"' * bold + f' text-anchor="{anchor}"' * bool(anchor)
    return f"<text {look}>{escape(words, quote=False)}</text>"


class RoomBox:
    """What is written in a room of a given width.

    Attributes:
        width: of the box, in pixels.
        height: the least that holds what is written.
    """

    def __init__(self, room: Shown, width: int, hue: Hue) -> None:
        self.width, self._hue = width, hue
        self._parts: list[str] = []
        aside = bool(room.inside) and width >= _WIDE
        self._y = PAD
        self._column = min((width // 2 if aside else width) - 2 * PAD, _LONGEST_LINE)
        self._heading(room)
        self._paragraph(room.purpose, 12.5, 17, INK)
        self._paragraph(_uses(room), 11, 15, QUIET)
        written: float = self._y
        if room.inside:
            start, top = (width // 2, PAD + 24) if aside else (PAD, self._y + 8)
            written = max(written, self._chips(room.inside, start, top))
        self.height = round(written + PAD)

    def at(self, x: int, y: int, height: int) -> str:
        """The room with its upper left corner there, made as high as asked."""
        box = f'<rect width="{self.width}" height="{height}" rx="5" fill="{PAPER}" stroke="{self._hue.line}"/>'
        return "\n".join([f'<g transform="translate({x} {y})">{box}', *self._parts, "</g>"])

    def _heading(self, room: Shown) -> None:
        self._y += 12
        self._parts.append(text(PAD, self._y, room.label, 15, mono=True, bold=True))
        if mono_width(room.label, 15) + sans_width(room.size, 11.5) + PAD <= self.width - 2 * PAD:
            self._parts.append(text(self.width - PAD, self._y, room.size, 11.5, colour=QUIET, anchor="end"))
        else:
            self._y += 16
            self._parts.append(text(PAD, self._y, room.size, 11.5, colour=QUIET))
        self._y += 3

    def _paragraph(self, words: str, size: float, step: int, colour: str) -> None:
        self._y += 2 * bool(words)
        for line in lines_of(words, size, self._column):
            self._y += step
            self._parts.append(text(PAD, self._y, line, size, colour=colour))

    def _chips(self, floors: Sequence[Sequence[str]], start: int, top: float) -> float:
        """Labels in rows, floors farther apart than the rows of one; returns where they end."""
        for floor in floors:
            x = start
            for label in floor:
                width = round(mono_width(label, 11)) + PAD
                if x > start and x + width > self.width - PAD:
                    x, top = start, top + _CHIP + _SPACE
                box = f'<rect x="{x}" y="{top:g}" width="{width}" height="{_CHIP}" rx="3" fill="{self._hue.chip}"/>'
                self._parts.append(box + text(x + PAD / 2, top + 13, label, 11, mono=True))
                x += width + _SPACE
            top += _CHIP + 2 * _SPACE
        return top - 2 * _SPACE


def _uses(room: Shown) -> str:
    said = [("uses ", room.uses), ("outside: ", room.outside)]
    return "; ".join(start + ", ".join(names) for start, names in said if names)
