"""Epochs a second of the input pipeline: the decoded cache against decoding every epoch, in one run.

    python benchmarks/input.py --images 96 --source 900 --size 256 --batch 16

The peer is what most training code does: a `Dataset` that opens a PNG with Pillow, resizes it and makes a tensor, and a
`DataLoader` with one worker a core. Both give shuffled float batches `[B, 3, S, S]` in [0, 1] on the CPU. The cache's
epochs are measured after it was built; what building costs, and after how many epochs that is paid, stands beside it.
The peer has all cores, the cache's epochs one thread. The fastest epoch of each counts, by the clock and by processor
time, which also holds on a busy machine.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from kdzoo.data.cache.decoded import decode
from kdzoo.data.cores import usable_cores
from kdzoo.data.images import read_rgb
from kdzoo.data.samples import Sample
from kdzoo.training.images import ImageSource, shuffled_batches


@dataclass(frozen=True)
class Spent:
    wall: float
    processor: float


class DecodedEachTime(Dataset):
    """`[3, S, S]` float of an image, from its file every time."""

    def __init__(self, paths: list[Path], size: int) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self.paths[index]) as image:
            small = np.array(image.convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR))
        return torch.from_numpy(small).permute(2, 0, 1).float() / 255


def processor_seconds() -> float:
    """Of this process and of those that have ended below it."""
    used = os.times()
    return time.process_time() + used.children_user + used.children_system


def measure(work: Callable[[], object], times: int = 1) -> Spent:
    """The fastest of some times, by either measure."""
    spent = []
    for _ in range(times):
        wall, processor = time.perf_counter(), processor_seconds()
        work()
        spent.append((time.perf_counter() - wall, processor_seconds() - processor))
    return Spent(*map(min, zip(*spent, strict=True)))


def make_images(folder: Path, count: int, side: int) -> list[Path]:
    """Photograph-like PNGs: shading, structure and sensor noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side]
    paths = []
    for number in range(count):
        shading = 120 + 60 * np.sin(rows / 90 + number) * np.cos(columns / 70)
        noisy = shading[:, :, None] + rng.normal(0, 4, (side, side, 3))
        path = folder / f"{number:04}.png"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)
        paths.append(path)
    return paths


def loader_epoch(paths: list[Path], size: int, batch: int, workers: int) -> int:
    loader = DataLoader(DecodedEachTime(paths, size), batch_size=batch, shuffle=True, num_workers=workers)
    return sum(len(images) for images in loader)


def cache_epoch(source: ImageSource, batch: int, generator: np.random.Generator) -> int:
    return sum(len(source.batch(indices)) for indices in shuffled_batches(len(source), batch, generator))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=int, default=96)
    options.add_argument("--source", type=int, default=900, help="side of the PNGs")
    options.add_argument("--size", type=int, default=256, help="side after the resize")
    options.add_argument("--batch", type=int, default=16)
    options.add_argument("--epochs", type=int, default=20, help="of the cache; the peer takes three")
    options.add_argument("--workers", type=int, default=usable_cores())
    given = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_images(folder, given.images, given.source)
        samples = [Sample(id=path.name, path=path, split="train", defect_type="good") for path in paths]

        def build() -> ImageSource:
            part = decode(samples, size=given.size, cache_dir=folder / "cache", masks=False, workers=given.workers)
            return ImageSource(part.images, torch.device("cpu"))

        built = measure(build)
        opened = measure(build)
        source, generator = build(), np.random.default_rng(0)
        assert np.array_equal(source.images[0], read_rgb(paths[0], given.size))
        peer = measure(lambda: loader_epoch(paths, given.size, given.batch, given.workers), times=3)
        cached = measure(lambda: cache_epoch(source, given.batch, generator), times=given.epochs)
    print(
        f"{given.images} PNGs {given.source}x{given.source} to {given.size}x{given.size}, batch {given.batch}, ", end=""
    )
    print(f"{given.workers} workers, {usable_cores()} cores")
    print(f"{'':28}{'seconds':>10}{'processor s':>13}{'epochs/s':>10}")
    rows = (("DataLoader, an epoch", peer), ("decoded cache, an epoch", cached))
    for title, spent in (*rows, ("building the cache, once", built), ("opening it again", opened)):
        rate = f"{1 / spent.wall:10.2f}" if (title, spent) in rows else ""
        print(f"{title:28}{spent.wall:10.4f}{spent.processor:13.4f}{rate}")
    print(
        f"ratio {peer.wall / cached.wall:.0f} by the clock, {peer.processor / cached.processor:.0f} by processor time"
    )
    print(f"building is paid after {built.wall / (peer.wall - cached.wall):.1f} epochs")


if __name__ == "__main__":
    main()
