"""`weave`: indigo twill, two over two under, as a camera above a loom sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kdzoo.data.demo.canvas import (
    SIDE,
    Field,
    blob,
    cover,
    halved,
    paint,
    pixel_centres,
    smooth_noise,
    stroke,
    turned,
    wandering_line,
)

DEFECTS = ("broken_thread", "foreign_fibre", "mispick", "stain")

_PERIOD = 7.6


@dataclass(frozen=True, kw_only=True)
class _Flaw:
    """Changes to the weave itself, in thread numbers: warp threads lost, or weft threads that miss their turn.

    ``missing_warp`` is the first thread, how many, and where the loss begins and ends; ``mispick`` is the first row,
    how many, and the first thread and how many that are crossed wrongly.
    """

    missing_warp: tuple[int, int, float, float] | None = None
    mispick: tuple[int, int, int, int] | None = None


def _cloth(rng: np.random.Generator, flaw: _Flaw) -> Field:
    side = 2 * SIDE
    x, y = pixel_centres(side, 0.5)
    u, v = turned(x, y, rng.normal(0, 0.9), (SIDE / 2, SIDE / 2))
    period = np.float32(_PERIOD * rng.normal(1, 0.008))
    shift = rng.uniform(0, 4 * _PERIOD, 2).astype(np.float32)
    u = np.asarray((u + shift[0] + smooth_noise(rng, side, 40) * np.float32(0.55)) / period, dtype=np.float32)
    v = np.asarray((v + shift[1] + smooth_noise(rng, side, 40) * np.float32(0.55)) / period, dtype=np.float32)
    # How far across its thread a sample lies, from -0.5 to 0.5.
    across_warp, across_weft = u % 1 - np.float32(0.5), v % 1 - np.float32(0.5)
    warp, weft = np.floor(u).astype(np.int16), np.floor(v).astype(np.int16)

    over = ((warp + weft) & 3) < 2
    if flaw.mispick is not None:
        row, rows, first, count = flaw.mispick
        over ^= (weft >= row) & (weft < row + rows) & (warp >= first) & (warp < first + count)
    lost = np.zeros_like(over)
    if flaw.missing_warp is not None:
        thread, count, top, bottom = flaw.missing_warp
        lost = (warp >= thread) & (warp < thread + count) & (v >= np.float32(top)) & (v < np.float32(bottom))

    # A float spans two crossings; its back is highest in the middle of them.
    half_turn = np.float32(np.pi / 2)
    warp_back = np.abs(np.sin(half_turn * (v + (warp & 3))))
    weft_back = np.abs(np.sin(half_turn * (u + (weft & 3))))
    warp_height = np.sqrt(np.maximum(1 - 4 * across_warp**2, 0)) * (0.68 + 0.32 * warp_back)
    weft_height = np.sqrt(np.maximum(1 - 4 * across_weft**2, 0)) * (0.68 + 0.32 * weft_back)

    tones = rng.normal(1, 0.03, (2, 128)).astype(np.float32)
    along_warp = 1 + np.float32(0.06) * _fuzz(rng, (2.5, 0.4))
    along_weft = 1 + np.float32(0.06) * _fuzz(rng, (0.4, 2.5))
    warp_shade = (0.30 + 0.70 * warp_height) * tones[0, warp % 128] * along_warp
    weft_shade = (0.30 + 0.70 * weft_height) * tones[1, weft % 128] * along_weft
    indigo = np.array([0.25, 0.31, 0.47], dtype=np.float32) * rng.normal(1, 0.005, 3).astype(np.float32)
    ecru = np.array([0.74, 0.72, 0.66], dtype=np.float32) * rng.normal(1, 0.004, 3).astype(np.float32)
    cloth = np.where(over[..., None], indigo * warp_shade[..., None], ecru * weft_shade[..., None])
    bare = ecru * (weft_shade * (0.62 + 0.38 * np.minimum(1, 2 * np.abs(across_warp))))[..., None]
    return halved(np.where(lost[..., None], bare, cloth).astype(np.float32))


def _fuzz(rng: np.random.Generator, sigma: tuple[float, float]) -> Field:
    """Unevenness of the yarn, drawn out along it, at two samples a pixel."""
    return np.repeat(np.repeat(smooth_noise(rng, SIDE, sigma), 2, axis=0), 2, axis=1)


def draw(scene: np.random.Generator, defect: str | None, flaws: np.random.Generator) -> tuple[Field, None]:
    """The cloth.

    Args:
        scene: draws everything a sound cloth varies in.
        defect: one of `DEFECTS`, or None.
        flaws: draws everything the defect varies in.

    Returns:
        ``[S, S, 3]`` picture, and None: a texture has no background.
    """
    threads = SIDE / _PERIOD
    if defect == "broken_thread":
        middle, half = flaws.uniform(-0.3, 0.3) * threads, flaws.uniform(2, 5)
        column = int(flaws.uniform(-0.38, 0.38) * threads) + 2
        count = int(flaws.integers(1, 3))
        return _cloth(scene, _Flaw(missing_warp=(column, count, middle - half, middle + half))), None
    if defect == "mispick":
        row = int(flaws.uniform(-0.38, 0.38) * threads) + 2
        rows, first, count = int(flaws.integers(1, 4)), int(flaws.uniform(-8, 3)), int(flaws.integers(5, 12))
        return _cloth(scene, _Flaw(mispick=(row, rows, first, count))), None
    cloth = _cloth(scene, _Flaw())
    x, y = pixel_centres()
    place = (flaws.uniform(26, SIDE - 26), flaws.uniform(26, SIDE - 26))
    if defect == "stain":
        return _stained(cloth, flaws, blob(flaws, x, y, place, flaws.uniform(8, 20), 0.12)), None
    if defect == "foreign_fibre":
        distance, along = stroke(x, y, wandering_line(flaws, place, flaws.uniform(30, 85), 0.35, spans=10))
        width = np.float32(flaws.uniform(0.9, 1.8)) * (1 - np.float32(0.5) * along)
        colours = ((0.86, 0.84, 0.80), (0.62, 0.20, 0.18), (0.10, 0.10, 0.12), (0.75, 0.62, 0.25))
        strength = np.float32(flaws.uniform(0.6, 1.0))
        shaded = paint(cloth, (0.05, 0.06, 0.09), cover(distance - width - np.float32(0.8), 2.0) * np.float32(0.25))
        return paint(shaded, colours[flaws.integers(len(colours))], cover(distance - width) * strength), None
    return cloth, None


def _stained(cloth: Field, flaws: np.random.Generator, distance: Field) -> Field:
    """A dried drop: a little darker inside, darkest along its rim."""
    strength = np.float32(flaws.uniform(0.25, 0.55))
    tint = np.array(((0.75, 0.92, 1.15), (1.0, 1.0, 1.0), (0.85, 0.95, 1.05))[flaws.integers(3)], dtype=np.float32)
    inside = cover(distance, 3.0)
    rim = np.exp(-((distance + 1.5) ** 2) / np.float32(5.0)) * inside
    dose = strength * (np.float32(0.75) * inside + np.float32(0.5) * rim)
    return np.asarray(cloth * np.clip(1 - dose[..., None] * tint, 0, 1), dtype=np.float32)
