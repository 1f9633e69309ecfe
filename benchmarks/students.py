"""Students of teachers that are no ResNet: a resnet18's decoder with the teacher's channels, or one fitted to it.

    python -m benchmarks.students --dataset photos/textures --dataset demo --seed 0 --seed 1
    python -m benchmarks.students --dataset demo --method aand --set amplify_epochs=8 --set distil_epochs=20

Each category is trained once with either and measured after its last epoch on the report part (protocol `holdout`).
Times are those of the student alone, in batches of 8: a training step (forward, backward, Adam) and a pass without
gradients, medians of the CPU's time on one thread.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.teachers import METRICS
from kdzoo.data.catalog import open_dataset
from kdzoo.methods.registry import find_method
from kdzoo.settings import Settings
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.data import TrialData
from kdzoo.training.evaluation import measure, score_images
from kdzoo.training.images import ImageSource
from kdzoo.training.spec import RunOptions, TrialSpec
from kdzoo.training.trainer import Trainer

KINDS = ("mirror", "fitted")
CPU = torch.device("cpu")
BATCH, RUNS = 8, 12


def measured(kind, teacher, dataset, category, options, seed, cache):
    """Metrics on the report part, and milliseconds and parameters of the student."""
    fixed = {key: value for key, _, value in (pair.partition("=") for pair in options.set)}
    config = find_method(options.method).config.from_mapping({"level_scale": "zscore", **fixed, "student": kind})
    run = RunOptions.from_mapping(
        {
            "teacher": str(teacher.name),
            "image_size": options.size,
            "protocol": "holdout",
            "seed": seed,
            "evaluations": 1,
        }
    )
    spec = TrialSpec(method=options.method, config=config, dataset=dataset.name, category=category, options=run)
    data = TrialData(dataset, category, run, cache=cache)
    trainer = Trainer(spec, data, teacher, CPU)
    trainer.run()
    scored = score_images(trainer.method.eval(), ImageSource(data.report.images, CPU))
    report = measure(scored, data.report, aupro_limit=run.aupro_limit)
    return {name: getattr(report, name) for name in METRICS} | timed(trainer.method.student, teacher, options.size)


def timed(student, teacher, size):
    """CPU milliseconds of a training step and of a pass, and millions of parameters."""
    shape = teacher.shape
    features = [
        torch.rand(BATCH, width, size // step, size // step).contiguous(memory_format=torch.channels_last)
        for width, step in zip(shape.channels, shape.reductions, strict=True)
    ]
    student.train().requires_grad_(True)
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3, fused=True)
    step, judge = [], []
    for _ in range(RUNS):
        started = time.process_time()
        optimizer.zero_grad()
        sum(level.square().mean() for level in student(features)).backward()
        optimizer.step()
        step.append(time.process_time() - started)
    student.eval()
    with torch.no_grad():
        for _ in range(RUNS):
            started = time.process_time()
            student(features)
            judge.append(time.process_time() - started)
    count = sum(parameter.numel() for parameter in student.parameters())
    return {"step": 1000 * statistics.median(step), "pass": 1000 * statistics.median(judge), "params": count / 1e6}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", action="append", required=True, help="name or folder; repeatable")
    parser.add_argument("--category", action="append", help="only these; repeatable")
    parser.add_argument("--teacher", default="lite0")
    parser.add_argument("--method", default="rd", choices=["rd", "mrkd", "aand"])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--size", type=int, default=128, help="side of the input, pixels")
    parser.add_argument("--seed", type=int, action="append", help="default 0; repeatable")
    options = parser.parse_args()
    options.set = options.set or ["epochs=20", "batch_size=8"]
    torch.set_num_threads(1)
    settings = Settings.from_environment()
    teacher = load_teacher(options.teacher, offline=settings.offline)
    names = (*METRICS, "step", "pass", "params")
    rows = []
    print(f"{'category':12} {'seed':5} {'student':8}" + "".join(f"{name:>13}" for name in names))
    with tempfile.TemporaryDirectory() as cache:
        for dataset in (open_dataset(each, settings) for each in options.dataset):
            for category in dataset.categories():
                if options.category and category not in options.category:
                    continue
                for seed in options.seed or [0]:
                    for kind in KINDS:
                        row = measured(kind, teacher, dataset, category, options, seed, Path(cache))
                        rows.append((kind, row))
                        tell(category, seed, kind, row, names)
    for kind in KINDS:
        own = [row for each, row in rows if each == kind]
        tell("mean", "", kind, {name: np.mean([row[name] for row in own]) for name in names}, names)


def tell(category, seed, kind, row, names):
    """One line."""
    print(f"{category:12} {seed!s:5} {kind:8}" + "".join(f"{row[name]:13.3f}" for name in names), flush=True)


if __name__ == "__main__":
    main()
