"""What a schedule is worth on few images: the same method, teacher and seeds under several settings.

    python -m benchmarks.schedules --dataset photos/textures --dataset demo --method rd \
        --setting "epochs=20 batch_size=8" --setting "epochs=12 epoch_steps=25 batch_size=8 schedule=cosine"

A setting is the method's knobs in place of the published ones. Every category is trained once a setting and seed and
measured after its last epoch, so that no choice of an epoch helps, on the report part (protocol `holdout`). Seconds are
of training alone; on a machine that others use, compare their ratios, not them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.teachers import METRICS
from kdzoo.data.catalog import open_dataset
from kdzoo.detector import choose_device
from kdzoo.methods.registry import find_method
from kdzoo.settings import Settings
from kdzoo.teacher_zoo import obtain_teacher
from kdzoo.training.data import TrialData
from kdzoo.training.evaluation import measure, score_images
from kdzoo.training.images import ImageSource
from kdzoo.training.spec import RunOptions, TrialSpec
from kdzoo.training.trainer import Trainer


def measured(teacher, dataset, category, method, config, options, cache, *, seed=0):
    """Metrics on the report part after the last epoch, and processor seconds of training."""
    run = RunOptions.from_mapping(
        {
            "teacher": str(teacher.name), "image_size": options.size, "protocol": "holdout", "seed": seed,
            "evaluations": 1,
        }
    )  # fmt: skip
    spec = TrialSpec(method=method, config=config, dataset=dataset.name, category=category, options=run)
    data = TrialData(dataset, category, run, cache=cache)
    device = choose_device(options.device)
    trainer = Trainer(spec, data, teacher, device)
    started = time.process_time()
    trainer.run()
    seconds = time.process_time() - started
    # Of the last epoch, whose weights are the method's own; the best one would be a choice.
    scored = score_images(trainer.method.eval(), ImageSource(data.report.images, device))
    report = measure(scored, data.report, aupro_limit=run.aupro_limit)
    return {name: getattr(report, name) for name in METRICS} | {"seconds": seconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", action="append", required=True, help="name or folder; repeatable")
    parser.add_argument("--category", action="append", help="only these; repeatable")
    parser.add_argument("--teacher", default="lite0")
    parser.add_argument("--method", default="rd")
    parser.add_argument("--setting", action="append", required=True, metavar="'KEY=VALUE KEY=VALUE'")
    parser.add_argument("--size", type=int, default=128, help="side of the input, pixels")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, help="also write all numbers here, as JSON")
    options = parser.parse_args()
    settings = Settings.from_environment()
    teacher = obtain_teacher(options.teacher, settings, note=print)
    rows = []
    shown = [*METRICS, "seconds"]
    print(f"{'category':12}" + "".join(f"{name:>13}" for name in shown) + "  setting", flush=True)
    with tempfile.TemporaryDirectory() as cache:
        for dataset in (open_dataset(each, settings) for each in options.dataset):
            for category in dataset.categories():
                if options.category and category not in options.category:
                    continue
                for setting in options.setting:
                    for seed in range(options.seeds):
                        config = find_method(options.method).config.from_mapping(
                            dict(pair.split("=") for pair in setting.split())
                        )
                        row = measured(
                            teacher, dataset, category, options.method, config, options, Path(cache), seed=seed
                        )
                        rows.append({"dataset": dataset.name, "category": category, "setting": setting} | row)
                    tell(category, setting, rows[-options.seeds :], shown)
    for name in dict.fromkeys(row["dataset"] for row in rows):
        for setting in options.setting:
            tell(
                f"mean {name}"[:12],
                setting,
                [row for row in rows if (row["dataset"], row["setting"]) == (name, setting)],
                shown,
            )
    if options.out:
        options.out.write_text(json.dumps({"options": vars(options) | {"out": None}, "rows": rows}, indent=1))


def mean_of(values):
    """Of those that are defined; NaN where none is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def tell(category, setting, rows, shown):
    """Means of some runs, as one line."""
    means = {name: mean_of(row[name] for row in rows) for name in shown}
    print(f"{category:12}" + "".join(f"{means[name]:13.3f}" for name in shown) + f"  {setting}", flush=True)


if __name__ == "__main__":
    main()
