"""Synthetic anomalies a second: the batched `Perlin` against a loop over images, in one run.

    python benchmarks/synthesis.py --batch 16 --size 256

The loop is written as published training code writes it: each image by itself, with NumPy, SciPy and Pillow, its
texture photograph decoded from disk each time. A second row keeps its textures decoded in memory, so that the batched
way is also compared without the decoding it saves.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

from kdzoo.data.synthesis.fill import FolderTextures
from kdzoo.data.synthesis.perlin import Perlin, PerlinConfig
from kdzoo.data.textures import formula_textures


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


def one_by_one(rng, images, foreground, textures, config):
    """The plain way: `[B, H, W, 3]` images, a loop over them; `textures` gives one Pillow image."""
    size = images.shape[1]
    results, masks = [], []
    for image, room in zip(images, foreground):
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


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Best of `rounds` after one warm-up, in seconds."""
    work()
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def photographs(folder: Path, count: int, side: int) -> list[Path]:
    """Writes textures by formula as JPEG photographs of the size that DTD's have."""
    generator = torch.Generator().manual_seed(1)
    pixels = (formula_textures(count, side, generator, "cpu") * 255).byte().permute(0, 2, 3, 1).numpy()
    files = [folder / f"{number:03d}.jpg" for number in range(count)]
    for file, one in zip(files, pixels):
        buffer = io.BytesIO()
        Image.fromarray(one).save(buffer, "JPEG", quality=92)
        file.write_bytes(buffer.getvalue())
    return files


def measure(batch: int, size: int, rounds: int, device: str) -> list[tuple[str, float]]:
    """Images a second of each way."""
    config = PerlinConfig()
    with tempfile.TemporaryDirectory() as folder:
        files = photographs(Path(folder), 24, 480)
        kept = [Image.open(file).convert("RGB").resize((size, size)) for file in files]
        stored = FolderTextures(Path(folder), size)
        generator = torch.Generator(device).manual_seed(0)
        images = torch.rand((batch, 3, size, size), generator=generator, device=device)
        room = torch.ones((batch, 1, size, size), dtype=torch.bool, device=device)
        rng = np.random.default_rng(0)
        pixels, plain_room = (
            np.random.default_rng(1).random((batch, size, size, 3), dtype=np.float32),
            np.ones((batch, size, size), dtype=bool),
        )

        def decoded(draw):
            with Image.open(files[draw.integers(len(files))]) as picture:
                return picture.convert("RGB").resize((size, size))

        def batched(synthesizer):
            result = synthesizer(images, room, generator)
            if device != "cpu":
                torch.cuda.synchronize()
            return result

        # Work differs from draw to draw: each timed piece is eight batches.
        ways = {
            "loop, decodes each texture": lambda: one_by_one(rng, pixels, plain_room, decoded, config),
            "loop, textures in memory": lambda: one_by_one(
                rng, pixels, plain_room, lambda draw: kept[draw.integers(len(kept))], config
            ),
            "batched, folder of textures": lambda: batched(Perlin(config, stored)),
            "batched, textures by formula": lambda: batched(Perlin(config)),
        }
        pieces = 8
        return [
            (name, pieces * batch / seconds(lambda way=way: [way() for _ in range(pieces)], rounds))
            for name, way in ways.items()
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=256, help="side in pixels; a multiple of 32, which the loop needs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="PyTorch threads")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = measure(options.batch, options.size, options.rounds, options.device)
    print(f"batch {options.batch}, {options.size}x{options.size}, {options.device}, {options.threads} threads")
    print(f"{'':32s}{'images/s':>10s}{'ratio':>8s}")
    for name, speed in rows:
        print(f"{name:32s}{speed:10.1f}{speed / rows[0][1]:8.1f}")


if __name__ == "__main__":
    main()
