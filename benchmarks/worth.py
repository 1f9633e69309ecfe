"""What each teacher is worth with each method on each data set, by the settings that a sweep tries first.

    python -m benchmarks.worth --dataset photos/textures --dataset demo --dataset elpv --teacher lite0 --method rd

Every category is trained once and measured after its last epoch, so that no choice of an epoch helps, on the report
part (protocol `holdout`). Prints a line a run, then a table of the means: image AUROC / pixel AUROC of each data set,
or image AUROC alone where there are no masks, and processor seconds of training a category.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.schedules import mean_of, measured
from benchmarks.teachers import METRICS
from kdzoo.data.catalog import open_dataset
from kdzoo.methods.registry import find_method, method_names
from kdzoo.search.space.space import SpaceFile
from kdzoo.settings import Settings
from kdzoo.teacher_zoo import obtain_teacher


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", action="append", required=True, help="name or folder; repeatable")
    parser.add_argument("--category", action="append", help="only these; repeatable")
    parser.add_argument("--teacher", action="append", required=True, help="repeatable")
    parser.add_argument("--method", action="append", help="default all that are installed; repeatable")
    parser.add_argument("--size", type=int, default=128, help="side of the input, pixels")
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, help="also write all numbers here, as JSON, after each run")
    options = parser.parse_args()
    settings, rows = Settings.from_environment(), []
    datasets = [open_dataset(name, settings) for name in options.dataset]
    with tempfile.TemporaryDirectory() as cache:
        for name in options.teacher:
            teacher = obtain_teacher(name, settings, note=print)
            for method in options.method or usable():
                for dataset, category in chosen(datasets, options.category):
                    config = SpaceFile(method).space(dataset.name, category).defaults
                    row = measured(teacher, dataset, category, method, config, options, Path(cache))
                    rows.append(
                        {"teacher": name, "method": method, "dataset": dataset.name, "category": category} | row
                    )
                    numbers = " ".join(f"{row[key]:.3f}" if row[key] is not None else "    –" for key in METRICS)
                    print(f"{name:14} {method:9} {category:12} {numbers} {row['seconds']:7.1f} s", flush=True)
                    if options.out:
                        options.out.write_text(json.dumps({"options": vars(options) | {"out": None}, "rows": rows}))
    tell(rows)


def usable():
    """The methods whose packages are installed."""
    return [name for name in method_names() if not find_method(name).missing]


def chosen(datasets, categories):
    """Each data set with each of its categories that are asked for."""
    for dataset in datasets:
        for category in dataset.categories():
            if not categories or category in categories:
                yield dataset, category


def tell(rows):
    """Means as a table in Markdown."""
    names = list(dict.fromkeys(row["dataset"] for row in rows))
    print(f"\n| teacher | method | {' | '.join(names)} | mean image AUROC | seconds |\n|{'---|' * (len(names) + 4)}")
    for teacher, method in dict.fromkeys((row["teacher"], row["method"]) for row in rows):
        own = [row for row in rows if (row["teacher"], row["method"]) == (teacher, method)]
        cells, images = [], []
        for name in names:
            of_set = [row for row in own if row["dataset"] == name]
            image, pixel = (mean_of(row[key] for row in of_set) for key in ("image_auroc", "pixel_auroc"))
            images.append(image)
            cells.append(f"{image:.3f}" + ("" if np.isnan(pixel) else f" / {pixel:.3f}"))
        seconds = np.mean([row["seconds"] for row in own])
        print(f"| {teacher} | {method} | {' | '.join(cells)} | {np.nanmean(images):.3f} | {seconds:.0f} |")


if __name__ == "__main__":
    main()
