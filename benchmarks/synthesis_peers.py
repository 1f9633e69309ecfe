"""Synthetic anomalies one image at a time, as published training code makes them: NumPy, SciPy and Pillow in a loop.

They take the numbers of the batched ways' own configurations, so that both make the same anomalies of the same size,
as often. Images are `[B, H, W, 3]` float32 in [0, 1], but Pillow images for CutPaste; results are such arrays and bool
masks `[B, H, W]`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage


def perlin_2d(rng, size, cells):
    """Perlin noise of one image, `[size, size]`; the cells must divide the size."""
    step = size // cells[0], size // cells[1]
    rows, columns = np.meshgrid(
        np.arange(size) / size * cells[0] % 1, np.arange(size) / size * cells[1] % 1, indexing="ij"
    )
    angles = 2 * np.pi * rng.random((cells[0] + 1, cells[1] + 1))
    gradients = np.stack([np.cos(angles), np.sin(angles)], axis=-1)

    def corner(down, right):
        spread = gradients[down : down + cells[0], right : right + cells[1]].repeat(step[0], 0).repeat(step[1], 1)
        return (np.stack([rows - down, columns - right], axis=-1) * spread).sum(axis=-1)

    def fade(t):
        return 6 * t**5 - 15 * t**4 + 10 * t**3

    down, right = fade(rows), fade(columns)
    upper = corner(0, 0) * (1 - right) + corner(0, 1) * right
    lower = corner(1, 0) * (1 - right) + corner(1, 1) * right
    return np.sqrt(2) * (upper * (1 - down) + lower * down)


def augmented(rng, texture):
    """Three of ten operations on one Pillow image."""
    operations: list[Callable[[Image.Image], Image.Image]] = [
        lambda one: Image.fromarray((255 * (np.asarray(one) / 255.0) ** rng.uniform(0.5, 2)).astype(np.uint8)),
        lambda one: ImageEnhance.Brightness(one).enhance(rng.uniform(0.8, 1.2)),
        lambda one: ImageEnhance.Sharpness(one).enhance(rng.uniform(0.2, 3)),
        lambda one: ImageEnhance.Color(one).enhance(rng.uniform(0.4, 1.6)),
        lambda one: ImageOps.solarize(one, int(rng.uniform(32, 128))),
        lambda one: ImageOps.posterize(one, int(rng.integers(1, 5))),
        ImageOps.invert,
        ImageOps.autocontrast,
        ImageOps.equalize,
        lambda one: one.rotate(rng.uniform(-45, 45), Image.Resampling.BILINEAR),
    ]
    for number in rng.choice(len(operations), 3, replace=False):
        texture = operations[number](texture)
    return np.asarray(texture, dtype=np.float32) / 255


def perlin(rng, images, foreground, textures, config):
    """DRAEM's way; `textures` gives one Pillow image."""
    size = images.shape[1]
    results, masks = [], []
    for image, room in zip(images, foreground, strict=True):
        mask = np.zeros((size, size), dtype=bool)
        if rng.random() < config.probability:
            for _ in range(config.max_redraws):
                low, high = config.min_scale_exponent, config.max_scale_exponent + 1
                noise = perlin_2d(rng, size, tuple(2 ** rng.integers(low, high, 2)))
                noise = ndimage.rotate(noise, rng.uniform(-config.rotation, config.rotation), reshape=False, order=1)
                mask = (noise > config.threshold) & room
                if mask.sum() > config.min_pixels:
                    break
            texture = augmented(rng, textures(rng))
            blend = rng.uniform(config.blend_low, config.blend_high)
            image = np.where(mask[..., None], (1 - blend) * texture + blend * image, image)
        results.append(image)
        masks.append(mask)
    return np.stack(results), np.stack(masks)


