"""The backdrop of a product: a smooth surface of colour, fitted to an image's frame past all that touches it.

A lamp at one side or a lens that darkens its corners makes a plain table anything but one colour; both are well
described by a polynomial of second degree in the image's coordinates.

Letters: N images, H height, W width, P pixels of the frame, T = 6 terms of the polynomial.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Background = Literal["any", "light", "dark"]

_FRAME = 0.04
"""Width of the frame, as a share of the shorter side."""
_START = {"any": 50.0, "light": 90.0, "dark": 10.0}
"""Percentile of the frame's pixels, by brightness, that the fit starts from: what lies far from it weighs nothing."""
_WIDTHS = (60.0, 40.0, 28.0, 20.0, 14.0, 10.0, 10.0)
"""Grey levels of 255 at which a pixel's weight has fallen to a quarter, step by step.

From wide to narrow (graduated non-convexity, Blake and Zisserman 1987): the first steps follow the light across the
frame, the last ones shut out a product that touches it.
"""
_NAMED_WIDTHS = (20.0, 20.0, *_WIDTHS[4:])
"""The same where the background is named: its level is known, and wide steps would follow a product that fills the
frame instead."""
_STIFFNESS = 1e-3
"""Pull of all but the constant term to 0, in pixels of the frame: the middle of the image is extrapolated."""


def frame_of(height: int, width: int) -> NDArray[np.bool_]:
    """The frame of an image, a few per cent wide: ``[H, W]`` bool."""
    thick = max(1, round(_FRAME * min(height, width)))
    frame = np.ones((height, width), dtype=bool)
    frame[thick:-thick, thick:-thick] = False
    return frame


def widest(differences: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest of three channels' differences, without sign: ``[..., 3]`` to ``[...]``."""
    red, green, blue = (np.abs(differences[..., channel]) for channel in range(3))
    # Not a maximum over the axis of three, which takes several times as long.
    return np.asarray(np.maximum(np.maximum(red, green), blue), dtype=np.float32)


def fit_backdrop(
    images: NDArray[np.float32], frame: NDArray[np.bool_], background: Background = "any"
) -> NDArray[np.float32]:
    """What each image would show without its product.

    Least squares over the frame, its pixels weighted anew at each step by how well the step before explained them
    (weights of Geman and McClure).

    Args:
        images: ``[N, H, W, 3]`` float32 in [0, 255].
        frame: ``[H, W]`` bool, from `frame_of`.
        background: ``light`` or ``dark`` when the product may cover most of the frame; ``any`` takes what most of it
            shows.

    Returns:
        ``[N, H, W, 3]`` float32; may leave [0, 255] a little.
    """
    terms = _terms(images.shape[1], images.shape[2])
    design = terms[frame]
    pixels = images[:, frame]
    squares = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    stiffness = _STIFFNESS * len(design) * np.diag([0.0, *[1.0] * (terms.shape[2] - 1)])
    fitted = _start(pixels, background)[:, None, :]
    solution = np.zeros((len(images), terms.shape[2], 3), np.float32)
    for width in _WIDTHS if background == "any" else _NAMED_WIDTHS:
        residual = widest(pixels - fitted)
        weights = (width**2 / (width**2 + residual**2)) ** 2
        normal = (weights @ squares).reshape(len(images), terms.shape[2], -1) + stiffness
        right = np.einsum("pt,npc->ntc", design, weights[:, :, None] * pixels, optimize=True)
        solution = np.linalg.solve(normal, right).astype(np.float32)
        fitted = design @ solution
    surface = terms.reshape(-1, terms.shape[2]) @ solution
    return np.asarray(surface.reshape(images.shape), dtype=np.float32)


def _start(pixels: NDArray[np.float32], background: Background) -> NDArray[np.float32]:
    """One colour an image, ``[N, 3]``: that of the pixels near the percentile of brightness."""
    if background == "any":
        return np.asarray(np.median(pixels, axis=1), dtype=np.float32)
    brightness = pixels.mean(axis=2)
    level = np.percentile(brightness, _START[background], axis=1)[:, None]
    near = np.abs(brightness - level) <= _WIDTHS[-1]
    return np.asarray((pixels * near[:, :, None]).sum(axis=1) / near.sum(axis=1)[:, None], dtype=np.float32)


def _terms(height: int, width: int) -> NDArray[np.float32]:
    """The polynomial's terms at every pixel, coordinates from -1 to 1: ``[H, W, T]``."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).astype(np.float32)
