"""A building as an SVG: floors from the roof down, rooms side by side, nothing that needs a script or a font file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from house.building import Building, Shown
from house.hue import INK, PAPER, QUIET, Hue, hue
from house.room_box import RoomBox, text
from house.words import SANS, lines_of

WIDTH = 960
"""Of every picture, in pixels."""

_MARGIN, _GUTTER, _GAP, _ROOF = 8, 34, 8, 26
_COLUMNS, _COLUMNS_WITH_FILES = 4, 3
_INNER = WIDTH - 2 * _MARGIN - _GUTTER - _GAP


def draw(building: Building, note: str, below: Shown | None = None) -> str:
    """The picture of ``building``, as the text of an SVG file.

    Args:
        building: the package.
        note: how to read it.
        below: a package of its own that the building stands on.
    """
    parts, y = _head(building, note)
    count = len(building.floors)
    for position, rooms in enumerate(building.floors):
        band, y = _floor(rooms, y, str(count - 1 - position), hue(position, count))
        parts.append(band)
    if below is not None:
        band, y = _floor([below], y + _GAP, "", hue(count, count + 1))
        parts.append(band)
    height = y + _MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" aria-label="The rooms of {escape(building.title)}, by floor" font-family="{SANS}" fill="{INK}">'
    )
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>', *parts, "</svg>", ""])


def _head(building: Building, note: str) -> tuple[list[str], int]:
    """The name and the purpose under a roof; the second value is where the floors begin."""
    left, right, eaves = _MARGIN + 18, WIDTH - _MARGIN - 18, _MARGIN + _ROOF
    y = eaves + 24
    lines = [
        text(left, y, building.title, 22, mono=True, bold=True),
        text(right, y, building.size, 13, colour=QUIET, anchor="end"),
    ]
    for words, size, step, colour in ((building.purpose, 14, 22, INK), (note, 12, 18, QUIET)):
        for line in lines_of(words, size, right - left):
            y += step
            lines.append(text(left, y, line, size, colour=colour))
    base, tone = y + 14, hue(0, 2)
    walls = f"M{_MARGIN} {base} V{eaves} L{WIDTH // 2} {_MARGIN} L{WIDTH - _MARGIN} {eaves} V{base} Z"
    return [f'<path d="{walls}" fill="{tone.floor}" stroke="{tone.line}" stroke-width="1.5"/>', *lines], base


def _floor(rooms: Sequence[Shown], y: int, number: str, tone: Hue) -> tuple[str, int]:
    """One floor's band and its rooms; the second value is where it ends."""
    columns = _columns(rooms, tone)
    height = max(map(_height, columns))
    parts: list[str] = []
    x = _MARGIN + _GUTTER
    for column in columns:
        top = y + _GAP
        spare = height - _height(column)
        for box in column:
            tall = box.height + spare * (box is column[-1])
            parts.append(box.at(x, top, tall))
            top += tall + _GAP
        x += column[0].width + _GAP
    band = (
        f'<rect x="{_MARGIN}" y="{y}" width="{WIDTH - 2 * _MARGIN}" height="{height + 2 * _GAP}" fill="{tone.floor}" '
        f'stroke="{tone.line}" stroke-width="1.5"/>'
    )
    middle = y + height / 2 + _GAP + 6
    label = text(_MARGIN + _GUTTER / 2, middle, number, 16, colour=tone.line, bold=True, anchor="middle")
    return "\n".join([band, *[label] * bool(number), *parts]), y + height + 2 * _GAP


def _columns(rooms: Sequence[Shown], tone: Hue) -> list[list[RoomBox]]:
    """The rooms in as many columns as make the floor lowest; the fewest of those, as wide rooms read better."""
    most = _COLUMNS_WITH_FILES if any(room.inside for room in rooms) else _COLUMNS
    choices = [_packed(rooms, count, tone) for count in range(1, min(len(rooms), most) + 1)]
    return min(choices, key=lambda columns: max(map(_height, columns)))


def _packed(rooms: Sequence[Shown], count: int, tone: Hue) -> list[list[RoomBox]]:
    """The tallest rooms first, each in the column that is lowest so far."""
    width = (_INNER - _GAP * (count - 1)) // count
    boxes = sorted((RoomBox(room, width, tone) for room in rooms), key=lambda box: -box.height)
    columns: list[list[RoomBox]] = [[] for _ in range(count)]
    for box in boxes:
        min(columns, key=_height).append(box)
    return columns


def _height(column: Sequence[RoomBox]) -> int:
    return sum(box.height for box in column) + _GAP * (len(column) - 1) if column else 0
