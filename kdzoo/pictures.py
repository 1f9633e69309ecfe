"""Pictures that people look at: a heatmap over an image, and a sheet of cases.

Shapes: H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from kdzoo.visible import visible

# Dark blue to yellow, even steps of lightness: reads the same in grey and for colour-blind eyes.
_STOPS = np.array([[13, 8, 70], [84, 2, 135], [156, 23, 121], [208, 73, 81], [243, 133, 46], [252, 214, 60]], float)
_FAINTEST = 0.4
"""Where on the way from dark blue to yellow an overlay begins."""
_OUTLINE = (0, 255, 230)
_TRUTH = (90, 255, 90)
_BOX = (255, 255, 255)
_STRIP = 64
"""Rows of a smaller picture that are made at once."""

_PAPER, _INK = (250, 250, 250), (30, 30, 30)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeatScale:
    """Which map values are coloured, the same for all images of a detector, so that two of them compare.

    Attributes:
        begin: the largest map value that is not coloured.
        full: from here on the colour is full; one that is not above ``begin`` colours all that is.
    """

    begin: float
    full: float

    def strength(self, anomaly_map: NDArray[Any]) -> NDArray[Any]:
        """Map values to [0, 1], of their own kind of float: 0 is uncoloured, 1 full."""
        reach = max(self.full - self.begin, 1e-12)
        strength: NDArray[Any] = np.clip((anomaly_map - self.begin) / reach, 0, 1)
        return strength


def heat(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Colours of values in [0, 1]: ``[H, W]`` to ``[H, W, 3]`` uint8."""
    position = np.clip(values, 0, 1) * (len(_STOPS) - 1)
    return np.stack([np.interp(position, range(len(_STOPS)), _STOPS[:, c]) for c in range(3)], axis=-1).astype(np.uint8)


def shade(strength: NDArray[Any]) -> NDArray[np.uint8]:
    """Colours of strengths in [0, 1] on an image: without the darkest, which dark parts of an image would swallow."""
    return heat(_FAINTEST + (1 - _FAINTEST) * np.clip(strength, 0, 1))


def outline(mask: NDArray[np.bool_], *, width: int = 1) -> NDArray[np.bool_]:
    """The inner border of the marked regions, ``[H, W]`` bool."""
    inner: NDArray[np.bool_] = binary_erosion(mask, iterations=width, border_value=0)
    return mask & ~inner


