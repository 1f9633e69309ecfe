"""What each method finds on real defects: every method, teacher and data set, three seeds, by runs of the product.

    python -m benchmarks.accuracy                                    # runs what is not there yet, writes the page
    python -m benchmarks.accuracy --dataset mvtec=/data/mvtec --size 256 --method rd --seeds 1
    python -m benchmarks.accuracy --page                             # the page alone, from the runs that are there
    python -m benchmarks.accuracy --few 1 --few 5 --few 10 --few 50  # what few normal images are worth

A run is what `kdzoo train` does with the settings that a sweep tries first: trained, the best epoch chosen on the
selection part, measured once on the report part of protocol `holdout`. It is a line of ``benchmarks/results.jsonl``,
which names method, teacher, category, size, seed and number of normal images; a run that is there with the same knobs
is not repeated, so the command goes on where it was stopped, and what other defaults came to is replaced.
`docs/benchmarks.md` and its plot are made from that file alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.accuracy_page import write_page
from kdzoo._version import __version__
from kdzoo.data.catalog import open_dataset
from kdzoo.detector import choose_device
from kdzoo.methods.registry import find_method, method_names
from kdzoo.search.space.space import SpaceFile
from kdzoo.settings import Settings
from kdzoo.teacher_zoo import obtain_teacher
from kdzoo.training.checkpoint import tensor_bytes
from kdzoo.training.data import TrialData
from kdzoo.training.footprint import footprint, timed_on
from kdzoo.training.images import ImageSource
from kdzoo.training.outcome import conclude
from kdzoo.training.spec import RunOptions, TrialSpec
from kdzoo.training.trainer import Trainer

ROOT = Path(__file__).parent
RESULTS = ROOT / "results.jsonl"
METRICS = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro")
KEY = ("dataset", "category", "method", "teacher", "size", "seed", "normals")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", action="append", help="NAME, or NAME=FOLDER; repeatable; default demo and elpv")
    parser.add_argument("--category", action="append", help="only these; repeatable")
    parser.add_argument("--teacher", action="append", help="default lite0; repeatable")
    parser.add_argument("--method", action="append", help="default all that are installed; repeatable")
    parser.add_argument("--size", type=int, default=128, help="side of the input, pixels")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--few", type=int, action="append", help="so many normal images; repeatable; default all")
    parser.add_argument("--device")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the runs")
    parser.add_argument("--page", action="store_true", help="run nothing")
    options = parser.parse_args()
    if not options.page:
        run_all(options)
    write_page(read(options.results), ROOT.parent / "docs")


def read(file):
    """The runs of a file, the later of two with the same key."""
    lines = file.read_text().splitlines() if file.exists() else []
    return list({tuple(row[name] for name in KEY): row for row in map(json.loads, lines)}.values())


def run_all(options):
    """Runs what is not there yet: seed after seed, so that a run that is stopped has some of everything."""
    settings = Settings.from_environment()
    there = {tuple(row[name] for name in KEY): row["config"] for row in read(options.results)}
    datasets = dict(opened(each, settings) for each in options.dataset or ["demo", "elpv"])
    teachers = {name: obtain_teacher(name, settings, note=print) for name in options.teacher or ["lite0"]}
    methods = options.method or [name for name in method_names() if not find_method(name).missing]
    with tempfile.TemporaryDirectory() as cache:
        for key in wanted(options, datasets, teachers, methods):
            dataset = datasets[key["dataset"]]
            config = SpaceFile(key["method"]).space(dataset.name, key["category"]).defaults
            if there.get(tuple(key[name] for name in KEY)) == json.loads(json.dumps(config.as_dict())):
                continue
            row = measured(key, config, dataset, teachers[key["teacher"]], options.device, Path(cache))
            with options.results.open("a") as file:
                file.write(json.dumps(key | row) + "\n")
            told = " ".join(f"{name} {row[name]:.3f}" for name in METRICS if row[name] is not None)
            print(*key.values(), "|", told, f"{row['seconds']:.0f} s", flush=True)


def opened(text, settings):
    """The name that is told of a data set, and the data set."""
    name, _, folder = text.partition("=")
    return name, open_dataset(folder or name, settings)


def wanted(options, datasets, teachers, methods):
    """The keys of all runs that are asked for."""
    for seed in range(options.seeds):
        for teacher in teachers:
            for name, dataset in datasets.items():
                for category in dataset.categories():
                    if options.category and category not in options.category:
                        continue
                    for method in methods:
                        for normals in options.few or [0]:
                            yield dict(
                                zip(KEY, (name, category, method, teacher, options.size, seed, normals), strict=True)
                            )


def measured(key, config, dataset, teacher, device, cache):
    """A run: what it came to, and what it cost."""
    method, category = key["method"], key["category"]
    run = RunOptions(
        teacher=str(teacher.name), image_size=key["size"], protocol="holdout", seed=key["seed"], evaluations=4
    )
    spec = TrialSpec(
        method=method, config=config, dataset=dataset.name, category=category, options=run
    )  # fmt: skip
    data = TrialData(dataset, category, run, cache=cache)
    if key["normals"]:
        data.parts = replace(data.parts, train=some(data.parts.train, key["normals"], key["seed"]))
    device = choose_device(device)
    trainer = Trainer(spec, data, teacher, device)
    started, worked = time.perf_counter(), time.process_time()
    trainer.run()
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    outcome = conclude(trainer)
    cost = footprint(outcome.method, ImageSource(data.report.images, device))
    return {name: outcome.metrics.get(f"test_{name}") for name in METRICS} | {
        "train_images": len(data.train.images),
        "report_images": len(data.report.images),
        "seconds": seconds,
        "processor_seconds": processor,
        "latency_ms": cost["latency_ms"],
        "megabytes": len(tensor_bytes(outcome.method.learned_state())) / 1e6,
        "teacher_megabytes": len(outcome.method.teacher.weights()) / 1e6,
        "device": timed_on(device),
        "torch": torch.__version__,
        "kdzoo": __version__,
        "config": spec.config.as_dict(),
    }


def some(samples, count, seed):
    """So many of the normal images, drawn by the seed; those of fewer are among those of more."""
    order = np.random.default_rng(seed).permutation(len(samples))
    return tuple(samples[index] for index in sorted(order[:count]))


if __name__ == "__main__":
    main()
