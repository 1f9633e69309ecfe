"""Reverse distillation as a person runs it, against anomalib's: from the command to the measured detector, in one run.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install anomalib
    python -m benchmarks.peer_training --peer-python /tmp/peer/bin/python
    python -m benchmarks.peer_training --peer-python ... --root ./photographs --category lid --teacher my-resnet18

Both read the same images from disk, with the same teacher's weights (a ResNet, whose features must agree), image size,
batch size, learning rate and epochs; both train on the same images, look at the same part of test after epochs, and are
measured on the same other part. Each run is a process of its own that begins with nothing kept, and the ways take
turns, seed by seed. kdzoo keeps the epoch that was best on the part it looked at, the peer its last one: that is what
each does by itself. kdzoo runs once more with the teacher that it takes by itself for one's own data. The peer runs

- `default`: with what it does by itself: eight workers that load images, a picture of every image it is tested on;
- `lean`: without either, which is quicker on few images.

Beside the wall's seconds there are those of the processor, of all processes of a run: they also hold on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from kdzoo.data.catalog import open_dataset
from kdzoo.data.demo.build import ensure_demo
from kdzoo.data.images import read_rgb
from kdzoo.settings import Settings
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.data import TrialData
from kdzoo.training.spec import RunOptions

METRICS = ("image_auroc", "pixel_auroc")
PEER = Path(__file__).with_name("peer_anomalib.py")


def prepared(options, folder):
    """The data set's folder, and what the peer is told: its teacher, and the same parts of the data as folders."""
    settings = Settings.from_environment({"KDZOO_HOME": str(folder / "prepared")})
    root = options.root or ensure_demo(folder / "drawn")
    dataset = open_dataset(str(root), settings)
    run = RunOptions.from_mapping({"teacher": options.teacher, "image_size": options.size})
    parts = TrialData(dataset, options.category, run, cache=folder / "cache").parts
    for part, samples in (("train", parts.train), ("select", parts.select), ("report", parts.report)):
        for sample in samples:
            name = f"{sample.defect_type}_{sample.path.name}"
            copied(sample.path, folder / "peer" / part / ("defect" if sample.label else "good") / name)
            if sample.mask_path is not None:
                masked = folder / "peer" / part / "mask" / Path(name).with_suffix(sample.mask_path.suffix)
                copied(sample.mask_path, masked)
    teacher = load_teacher(options.teacher)
    state = teacher.backbone.state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "teacher.safetensors")
    image = torch.from_numpy(np.array(read_rgb(parts.train[0].path, options.size))).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        levels = teacher(teacher.normalise(image))
    save_file(
        {"image": image.contiguous(), **{f"level{k}": level.contiguous() for k, level in enumerate(levels)}},
        folder / "seen",
    )
    told = {
        "data": str(folder / "peer"),
        "weights": str(folder / "teacher.safetensors"),
        "seen": str(folder / "seen"),
        "architecture": teacher.name.architecture,
        "mean": list(teacher.mean),
        "std": list(teacher.std),
        "size": options.size,
        "batch": options.batch,
        "epochs": options.epochs,
    }
    return Path(dataset.root), told


def copied(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def timed(command, **environment):
    """What a command printed last, as JSON, with the seconds of the wall and of all its processes' processor time."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=out, stderr=log, text=True, env={**os.environ, **environment})
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        taken = time.perf_counter() - started
        out.seek(0)
        log.seek(0)
        if process.returncode:
            raise SystemExit(f"{command} failed:\n{log.read()[-3000:]}")
        result = json.loads(out.read().strip().splitlines()[-1])
    return {**result, "wall": taken, "processor": used.ru_utime + used.ru_stime}


def by_kdzoo(options, root, teacher, seed):
    """The command of the README, with a home of its own."""
    command = [sys.executable, "-m", "kdzoo", "train", "rd", "--dataset", str(root), "--category", options.category]
    command += ["--teacher", teacher, "--image-size", str(options.size), "--epochs", str(options.epochs)]
    command += ["--set", f"batch_size={options.batch}", "--seed", str(seed), "--precision", options.precision, "--json"]
    with tempfile.TemporaryDirectory() as home:
        found = timed([*command, "--out", f"{home}/out"], KDZOO_HOME=home)
    return {**found, **{name: found["metrics"][f"test_{name}"] for name in METRICS}}


def by_peer(options, told, way, seed):
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        job.write_text(json.dumps({**told, "way": way, "seed": seed, "out": folder}))
        return timed([options.peer_python, str(PEER), str(job)], PYTHONPATH="")


def compare(options, folder):
    root, told = prepared(options, folder)
    ways = {
        f"kdzoo, {options.teacher}": lambda seed: by_kdzoo(options, root, options.teacher, seed),
        "anomalib, default": lambda seed: by_peer(options, told, "default", seed),
        "anomalib, lean": lambda seed: by_peer(options, told, "lean", seed),
        f"kdzoo, {options.own}": lambda seed: by_kdzoo(options, root, options.own, seed),
    }
    runs = {way: [] for way in ways}
    for seed in range(options.seeds):
        for way, run in ways.items():
            found = run(seed)
            runs[way].append({key: found[key] for key in ("wall", "processor", *METRICS)})
            print(f"seed {seed}  {way:24}", {key: round(value, 4) for key, value in runs[way][-1].items()}, flush=True)
    means = {way: {key: statistics.mean(run[key] for run in each) for key in each[0]} for way, each in runs.items()}
    first = means[f"kdzoo, {options.teacher}"]
    for way, mean in means.items():
        print(
            f"{way:24} wall {mean['wall']:6.1f} s (x{mean['wall'] / first['wall']:.2f})  "
            f"processor {mean['processor']:6.1f} s (x{mean['processor'] / first['processor']:.2f})  "
            + "  ".join(f"{name} {mean[name]:.4f}" for name in METRICS)
        )
    return {"runs": runs, "means": means}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", required=True, help="a Python that has anomalib")
    parser.add_argument("--root", type=Path, help="a data set's folder; default: the demo is drawn into one")
    parser.add_argument("--category", default="weave")
    parser.add_argument("--teacher", default="kdzoo-tiny", help="of both; a resnet18, whose student both know")
    parser.add_argument("--own", default="lite0", help="the teacher that kdzoo takes by itself for own data")
    parser.add_argument("--size", type=int, default=128, help="side of the input, pixels")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--precision", default="auto", help="kdzoo's")
    parser.add_argument("--out", type=Path, help="also write all numbers here, as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = compare(options, Path(folder))
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
