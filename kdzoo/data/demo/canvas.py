"""Drawing by formula: signed distances to coverage, smooth noise, blobs and strokes, one photograph's exposure.

Letters: S is the image's side in pixels. Pictures are ``[S, S, 3]`` float32 in [0, 1], fields are ``[S, S]`` float32;
distances are in pixels, negative inside a shape.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Field: TypeAlias = NDArray[np.float32]

SIDE = 144
"""Side of a demo image in pixels."""


def pixel_centres(side: int = SIDE, step: float = 1.0) -> tuple[Field, Field]:
    """Coordinates of the pixel centres.

    Args:
        side: samples a side.
        step: distance between samples in pixels; 0.5 samples an image of ``side / 2`` pixels twice a side.

    Returns:
        ``x`` and ``y``, ``[side, side]``, in pixels.
    """
    line = (np.arange(side, dtype=np.float32) + np.float32(0.5)) * np.float32(step)
    x, y = np.meshgrid(line, line)
    return x, y


def turned(x: Field, y: Field, degrees: float, centre: tuple[float, float]) -> tuple[Field, Field]:
    """Coordinates seen from a frame at ``centre`` that is rotated by ``degrees``."""
    angle = np.deg2rad(degrees)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    return np.asarray(cos * dx + sin * dy), np.asarray(cos * dy - sin * dx)


def cover(distance: Field, softness: float = 1.0) -> Field:
    """Anti-aliased coverage in [0, 1] of the shape whose signed distance is given; the edge is ``softness`` wide."""
    return np.asarray(np.clip(np.float32(0.5) - distance / np.float32(softness), 0, 1), dtype=np.float32)


def box(x: Field, y: Field, centre: tuple[float, float], half: tuple[float, float], corner: float = 0.0) -> Field:
    """Signed distance to a box with rounded corners."""
    dx = np.abs(x - np.float32(centre[0])) - np.float32(half[0] - corner)
    dy = np.abs(y - np.float32(centre[1])) - np.float32(half[1] - corner)
    outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
    return np.asarray(outside + np.minimum(np.maximum(dx, dy), 0) - np.float32(corner), dtype=np.float32)


def stroke(x: Field, y: Field, points: NDArray[np.float64]) -> tuple[Field, Field]:
    """Distance to a polyline, and how far along it the nearest point lies.

    Args:
        x: coordinates.
        y: coordinates.
        points: ``[P, 2]`` corners of the polyline as x, y.

    Returns:
        ``[S, S]`` distance (never negative) and ``[S, S]`` position in [0, 1].
    """
    best = np.full_like(x, np.inf)
    along = np.zeros_like(x)
    spans = len(points) - 1
    for number, (start, stop) in enumerate(zip(points[:-1].astype(np.float32), points[1:].astype(np.float32))):
        span = stop - start
        t = ((x - start[0]) * span[0] + (y - start[1]) * span[1]) / max(float(span @ span), 1e-6)
        t = np.clip(t, 0, 1).astype(np.float32)
        distance = np.hypot(x - start[0] - t * span[0], y - start[1] - t * span[1])
        nearer = distance < best
        best = np.where(nearer, distance, best)
        along = np.where(nearer, (number + t) / np.float32(spans), along)
    return best, along


def wandering_line(
    rng: np.random.Generator, start: tuple[float, float], length: float, bend: float, spans: int = 8
) -> NDArray[np.float64]:
    """A smooth line that turns at random.

    Args:
        rng: source of randomness.
        start: its first point.
        length: its length in pixels.
        bend: standard deviation of the turn, in radians a span.
        spans: how many straight pieces it is made of.

    Returns:
        ``[spans + 1, 2]`` points.
    """
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, bend, spans))
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) * (length / spans)
    return np.concatenate([[start], np.asarray(start) + np.cumsum(steps, axis=0)])


def blob(
    rng: np.random.Generator, x: Field, y: Field, centre: tuple[float, float], radius: float, rough: float
) -> Field:
    """Signed distance (nearly) to a round shape whose outline wobbles.

    Args:
        rng: source of randomness.
        x: coordinates.
        y: coordinates.
        centre: its middle.
        radius: its mean radius in pixels.
        rough: how much the outline wobbles, as a fraction of the radius.
    """
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    stretch = np.float32(rng.uniform(0.75, 1.0))
    angle = np.arctan2(dy * stretch, dx)
    outline = np.full_like(x, radius)
    for order in range(2, 8):
        height = radius * rough * rng.normal() / order**0.8
        outline += np.float32(height) * np.cos(order * angle + np.float32(rng.uniform(0, 2 * np.pi)))
    return np.asarray(np.hypot(dx, dy * stretch) - outline, dtype=np.float32)


def smooth_noise(rng: np.random.Generator, side: int, sigma: float | tuple[float, float]) -> Field:
    """Gaussian noise smoothed by ``sigma`` pixels (rows, columns), scaled to mean 0 and standard deviation 1."""
    widest = max(sigma) if isinstance(sigma, tuple) else sigma
    if isinstance(sigma, float | int) and widest >= 8:
        # Wide noise holds nothing a coarse grid would miss, and costs a sixteenth there.
        coarse = smooth_noise(rng, side // 4, widest / 4)
        fine = np.repeat(np.repeat(coarse, 4, axis=0), 4, axis=1)
        return np.asarray(ndimage.uniform_filter(fine, 4, mode="wrap"), dtype=np.float32)
    noise = ndimage.gaussian_filter(rng.standard_normal((side, side), dtype=np.float32), sigma, mode="wrap", truncate=3)
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float32)


def paint(picture: Field, colour: Field | tuple[float, float, float], alpha: Field) -> Field:
    """The picture with ``colour`` laid over it where ``alpha`` is 1."""
    layer = np.asarray(colour, dtype=np.float32)
    return np.asarray(picture + (layer - picture) * alpha[..., None], dtype=np.float32)


def halved(picture: Field) -> Field:
    """A picture of half the side, each pixel the mean of four samples."""
    rows, columns, channels = picture.shape
    samples = picture.reshape(rows // 2, 2, columns // 2, 2, channels)
    return np.asarray(samples.mean(axis=(1, 3)), dtype=np.float32)


class Exposure:
    """The light and the camera of one photograph, the same for an image and its defective twin.

    Args:
        rng: source of randomness.
        drift: how far brightness and colour wander from photograph to photograph.
        noise: standard deviation of the sensor's noise, in grey levels of 255.
    """

    def __init__(self, rng: np.random.Generator, *, drift: float = 0.025, noise: float = 0.6) -> None:
        x, y = pixel_centres()
        angle = rng.uniform(0, 2 * np.pi)
        slope = (np.cos(angle) * (x - SIDE / 2) + np.sin(angle) * (y - SIDE / 2)) / (SIDE / 2)
        vignette = ((x - SIDE / 2) ** 2 + (y - SIDE / 2) ** 2) / (SIDE**2 / 2)
        gain = 1 + rng.normal(0, drift) + abs(rng.normal(0, drift * 0.8)) * slope - rng.uniform(0.02, 0.07) * vignette
        tint = 1 + rng.normal(0, drift * 0.2, 3)
        self._gain = (gain[..., None] * tint).astype(np.float32)
        self._noise = rng.normal(0, noise, (SIDE, SIDE, 1)).astype(np.float32)

    def lit(self, picture: Field) -> Field:
        """The picture under this light, without noise, in grey levels."""
        return np.asarray(picture * self._gain * np.float32(255), dtype=np.float32)

    def develop(self, lit: Field) -> NDArray[np.uint8]:
        """Adds the sensor's noise and rounds to the even bytes: a camera of seven bits.

        The eighth would be mostly noise, and makes the files a quarter larger.
        """
        return np.asarray(2 * np.clip(np.rint((lit + self._noise) / 2), 0, 127), dtype=np.uint8)
