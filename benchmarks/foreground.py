"""How well the foreground is found: mean and worst IoU over drawn products whose place is known, and the time it takes.

    python benchmarks/foreground.py --count 16 --size 256

Objects on light, dark, noisy, vignetted and shadowed backgrounds, several of them, and some that touch the edge; the
demo's categories; and surfaces, whose foreground is the whole image. `--textures` adds folders of photographs of
surfaces. At the end, objects that cover most of the frame, for which a person has to name the background.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from kdzoo.data.demo import DEMO_DEFECTS
from kdzoo.data.files import image_files
from kdzoo.data.foreground.estimate import find_foreground
from kdzoo.data.foreground.rule import ForegroundRule
from kdzoo.data.images import read_rgb

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from helpers.scenes import FILLING, SCENES, SURFACES, demo, iou, render


def categories(count, size, folders):
    """Label, rule, images and truth of every category."""
    for name, scene in SCENES.items():
        yield f"object: {name}", "auto", *render(scene, count, size)
    for name in DEMO_DEFECTS:
        yield f"demo: {name}", "auto", *demo(name, count)
    for name, scene in SURFACES.items():
        yield f"surface: {name}", "auto", *render(scene, count, size)
    for folder in folders:
        images = np.stack([read_rgb(path, size) for path in image_files(folder)[:count]])
        yield f"surface: {folder}", "auto", images, np.ones(images.shape[:3], bool)
    for rule, scene in FILLING.items():
        yield f"filling, background {rule}", rule, *render(scene, count, size)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=16, help="images a category")
    parser.add_argument("--size", type=int, default=256, help="their side, pixels")
    parser.add_argument("--textures", type=Path, nargs="*", default=[], help="folders of photographs of surfaces")
    options = parser.parse_args()
    print(f"{'':36} {'mean IoU':>8} {'worst':>7} {'share':>7} {'ms/image':>9}")
    means = []
    for name, rule, images, truth in categories(options.count, options.size, options.textures):
        started = time.perf_counter()
        found = find_foreground(images, ForegroundRule(kind=rule))
        spent = (time.perf_counter() - started) / len(images) * 1000
        scores = iou(found, truth)
        means.append(float(scores.mean()))
        print(f"{name:36} {scores.mean():8.3f} {scores.min():7.3f} {found.mean():7.1%} {spent:9.2f}")
    print(f"{'mean over ' + str(len(means)) + ' categories':36} {np.mean(means):8.3f} {min(means):7.3f}")


if __name__ == "__main__":
    main()
