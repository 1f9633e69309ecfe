"""What is learned from planted masks: the truth at a level's size, and focal losses against it.

Shapes: B images, h x w positions of a level, H x W input size.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdzoo.methods.layers.exact import exact

_LEAST = 1e-12
_PRIOR = 0.01
_PRIOR_STD = 0.01


def pooled_mask(masks: Tensor, size: tuple[int, int], *, threshold: float) -> Tensor:
    """Pixel masks at a level's size: a position is marked when more than ``threshold`` of its area is.

    Args:
        masks: ``[B, 1, H, W]``, 0 or 1.
        size: h and w.
        threshold: share of a position's area, in [0, 1).

    Returns:
        ``[B, 1, h, w]`` of the masks' dtype, 0 or 1.
    """
    return (F.adaptive_avg_pool2d(masks, size) > threshold).to(masks.dtype)


def focal_loss(probabilities: Tensor, truth: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Focal binary cross-entropy of probabilities, mean over all elements.

    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017 (arXiv 1708.02002), equation 5.

    Args:
        probabilities: any shape, in [0, 1]; rounding beyond either end is cut, NaN gives NaN.
        truth: the same shape, 0 or 1.
        alpha: weight of the ones, in [0, 1]; the zeros weigh ``1 - alpha``.
        gamma: focus on elements that are still wrong, 0 or more; 0 is weighted cross-entropy.
    """
    # Written out, because binary_cross_entropy stops the whole GPU process on a probability of NaN or 1.0000001. The
    # logarithm has no gradient at 0, so nothing gets there.
    probabilities = exact(probabilities)
    right = probabilities * truth + (1 - probabilities) * (1 - truth)
    return _focal(right.clamp(_LEAST, 1.0).log(), (1 - right).clamp(_LEAST, 1.0).log(), truth, alpha, gamma)


def focal_loss_of_logits(logits: Tensor, truth: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """`focal_loss` of ``sigmoid(logits)``, finite and with a gradient however sure the logits are.

    Args:
        logits: any shape.
        truth: the same shape, 0 or 1.
        alpha: weight of the ones, in [0, 1]; the zeros weigh ``1 - alpha``.
        gamma: focus on elements that are still wrong, 0 or more; 0 is weighted cross-entropy.
    """
    right = exact(logits) * (2 * truth - 1)
    return _focal(F.logsigmoid(right), F.logsigmoid(-right), truth, alpha, gamma)


def start_at_prior(head: nn.Conv2d) -> None:
    """Lets a convolution that gives logits, with a bias, start out expecting 1 % anomalies, whatever it sees.

    A head that starts as the layers before it do (Kaiming, fan out, which is the single channel it gives) has logits
    of +-10 and more: float32 rounds their sigmoid to 0 or 1, a short training is spent on the way back, and where it
    does not get there all pixels tie. Source: Lin et al., arXiv 1708.02002, sections 3.3 and 4.1 (prior 0.01,
    standard deviation of the weights 0.01).
    """
    nn.init.normal_(head.weight, std=_PRIOR_STD)
    if head.bias is not None:
        nn.init.constant_(head.bias, math.log(_PRIOR / (1 - _PRIOR)))


def _focal(log_right: Tensor, log_wrong: Tensor, truth: Tensor, alpha: float, gamma: float) -> Tensor:
    """From the logarithms of the probabilities of being right and wrong: no power of 0, for any gamma."""
    weight = alpha * truth + (1 - alpha) * (1 - truth)
    return (weight * torch.exp(gamma * log_wrong) * -log_right).mean()
