"""`print`: a three-ink label whose inks never quite register."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import ndimage

from kdzoo.data.demo.canvas import (
    SIDE,
    Field,
    blob,
    box,
    cover,
    paint,
    pixel_centres,
    smooth_noise,
    stroke,
    wandering_line,
)

DEFECTS = ("misregister", "missing_ink", "scratch", "spot")

_INKS = {"teal": (0.07, 0.38, 0.42), "orange": (0.89, 0.46, 0.14), "black": (0.11, 0.11, 0.13)}
_PAPER = (0.87, 0.855, 0.815)
_DIGITS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")
_BLEED = 8


@cache
def _plates() -> dict[str, Field]:
    """The three printing plates, ``[2S', 2S']`` coverage at two samples a pixel, with a bleed on every side.

    Each sample is the mean over a pixel's area, so that one sample a pixel prints without jagged edges.
    """
    side = SIDE + 2 * _BLEED
    x, y = pixel_centres(2 * side, 0.5)
    x, y = x - np.float32(_BLEED), y - np.float32(_BLEED)
    plates = {"teal": _teal(x, y), "orange": _orange(x, y), "black": _black(x, y)}
    smoothed = {ink: ndimage.uniform_filter(plate, 2, origin=-1) for ink, plate in plates.items()}
    for plate in smoothed.values():
        plate.flags.writeable = False
    return smoothed


def _teal(x: Field, y: Field) -> Field:
    """A band with a wavy edge, breaking up into a halftone; and a footer line."""
    edge = x - (34 + 6 * np.sin(y * np.float32(2 * np.pi / 96)))
    dots_x, dots_y = (x + y) / 6 % 1 - 0.5, (x - y) / 6 % 1 - 0.5
    size = np.clip(0.46 * (1 - edge / 26), 0, 0.46)
    dots = (np.hypot(dots_x, dots_y) - size) * np.float32(4.24)
    waves = np.minimum(np.abs(x - 10 - 2.3 * np.sin(y / 7)), np.abs(x - 18 - 2.3 * np.sin(y / 7 + 1))) - 1
    band = np.minimum(cover(edge), cover(-waves))
    dotted = cover(dots) * cover(edge - 26) * cover(-edge) * (size > 0.05)
    return np.asarray(np.maximum(band, dotted), dtype=np.float32)


def _orange(x: Field, y: Field) -> Field:
    """The mark: a ring around a three-bladed leaf; and a rule below the text."""
    dx, dy = x - 100, y - 32
    radius, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    ring = np.abs(radius - 20) - 2.4
    leaf = radius - (8.2 + 6 * np.cos(3 * angle + np.float32(np.pi / 2)))
    rule = box(x, y, (110, 92), (46, 1.5))
    return np.asarray(cover(np.minimum(np.minimum(ring, leaf * 0.6), rule)), dtype=np.float32)


def _black(x: Field, y: Field) -> Field:
    """Two lines of digits and a bar code."""
    distance = np.full_like(x, np.inf)
    for number, digit in enumerate("47120936"):
        distance = np.minimum(distance, _digit(x, y, int(digit), (72 + 8.9 * number, 66), (2.6, 4.7), 0.95))
    for number, digit in enumerate("208155074"):
        distance = np.minimum(distance, _digit(x, y, int(digit), (71 + 7.2 * number, 82), (1.9, 3.2), 0.75))
    widths = np.random.default_rng(7).integers(1, 4, 34)
    edges = 68 + np.cumsum(widths) * 1.2
    for left, right in zip(edges[0::2], edges[1::2]):
        distance = np.minimum(distance, box(x, y, ((left + right) / 2, 115), ((right - left) / 2, 16)))
    return np.asarray(cover(distance), dtype=np.float32)


def _digit(
    x: Field, y: Field, digit: int, centre: tuple[float, float], half: tuple[float, float], width: float
) -> Field:
    """Distance to a digit made of up to seven bars."""
    (cx, cy), (w, h) = centre, half
    bars: dict[str, tuple[float, float]] = {"a": (0, -h), "g": (0, 0), "d": (0, h)}
    bars |= {"f": (-w, -h / 2), "b": (w, -h / 2), "e": (-w, h / 2), "c": (w, h / 2)}
    distance = np.full_like(x, np.inf)
    for name in _DIGITS[digit]:
        dx, dy = bars[name]
        size = (w + width, width) if name in "agd" else (width, h / 2 + width)
        distance = np.minimum(distance, box(x, y, (cx + dx, cy + dy), size, width * 0.6))
    return distance


def _pressed(plate: Field, degrees: float, shift: tuple[float, float]) -> Field:
    """The plate's ink on the sheet, ``[S, S]``, rotated about the middle and shifted by x, y pixels."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (SIDE - 1) / 2
    offset = 2 * (middle - np.array(shift[::-1]) + _BLEED) - 2 * turn @ np.array([middle, middle])
    ink = ndimage.affine_transform(plate, 2 * turn, offset, (SIDE, SIDE), order=1, mode="nearest")
    return np.asarray(ink, dtype=np.float32)


