"""Large images in tiles: what is found that is lost when they are squashed, and what it costs.

    python -m benchmarks.tiles quality --source photos/textures --epochs 4
    python -m benchmarks.tiles cost

``quality``: from each category of a data set in the mvtec layout, trays are made: images of 5 x 5 of its photographs,
each from its own part of the set, turned by chance; a defective tray has one photograph with a defect. One detector
sees a tray squashed to one square, one in tiles at its own resolution. ``--epochs`` are those of tiles; the other gets
so many as take that long. Both are measured on maps and masks of the trays' own size.

``cost``: seconds of a prediction in tiles against those of the same number of single tiles, medians taken in turns; and
the largest memory of a process that judges an image of 100 megapixels by the command line, picture and all.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from kdzoo.data.catalog import open_dataset
from kdzoo.detector import Detector
from kdzoo.methods.registry import find_method
from kdzoo.metrics.report import evaluate
from kdzoo.settings import Settings
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.data import TrialData
from kdzoo.training.outcome import conclude
from kdzoo.training.spec import RunOptions, TrialSpec
from kdzoo.training.trainer import Trainer

CPU = torch.device("cpu")
ACROSS, TRAIN, GOOD, PER_DEFECT = 5, 16, 12, 4
AT_ONCE = 8
METRICS = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro")


def files(folder):
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in {".png", ".jpg"})


def tray(rng, crops, defect=None):
    """A tray of photographs, and the mask of the one with a defect: (path, mask's path)."""
    chosen = [crops[number] for number in rng.choice(len(crops), ACROSS**2)]
    place = int(rng.integers(ACROSS**2))
    rows, marks = [], []
    for number, path in enumerate(chosen):
        flawed = defect is not None and number == place
        turn = int(rng.integers(4))
        image = np.asarray(Image.open(defect[0] if flawed else path).convert("RGB"))
        mask = np.asarray(Image.open(defect[1]).convert("L")) if flawed else np.zeros(image.shape[:2], np.uint8)
        rows.append(np.rot90(image, turn))
        marks.append(np.rot90(mask, turn))
    blocks = [
        np.vstack([np.hstack(each[start : start + ACROSS]) for start in range(0, ACROSS**2, ACROSS)])
        for each in (rows, marks)
    ]
    return blocks[0], blocks[1]


def make_trays(source, folder, rng):
    """The trays of a category, in the mvtec layout."""

    def save(name, values):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)

    train, good = files(source / "train/good"), files(source / "test/good")
    for number in range(TRAIN):
        save(f"train/good/{number:03}.png", tray(rng, train)[0])
    for number in range(GOOD):
        save(f"test/good/{number:03}.png", tray(rng, good)[0])
    for kind in sorted(path.name for path in (source / "test").iterdir() if path.name != "good"):
        flawed = files(source / "test" / kind)
        for number, chosen in enumerate(rng.choice(len(flawed), PER_DEFECT, replace=False)):
            path = flawed[chosen]
            image, mask = tray(rng, good, (path, source / "ground_truth" / kind / f"{path.stem}_mask.png"))
            save(f"test/{kind}/{number:03}.png", image)
            save(f"ground_truth/{kind}/{number:03}_mask.png", mask)


def trained(dataset, category, teacher, options, cache, seconds=None, **seen):
    """A detector and the seconds of its training; with ``seconds``, of so many epochs as take that long."""
    run = RunOptions(teacher=str(teacher.name), protocol="holdout", evaluations=1, seed=options.seed, **seen)
    config = find_method(options.method).config(level_scale="zscore", student="fitted", batch_size=8)
    data = TrialData(dataset, category, run, cache=cache)

    def trial(epochs):
        made = config.replace(**config.epoch_split(epochs))
        spec = TrialSpec(method=options.method, config=made, dataset=dataset.name, category=category, options=run)
        trainer = Trainer(spec, data, teacher, CPU)
        trainer.run()
        return trainer

    epochs = options.epochs
    if seconds is not None:
        first = trial(5 * epochs)
        epochs = max(epochs, round(5 * epochs * seconds / first.train_seconds))
    trainer = trial(epochs)
    outcome = conclude(trainer)
    return Detector(outcome.method, outcome.document, device=CPU), trainer.train_seconds, data


