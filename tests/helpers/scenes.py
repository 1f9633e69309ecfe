"""Drawn photographs of products whose foreground is known, for the tests and the benchmark of foreground masks.

Letters: N images, S side. Every scene gives images ``[N, S, S, 3]`` uint8 and the truth ``[N, S, S]`` bool.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from kdzoo.data.demo import render_demo

Field = np.ndarray
Shape = Callable[[np.random.Generator, int], Field]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A category: what it shows, on what background, in what light.

    Attributes:
        shape: draws where the object is, ``[S, S]`` bool; None for nothing.
        surface: what is drawn is a surface's pattern: the foreground is the whole image.
        background: grey level, or three for a colour.
        product: the object's grey level or colour.
        noise: standard deviation of the sensor's noise, grey levels.
        vignette: share of the light that the corners lack.
        slope: share of the light that one side lacks.
        grain: standard deviation of the background's own cloudiness, grey levels.
        stripes: share of the object's contrast to the background that its stripes lack; 1 for the background's colour.
        shadow: share of the background's light that the object's shadow takes.
    """

    shape: Shape | None
    surface: bool = False
    background: float | tuple[float, float, float]
    product: float | tuple[float, float, float]
    noise: float = 2.0
    vignette: float = 0.0
    slope: float = 0.0
    grain: float = 0.0
    stripes: float = 0.0
    shadow: float = 0.0


def _grid(side: int) -> tuple[Field, Field]:
    """Coordinates from -1 to 1."""
    y, x = np.mgrid[:side, :side] / ((side - 1) / 2) - 1
    return y, x


def blob(radius: float, wander: float = 0.05) -> Shape:
    """A round thing with a wavy outline near the middle; the radius in half sides."""

    def draw(rng: np.random.Generator, side: int) -> Field:
        y, x = _grid(side)
        y, x = y - rng.normal(0, wander), x - rng.normal(0, wander)
        angle, turn = np.arctan2(y, x), rng.uniform(0, 2 * np.pi)
        return np.hypot(y, x) < radius * (1 + 0.08 * np.cos(3 * angle + turn) + 0.05 * np.cos(5 * angle - turn))

    return draw


def bar(length: float, width: float) -> Shape:
    """A bar at any angle, such as a screw; half length and half width in half sides."""

    def draw(rng: np.random.Generator, side: int) -> Field:
        y, x = _grid(side)
        angle = rng.uniform(0, np.pi)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        return (np.abs(along) < length) & (np.abs(across) < width)

    return draw


def several(rows: int, columns: int, radius: float) -> Shape:
    """Things in a grid, each a little beside its place."""

    def draw(rng: np.random.Generator, side: int) -> Field:
        y, x = _grid(side)
        found = np.zeros((side, side), bool)
        for row in range(rows):
            for column in range(columns):
                middle = [
                    (2 * (at + 0.5) / count - 1) + rng.normal(0, 0.02) for at, count in ((row, rows), (column, columns))
                ]
                found |= np.hypot(y - middle[0], x - middle[1]) < radius
        return found

    return draw


def strip(width: float, wander: float = 0.05) -> Shape:
    """From the upper to the lower edge, such as a zipper."""

    def draw(rng: np.random.Generator, side: int) -> Field:
        y, x = _grid(side)
        return np.abs(x - rng.normal(0, wander) - 0.05 * np.sin(3 * y + rng.uniform(0, 6))) < width

    return draw


def lying_in(depth: float) -> Shape:
    """A round thing that the lower edge cuts off; ``depth`` of its middle below the middle of the image."""

    def draw(rng: np.random.Generator, side: int) -> Field:
        y, x = _grid(side)
        return np.hypot(y - depth - rng.normal(0, 0.03), x - rng.normal(0, 0.03)) < 0.6

    return draw


def lattice(period: float, width: float) -> Shape:
    """Crossing lines from edge to edge, such as a wire mesh."""

    def draw(rng: np.random.Generator, side: int) -> Field:
        y, x = _grid(side)
        shift = rng.uniform(0, period, 2)
        return ((y + shift[0]) % period < width) | ((x + shift[1]) % period < width)

    return draw


def scattered(count: int, radius: float) -> Shape:
    """Spots anywhere, such as the chips of a floor tile."""

    def draw(rng: np.random.Generator, side: int) -> Field:
        y, x = _grid(side)
        found = np.zeros((side, side), bool)
        for row, column in rng.uniform(-1.1, 1.1, (count, 2)):
            found |= np.hypot(y - row, x - column) < radius * rng.uniform(0.5, 1)
        return found

    return draw


def render(scene: Scene, count: int, side: int = 256, seed: int = 0) -> tuple[Field, Field]:
    """Draws a scene: ``count`` photographs and where the product is in each."""
    drawn = [_photograph(scene, np.random.default_rng((seed, number)), side) for number in range(count)]
    return np.stack([image for image, _ in drawn]), np.stack([truth for _, truth in drawn])


