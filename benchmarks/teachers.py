"""What a teacher is worth: `rd` trained with each teacher on each category, same budget, same seed.

    python benchmarks/teachers.py --dataset photos/textures --dataset demo
    python benchmarks/teachers.py --dataset demo --teacher kdzoo-tiny --teacher resnet18@runs/plant.safetensors

Protocol `test` by default: what is compared is the teacher, nothing is chosen. Prints a line a run, then the means of
each teacher and in how many categories it beats the first one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from kdzoo.data.catalog import open_dataset
from kdzoo.detector import choose_device
from kdzoo.methods.registry import find_method
from kdzoo.settings import Settings
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.data import TrialData
from kdzoo.training.outcome import conclude
from kdzoo.training.spec import RunOptions, TrialSpec
from kdzoo.training.trainer import Trainer

METRICS = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro")


def measure(teacher, dataset, category, options, cache):
    """Metrics of one run on the test part, and its seconds."""
    config = find_method(options.method).config.from_mapping(
        {key: value for key, _, value in (pair.partition("=") for pair in options.set)}
    )
    run = RunOptions.from_mapping(
        {"teacher": str(teacher.name), "image_size": options.size, "protocol": options.protocol, "seed": options.seed}
    )
    spec = TrialSpec(method=options.method, config=config, dataset=dataset.name, category=category, options=run)
    started = time.perf_counter()
    trainer = Trainer(spec, TrialData(dataset, category, run, cache=cache), teacher, choose_device(options.device))
    trainer.run()
    metrics = conclude(trainer).metrics
    return {name: metrics[f"test_{name}"] for name in METRICS} | {"seconds": time.perf_counter() - started}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", action="append", required=True, help="name or folder; repeatable")
    parser.add_argument("--category", action="append", help="only these; repeatable")
    parser.add_argument("--teacher", action="append", help="default random-resnet18 and kdzoo-tiny; repeatable")
    parser.add_argument("--method", default="rd")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--size", type=int, default=128, help="side of the input, pixels")
    parser.add_argument("--protocol", default="test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, help="also write all numbers here, as JSON")
    options = parser.parse_args()
    options.set = options.set or ["epochs=20", "batch_size=8"]
    settings = Settings.from_environment()
    rows = []
    print(f"{'teacher':34} {'category':18}" + "".join(f"{name:>13}" for name in METRICS) + f"{'seconds':>9}")
    with tempfile.TemporaryDirectory() as cache:
        for name in options.teacher or ["random-resnet18", "kdzoo-tiny"]:
            teacher = load_teacher(name, offline=settings.offline)
            for dataset in (open_dataset(each, settings) for each in options.dataset):
                for category in dataset.categories():
                    if options.category and category not in options.category:
                        continue
                    row = measure(teacher, dataset, category, options, Path(cache))
                    rows.append({"teacher": name, "category": f"{dataset.name}/{category}"} | row)
                    numbers = "".join(f"{row[metric]:13.3f}" for metric in METRICS)
                    print(f"{name[-34:]:34} {category:18}{numbers}{row['seconds']:9.0f}", flush=True)
    summarise(rows)
    if options.out:
        options.out.write_text(json.dumps({"options": vars(options) | {"out": None}, "rows": rows}, indent=1))


def summarise(rows):
    """Means a teacher, and the categories in which it beats the first."""
    names = list(dict.fromkeys(row["teacher"] for row in rows))
    first = {row["category"]: row for row in rows if row["teacher"] == names[0]}
    print()
    for name in names:
        own = [row for row in rows if row["teacher"] == name]
        means = "".join(f"{np.mean([row[metric] for row in own]):13.3f}" for metric in METRICS)
        print(f"{name[-34:]:34} {'mean':18}{means}")
        if name != names[0]:
            won = [sum(row[metric] > first[row["category"]][metric] for row in own) for metric in METRICS]
            print(f"{'':34} {'better in':18}" + "".join(f"{f'{count} of {len(own)}':>13}" for count in won))


if __name__ == "__main__":
    main()
