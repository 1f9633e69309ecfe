"""The loss of asymmetric distillation.

Source: Xing et al., arXiv 2210.10495; the exact forms are this project's reading, as no code was released.
Shapes: B images, C_k channels and h x w positions of level k = 1..3, H x W input size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kdzoo.methods.layers.exact import exact_levels


def distillation_losses(
    teacher: list[Tensor], student: list[Tensor], anomalous: list[Tensor], *, margin: float
) -> tuple[Tensor, Tensor]:
    """What pulls the student to the teacher on normal positions, and what pushes it away on anomalous ones.

    Pull: mean over normal positions of ``1 - cos(F, S)``. Push: mean over anomalous positions of
    ``ReLU(cos(F, S) - margin)``. Each is summed over the levels; a level without such positions adds nothing.

    Args:
        teacher: F, ``[B, C, h, w]`` a level.
        student: S, the same shapes.
        anomalous: ``[B, 1, h, w]`` a level, 1 where anomalous, else 0.
        margin: of the hinge.
    """
    pulls, pushes = [], []
    for expected, found, truth in zip(exact_levels(teacher), exact_levels(student), anomalous, strict=True):
        similarity = F.cosine_similarity(expected, found, dim=1)[:, None]
        pulls.append(_mean_where(1 - similarity, 1 - truth))
        pushes.append(_mean_where(F.relu(similarity - margin), truth))
    return torch.stack(pulls).sum(), torch.stack(pushes).sum()


def _mean_where(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of the values whose weight is 1; 0 where there are none. Asks nothing of the device."""
    return (values * weights).sum() / weights.sum().clamp_min(1)
