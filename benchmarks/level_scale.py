"""Levels added as they are, as z-scores, or as z-scores by place: the same trained weights measured each way.

    python -m benchmarks.level_scale --dataset photos/textures --dataset demo --teacher kdzoo-tiny
    python -m benchmarks.level_scale --dataset demo --method aand --set amplify_epochs=8 --set distil_epochs=20

Each category is trained once and measured after its last epoch, so that no choice of an epoch favours either way.
``zscore`` and ``place`` take what is normal from the normal images of the selection part; ``zscore-train`` and
``place-train`` from train images in their place. All are measured on the report part, which neither has seen (protocol
`holdout`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.schedules import mean_of
from benchmarks.teachers import METRICS
from kdzoo.data.catalog import open_dataset
from kdzoo.detector import choose_device
from kdzoo.methods.layers.scales import SCALES
from kdzoo.methods.registry import find_method
from kdzoo.settings import Settings
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.data import TrialData
from kdzoo.training.evaluation import measure, score_images
from kdzoo.training.images import ImageSource
from kdzoo.training.settling import settle
from kdzoo.training.spec import RunOptions, TrialSpec
from kdzoo.training.trainer import Trainer

WAYS = ("sum", "zscore", "zscore-train", "place", "place-train")


def measured(teacher, dataset, category, options, cache):
    """Metrics of each way on the report part, and the spreads."""
    fixed = {key: value for key, _, value in (pair.partition("=") for pair in options.set)}
    config = find_method(options.method).config.from_mapping(fixed | {"level_scale": "zscore"})
    run = RunOptions.from_mapping(
        {
            "teacher": str(teacher.name), "image_size": options.size, "protocol": options.protocol,
            "seed": options.seed, "evaluations": 1,
        }
    )  # fmt: skip
    spec = TrialSpec(method=options.method, config=config, dataset=dataset.name, category=category, options=run)
    device = choose_device(options.device)
    data = TrialData(dataset, category, run, cache=cache)
    trainer = Trainer(spec, data, teacher, device)
    trainer.run()
    method, selection = trainer.method.eval(), (data.selection.images, data.selection.labels)
    train = (data.train.images, np.zeros(len(data.train.images), np.int64))
    found = {}
    for way in WAYS:
        kind = SCALES.get(way.removesuffix("-train"))
        method.scale = None if kind is None else kind(len(teacher.shape.channels)).to(device)
        if kind is not None:
            images, labels = train if way.endswith("-train") else selection
            settle(method, ImageSource(images, device), labels, seed=run.split_seed)
        scored = score_images(method, ImageSource(data.report.images, device))
        report = measure(scored, data.report, aupro_limit=run.aupro_limit)
        found[way] = {name: getattr(report, name) for name in METRICS} | {
            "spread": method.settled().get("level_spread"),
        }
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", action="append", required=True, help="name or folder; repeatable")
    parser.add_argument("--category", action="append", help="only these; repeatable")
    parser.add_argument("--teacher", action="append", help="default kdzoo-tiny; repeatable")
    parser.add_argument("--method", default="rd", choices=["rd", "mrkd", "aand"])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--size", type=int, default=128, help="side of the input, pixels")
    parser.add_argument("--protocol", default="holdout")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, help="also write all numbers here, as JSON")
    options = parser.parse_args()
    options.set = options.set or ["epochs=20", "batch_size=8"]
    settings = Settings.from_environment()
    rows = []
    print(f"{'teacher':24} {'category':12} {'levels':13}" + "".join(f"{name:>13}" for name in METRICS) + "  spreads")
    with tempfile.TemporaryDirectory() as cache:
        for name in options.teacher or ["kdzoo-tiny"]:
            teacher = load_teacher(name, offline=settings.offline)
            for dataset in (open_dataset(each, settings) for each in options.dataset):
                for category in dataset.categories():
                    if options.category and category not in options.category:
                        continue
                    for way, row in measured(teacher, dataset, category, options, Path(cache)).items():
                        rows.append({"teacher": name, "category": category, "way": way} | row)
                        tell(rows[-1])
    for name in dict.fromkeys(row["teacher"] for row in rows):
        for way in WAYS:
            own = [row for row in rows if (row["teacher"], row["way"]) == (name, way)]
            means = {metric: mean_of(row[metric] for row in own) for metric in METRICS}
            tell({"teacher": name, "category": "mean", "way": way, "spread": None} | means)
    if options.out:
        options.out.write_text(json.dumps({"options": vars(options) | {"out": None}, "rows": rows}, indent=1))


def tell(row):
    """One line."""
    numbers = "".join(f"{row[metric] if row[metric] is not None else float('nan'):13.3f}" for metric in METRICS)
    spreads = "" if row["spread"] is None else "  " + " ".join(f"{each:.4f}" for each in row["spread"])
    print(f"{row['teacher'][-24:]:24} {row['category']:12} {row['way']:13}{numbers}{spreads}", flush=True)


if __name__ == "__main__":
    main()
