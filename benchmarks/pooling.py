"""What a pool over categories finds, against categories that search on their own: real training, equal budgets.

    python -m benchmarks.pooling --dataset demo --dataset photos/textures --method rd --trials 8 --seeds 5

Each seed (of samplers, weights and batches) is two sweeps of each data set through the real studies: `own`, in which
categories draw their own configurations and lend each other the best (warm start), and `pool`, in which half of their
trials are of configurations that all of them try. Categories take turns, a trial ends before the next is asked for, and
none is stopped early. What is chosen is then measured on the report part (protocol `holdout`), and told by how it was
chosen: `single`, the trial with the best value on the selection part; `final`, by the final round, in which the best
few are compared under a second seed; and `shared`, with a pool,
the category's trial of what did best over all, whatever the category's own images say. The budgets of both arms are
equal, and so is what the final round adds to each. A training with the same values and seed is not done twice.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from kdzoo.data.catalog import open_dataset
from kdzoo.search.space.space import SpaceFile
from kdzoo.search.study.finals import Scored, decide, plan_finals
from kdzoo.search.study.strategy import Strategy
from kdzoo.search.study.studies import CategoryStudies
from kdzoo.settings import Settings
from kdzoo.teacher_zoo import obtain_teacher
from kdzoo.training.data import TrialData
from kdzoo.training.evaluation import measure, score_images
from kdzoo.training.images import ImageSource
from kdzoo.training.spec import RunOptions, TrialSpec
from kdzoo.training.trainer import Trainer

METRICS = ("image_auroc", "pixel_auroc", "aupro")
WAYS = ("single", "final", "shared")


@dataclass(frozen=True)
class Trained:
    """What a training reached: on the selection part, and on the report part, which nothing is chosen by."""

    objective: float
    tie: float
    report: dict[str, float]


class Lab:
    """Trains configurations of one data set, each once."""

    def __init__(self, dataset, teacher, arguments, cache):
        self._dataset, self._teacher, self._arguments, self._cache = dataset, teacher, arguments, cache
        self._data, self._known = {}, {}

    def train(self, category, config, seed):
        key = (category, config, seed)
        if key not in self._known:
            options = RunOptions.from_mapping(
                {
                    "teacher": str(self._teacher.name), "image_size": self._arguments.image_size, "seed": seed,
                    "protocol": "holdout", "evaluations": self._arguments.evaluations,
                    "objective": self._arguments.objective,
                }
            )  # fmt: skip
            if category not in self._data:
                self._data[category] = TrialData(self._dataset, category, options, cache=self._cache)
            data = self._data[category]
            spec = TrialSpec(
                method=self._arguments.method, config=config, dataset=self._dataset.name, category=category,
                options=options,
            )  # fmt: skip
            trainer = Trainer(spec, data, self._teacher, torch.device("cpu"))
            trainer.run()
            trainer.load_best()
            scored = score_images(trainer.method.eval(), ImageSource(data.report.images, torch.device("cpu")))
            report = measure(scored, data.report, aupro_limit=options.aupro_limit)
            self._known[key] = Trained(
                trainer.best.objective, trainer.best.tie, {name: getattr(report, name) for name in METRICS}
            )
            trainer.close()
        return self._known[key]


def sweep(lab, spaces, arguments, *, seed, pool):
    """Category to what was chosen in each way."""
    rows = {category: [] for category in spaces}
    with tempfile.TemporaryDirectory() as folder:
        studies = CategoryStudies(
            spaces,
            storage=Path(folder) / "studies.db",
            trials=arguments.trials,
            seed=seed,
            strategy=Strategy(pool=pool),
        )
        try:
            for _ in range(arguments.trials):
                for category, space in spaces.items():
                    asked = studies.ask(category)
                    config = space.config(dict(asked.values))
                    got = lab.train(category, config, seed)
                    studies.tell(category, asked.number, objective=got.objective, stopped=False)
                    rows[category].append((asked.number, config, got))
            shared = {category: studies.pooled_best(category) for category in spaces}
        finally:
            studies.close()
    return {name: chosen(lab, name, rows[name], shared[name], arguments, seed=seed) for name in spaces}


def chosen(lab, category, rows, shared, arguments, *, seed):
    """The report of what each way chooses; the final round over two seeds."""
    ranked = sorted(rows, key=lambda row: (-row[2].objective, -row[2].tie, row[0]))
    seeds = tuple(seed + 1000 * more for more in range(2))
    order = [(number, config.as_dict()) for number, config, _ in ranked]
    finals = plan_finals(order, None, finalists=arguments.finalists, seeds=seeds)
    configs = {number: config for number, config, _ in rows}
    by = {(of, seeds[0]): got for of, _, got in rows if of in {final.of for final in finals}}
    by |= {(final.of, final.seed): lab.train(category, configs[final.of], final.seed) for final in finals}
    scored = [Scored(of=of, seed=its, number=of + 1000 * seeds.index(its), objective=got.objective)
              for (of, its), got in by.items()]  # fmt: skip
    verdict = decide(scored, seeds=seeds)
    winner = ranked[0][2] if verdict is None else by[verdict.number % 1000, seeds[verdict.number // 1000]]
    found = {"single": ranked[0][2].report, "final": winner.report}
    if shared is not None:
        found["shared"] = next(got.report for number, _, got in rows if number == shared)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", action="append", required=True, help="name or folder; repeatable")
    parser.add_argument("--method", default="rd")
    parser.add_argument("--teacher", default="lite0")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--finalists", type=int, default=3)
    parser.add_argument("--objective", default="image_auroc")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--evaluations", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="all knobs of the space file")
    parser.add_argument("--out", type=Path, help="also write each choice here, a JSON line each")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = Settings.from_environment()
    teacher, rows = obtain_teacher(arguments.teacher, settings, note=print), []
    with tempfile.TemporaryDirectory() as cache:
        datasets = [open_dataset(name, settings) for name in arguments.dataset]
        for seed in range(arguments.seeds):
            for dataset in datasets:
                file = SpaceFile(arguments.method, full=arguments.full)
                spaces = {category: file.space(dataset.name, category) for category in dataset.categories()}
                lab = Lab(dataset, teacher, arguments, Path(cache))
                for arm in ("own", "pool"):
                    found = sweep(lab, spaces, arguments, seed=seed, pool=arm == "pool")
                    for category, ways in found.items():
                        for way, report in ways.items():
                            rows.append({"seed": seed, "dataset": dataset.name, "category": category, "arm": arm,
                                         "way": way, **report})  # fmt: skip
                            if arguments.out:
                                with arguments.out.open("a") as file_:
                                    file_.write(json.dumps(rows[-1]) + "\n")
                    tell(rows, seed=seed, dataset=dataset.name, arm=arm)
    table(rows)


def mean(rows, metric):
    """Of those where it is defined."""
    values = [row[metric] for row in rows if row[metric] is not None]
    return statistics.fmean(values) if values else float("nan")


def tell(rows, **named):
    """One sweep's means, a line."""
    own = [row for row in rows if all(row[key] == value for key, value in named.items())]
    told = {
        way: {metric: round(mean(of_way, metric), 4) for metric in METRICS}
        for way in WAYS
        if (of_way := [row for row in own if row["way"] == way])
    }
    print(json.dumps({**named, **told}), flush=True)


