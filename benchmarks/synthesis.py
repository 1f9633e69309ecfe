"""Synthetic anomalies a second, and the memory they take: batched, against a loop over images, in one run.

    python -m benchmarks.synthesis --batch 16 --size 256 --threads 1 2

The loops (`benchmarks/synthesis_peers.py`) are written as published training code writes them: each image by itself,
with NumPy, SciPy and Pillow; for Perlin its texture photograph decoded from disk each time. A second row of it keeps
its textures decoded in memory, so that the batched way is also compared without the decoding it saves.

All rows give float32 images and masks of the same size and plant the same share of anomalies, on images that are
foreground everywhere. The batched rows get their images in channels-last order, as the trainer hands them over. The
loops use one thread whatever `--threads` says: it is for PyTorch.

Memory is what a batch takes beyond its input, its results included, at the worst of five batches; each row is measured
in a process of its own, by the kernel's count (Linux), or PyTorch's on a GPU.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks import synthesis_peers as peers
from kdzoo.data.formula.textures import formula_textures
from kdzoo.data.synthesis.cutpaste import CutPaste, CutPasteConfig
from kdzoo.data.synthesis.fill import FolderTextures
from kdzoo.data.synthesis.nsa import Nsa, NsaConfig
from kdzoo.data.synthesis.perlin import Perlin, PerlinConfig

_PIECE = 8
"""Batches timed together: work differs from draw to draw."""

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def photographs(folder: Path, count: int, side: int) -> list[Path]:
    """Writes textures by formula as JPEG photographs of the size that DTD's have."""
    generator = torch.Generator().manual_seed(1)
    pixels = (formula_textures(count, side, generator, "cpu") * 255).byte().permute(0, 2, 3, 1).numpy()
    files = [folder / f"{number:03d}.jpg" for number in range(count)]
    for file, one in zip(files, pixels, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(one).save(buffer, "JPEG", quality=92)
        file.write_bytes(buffer.getvalue())
    return files


def ways(folder: Path, batch: int, size: int, device: str) -> dict[str, dict[str, Callable[[], object]]]:
    """What makes one batch: for each kind of anomaly the ways by name, the one to compare with first."""
    files = photographs(folder, 24, 480)
    kept = [Image.open(file).convert("RGB").resize((size, size)) for file in files]
    coded = np.random.default_rng(1).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    pixels, plain_room = coded.astype(np.float32) / 255, np.ones((batch, size, size), dtype=bool)
    pictures = [Image.fromarray(one) for one in coded]
    images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2)
    room = torch.ones((batch, 1, size, size), dtype=torch.bool, device=device)
    rng, generator = np.random.default_rng(0), torch.Generator(device).manual_seed(0)

    def decoded(draw):
        with Image.open(files[draw.integers(len(files))]) as picture:
            return picture.convert("RGB").resize((size, size))

    def batched(synthesizer):
        result = synthesizer(images, room, generator)
        if device != "cpu":
            torch.cuda.synchronize()
        return result

    config, nsa, cutpaste = PerlinConfig(), NsaConfig(), CutPasteConfig()
    stored = FolderTextures(folder, size)
    return {
        "perlin": {
            "loop, decodes each texture": lambda: peers.perlin(rng, pixels, plain_room, decoded, config),
            "loop, textures in memory": lambda: peers.perlin(
                rng, pixels, plain_room, lambda draw: kept[draw.integers(len(kept))], config
            ),
            "batched, folder of textures": lambda: batched(Perlin(config, stored)),
            "batched, textures by formula": lambda: batched(Perlin(config)),
        },
        "nsa": {
            "loop": lambda: peers.nsa(rng, pixels, plain_room, nsa),
            "batched": lambda: batched(Nsa(nsa)),
        },
        "cutpaste": {
            "loop": lambda: peers.cutpaste(rng, pictures, cutpaste),
            "batched": lambda: batched(CutPaste(cutpaste)),
        },
    }


def seconds(works: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds a batch of each, the best of `rounds`. All take turns, so that a busy moment is nobody's alone."""
    best = dict.fromkeys(works, float("inf"))
    for round_ in range(-1, rounds):
        for name, work in works.items():
            pieces = _PIECE if round_ >= 0 else 1
            start = clock()
            for _ in range(pieces):
                work()
            if round_ >= 0:
                best[name] = min(best[name], (clock() - start) / pieces)
    return best


def peak(work: Callable[[], object], device: str) -> float:
    """MiB that a call takes beyond what was there before it, the most of five calls after one."""
    work()
    most = 0
    for _ in range(5):
        if device == "cpu":
            Path("/proc/self/clear_refs").write_text("5")  # the highest count starts anew
            before = _kernel_count("VmRSS")
            work()
            most = max(most, _kernel_count("VmHWM") - before)
        else:
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            work()
            most = max(most, torch.cuda.max_memory_allocated() - before)
    return most / 2**20


def _kernel_count(name: str) -> int:
    """Bytes of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


def peak_apart(kind: str, name: str, options: argparse.Namespace) -> float:
    """`peak` in a process of its own."""
    # Memory that was given back must not be left to the next batch, or its need would not be seen.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    command = [sys.executable, "-m", "benchmarks.synthesis", "--peak", kind, name, "--threads", "1"]
    command += ["--batch", str(options.batch), "--size", str(options.size), "--device", options.device]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthesis", description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=256, help="side in pixels; a multiple of 32, which the loop needs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="PyTorch threads; one table for each")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: for a busy machine, with one thread")
    parser.add_argument("--no-memory", action="store_true", help="do not measure memory")
    parser.add_argument("--peak", nargs=2, metavar=("KIND", "WAY"), help="print just the memory of one way, in MiB")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    with tempfile.TemporaryDirectory() as folder:
        kinds = ways(Path(folder), options.batch, options.size, options.device)
        if options.peak:
            torch.set_num_threads(options.threads[0])
            print(peak(kinds[options.peak[0]][options.peak[1]], options.device))
            return
        memory = {}
        if not options.no_memory:
            memory = {(kind, name): peak_apart(kind, name, options) for kind, named in kinds.items() for name in named}
        for threads in options.threads:
            torch.set_num_threads(threads)
            print(
                f"\nbatch {options.batch}, {options.size}x{options.size}, {options.device}, threads: {threads}, "
                f"torch {torch.__version__}, {options.clock} time"
            )
            print(f"{'':40s}{'images/s':>10s}{'ratio':>8s}" + (f"{'MiB a batch':>13s}" if memory else ""))
            for kind, named in kinds.items():
                times = seconds(named, options.rounds, CLOCKS[options.clock])
                for name, took in times.items():
                    ratio, used = next(iter(times.values())) / took, memory.get((kind, name))
                    last = "" if used is None else f"{used:13.1f}"
                    print(f"{kind + ': ' + name:40s}{options.batch / took:10.1f}{ratio:8.1f}{last}", flush=True)


if __name__ == "__main__":
    main()