def nsa(rng, images, foreground, config):
    """The patch swaps of NSA's released code in its mode without Poisson blending, which ours has not either."""
    results, masks = [], []
    for image, room in zip(images, foreground, strict=True):
        result, mask = image.copy(), np.zeros(room.shape, dtype=bool)
        for number in range(config.patches if rng.random() < config.probability else 0):
            if number == 0 or rng.random() < 0.5:
                swap_patch(rng, image, room, result, mask, config)
        results.append(result)
        masks.append(mask)
    return np.stack(results), np.stack(masks)


def swap_patch(rng, image, room, result, mask, config):
    """Cuts one patch of an image and pastes it on `result` and `mask`, if draws that keep the rules are found."""
    height, width = room.shape
    for _ in range(config.max_draws):
        tall, wide = (
            2 * max(1, round(np.clip(config.size_offset + rng.gamma(2, config.size_scale), low, high) * side))
            for side, low, high in (
                (height, config.rows_low, config.rows_high),
                (width, config.columns_low, config.columns_high),
            )
        )
        top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
        if room[top : top + tall, left : left + wide].sum() >= config.min_object_pct * tall * wide:
            break
    else:
        return
    for _ in range(config.max_draws):
        row, column = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
        there = room[row : row + tall, column : column + wide]
        if there.sum() >= config.min_overlap_pct * tall * wide and (row, column) != (top, left):
            break
    else:
        return
    target = result[row : row + tall, column : column + wide]
    np.copyto(target, image[top : top + tall, left : left + wide], where=there[..., None])
    mask[row : row + tall, column : column + wide] |= there


def cutpaste(rng, pictures, config):
    """CutPaste's way, on Pillow images of one size; it knows no foreground."""
    results, masks = [], []
    for picture in pictures:
        result, mask = picture.copy(), Image.new("L", picture.size)
        if rng.random() < config.probability:
            paste_piece(rng, picture, result, mask, config)
        results.append(np.asarray(result, dtype=np.float32) / 255)
        masks.append(np.asarray(mask) > 0)
    return np.stack(results), np.stack(masks)


def paste_piece(rng, picture, result, mask, config):
    """Pastes one recoloured rectangle or turned scar of a picture on `result`, and where it lies on `mask`."""
    width, height = picture.size
    is_scar = rng.random() < config.scar_share
    if is_scar:
        side = min(width, height)
        tall = round(rng.uniform(config.scar_length_low, config.scar_length_high) * side)
        wide = round(rng.uniform(config.scar_width_low, config.scar_width_high) * side)
    else:
        area = rng.uniform(config.area_low, config.area_high) * width * height
        ratio = math.exp(rng.uniform(-1, 1) * math.log(config.aspect))
        tall, wide = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
    left, top = rng.integers(0, width - wide + 1), rng.integers(0, height - tall + 1)
    piece = recoloured(rng, picture.crop((left, top, left + wide, top + tall)), config.jitter)
    shape = Image.new("L", piece.size, 255)
    if is_scar:
        turn = rng.uniform(-config.scar_rotation, config.scar_rotation)
        piece, shape = piece.rotate(turn, expand=True), shape.rotate(turn, expand=True)
    place = int(rng.integers(0, width - piece.width + 1)), int(rng.integers(0, height - piece.height + 1))
    result.paste(piece, place, shape)
    mask.paste(255, place, shape)


def recoloured(rng, piece, jitter):
    """Brightness, contrast, saturation and hue changed by up to a share, in random order."""

    def hue(one):
        channels = list(one.convert("HSV").split())
        turn = int(rng.uniform(-jitter, jitter) * 255)
        channels[0] = Image.fromarray(np.asarray(channels[0]) + np.uint8(turn % 256))
        return Image.merge("HSV", channels).convert("RGB")

    operations = [
        lambda one: ImageEnhance.Brightness(one).enhance(1 + rng.uniform(-jitter, jitter)),
        lambda one: ImageEnhance.Contrast(one).enhance(1 + rng.uniform(-jitter, jitter)),
        lambda one: ImageEnhance.Color(one).enhance(1 + rng.uniform(-jitter, jitter)),
        hue,
    ]
    for number in rng.permutation(len(operations)):
        piece = operations[number](piece)
    return piece
