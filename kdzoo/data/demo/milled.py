"""`milled`: a turned and drilled aluminium flange on a dark belt, lit from one side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kdzoo.data.demo.canvas import (
    SIDE,
    Field,
    blob,
    cover,
    paint,
    pixel_centres,
    smooth_noise,
    stroke,
    turned,
    wandering_line,
)

DEFECTS = ("dent", "rust", "scratch", "undrilled")

_HOLES = 3
_HOLE_CIRCLE = 44.0
_HOLE_RADIUS = 6.0
_BORE = 15.0
_BELT = (0.115, 0.125, 0.14)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The part's own polar frame: distances from its middle, and the outlines everything else is measured from."""

    x: Field
    y: Field
    radius: Field
    angle: Field
    outline: Field
    centre: tuple[float, float]
    degrees: float

    def at(self, radius: float, angle: float) -> tuple[float, float]:
        """A place on the part, in image coordinates; ``angle`` in radians."""
        world = angle + np.deg2rad(self.degrees)
        return self.centre[0] + radius * float(np.cos(world)), self.centre[1] + radius * float(np.sin(world))


def _placed(rng: np.random.Generator) -> _Part:
    centre = (SIDE / 2 + rng.normal(0, 1.3), SIDE / 2 + rng.normal(0, 1.3))
    degrees = rng.uniform(-5, 5)
    x, y = turned(*pixel_centres(), degrees, centre)
    x, y = x / np.float32(scale := rng.normal(1, 0.006)), y / np.float32(scale)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    lobes = 53 + 6 * np.cos(_HOLES * angle)
    steep = np.sqrt(1 + (18 * np.sin(_HOLES * angle) / np.maximum(radius, 24)) ** 2)
    return _Part(x=x, y=y, radius=radius, angle=angle, outline=(radius - lobes) / steep, centre=centre, degrees=degrees)


def _holes(part: _Part, undrilled: int | None) -> tuple[Field, Field]:
    """Signed distance to the nearest opening; unit of shading from the side the light comes from, on its rim."""
    distance = part.radius - np.float32(_BORE)
    facing = part.angle
    for number in range(_HOLES):
        if number == undrilled:
            continue
        turn = 2 * np.pi * number / _HOLES
        dx = part.x - np.float32(_HOLE_CIRCLE * np.cos(turn))
        dy = part.y - np.float32(_HOLE_CIRCLE * np.sin(turn))
        one = np.hypot(dx, dy) - np.float32(_HOLE_RADIUS)
        facing = np.where(one < distance, np.arctan2(dy, dx), facing)
        distance = np.minimum(distance, one)
    return distance, facing


def _metal(rng: np.random.Generator, part: _Part, holes: Field, facing: Field) -> Field:
    """Shade of the turned face: tool marks along circles, a sheen that follows the light, bevels at every edge."""
    light = np.float32(np.deg2rad(-125 - part.degrees + rng.normal(0, 4)))
    sheen = np.abs(np.cos(part.angle - light)) ** 5
    marks = np.interp(part.radius, np.arange(0, 100, 0.7), rng.normal(0, 1, 143)).astype(np.float32)
    grain = smooth_noise(rng, SIDE, 0.7)
    shade = 0.56 + 0.17 * sheen + 0.012 * marks * (0.5 + sheen) + 0.008 * grain
    # The face steps down in a groove at 27 px and up to a boss around the bore.
    shade -= 0.16 * np.exp(-(((part.radius - 27.5) / 1.0) ** 2)) - 0.10 * np.exp(-(((part.radius - 29.2) / 0.8) ** 2))
    boss = cover(part.radius - np.float32(26.5), 1.4)
    shade += boss * (0.05 + 0.05 * np.cos(2 * (part.angle - light)))
    outer = np.exp(-(((part.outline + 1.8) / 1.3) ** 2)) * np.cos(part.angle - light)
    inner = np.exp(-(((holes - 1.4) / 1.1) ** 2)) * np.cos(facing - light)
    return np.asarray(shade + 0.20 * outer - 0.20 * inner, dtype=np.float32)


