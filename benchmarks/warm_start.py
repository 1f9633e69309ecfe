"""How many trials a warm start across categories saves: real training on the demo, with and without, in one run.

    python benchmarks/warm_start.py --method rd --trials 9 --repeats 5

Each repeat is one sweep without and one with a warm start, of the same seed (of samplers, weights and batches), through
the real studies. Categories take turns; a trial ends before the next one is asked for, none is stopped early, and each
is measured at its end alone. For each category the objective to be reached is the lower of the two best values, so that
both arms reach it; the trials that each needed are summed over the categories. A configuration that was trained before
with the same seed is not trained again: the result would be the same.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from kdzoo.cli.options import parse_changes
from kdzoo.data.catalog import Dataset, open_dataset
from kdzoo.search.space.space import SearchSpace, SpaceFile
from kdzoo.search.study.strategy import Strategy
from kdzoo.search.study.studies import CategoryStudies
from kdzoo.settings import Settings
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.data import TrialData
from kdzoo.training.spec import RunOptions, TrialSpec
from kdzoo.training.trainer import Trainer

TEACHER = "random-resnet18"

Train = Callable[[str, dict], float]
Reached = dict[str, list[float]]


def trained(method: str, spaces: dict[str, SearchSpace], dataset: Dataset, options: RunOptions, cache: Path) -> Train:
    """Trains a configuration on a category and gives its best objective; each once."""
    teacher, data, known = load_teacher(TEACHER), {}, {}

    def train(category: str, values: dict) -> float:
        key = (category, tuple(sorted(values.items())))
        if key not in known:
            if category not in data:
                data[category] = TrialData(dataset, category, options, cache=cache)
            config = spaces[category].config(values)
            spec = TrialSpec(method=method, config=config, dataset=dataset.name, category=category, options=options)
            trainer = Trainer(spec, data[category], teacher, torch.device("cpu"))
            trainer.run()
            known[key] = trainer.best.objective
        return known[key]

    return train


def sweep(spaces: dict[str, SearchSpace], train: Train, *, trials: int, seed: int, warm: bool) -> tuple[Reached, int]:
    """The objectives of a sweep's trials by category, in order, and how many of the trials were borrowed."""
    reached: Reached = {category: [] for category in spaces}
    with tempfile.TemporaryDirectory() as folder:
        studies = CategoryStudies(
            spaces, storage=Path(folder) / "studies.db", trials=trials, seed=seed, strategy=Strategy(warm_start=warm)
        )
        try:
            for _ in range(trials):
                for category in spaces:
                    asked = studies.ask(category)
                    objective = train(category, dict(asked.values))
                    studies.tell(category, asked.number, objective=objective, stopped=False)
                    reached[category].append(objective)
            borrowed = sum(studies.borrowed(category) for category in spaces)
        finally:
            studies.close()
    return reached, borrowed


def needed(values: list[float], target: float) -> int:
    """Trials until an objective was reached."""
    return next(number for number, value in enumerate(values, 1) if value >= target)


def compare(cold: Reached, warm: Reached) -> dict[str, float]:
    """Trials that both arms needed to the same objectives, over all categories, and what they reached in the end."""
    targets = {category: min(max(cold[category]), max(warm[category])) for category in cold}
    trials = [sum(needed(arm[category], targets[category]) for category in arm) for arm in (cold, warm)]
    best = [statistics.mean(max(values) for values in arm.values()) for arm in (cold, warm)]
    return {"cold": trials[0], "warm": trials[1], "cold_best": best[0], "warm_best": best[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="rd")
    parser.add_argument("--categories", default="granulate,milled,print,weave")
    parser.add_argument("--trials", type=int, default=9)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--objective", default="image_auroc")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=6, help="over all stages")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="fix a knob, as in a sweep")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = Settings.from_environment()
    dataset, file = open_dataset("demo", settings), SpaceFile(arguments.method)
    spaces = {}
    for category in arguments.categories.split(","):
        split = file.space("demo", category).defaults.epoch_split(arguments.epochs)
        spaces[category] = file.space("demo", category, changes={**split, **parse_changes(arguments.set)})
    rows = []
    for seed in range(arguments.repeats):
        started = time.perf_counter()
        options = RunOptions(
            teacher=TEACHER, image_size=arguments.image_size, objective=arguments.objective, seed=seed, evaluations=1
        )
        train = trained(arguments.method, spaces, dataset, options, settings.cache)
        cold, _ = sweep(spaces, train, trials=arguments.trials, seed=seed, warm=False)
        warm, borrowed = sweep(spaces, train, trials=arguments.trials, seed=seed, warm=True)
        rows.append({"seed": seed, **compare(cold, warm), "borrowed": borrowed})
        rows[-1]["seconds"] = time.perf_counter() - started
        print(json.dumps(rows[-1]), flush=True)
    middle = {key: statistics.median(row[key] for row in rows) for key in ("cold", "warm", "cold_best", "warm_best")}
    saved = statistics.median(1 - row["warm"] / row["cold"] for row in rows)
    print(json.dumps({"median": middle, "saved": saved}))


if __name__ == "__main__":
    main()