def _photograph(scene: Scene, rng: np.random.Generator, side: int) -> tuple[Field, Field]:
    y, x = _grid(side)
    picture = np.broadcast_to(np.asarray(scene.background, float), (side, side, 3)).copy()
    if scene.grain:
        cloud = ndimage.gaussian_filter(rng.standard_normal((side, side)), 3)
        picture += (scene.grain * cloud / cloud.std())[..., None]
    truth = np.zeros((side, side), bool)
    if scene.shape is not None:
        truth = scene.shape(rng, side)
        if scene.shadow:
            away = round(0.03 * side)
            fallen = ndimage.gaussian_filter(np.roll(truth, (away, away), (0, 1)).astype(float), 0.02 * side)
            picture *= 1 - scene.shadow * fallen[..., None]
        cover = ndimage.gaussian_filter(truth.astype(float), 0.7)[..., None]
        tone = np.broadcast_to(np.asarray(scene.product, float), picture.shape).copy()
        tone += 6 * ndimage.gaussian_filter(rng.standard_normal((side, side)), 2)[..., None]
        if scene.stripes:
            dark = (np.sin(12 * np.pi * (x + 0.3 * y)) > 0.5)[..., None]
            tone = np.where(dark, tone + scene.stripes * (np.asarray(scene.background) - tone), tone)
        picture = picture + cover * (tone - picture)
    light = 1 - scene.vignette * (x**2 + y**2) / 2 - scene.slope * (x + 1) / 2
    picture = picture * light[..., None] * rng.normal(1, 0.02)
    picture += rng.normal(0, scene.noise, (side, side, 1))
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8), truth | scene.surface


_LIGHT, _DARK = {"background": 225, "product": 90}, {"background": 22, "product": 150}
_PLAIN = Scene(shape=blob(0.55), background=225, product=90)


SCENES: dict[str, Scene] = {
    "light": _PLAIN,
    "dark": replace(_PLAIN, **_DARK),
    "light, noisy": replace(_PLAIN, noise=14),
    "dark, noisy": replace(_PLAIN, **_DARK, noise=14),
    "light, vignette": replace(_PLAIN, vignette=0.35),
    "dark, vignette": replace(_PLAIN, **_DARK, vignette=0.45),
    "light, lit from a side": replace(_PLAIN, slope=0.3),
    "light, vignette and noise": replace(_PLAIN, vignette=0.3, noise=10),
    "dark belt, cloudy": replace(_PLAIN, background=40, product=150, grain=6),
    "light, with a shadow": replace(_PLAIN, shadow=0.3),
    "little contrast": replace(_PLAIN, background=150, product=115),
    "a colour of equal grey": replace(_PLAIN, background=(150, 150, 150), product=(205, 128, 128)),
    "striped like the background": replace(_PLAIN, **_DARK, stripes=0.9),
    "large": replace(_PLAIN, shape=blob(0.85, 0.02)),
    "small": replace(_PLAIN, shape=blob(0.2)),
    "thin": replace(_PLAIN, shape=bar(0.8, 0.08)),
    "several, light": replace(_PLAIN, shape=several(2, 2, 0.3)),
    "several, dark": replace(_PLAIN, **_DARK, shape=several(3, 3, 0.2)),
    "cut off by an edge, light": replace(_PLAIN, shape=lying_in(0.6)),
    "cut off by an edge, dark": replace(_PLAIN, **_DARK, shape=lying_in(0.6)),
    "from edge to edge, light": replace(_PLAIN, shape=strip(0.35)),
    "from edge to edge, dark": replace(_PLAIN, **_DARK, shape=strip(0.35)),
}
"""Objects on a background, by what is hard about each."""

_SURFACE = Scene(shape=None, surface=True, background=170, product=60)

SURFACES: dict[str, Scene] = {
    "flat": _SURFACE,
    "lit from a side": replace(_SURFACE, slope=0.4),
    "vignette": replace(_SURFACE, vignette=0.45),
    "cloudy": replace(_SURFACE, grain=25),
    "wire mesh": replace(_SURFACE, shape=lattice(0.4, 0.12)),
    "wide mesh": replace(_SURFACE, shape=lattice(0.9, 0.25)),
    "few chips": replace(_SURFACE, shape=scattered(25, 0.12)),
    "many chips": replace(_SURFACE, shape=scattered(80, 0.14)),
    "coarse chips": replace(_SURFACE, shape=scattered(14, 0.3)),
}
"""Surfaces that fill the image."""

FILLING: dict[str, Scene] = {
    "light": replace(_PLAIN, shape=blob(1.2, 0.02)),
    "dark": replace(_PLAIN, **_DARK, shape=blob(1.2, 0.02)),
}
"""Objects that cover most of the frame, by what the background is."""


def demo(category: str, count: int) -> tuple[Field, Field]:
    """A demo category and its foreground, known from the drawing."""
    drawn = [render_demo(category, "train", "good", number) for number in range(count)]
    return np.stack([one.image for one in drawn]), np.stack([one.foreground for one in drawn])


def iou(found: Field, truth: Field) -> Field:
    """Intersection over union of each mask with its truth: ``[N]``."""
    return (found & truth).sum(axis=(1, 2)) / np.maximum((found | truth).sum(axis=(1, 2)), 1)
