"""Small true trials: a random teacher of a few blocks at 64 pixels on four training images."""

import copy
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import torch
from helpers.layouts import make_dataset
from helpers.processes import environ_of_python
from PIL import Image

from kdzoo.data.catalog import Dataset, open_dataset
from kdzoo.methods.registry import find_method
from kdzoo.settings import Settings
from kdzoo.teachers.backbone import Teacher, load_teacher
from kdzoo.training.checkpoint import save_tensors
from kdzoo.training.data import TrialData
from kdzoo.training.outcome import conclude
from kdzoo.training.spec import RunOptions, TrialSpec
from kdzoo.training.trainer import Trainer
from kdzoo.zoo import TEACHER as TEACHER_BLOB
from kdzoo.zoo import WEIGHTS

TEACHER, SIZE = "random-test_resnet", 64
"""timm's smallest residual network: all that these trials show is as true of it, and takes a fifth of the time."""
TINY_VIT = "random-test_vit"
CPU = torch.device("cpu")


def small_config(method: str, *, epochs: int = 2, **changes):
    """A method's configuration with few epochs a stage, small batches, and a narrow student where it has a width."""
    kind = find_method(method).config
    values = dict.fromkeys(kind.epoch_keys(), epochs) | {"batch_size": 2}
    if "width" in kind.__dataclass_fields__:
        values["width"] = 0.25
    return kind.from_mapping(values | changes)


def small_spec(method: str, *, epochs: int = 2, config: dict | None = None, **options) -> TrialSpec:
    """A trial on ``toy/bottle``."""
    return TrialSpec(
        method=method,
        config=small_config(method, epochs=epochs, **(config or {})),
        dataset="toy",
        category="bottle",
        options=RunOptions.from_mapping({"teacher": TEACHER, "image_size": SIZE} | options),
    )


def toy(root: Path) -> Dataset:
    """The data set ``toy`` with its one category ``bottle``, made in a folder or opened there."""
    folder = root / "toy"
    if not folder.exists():
        make_dataset(folder, ("bottle",))
    return open_dataset(str(folder), Settings.from_environment({"KDZOO_HOME": str(root / "home")}))


def toy_of_two_shapes(root: Path, even: tuple[int, int], odd: tuple[int, int], *, marked: tuple[slice, slice]) -> None:
    """``toy/bottle`` of noise: images of even and odd number have a height and width each, defects one place."""
    rng = np.random.default_rng(0)
    toy(root)
    for path in sorted((root / "toy" / "bottle").rglob("*.png")):
        shape = odd if int(path.stem[:3]) % 2 else even
        if "ground_truth" in path.parts:
            mask = np.zeros(shape, np.uint8)
            mask[marked] = 255
            Image.fromarray(mask).save(path)
        else:
            Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)).save(path)


@cache
def _loaded() -> Teacher:
    return load_teacher(TEACHER)


def small_trial(root: Path, method: str, *, teacher: Teacher | None = None, **changes) -> Trainer:
    """A trainer at its first epoch, on one thread so that sums are always in the same order."""
    torch.set_num_threads(1)
    spec = small_spec(method, **changes)
    data = TrialData(toy(root), spec.category, spec.options, cache=root / "cache")
    return Trainer(spec, data, teacher or copy.deepcopy(_loaded()), CPU)


def finished_files(folder: Path) -> tuple[dict, dict[str, Path]]:
    """A small detector's document, and its files by role, as they are published; its images are in ``toy``."""
    trainer = small_trial(folder, "rd", epochs=1)
    trainer.run()
    outcome = conclude(trainer)
    save_tensors(folder / WEIGHTS, outcome.method.learned_state())
    (folder / TEACHER_BLOB).write_bytes(outcome.method.teacher.weights())
    return outcome.document, {role: folder / role for role in (WEIGHTS, TEACHER_BLOB)}


def in_new_process(script: str, *arguments: object, environment: dict[str, str] | None = None) -> dict:
    """Runs a script in a fresh interpreter; what it prints last must be JSON."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=environ_of_python(**(environment or {})),
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
