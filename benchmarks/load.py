"""`kdzoo.load` against safetensors' own load plus building the modules, in one process, as ratios.

The peer knows where its files are and trusts them: it builds the same modules and fills them with
`safetensors.torch.load_file`; for the cold case it first copies the files, as a download from a local server would.
kdzoo also resolves the name, compares every blob's sha256, checks names, shapes, dtypes and finiteness of every tensor,
and, cold, writes the blobs to its cache and waits until they are on the disk.

    python benchmarks/load.py
    python benchmarks/load.py --teacher random-resnet18 --repeats 20
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

import kdzoo
from kdzoo.data.catalog import open_dataset
from kdzoo.methods.registry import build_method, find_method
from kdzoo.settings import Settings
from kdzoo.teachers.backbone import build_teacher, load_teacher
from kdzoo.training.checkpoint import save_tensors
from kdzoo.training.data import TrialData
from kdzoo.training.document import parse_document
from kdzoo.training.outcome import conclude
from kdzoo.training.spec import RunOptions, TrialSpec
from kdzoo.training.trainer import Trainer
from kdzoo.zoo import TEACHER, WEIGHTS, entry_name, open_registry


def toy_images(folder: Path, *, size: int = 64) -> Path:
    """A data set of noise in the mvtec layout: enough to train and calibrate for one epoch."""
    rng = np.random.default_rng(0)
    for part, count in (("train/good", 4), ("test/good", 4), ("test/hole", 4)):
        (folder / "part" / part).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(80, 120, (size, size, 3), dtype=np.uint8)
            if part == "test/hole":
                pixels[20:30, 20:30] = 0
                mask = np.zeros((size, size), np.uint8)
                mask[20:30, 20:30] = 255
                truth = folder / "part" / "ground_truth" / "hole"
                truth.mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask).save(truth / f"{number:03d}_mask.png")
            Image.fromarray(pixels).save(folder / "part" / part / f"{number:03d}.png")
    return folder


def publish_one(settings: Settings, root: Path, method: str, teacher: str) -> tuple[dict, dict[str, Path]]:
    """Trains a method for one epoch and publishes it as release 1; gives its document and files."""
    dataset = open_dataset(str(toy_images(root / "noise")), settings)
    kind = find_method(method).config
    config = kind.from_mapping(dict.fromkeys(kind.epoch_keys(), 1) | {"batch_size": 2})
    options = RunOptions(teacher=teacher, image_size=64, protocol="holdout")
    spec = TrialSpec(method=method, config=config, dataset=dataset.name, category="part", options=options)
    trainer = Trainer(
        spec, TrialData(dataset, "part", options, cache=settings.cache), load_teacher(teacher), torch.device("cpu")
    )
    trainer.run()
    outcome = conclude(trainer)
    files = {role: root / role for role in (WEIGHTS, TEACHER)}
    save_tensors(files[WEIGHTS], outcome.method.learned_state())
    files[TEACHER].write_bytes(outcome.method.teacher.weights())
    open_registry(settings).publish(entry_name(method, f"{dataset.name}/part"), outcome.document, files)
    return outcome.document, files


def peer(document: dict, files: dict[str, Path]) -> None:
    """Builds the same modules and fills them from files that it trusts."""
    plan = parse_document(document)
    teacher = build_teacher(plan.teacher)
    teacher.backbone.load_state_dict(load_file(files[TEACHER]))
    method = build_method(plan.method, plan.config, teacher)
    loaded = load_file(files[WEIGHTS])
    with torch.no_grad():
        for name, tensor in method.learned_state().items():
            tensor.copy_(loaded[name])
    method.to(memory_format=torch.channels_last).eval()


def peer_cold(document: dict, files: dict[str, Path], folder: Path) -> None:
    """As `peer`, after copying the files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    peer(document, {role: Path(shutil.copyfile(path, folder / role)) for role, path in files.items()})


def side_by_side(repeats: int, *works: Callable[[], object]) -> list[float]:
    """Median seconds of each, taken turn about so that a busy machine slows all of them."""
    seconds: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(repeats):
        for taken, work in zip(seconds, works, strict=True):
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--method", default="rd")
    parser.add_argument("--teacher", default="random-wide_resnet50_2")
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    with tempfile.TemporaryDirectory(prefix="kdzoo-load-") as folder:
        root = Path(folder)
        os.environ["KDZOO_HOME"] = str(root / "home")
        settings = Settings.from_environment()
        document, files = publish_one(settings, root, given.method, given.teacher)
        size = sum(path.stat().st_size for path in files.values())

        def load(**which: int) -> None:
            kdzoo.load(given.method, "noise/part", device="cpu", **which)

        def load_cold() -> None:
            shutil.rmtree(settings.cache / "zoo", ignore_errors=True)
            load()

        cold, peer_copy = side_by_side(given.repeats, load_cold, lambda: peer_cold(document, files, root / "copied"))
        alias, pinned, plain = side_by_side(given.repeats, load, lambda: load(release=1), lambda: peer(document, files))
    print(f"{given.method} with {given.teacher}, {size / 1e6:.0f} MB, {torch.get_num_threads()} threads, median of")
    print(f"{given.repeats}; the peer is safetensors.torch.load_file plus building the modules")
    print(f"{'':22} {'kdzoo':>9} {'peer':>9} {'ratio':>6}")
    for name, ours, theirs in (
        ("warm, by alias", alias, plain),
        ("warm, release=1", pinned, plain),
        ("cold, from a folder", cold, peer_copy),
    ):
        print(f"{name:22} {ours:8.3f}s {theirs:8.3f}s {ours / theirs:6.2f}")


if __name__ == "__main__":
    main()
