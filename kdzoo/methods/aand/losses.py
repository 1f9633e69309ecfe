"""Losses of the anomaly amplification stage.

Source: Tang et al., arXiv 2405.02068, stage 1.
Shapes: B images, C channels, h x w positions of a level, H x W input size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kdzoo.data.devices import waits
from kdzoo.methods.layers.exact import exact_levels, exact_products
from kdzoo.methods.layers.masks import focal_loss, pooled_mask

NORMAL_SAMPLES = 5000
ANOMALOUS_SAMPLES = 1000


def level_mask(masks: Tensor, size: tuple[int, int], *, threshold: float) -> Tensor:
    """``[B, 1, H, W]`` pixel masks to ``[B, h*w, 1]``: 1 where the marked share of a position exceeds ``threshold``."""
    return pooled_mask(masks, size, threshold=threshold).flatten(2).transpose(1, 2)


def focal_gate_loss(gates: list[Tensor], truths: list[Tensor], *, alpha: float, gamma: float) -> Tensor:
    """`focal_loss` of the gates, mean over positions, summed over levels.

    Args:
        gates: ``[B, h*w, 1]`` a level, in [0, 1]; rounding beyond either end is cut, NaN gives NaN.
        truths: the same shapes, from `level_mask`.
        alpha: weight of anomalous positions; normal ones weigh ``1 - alpha``.
        gamma: focus on positions that are still wrong.
    """
    pairs = zip(gates, truths, strict=True)
    return torch.stack([focal_loss(gate, truth, alpha=alpha, gamma=gamma) for gate, truth in pairs]).sum()


def amplification_loss(
    plain: list[Tensor], amplified: list[Tensor], truths: list[Tensor], foreground: list[Tensor], *, margin: float
) -> Tensor:
    """Pushes amplified anomalous features away from normal ones, by ``margin`` more than the plain ones are.

    Mean over pairs of normal foreground positions n and anomalous positions a of
    ``ReLU(cos(F_n, A_a) - (cos(F_n, F_a) - margin))``, summed over levels. Both similarities share F_n, so one
    matrix product with the difference of the unit vectors gives every pair. Of more positions than `NORMAL_SAMPLES` and
    `ANOMALOUS_SAMPLES` a random choice counts; a level without either kind adds nothing.

    Args:
        plain: the teacher's features F, ``[B, C, h, w]`` a level.
        amplified: A, the same shapes.
        truths: ``[B, h*w, 1]`` a level, 1 where anomalous.
        foreground: ``[B, h*w, 1]`` a level, 1 where the product is.
        margin: of the hinge.
    """
    losses = []
    levels = zip(exact_levels(plain), exact_levels(amplified), truths, foreground, strict=True)
    for features, lifted, truth, inside in levels:
        anomalous = truth.flatten() > 0
        normal = (inside.flatten() > 0) & ~anomalous
        chosen_normal, counted_normal = _sample(normal, NORMAL_SAMPLES)
        chosen_anomalous, counted_anomalous = _sample(anomalous, ANOMALOUS_SAMPLES)
        normals = _unit_rows(features, chosen_normal)
        drift = _unit_rows(lifted, chosen_anomalous) - _unit_rows(features, chosen_anomalous)
        number = counted_normal.sum() * counted_anomalous.sum()
        with exact_products(features):
            pairs = F.relu(normals @ drift.T + margin)
            losses.append(counted_normal @ pairs @ counted_anomalous / number.clamp_min(1))
    return torch.stack(losses).sum()


def _sample(mask: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Positions where ``mask [P]`` holds; a random choice of ``most`` where there are more.

    Returns:
        Their numbers ``[N]`` int64, and which of them count, ``[N]`` float32 of 1 and 0. To count how many there are
        would make a GPU wait: there N is ``most``, or P where that is less, filled up with positions that do not count.
    """
    if len(mask) > most:
        # Each position draws a number, and those beside the mask lose: the first ones are a random choice of the rest.
        drawn = torch.rand(len(mask), device=mask.device).masked_fill_(~mask, -1.0)
        values, places = drawn.topk(most)
        held = values >= 0
    else:
        held, places = mask, torch.arange(len(mask), device=mask.device)
    if not waits(mask.device):
        places = places[held]
        held = held[held]
    return places, held.float()


def _unit_rows(features: Tensor, indices: Tensor) -> Tensor:
    """``[B, C, h, w]`` to the unit feature vectors at flat positions, ``[len(indices), C]``."""
    rows = features.flatten(2).transpose(1, 2).reshape(-1, features.shape[1]).index_select(0, indices)
    return F.normalize(rows, dim=1)