def table(rows):
    """Means over categories and seeds, and the paired difference with its standard error over the seeds.

    What is chosen by the pool alone is set against the single best of categories on their own.
    """
    print(f"\n| data set | chosen by | {' | '.join(f'{name}: own / pool / difference' for name in METRICS)} |")
    print("|---" * (2 + len(METRICS)) + "|")
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        for way in WAYS:
            cells = []
            for metric in METRICS:
                own = by_seed(rows, dataset, "own", "single" if way == "shared" else way, metric)
                pool = by_seed(rows, dataset, "pool", way, metric)
                pairs = [one - other for one, other in zip(pool, own, strict=True)]
                error = statistics.stdev(pairs) / len(pairs) ** 0.5 if len(pairs) > 1 else float("nan")
                means = " / ".join(f"{statistics.fmean(values):.3f}" for values in (own, pool))
                cells.append(f"{means} / {statistics.fmean(pairs):+.3f} ± {error:.3f}")
            print(f"| {dataset} | {way} | {' | '.join(cells)} |")


def by_seed(rows, dataset, arm, way, metric):
    """The mean over categories of each seed."""
    chosen_rows = [row for row in rows if (row["dataset"], row["arm"], row["way"]) == (dataset, arm, way)]
    return [mean([row for row in chosen_rows if row["seed"] == seed], metric)
            for seed in dict.fromkeys(row["seed"] for row in chosen_rows)]  # fmt: skip


if __name__ == "__main__":
    main()
