"""Memory of processes that read one decoded cache at the same time (Linux).

    python benchmarks/cache_memory.py --images 400 --size 256 --processes 1 2 4

Each process goes over the whole part a few times, as trials on one node do, and then reads `/proc/self/smaps_rollup`
while all the others are still there. `unique` (USS) is what would be freed if it ended alone, most of it PyTorch,
`grown` how much that is more than before the cache was opened; `proportional` (PSS) is its share of everything, whose
sum over the processes is what all of them take together. A file that one process alone has mapped counts as unique.
`of the cache` is the sum of the shares of the mapped file alone: with one copy a node it stays at the file's size.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from kdzoo.data.cache.decoded import decode
from kdzoo.data.samples import Sample
from kdzoo.training.images import ImageSource, shuffled_batches

MB = 1e6


def memory(kind: str = "smaps_rollup", only: str | None = None) -> dict[str, int]:
    """Bytes by name of this process; of `smaps` those of mappings whose file's name ends with `only`."""
    sums: dict[str, int] = {}
    counted = only is None
    for line in Path(f"/proc/self/{kind}").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            counted = only is None or line.endswith(only)
        elif counted and words[-1] == "kB":
            sums[words[0][:-1]] = sums.get(words[0][:-1], 0) + int(words[1]) * 1024
    return sums


def make_part(folder: Path, count: int, size: int) -> tuple[Sample, ...]:
    """Small files, quickly decoded; in the cache each takes what any image takes."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(count):
        path = folder / f"{number:05}.png"
        Image.fromarray(rng.integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8)).save(path)
        samples.append(Sample(id=path.name, path=path, split="train", defect_type="good"))
    return tuple(samples)


def read(samples, size, cache, batch, epochs, all_read: Barrier, all_measured: Barrier, results) -> None:
    torch.set_num_threads(1)
    before = memory()
    source = ImageSource(decode(samples, size=size, cache_dir=cache, masks=False).images, torch.device("cpu"))
    generator = np.random.default_rng(0)
    for _ in range(epochs):
        for indices in shuffled_batches(len(source), batch, generator):
            source.batch(indices)
    all_read.wait()
    results.put((before, memory(), memory("smaps", only="images.npy")))
    all_measured.wait()


def run(processes: int, samples, size: int, cache: Path, batch: int, epochs: int):
    context = multiprocessing.get_context("forkserver")
    barriers, results = (context.Barrier(processes), context.Barrier(processes)), context.Queue()
    arguments = (samples, size, cache, batch, epochs, *barriers, results)
    running = [context.Process(target=read, args=arguments) for _ in range(processes)]
    for process in running:
        process.start()
    told = [results.get(timeout=600) for _ in running]
    for process in running:
        process.join()
    return told


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=int, default=400)
    options.add_argument("--size", type=int, default=256)
    options.add_argument("--batch", type=int, default=16)
    options.add_argument("--epochs", type=int, default=2)
    options.add_argument("--processes", type=int, nargs="+", default=[1, 4])
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        samples = make_part(Path(name), given.images, given.size)
        cache = Path(name) / "cache"
        file = decode(samples, size=given.size, cache_dir=cache, masks=False).images.nbytes
        print(f"{given.images} images of {given.size}x{given.size}: the cache's file has {file / MB:.1f} MB")
        columns = ("processes", "unique (USS)", "grown", "proportional", "PSS in all", "of the cache", "copies")
        print("".join(f"{column:>14}" for column in columns) + "   MB, the mean of a process where not in all")
        for processes in given.processes:
            told = run(processes, samples, given.size, cache, given.batch, given.epochs)
            unique = np.mean([now["Private_Clean"] + now["Private_Dirty"] for _, now, _ in told])
            before = np.mean([then["Private_Clean"] + then["Private_Dirty"] for then, _, _ in told])
            shares, mapped = [now["Pss"] for _, now, _ in told], sum(cache["Pss"] for _, _, cache in told)
            row = (unique, unique - before, np.mean(shares), sum(shares), mapped)
            print(f"{processes:14}" + "".join(f"{value / MB:14.1f}" for value in row) + f"{mapped / file:14.2f}")


if __name__ == "__main__":
    main()
