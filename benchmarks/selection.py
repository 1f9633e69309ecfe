"""What each kind of synthetic anomaly says of real defects: configurations ranked by it, and by the defects.

    python -m benchmarks.selection --dataset photos/textures --method aand --configs 10

Every category is trained with the defaults and with configurations drawn at random, under protocol `synthetic`, so that
nothing but normal images has a say. After the last epoch each detector is measured on its held-out normal images, once
for each kind of anomaly planted on them, and on the report part with its real defects. Told is the rank correlation
(Spearman) of the two over the configurations of a category, in image AUROC and in pixel AP, and what the configuration
reaches on the report that each kind would have chosen (by image AUROC, ties by pixel AP).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import numpy as np
import optuna
import torch
from scipy.stats import spearmanr

from kdzoo.data.catalog import open_dataset
from kdzoo.data.synthesis.registry import SYNTHESES
from kdzoo.search.space.space import SpaceFile
from kdzoo.search.study.strategy import Strategy
from kdzoo.search.study.studies import CategoryStudies
from kdzoo.settings import Settings
from kdzoo.teacher_zoo import obtain_teacher
from kdzoo.training.data import TrialData
from kdzoo.training.evaluation import measure, score_images
from kdzoo.training.evaluation_set import with_synthetic_anomalies
from kdzoo.training.images import ImageSource
from kdzoo.training.spec import RunOptions, TrialSpec
from kdzoo.training.trainer import Trainer

METRICS = ("image_auroc", "pixel_ap")
MIXED = "all in turn"


def drawn(space, count, seed):
    """The defaults, then configurations drawn at random."""
    with tempfile.TemporaryDirectory() as folder:
        how = Strategy(sampler="random", warm_start=False)
        studies = CategoryStudies({"x": space}, storage=Path(folder) / "s.db", trials=count, seed=seed, strategy=how)
        found = [space.config(dict(studies.ask("x").values)) for _ in range(count)]
        studies.close()
    return found


def numbers(method, part, options):
    """Image AUROC and pixel AP on a part."""
    scored = score_images(method, ImageSource(part.images, torch.device("cpu")))
    report = measure(scored, part, aupro_limit=options.aupro_limit)
    return [getattr(report, name) for name in METRICS]


def measured(dataset, category, config, teacher, arguments, cache):
    """What one configuration reaches: kind to numbers, and those of the report."""
    options = RunOptions.from_mapping(
        {
            "teacher": str(teacher.name), "image_size": arguments.image_size, "protocol": "synthetic",
            "evaluations": 1, "seed": arguments.seed,
        }
    )  # fmt: skip
    data = TrialData(dataset, category, options, cache=cache)
    spec = TrialSpec(method=arguments.method, config=config, dataset=dataset.name, category=category, options=options)
    trainer = Trainer(spec, data, teacher, torch.device("cpu"))
    trainer.run()
    method = trainer.method.eval()
    held_out = data._decode(data.parts.select, masks=False)
    normal, product = data.set_of(held_out), data._foreground_of(held_out)
    found = {"report": numbers(method, data.report, options)}
    for name, kinds in {**{kind: (kind,) for kind in sorted(SYNTHESES)}, MIXED: tuple(sorted(SYNTHESES))}.items():
        found[name] = numbers(method, with_synthetic_anomalies(normal, product, seed=0, kinds=kinds), options)
    trainer.close()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", action="append", required=True, help="name or folder; repeatable")
    parser.add_argument("--category", action="append", help="only these; repeatable")
    parser.add_argument("--method", default="aand")
    parser.add_argument("--teacher", default="lite0")
    parser.add_argument("--configs", type=int, default=10)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write all numbers here, a JSON line each")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    settings, rows = Settings.from_environment(), {}
    teacher = obtain_teacher(arguments.teacher, settings, note=print)
    with tempfile.TemporaryDirectory() as cache:
        for dataset in (open_dataset(name, settings) for name in arguments.dataset):
            for category in dataset.categories():
                if arguments.category and category not in arguments.category:
                    continue
                space = SpaceFile(arguments.method, full=False).space(dataset.name, category)
                for config in drawn(space, arguments.configs, arguments.seed):
                    row = measured(dataset, category, config, teacher, arguments, Path(cache))
                    rows.setdefault(f"{dataset.name}/{category}", []).append(row)
                    if arguments.out:
                        with arguments.out.open("a") as file:
                            file.write(json.dumps({"category": category, **row}) + "\n")
                tell(f"{dataset.name}/{category}", rows[f"{dataset.name}/{category}"])
    summary(rows)


def correlations(found, kind):
    """Of the kind's numbers with the report's, metric by metric."""
    pairs = (([row[kind][k] for row in found], [row["report"][k] for row in found]) for k in range(len(METRICS)))
    return [float(spearmanr(one, other).statistic) if len(set(one)) > 1 else 0.0 for one, other in pairs]


def reached(found, kind):
    """The report's numbers of what the kind would have chosen."""
    return max(found, key=lambda row: tuple(row[kind]))["report"]


def tell(name, found):
    """One category's correlations."""
    kinds = [kind for kind in found[0] if kind != "report"]
    print(name, json.dumps({kind: np.round(correlations(found, kind), 2).tolist() for kind in kinds}), flush=True)


def summary(rows):
    """Means over categories, with their standard errors."""
    print("\n| selects | correlation of image AUROC | of pixel AP | chosen: image AUROC | pixel AP |")
    print("|---" * 5 + "|")
    for kind in [kind for kind in next(iter(rows.values()))[0] if kind != "report"]:
        columns = list(zip(*(correlations(found, kind) + reached(found, kind) for found in rows.values()), strict=True))
        cells = [
            f"{statistics.fmean(column):.3f}"
            + (f" ± {statistics.stdev(column) / len(column) ** 0.5:.3f}" if len(column) > 1 else "")
            for column in columns
        ]
        print(f"| {kind} | {' | '.join(cells)} |")
    best = [np.max([row["report"][0] for row in found]) for found in rows.values()]
    print(f"| the report itself | | | {statistics.fmean(best):.3f} | |")


if __name__ == "__main__":
    main()
