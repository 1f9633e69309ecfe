"""Images a second of every stage and of evaluation, of all methods: the frozen features asked each time, and kept.

    python -m benchmarks.training --teacher kdzoo-tiny --size 128
    python -m benchmarks.training --teacher random-wide_resnet50_2 --size 128 --images 24 --method rd --method aand

Three ways in one run, on a category of the demo, in turn within each repetition:

- `asked`: the method computes what it needs of each batch itself, which is how training code does it;
- `blocks`: the way without room: the same features from blocks of a fixed size;
- `kept`: computed once, mapped from the cache.

An epoch is counted by processor time, which also holds on a busy machine; the fastest one of a stage counts, and the
first epoch of `kept`, which makes the features, stands beside the first one of `asked`. The weights at the end
are compared: `blocks` and `kept` must agree to the bit.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import torch

from kdzoo.data.cache.store import stored_entries
from kdzoo.data.catalog import open_dataset
from kdzoo.data.demo.build import DemoCounts, ensure_demo
from kdzoo.methods.registry import METHODS, find_method
from kdzoo.settings import Settings
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training import trainer as trainer_module
from kdzoo.training.data import TrialData
from kdzoo.training.spec import RunOptions, TrialSpec
from kdzoo.training.trainer import Trainer

WAYS = ("asked", "blocks", "kept")
LIMITS = {"asked": "0", "blocks": "0", "kept": "100GB"}


def trial(way, method, teacher, dataset, cache, options):
    """A trainer that takes its features in one of the ways."""
    os.environ["KDZOO_CACHE_LIMIT"] = LIMITS[way]
    kind = find_method(method).config
    epochs = dict.fromkeys(kind.epoch_keys(), options.epochs)
    config = kind.from_mapping({**epochs, "batch_size": options.batch})
    run = RunOptions.from_mapping(
        {"teacher": str(teacher.name), "image_size": options.size, "evaluations": options.epochs}
    )
    spec = TrialSpec(method=method, config=config, dataset=dataset.name, category=options.category, options=run)
    made = Trainer(spec, TrialData(dataset, options.category, run, cache=cache), teacher, torch.device("cpu"))
    if way == "asked":
        made.stages = [dataclasses.replace(stage, frozen=None) for stage in made.stages]
        made.method.frozen = lambda: None
    return made


def seconds(way, method, teacher, dataset, cache, options):
    """Of each stage its epochs' seconds, of `evaluation` each evaluation's; what was kept, bytes; the last weights."""
    made, taken, kept = trial(way, method, teacher, dataset, cache, options), {}, 0
    while not made.finished:
        if made.epoch == made.total_epochs - 1:
            kept = sum(entry.size for entry in stored_entries(cache / "features"))
        result = made.step()
        taken.setdefault(result.stage, []).append(result.seconds[0])
        if result.report is not None:
            taken.setdefault("evaluation", []).append(result.seconds[1])
    counts = dict.fromkeys(taken, len(made.data.train.images)) | {"evaluation": len(made.data.selection.images)}
    return taken, counts, kept, made.method.learned_state()


def compare(method, teacher, dataset, options):
    """The three ways of a method; prints a line a stage, gives them as values."""
    ways = {}
    for way in WAYS * options.repeat:
        with tempfile.TemporaryDirectory() as cache:
            taken, counts, kept, weights = seconds(way, method, teacher, dataset, Path(cache), options)
        before = ways.get(way)
        if before is not None:
            taken = {stage: [min(pair) for pair in zip(before[0][stage], each)] for stage, each in taken.items()}
        ways[way] = (taken, counts, kept, weights)
    same = all(torch.equal(ways["kept"][3][key], value) for key, value in ways["blocks"][3].items())
    rows = []
    for stage, count in ways["asked"][1].items():
        rates = {way: count / min(ways[way][0][stage][1:]) for way in WAYS}
        first = ways["kept"][0][stage][0] / ways["asked"][0][stage][0]
        row = {"method": method, "stage": stage, "images": count, **rates, "gain": rates["kept"] / rates["asked"]}
        rows.append({**row, "first_epoch": first})
        print(
            f"{method:5} {stage:10} {count:4} images  "
            + "  ".join(f"{way} {rates[way]:7.1f}/s" for way in WAYS)
            + f"  gain {row['gain']:.2f}  first epoch x{first:.2f}",
            flush=True,
        )
    images = sum(ways["kept"][1][part] for part in ("evaluation", next(iter(ways["kept"][1]))))
    kept = ways["kept"][2]
    print(
        f"{method:5} {kept / 1e6:.1f} MB kept, {kept / 1e3 / images:.0f} kB an image; same weights: {same}", flush=True
    )
    return {"rows": rows, "kept_bytes": kept, "images": images, "same_weights": same}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", default="random-resnet18")
    parser.add_argument("--method", action="append", help="default all of kdzoo's own; repeatable")
    parser.add_argument("--category", default="weave")
    parser.add_argument("--size", type=int, default=128, help="side of the input, pixels")
    parser.add_argument("--images", type=int, default=32, help="train images")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=3, help="of each stage, the first of which is counted apart")
    parser.add_argument("--repeat", type=int, default=1, help="the fastest of so many counts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="also write all numbers here, as JSON")
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error("--epochs must be at least 2")
    torch.set_num_threads(options.threads)
    trainer_module.time = SimpleNamespace(perf_counter=time.process_time)
    teacher = load_teacher(options.teacher)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_environment({"KDZOO_HOME": folder})
        counts = DemoCounts(train=options.images, test_good=8, per_defect=4)
        dataset = open_dataset(str(ensure_demo(Path(folder) / "drawn", counts=counts)), settings)
        found = {method: compare(method, teacher, dataset, options) for method in options.method or METHODS}
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
