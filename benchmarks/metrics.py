"""Exact pixel metrics against the naive way, in one process, as ratios.

The naive way is what many evaluation scripts do: scikit-learn over all pixels for AUROC and average precision, and
AUPRO by a loop over 200 thresholds, which compares every pixel at every threshold (regions are labelled only once).

    python benchmarks/metrics.py --images 40 --size 256
"""

import argparse
import time

import numpy as np
from scipy import ndimage
from sklearn.metrics import average_precision_score, roc_auc_score

from kdzoo.metrics import PixelCurve


def made_up(images: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth noise with raised scores on defects (discs in half of the images); float32 maps, bool masks."""
    rng = np.random.default_rng(seed)
    maps = ndimage.gaussian_filter(rng.normal(size=(images, size, size)), (0, 4, 4)).astype(np.float32)
    maps /= maps.std()
    rows, columns = np.mgrid[:size, :size]
    masks = np.zeros(maps.shape, bool)
    for index in range(0, images, 2):
        for _ in range(3):
            row, column = rng.integers(0, size, 2)
            masks[index] |= (rows - row) ** 2 + (columns - column) ** 2 < rng.integers(3, size // 10) ** 2
    return maps + 1.5 * masks.astype(np.float32), masks


def exact(maps: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    curve = PixelCurve.from_maps(maps, masks)
    return {"auroc": curve.pixel_auroc(), "ap": curve.pixel_ap(), "aupro": curve.aupro(0.3)}


def naive_aupro(maps: np.ndarray, masks: np.ndarray, limit: float = 0.3, thresholds: int = 200) -> float:
    regions = [ndimage.label(mask, structure=np.ones((3, 3))) for mask in masks]
    fprs, overlaps = [0.0], [0.0]
    for threshold in np.linspace(maps.max(), maps.min(), thresholds):
        found = maps >= threshold
        parts = [found[i][labels == j].mean() for i, (labels, count) in enumerate(regions) for j in range(1, count + 1)]
        fprs.append(float((found & ~masks).sum() / (~masks).sum()))
        overlaps.append(float(np.mean(parts)))
    grid = np.linspace(0, limit, 2000)
    return float(np.trapezoid(np.interp(grid, fprs, overlaps), grid) / limit)


def timed(work, repeats: int) -> tuple[float, object]:
    """Best of some runs, in seconds, and the last result."""
    best, result = float("inf"), None
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    return best, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    maps, masks = made_up(args.images, args.size, args.seed)
    scores, truth = maps.ravel(), masks.ravel()
    ours, values = timed(lambda: exact(maps, masks), 3)
    curves, sklearn_values = timed(lambda: (roc_auc_score(truth, scores), average_precision_score(truth, scores)), 1)
    loop, aupro = timed(lambda: naive_aupro(maps, masks), 1)
    print(f"{maps.size / 1e6:.1f} M pixels, {truth.mean():.1%} anomalous")
    print(f"kdzoo: AUROC, AP and AUPRO      {ours:8.3f} s   {values}")
    print(f"scikit-learn: AUROC, AP         {curves:8.3f} s   auroc {sklearn_values[0]}, ap {sklearn_values[1]}")
    print(f"AUPRO, 200 thresholds           {loop:8.3f} s   aupro {aupro} (error {aupro - values['aupro']:+.1e})")
    print(f"ratio, all naive / kdzoo        {(curves + loop) / ours:8.1f}")
    print(f"ratio, scikit-learn's two / kdzoo's three {curves / ours:.1f}")


if __name__ == "__main__":
    main()
