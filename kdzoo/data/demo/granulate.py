"""`granulate`: translucent plastic pellets, several deep, as they lie on a sorting tray."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kdzoo.data.demo.canvas import SIDE, Field, blob, box, cover, paint, pixel_centres, smooth_noise, turned

DEFECTS = ("black_speck", "discoloured", "foreign_body", "fused")

_PITCH = 18.0
_LAYERS = 2


@dataclass(frozen=True, kw_only=True)
class _Pellets:
    """N pellets from the lowest to the highest; lengths in pixels, angles in radians."""

    centre: NDArray[np.float32]
    """``[N, 2]`` x, y."""
    half: NDArray[np.float32]
    """``[N, 2]`` half-axes."""
    angle: NDArray[np.float32]
    """``[N]``"""
    colour: NDArray[np.float32]
    """``[N, 3]``"""
    depth: NDArray[np.float32]
    """``[N]`` brightness that is left at the pellet's depth."""


def _poured(rng: np.random.Generator) -> _Pellets:
    """Pellets on a jittered honeycomb, one layer above the other, in random order within a layer."""
    rows, columns = int(SIDE / (_PITCH * 0.87)) + 3, int(SIDE / _PITCH) + 3
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    layers = []
    for layer in range(_LAYERS):
        x = (column + 0.5 * (row % 2) - 1) * _PITCH + rng.uniform(0, _PITCH)
        y = (row - 1) * _PITCH * 0.87 + rng.uniform(0, _PITCH)
        places = np.stack([x.ravel(), y.ravel()], axis=1) + rng.normal(0, 1.5, (rows * columns, 2))
        # The top layer has gaps through which the lower one shows.
        kept = rng.permutation(len(places))[: int(len(places) * (1.0 if layer == 0 else 0.92))]
        layers.append(places[kept])
    centre = np.concatenate(layers)
    count = len(centre)
    half = np.stack([rng.normal(11.2, 0.4, count), rng.normal(9.8, 0.4, count)], axis=1)
    base = np.array([0.80, 0.865, 0.84]) * rng.normal(1, 0.004, 3)
    colour = base * (1 + rng.normal(0, 0.015, (count, 1))) * (1 + rng.normal(0, 0.004, (count, 3)))
    depth = np.concatenate([np.full(len(part), 0.74 if layer == 0 else 1.0) for layer, part in enumerate(layers)])
    fields = (centre, half, rng.uniform(0, np.pi, count), colour, depth)
    centre32, half32, angle32, colour32, depth32 = (np.asarray(field, dtype=np.float32) for field in fields)
    return _Pellets(centre=centre32, half=half32, angle=angle32, colour=colour32, depth=depth32)


def _photographed(pellets: _Pellets) -> Field:
    """Draws the pellets one above the other, each in a window just large enough for any of them and its shadow."""
    reach = int(np.ceil(pellets.half.max() + 5))
    corner = np.floor(pellets.centre).astype(int) - reach
    shown = np.asarray(((corner > -2 * reach) & (corner < SIDE)).all(axis=1))
    corner = corner[shown] + 2 * reach
    body, alpha, light = _windows(pellets, shown, reach)
    side = 2 * reach + 1
    # A margin as wide as a window takes the pellets that stick out over the edge.
    picture = np.empty((SIDE + 4 * reach + 1, SIDE + 4 * reach + 1, 3), dtype=np.float32)
    picture[:] = (0.20, 0.22, 0.22)
    for one, (left, top) in enumerate(corner):
        window = picture[top : top + side, left : left + side]
        window *= light[one]
        window += (body[one] - window) * alpha[one]
    margin = 2 * reach
    return np.clip(picture[margin : margin + SIDE, margin : margin + SIDE], 0, 1)


def _windows(pellets: _Pellets, shown: NDArray[np.bool_], reach: int) -> tuple[Field, Field, Field]:
    """Every pellet by itself, in a window of ``2 * reach + 1`` pixels a side.

    Returns:
        ``[N, W, W, 3]`` colour, ``[N, W, W, 1]`` coverage, and ``[N, W, W, 1]`` share of light that the pellet's
        shadow leaves to what lies below.
    """
    line = np.arange(2 * reach + 1, dtype=np.float32) + np.float32(0.5) - reach
    fraction = (pellets.centre - np.floor(pellets.centre))[shown]
    dx, dy = line[None, None, :] - fraction[:, 0, None, None], line[None, :, None] - fraction[:, 1, None, None]
    a, b = pellets.half[shown, 0, None, None], pellets.half[shown, 1, None, None]
    angle, depth = pellets.angle[shown, None, None], pellets.depth[shown, None, None]
    cos, sin = np.cos(angle), np.sin(angle)
    squared = ((cos * dx + sin * dy) / a) ** 2 + ((cos * dy - sin * dx) / b) ** 2
    distance = (np.sqrt(squared) - 1) * b
    light = 1 - np.float32(0.45) * np.exp(-((np.maximum(distance, 0) / np.float32(2.2)) ** 2))
    height = np.sqrt(np.maximum(1 - squared, 0))
    tilt = (-0.55 * dx - 0.65 * dy) / ((a + b) / 2)
    # Gloss where the lamp is mirrored, glow where its light comes out on the far side.
    gloss = _spot(dx + 0.33 * a, dy + 0.36 * b, 3.2) * depth**3
    glow = _spot(dx - 0.38 * a, dy - 0.40 * b, 14.0)
    shade = depth * (0.66 + 0.26 * height + 0.20 * tilt + 0.10 * glow)
    body = pellets.colour[shown, None, None] * shade[..., None] + np.float32(0.38) * gloss[..., None]
    return np.asarray(body, dtype=np.float32), cover(distance)[..., None], np.asarray(light)[..., None]