def draw(scene: np.random.Generator, defect: str | None, flaws: np.random.Generator) -> tuple[Field, Field]:
    """The part on its belt.

    Args:
        scene: draws everything a sound part varies in.
        defect: one of `DEFECTS`, or None.
        flaws: draws everything the defect varies in.

    Returns:
        ``[S, S, 3]`` picture, and ``[S, S]`` coverage of the part's outline with its holes filled.
    """
    part = _placed(scene)
    holes, facing = _holes(part, int(flaws.integers(_HOLES)) if defect == "undrilled" else None)
    belt = np.float32(1) + np.float32(0.03) * smooth_noise(scene, SIDE, 1.2) + 0.03 * smooth_noise(scene, SIDE, 24)
    picture = np.asarray(_BELT, dtype=np.float32) * belt[..., None]
    shadow = cover(part.outline - np.float32(2.5), 9.0) * np.float32(0.55)
    picture = paint(picture, (0.03, 0.03, 0.035), shadow)
    shade = _metal(scene, part, holes, facing)
    if defect == "dent":
        shade = shade + _dent(part, flaws)
    warmth = np.float32(scene.normal(0, 0.006))
    metal = shade[..., None] * np.array([1.0 + warmth, 1.005, 1.03 - warmth], dtype=np.float32)
    if defect == "scratch":
        metal = _scratched(metal, part, flaws)
    if defect == "rust":
        metal = _rusted(metal, part, flaws)
    picture = paint(picture, metal, cover(part.outline) * cover(-holes))
    return np.asarray(np.clip(picture, 0, 1), dtype=np.float32), cover(part.outline)


def _on_face(part: _Part, flaws: np.random.Generator) -> tuple[float, float]:
    """A place on the solid ring between bore and holes."""
    return part.at(flaws.uniform(21, 39), flaws.uniform(-np.pi, np.pi))


def _dent(part: _Part, flaws: np.random.Generator) -> Field:
    """Change of shade around a hollow: dark on the side towards the light, bright on the other."""
    x, y = pixel_centres()
    place, width = _on_face(part, flaws), np.float32(flaws.uniform(3.5, 6.5))
    dx, dy = (x - np.float32(place[0])) / width, (y - np.float32(place[1])) / width
    slope = (dx + np.float32(1.4) * dy) * np.exp(-(dx**2 + dy**2))
    return np.asarray(np.float32(flaws.uniform(0.32, 0.65)) * slope, dtype=np.float32)


def _scratched(metal: Field, part: _Part, flaws: np.random.Generator) -> Field:
    """A thin line that catches the light, or lies dark, fading out at its ends."""
    x, y = pixel_centres()
    line = wandering_line(flaws, _on_face(part, flaws), flaws.uniform(28, 64), 0.06, spans=6)
    distance, along = stroke(x, y, line)
    width = np.float32(flaws.uniform(1.0, 2.0))
    fade = np.sin(np.pi * (0.12 + 0.76 * along)).astype(np.float32)
    tone = (0.95, 0.96, 0.98) if flaws.random() < 0.4 else (0.14, 0.14, 0.15)
    return paint(metal, tone, cover(distance - width) * fade * np.float32(flaws.uniform(0.7, 1.0)))


def _rusted(metal: Field, part: _Part, flaws: np.random.Generator) -> Field:
    """A brown bloom with a ragged edge, thicker in places."""
    x, y = pixel_centres()
    distance = blob(flaws, x, y, _on_face(part, flaws), flaws.uniform(6, 12), 0.2)
    patchy = np.clip(0.7 + 0.35 * smooth_noise(flaws, SIDE, 1.4), 0, 1)
    alpha = cover(distance, 3.5) * patchy * np.float32(flaws.uniform(0.55, 1.0))
    return paint(metal, (0.38, 0.19, 0.08), alpha.astype(np.float32))
