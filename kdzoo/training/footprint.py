"""What a detector costs to use: time for an image, parameters, megabytes of what a trial learned."""

from __future__ import annotations

import statistics
import time
from typing import Final

import numpy as np
import torch

from kdzoo.methods.base import Method
from kdzoo.training.evaluation import evaluating, exact
from kdzoo.training.features import processor
from kdzoo.training.images import ImageSource
from kdzoo.training.tiles import Tiles

LATENCY: Final = "latency_ms"
WARM_UP: Final = 3
RUNS: Final = 20


def footprint(method: Method, source: ImageSource, tiles: Tiles | None = None) -> dict[str, float]:
    """Measures a method on the device that it is on.

    Args:
        method: trained or not; time and size do not depend on that.
        source: of the images, on the same device.
        tiles: of images that are tiled, whose time is that of so many tiles.

    Returns:
        ``latency_ms``: the median of `RUNS` single images from uint8 to score, after `WARM_UP` that do not count;
        ``parameters``: of the whole detector, the teacher included;
        ``checkpoint_mb``: megabytes of the learned weights, without the teacher, which all detectors share.
    """
    learned = method.learned_state().values()
    return {
        LATENCY: _latency(method, source) * (1 if tiles is None else statistics.fmean(map(len, tiles.grids))),
        "parameters": float(sum(parameter.numel() for parameter in method.parameters())),
        "checkpoint_mb": sum(tensor.numel() * tensor.element_size() for tensor in learned) / 1e6,
    }


def timed_on(device: torch.device) -> str:
    """What a latency was measured on: a GPU's or a processor's model. Times on unlike ones do not compare."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor()


@exact()
def _latency(method: Method, source: ImageSource) -> float:
    seconds = []
    with evaluating(method):
        for run in range(WARM_UP + RUNS):
            started = time.perf_counter()
            images = source.batch(np.array([run % len(source)]))
            # The score is read on the CPU, so a GPU has done its work by then.
            float(method.image_score(method.anomaly_map(method.teacher.normalise(images))))
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[WARM_UP:]) * 1000