def step_to(shape: Sequence[int], longest: int) -> int:
    """By which whole number an image, its height and width first, is made smaller to have no side above the longest."""
    return -(-max(shape[:2]) // longest)


def shrunk(values: NDArray[Any], step: int) -> NDArray[Any]:
    """An image, a map or a mask made smaller by a whole number; itself by 1.

    Args:
        values: ``[H, W, 3]`` uint8, which is averaged; or ``[H, W]``, of which the highest values are kept, so that
            nothing small is lost.
        step: pixels that become one, in each direction.
    """
    if step == 1:
        return values
    if values.ndim == 3:
        # Some rows at a time: Pillow takes four bytes a pixel.
        strips = range(0, values.shape[0], step * _STRIP)
        return np.vstack(
            [np.asarray(Image.fromarray(values[top : top + step * _STRIP]).reduce(step)) for top in strips]
        )
    rows = np.maximum.reduceat(values, np.arange(0, values.shape[0], step), axis=0)
    smaller: NDArray[Any] = np.maximum.reduceat(rows, np.arange(0, values.shape[1], step), axis=1)
    return smaller


def overlay(
    image: NDArray[np.uint8],
    anomaly_map: NDArray[np.float32],
    *,
    marked: NDArray[np.bool_],
    scale: HeatScale,
    truth: NDArray[Any] | None = None,
    boxes: Sequence[tuple[int, int, int, int]] = (),
) -> Image.Image:
    """An image with its anomaly map laid over it and the marked regions outlined.

    Args:
        image: ``[H, W, 3]`` uint8.
        anomaly_map: ``[H, W]`` float.
        marked: ``[H, W]`` bool, outlined.
        scale: of the colours.
        truth: ``[H, W]`` true defect pixels, outlined in green.
        boxes: left, top, right, bottom of what gets a thin box, right and bottom beyond it.
    """
    strength = scale.strength(anomaly_map)
    opacity = np.where(strength > 0, 0.35 + 0.4 * np.sqrt(strength), 0.0)[..., None]
    blended = (image * (1 - opacity) + shade(strength) * opacity).astype(np.uint8)
    width = max(1, min(image.shape[:2]) // 160)
    blended[outline(marked, width=width)] = _OUTLINE
    if truth is not None:
        blended[outline(truth.astype(bool), width=width)] = _TRUTH
    picture = Image.fromarray(blended)
    draw = ImageDraw.Draw(picture)
    for left, top, right, bottom in boxes:
        away = 2 * width
        draw.rectangle((left - away, top - away, right - 1 + away, bottom - 1 + away), outline=_BOX)
    return picture


LEGEND_HEIGHT, LEGEND_WIDTH = 38, 260
"""Of what stands under a picture, pixels; a narrower picture gets paper beside it."""


def with_legend(picture: Image.Image, scale: HeatScale, text: str) -> Image.Image:
    """A picture, in its place and size, over its scale of colours and a line of text.

    Args:
        picture: such as an overlay.
        scale: of its colours.
        text: such as score and threshold.
    """
    font = ImageFont.load_default(12)
    width = max(picture.width, LEGEND_WIDTH)
    page = Image.new("RGB", (width, picture.height + LEGEND_HEIGHT), _PAPER)
    page.paste(picture, (0, 0))
    draw = ImageDraw.Draw(page)
    top, left, right = picture.height + 4, 52, width - 52
    draw.text((4, top - 1), f"{scale.begin:.4g}", fill=_INK, font=font)
    draw.text((right + 4, top - 1), f"{scale.full:.4g}", fill=_INK, font=font)
    bar = shade(np.linspace(0, 1, right - left)[None].repeat(11, axis=0))
    page.paste(Image.fromarray(bar), (left, top + 1))
    draw.text((4, top + 16), visible(text), fill=_INK, font=font)
    return page


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of a sheet: an image, what the detector says, and the truth; ``inside`` is what counts, None: all."""

    name: str
    note: str
    image: NDArray[np.uint8]
    anomaly_map: NDArray[np.float32]
    truth: NDArray[np.uint8] | None
    inside: NDArray[np.bool_] | None = None

    def marked(self, threshold: float) -> NDArray[np.bool_]:
        """What counts and lies above a threshold, of the map's shape."""
        above: NDArray[np.bool_] = self.anomaly_map > threshold
        return above if self.inside is None else above & self.inside


def sheet(
    title: str, cases: Sequence[Case], *, threshold: float, scale: HeatScale, side: int = 160, columns: int = 4
) -> Image.Image:
    """Cases side by side: each the image and, beside it, the heatmap with marked and true regions outlined."""
    cells = [
        Cell(
            name=case.name,
            note=case.note,
            pictures=(
                Image.fromarray(np.ascontiguousarray(case.image)),
                overlay(case.image, case.anomaly_map, marked=case.marked(threshold), scale=scale, truth=case.truth),
            ),
        )
        for case in cases
    ]
    return contact_sheet(title, cells, across=2, side=side, columns=columns)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One place of a contact sheet: pictures side by side under two lines of text."""

    name: str
    note: str
    pictures: tuple[Image.Image, ...]


def contact_sheet(title: str, cells: Sequence[Cell], *, across: int, side: int = 160, columns: int = 4) -> Image.Image:
    """Cells in rows under a title.

    Args:
        title: the line at the top.
        cells: what is shown, row by row.
        across: pictures that each cell has room for.
        side: of the longer side of each picture, pixels.
        columns: cells in a row.
    """
    font = ImageFont.load_default(13)
    rows = -(-len(cells) // columns) or 1
    cell_width, cell_height = across * side + 16, side + 40
    page = Image.new("RGB", (columns * cell_width + 16, rows * cell_height + 40), _PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((16, 10), visible(title), fill=_INK, font=font)
    for position, cell in enumerate(cells):
        left = 16 + position % columns * cell_width
        top = 36 + position // columns * cell_height
        draw.text((left, top), _fitted(visible(cell.name), across * side, font), fill=_INK, font=font)
        draw.text((left, top + 15), visible(cell.note), fill=_INK, font=font)
        for number, picture in enumerate(cell.pictures):
            shown = picture.resize(_fitting(picture.size, side))
            beside, above = (side - shown.width) // 2, (side - shown.height) // 2
            page.paste(shown, (left + number * (side + 4) + beside, top + 34 + above))
    return page


def marked(image: NDArray[np.uint8], mask: NDArray[Any]) -> Image.Image:
    """An image with the regions of a mask outlined: ``[H, W, 3]`` uint8 and ``[H, W]``."""
    drawn = image.copy()
    drawn[outline(mask.astype(bool), width=max(1, min(image.shape[:2]) // 160))] = _OUTLINE
    return Image.fromarray(drawn)


def as_png(picture: Image.Image) -> bytes:
    """A picture as PNG bytes."""
    buffer = BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _fitting(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height of a picture whose longer side is brought to another length."""
    longest = max(size)
    return max(1, round(size[0] * side / longest)), max(1, round(size[1] * side / longest))


def _fitted(text: str, width: int, font: Any) -> str:
    """The end of a text that is too long, where names differ."""
    while len(text) > 4 and font.getlength(text) > width:
        text = "…" + text[2:]
    return text