def draw(scene: np.random.Generator, defect: str | None, flaws: np.random.Generator) -> tuple[Field, None]:
    """The label.

    Args:
        scene: draws everything a sound label varies in.
        defect: one of `DEFECTS`, or None.
        flaws: draws everything the defect varies in.

    Returns:
        ``[S, S, 3]`` picture, and None: the print runs over the edge, there is no background.
    """
    degrees, shift = scene.normal(0, 0.2), scene.normal(0, 0.5, 2)
    fibres = 1 + np.float32(0.008) * smooth_noise(scene, SIDE, 0.9) + np.float32(0.008) * smooth_noise(scene, SIDE, 10)
    slip = {ink: np.clip(scene.normal(0, 0.25, 2), -0.5, 0.5) for ink in _INKS}
    density = {ink: np.float32(scene.uniform(0.90, 0.98)) for ink in _INKS}
    mottle = {ink: smooth_noise(scene, SIDE, 2.0) for ink in _INKS}
    x, y = pixel_centres()
    if defect == "misregister":
        angle = flaws.uniform(0, 2 * np.pi)
        slip["orange" if flaws.random() < 0.5 else "black"] += flaws.uniform(1.8, 4.5) * np.array(
            [np.cos(angle), np.sin(angle)]
        )
    coverage = {ink: _pressed(_plates()[ink], degrees, (shift + slip[ink]).tolist()) for ink in _INKS}
    if defect == "missing_ink":
        coverage = _starved(coverage, flaws, x, y)
    sheet = np.asarray(_PAPER, dtype=np.float32) * fibres[..., None]
    for ink, colour in _INKS.items():
        sheet = paint(sheet, colour, coverage[ink] * np.clip(density[ink] + 0.015 * mottle[ink], 0, 1))
    if defect == "scratch":
        place = (flaws.uniform(24, SIDE - 24), flaws.uniform(24, SIDE - 24))
        distance, along = stroke(x, y, wandering_line(flaws, place, flaws.uniform(36, 90), 0.08))
        worn = cover(distance - np.float32(flaws.uniform(1.0, 2.2))) * (0.55 + 0.45 * np.sin(np.pi * along))
        sheet = paint(sheet, (0.30, 0.29, 0.29), worn * np.float32(flaws.uniform(0.75, 1.0)))
    if defect == "spot":
        place = (flaws.uniform(16, SIDE - 16), flaws.uniform(16, SIDE - 16))
        distance = blob(flaws, x, y, place, flaws.uniform(4.5, 9.0), 0.15)
        colour = list(_INKS.values())[flaws.integers(3)]
        sheet = paint(sheet, colour, cover(distance, 1.6) * np.float32(flaws.uniform(0.5, 0.95)))
    return np.asarray(sheet, dtype=np.float32), None


def _starved(coverage: dict[str, Field], flaws: np.random.Generator, x: Field, y: Field) -> dict[str, Field]:
    """Ink that did not take: a ragged void at a place where there is ink."""
    ink = list(coverage)[flaws.integers(3)]
    inked = np.argwhere(coverage[ink][16:-16, 16:-16] > 0.8) + 16
    row, column = inked[flaws.integers(len(inked))]
    distance = blob(flaws, x, y, (float(column), float(row)), flaws.uniform(6, 11), 0.18)
    left = 1 - cover(distance, 2.0) * np.float32(flaws.uniform(0.55, 1.0))
    return {**coverage, ink: (coverage[ink] * left).astype(np.float32)}
