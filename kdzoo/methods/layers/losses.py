"""Losses that compare teacher and student features.

They compute in float32 whatever the features' precision is: a similarity near 1 would lose its digits.

Shapes: B images, C channels, h x w positions of a level.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kdzoo.methods.layers.exact import exact_levels


def flattened_cosine_loss(teacher: list[Tensor], student: list[Tensor]) -> Tensor:
    """Over the levels, the sum of 1 - cosine similarity of the features flattened over C, h and w; mean over B.

    Source: the loss of Deng & Li's released code (reverse distillation).
    """
    losses = [
        (1 - F.cosine_similarity(expected.flatten(1), found.flatten(1), dim=1)).mean()
        for expected, found in zip(exact_levels(teacher), exact_levels(student), strict=True)
    ]
    return torch.stack(losses).sum()


def hardest_positions_loss(teacher: list[Tensor], student: list[Tensor], *, top_k: int) -> Tensor:
    """Over the levels, the mean over images of the mean of the ``top_k`` largest position losses 1 - cos.

    Source: the hard term of AAND's Hard Knowledge Distillation (Tang et al., arXiv 2405.02068).

    Args:
        teacher: levels ``[B, C, h, w]``.
        student: levels of the same shapes.
        top_k: positions an image; all of them where a level has fewer.
    """
    losses = []
    for expected, found in zip(exact_levels(teacher), exact_levels(student), strict=True):
        distance = (1 - F.cosine_similarity(expected, found, dim=1)).flatten(1)
        losses.append(distance.topk(min(top_k, distance.shape[1]), dim=1).values.mean())
    return torch.stack(losses).sum()