def measured(detector, data):
    """The report part's metrics on maps and masks of the images' own size."""
    samples = data.parts.report
    maps, masks, scores = [], [], []
    for sample in samples:
        found = detector.predict(sample.path)
        maps.append(found.anomaly_map)
        marked = np.zeros(found.anomaly_map.shape, bool)
        masks.append(np.asarray(Image.open(sample.mask_path).convert("L")) > 0 if sample.label else marked)
        scores.append(found.score)
    return evaluate(maps, masks, np.array(scores), np.array([sample.label for sample in samples]))


def quality(options):
    settings = Settings.from_environment()
    teacher = load_teacher(options.teacher, offline=settings.offline)
    rng = np.random.default_rng(options.seed)
    print(f"{'category':12} {'seen':>14} {'seconds':>8}" + "".join(f"{name:>12}" for name in METRICS))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "trays"
        for source in sorted(path for path in options.source.iterdir() if (path / "train").is_dir()):
            if options.category and source.name not in options.category:
                continue
            make_trays(source, folder / source.name, rng)
        dataset = open_dataset(str(folder), settings)
        for category in dataset.categories():
            spent = None
            for seen in ({"image_size": options.tile, "resize": "tile"}, {"image_size": options.square}):
                detector, seconds, data = trained(dataset, category, teacher, options, Path(place), spent, **seen)
                spent = spent or seconds
                report = measured(detector, data)
                name = f"tiles of {options.tile}" if "resize" in seen else f"{options.square} squashed"
                values = "".join(f"{getattr(report, metric):12.3f}" for metric in METRICS)
                print(f"{category:12} {name:>14} {seconds:8.0f}{values}")
                sys.stdout.flush()


def cost(options):
    """Of a detector in tiles that `kdzoo train` left."""
    detector = Detector.open(options.detector, device=CPU)
    method, tiling = detector.method, detector.tiling
    image = np.random.default_rng(0).integers(0, 256, (options.side, options.side, 3), dtype=np.uint8)
    tiles = len(tiling.grid(*image.shape[:2]))
    batch = torch.rand(AT_ONCE, 3, tiling.side, tiling.side).contiguous(memory_format=torch.channels_last)

    def whole():
        detector.predict(image)

    def single():
        with torch.no_grad():
            for start in range(0, tiles, AT_ONCE):
                method.image_score(method.anomaly_map(method.teacher.normalise(batch[: tiles - start])))

    taken = {whole: [], single: []}
    for _ in range(options.rounds + 1):
        for run, seconds in taken.items():
            started = time.process_time()
            run()
            seconds.append(time.process_time() - started)
    tiled, alone = (statistics.median(seconds[1:]) for seconds in taken.values())
    print(f"{tiles} tiles of {tiling.side}: {tiled:.2f} s, as single tiles {alone:.2f} s, ratio {tiled / alone:.3f}")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "large.jpg"
        side = round(options.megapixels**0.5 * 1000)
        if options.picture is not None:
            image = np.asarray(Image.open(options.picture).convert("RGB"))
        across = (-(-side // image.shape[0]), -(-side // image.shape[1]), 1)
        Image.fromarray(np.tile(image, across)[:side, :side]).save(path, quality=90)
        command = [sys.executable, "-m", "kdzoo", "predict", "--from", options.detector, str(path), "--out", place]
        subprocess.run(command, check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"{side} x {side} pixels by `kdzoo predict`, with its picture: at most {peak:.2f} GiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    found = commands.add_parser("quality")
    found.add_argument("--source", type=Path, required=True, help="a data set in the mvtec layout")
    found.add_argument("--category", action="append", help="only these; repeatable")
    found.add_argument("--teacher", default="lite0")
    found.add_argument("--method", default="rd", choices=["rd", "mrkd", "aand", "adps"])
    found.add_argument("--epochs", type=int, default=4)
    found.add_argument("--tile", type=int, default=192)
    found.add_argument("--square", type=int, default=256)
    found.add_argument("--seed", type=int, default=0)
    found.set_defaults(run=quality)
    spent = commands.add_parser("cost")
    spent.add_argument("--detector", required=True, help="a folder that kdzoo train --tile wrote")
    spent.add_argument("--side", type=int, default=1440)
    spent.add_argument("--rounds", type=int, default=5)
    spent.add_argument("--picture", type=Path, help="the large image repeats it; default noise, marked all over")
    spent.add_argument("--megapixels", type=float, default=100)
    spent.set_defaults(run=cost)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.run(options)


if __name__ == "__main__":
    main()