def _spot(dx: Field, dy: Field, width: float) -> Field:
    """A round spot of light; the two axes are apart, so that each needs the exponential of a line alone."""
    return np.asarray(np.exp(-(dx**2) / np.float32(width)) * np.exp(-(dy**2) / np.float32(width)), dtype=np.float32)


def _well_inside(pellets: _Pellets) -> NDArray[np.intp]:
    """Numbers of the pellets of the top layer that lie well inside the image and little covered."""
    number = np.arange(len(pellets.centre))
    inside = ((pellets.centre > 20) & (pellets.centre < SIDE - 20)).all(axis=1)
    return number[inside & (number > 0.6 * len(number))]


def _top_pellet(pellets: _Pellets, flaws: np.random.Generator) -> int:
    """One of `_well_inside`."""
    return int(flaws.choice(_well_inside(pellets)))


def draw(scene: np.random.Generator, defect: str | None, flaws: np.random.Generator) -> tuple[Field, None]:
    """The tray.

    Args:
        scene: draws everything a sound tray varies in.
        defect: one of `DEFECTS`, or None.
        flaws: draws everything the defect varies in.

    Returns:
        ``[S, S, 3]`` picture, and None: pellets fill the image.
    """
    pellets = _poured(scene)
    grain = 1 + np.float32(0.012) * smooth_noise(scene, SIDE, 14)
    if defect == "discoloured":
        pellets = _discoloured(pellets, flaws)
    elif defect == "fused":
        pellets = _fused(pellets, flaws)
    picture = _photographed(pellets) * grain[..., None]
    if defect == "black_speck":
        picture = _specked(picture, pellets, flaws)
    elif defect == "foreign_body":
        picture = _littered(picture, flaws)
    return picture.astype(np.float32), None


def _discoloured(pellets: _Pellets, flaws: np.random.Generator) -> _Pellets:
    """Two to five neighbouring pellets burnt yellow to amber."""
    colour = pellets.colour.copy()
    burnt = np.array([0.78, 0.54, 0.24], dtype=np.float32)
    top = _well_inside(pellets)
    middle = pellets.centre[_top_pellet(pellets, flaws)]
    near = top[np.argsort(np.hypot(*(pellets.centre[top] - middle).T))[: flaws.integers(2, 6)]]
    colour[near] += (burnt - colour[near]) * np.float32(flaws.uniform(0.45, 1.0))
    return replace(pellets, colour=colour)


def _fused(pellets: _Pellets, flaws: np.random.Generator) -> _Pellets:
    """One pellet, drawn last, that is as large as two or three melted together."""
    one = _top_pellet(pellets, flaws)
    order = np.append(np.delete(np.arange(len(pellets.centre)), one), one)
    half = pellets.half.copy()
    half[one] = (flaws.uniform(16, 22), flaws.uniform(12, 14.5))
    return _Pellets(
        centre=pellets.centre[order],
        half=half[order],
        angle=pellets.angle[order],
        colour=pellets.colour[order],
        depth=pellets.depth[order],
    )


def _specked(picture: Field, pellets: _Pellets, flaws: np.random.Generator) -> Field:
    """Three to seven burnt specks within a pellet and about it."""
    x, y = pixel_centres()
    middle = pellets.centre[_top_pellet(pellets, flaws)]
    for _ in range(flaws.integers(3, 8)):
        place = middle + flaws.normal(0, 4.5, 2)
        distance = blob(flaws, x, y, (float(place[0]), float(place[1])), flaws.uniform(1.8, 3.8), 0.15)
        picture = paint(picture, (0.12, 0.09, 0.07), cover(distance, 1.3) * np.float32(flaws.uniform(0.65, 1.0)))
    return picture


def _littered(picture: Field, flaws: np.random.Generator) -> Field:
    """A splinter of wood, a chip of blue plastic or a flake of metal on top."""
    place = (flaws.uniform(24, SIDE - 24), flaws.uniform(24, SIDE - 24))
    x, y = turned(*pixel_centres(), flaws.uniform(0, 180), place)
    half = (flaws.uniform(9, 17), flaws.uniform(4.5, 8))
    distance = box(x, y + np.float32(0.015) * x**2, (0, 0), half, min(half) * 0.45)
    colours = ((0.52, 0.36, 0.20), (0.24, 0.40, 0.62), (0.40, 0.41, 0.43), (0.62, 0.30, 0.24))
    colour = np.array(colours[flaws.integers(len(colours))], dtype=np.float32)
    fibres = smooth_noise(flaws, SIDE, (0.8, 0.8))
    shade = 0.95 + np.float32(0.05) * fibres - np.float32(0.12) * y / np.float32(half[1])
    picture = picture * (1 - np.float32(0.4) * np.exp(-((np.maximum(distance, 0) / np.float32(1.7)) ** 2)))[..., None]
    return paint(np.asarray(picture, dtype=np.float32), (colour * shade[..., None]).astype(np.float32), cover(distance))
